"""Backend of the CRF for CPUs, compiled by Numba (extra ``compiled``); see ``ner.model.kernels.chain`` for its functions.

A block of eight sentences is computed in lockstep, one sentence per SIMD lane, so the speed does not depend on the
number of tags and the data of a block stay in the CPU cache. Sums have a fixed order. Sentences whose mass could
underflow are computed by the log-space functions of ``crf_torch``. Numba caches compiled code beside this file, or in
``NUMBA_CACHE_DIR``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ner.model.kernels import crf_torch
from ner.model.kernels.chain import TINY, Chain, Forward
from ner.model.kernels.simd import (
    LANES,
    add,
    broadcast,
    exponential,
    load,
    maximum,
    minimum,
    multiply,
    multiply_add,
    reciprocal,
    store,
    subtract,
)


def forward(emissions: Tensor, lengths: Tensor, chain: Chain, gradient: bool = True) -> Forward:
    """See :mod:`ner.model.kernels.chain`; marginals are computed along the way, while a block is in the cache."""
    rows = _as_array(emissions)
    size, words, num_tags = rows.shape
    (begin, *_), (matrix, *_), (end, *_) = tables = [_factors(*pair) for pair in zip(chain[:3], chain[3:], strict=True)]
    reach = _reachable(chain, words)
    log_partition, underflow = np.zeros(size), np.zeros(size, dtype=np.bool_)
    unary = np.zeros((size, words, num_tags) if gradient else (0, 0, 0), dtype=rows.dtype)
    pairs = np.zeros((size if gradient else 0, num_tags, num_tags))
    peaks = np.array([peak for _, peak in tables])
    _recursion(rows, lengths.numpy(), begin, matrix, end, peaks, reach, log_partition, underflow, unary, pairs)
    found = torch.from_numpy(log_partition)
    posterior = torch.from_numpy(unary), torch.from_numpy(pairs)
    if underflow.any():
        where = torch.from_numpy(underflow)
        part = emissions[where], lengths[where], chain
        log_space = crf_torch.forward(*part)
        found[where] = log_space.log_partition
        if gradient:
            for table, rest in zip(posterior, crf_torch.backward(*part, log_space), strict=True):
                table[where] = rest.to(table)
    return Forward(found, posterior)


def backward(emissions: Tensor, lengths: Tensor, chain: Chain, forward_pass: Forward) -> tuple[Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    unary, pairs = forward_pass.saved
    return unary, pairs


def path_score(emissions: Tensor, tags: Tensor, lengths: Tensor, chain: Chain) -> Tensor:
    """See :mod:`ner.model.kernels.chain`."""
    score = np.zeros(len(tags))
    allowed = [mask.numpy() for mask in chain[3:] if mask is not None] or [np.ones((1, 1), dtype=np.bool_)] * 3
    allowed = [np.atleast_2d(mask) for mask in allowed]
    scores = [table.detach().double().numpy() for table in chain[:3]]
    _path_score(_as_array(emissions), tags.numpy(), lengths.numpy(), *scores, *allowed, score)
    return torch.from_numpy(score)


def gradients(
    unary: Tensor, pairs: Tensor, tags: Tensor, lengths: Tensor, weight: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    num_tags = pairs.shape[1]
    first, transitions, last = np.zeros(num_tags), np.zeros((num_tags, num_tags)), np.zeros(num_tags)
    rows = (unary.numpy(), pairs.numpy(), tags.numpy(), lengths.numpy(), weight.double().contiguous().numpy())
    _gradients(*rows, first, transitions, last)
    return unary.to(dtype), torch.from_numpy(first), torch.from_numpy(transitions), torch.from_numpy(last)


def viterbi(emissions: Tensor, lengths: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    rows = _as_array(emissions)
    size, words, num_tags = rows.shape
    first, transitions, last = (table.double().numpy() for table in crf_torch.forbidding(chain))
    tags, score = np.zeros((size, words), dtype=np.int64), np.zeros(size)
    best = np.empty((words, num_tags, LANES))
    _viterbi(rows, lengths.numpy(), first, transitions, last, best, tags, score)
    return torch.from_numpy(tags), torch.from_numpy(score)


def _as_array(emissions: Tensor) -> np.ndarray:
    wide = emissions.detach()
    wide = wide if wide.dtype in (torch.float32, torch.float64) else wide.float()
    return wide.contiguous().numpy()


def _factors(scores: Tensor, allowed: Tensor | None) -> tuple[np.ndarray, float]:
    """Return the exponentials of scores, scaled to at most 1 and 0 where forbidden, and the log of the scale."""
    table = scores.detach().double().numpy()
    if allowed is None:
        peak = table.max()
        return np.exp(table - peak), peak
    mask = allowed.numpy()
    peak = table.max(where=mask, initial=np.finfo(np.float64).min)
    return np.where(mask, np.exp(np.minimum(table - peak, 0)), 0.0), peak


def _reachable(chain: Chain, words: int) -> np.ndarray:
    """Return ``(2, W, K)``, see :func:`~ner.model.kernels.crf_torch.reachable`; one row without constraints."""
    if chain.allowed is None:
        return np.ones((2, 1, len(chain.first)), dtype=np.bool_)
    return crf_torch.reachable(chain, max(1, words)).numpy()


def _compile(function: Any) -> Any:
    try:
        return njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # no writable cache folder: compile again in every process
        return njit(function, nogil=True, error_model="numpy")


@_compile
def _matrix_product(known, matrix, result):
    """Compute ``result[j] = sum over i of known[i] * matrix[i, j]`` in every lane, two columns at a time."""
    num_tags = len(known)
    for tag in range(0, num_tags - 1, 2):
        left, right = broadcast(0.0), broadcast(0.0)
        for previous in range(num_tags):
            value = load(known, previous)
            left = multiply_add(value, broadcast(matrix[previous, tag]), left)
            right = multiply_add(value, broadcast(matrix[previous, tag + 1]), right)
        store(result, tag, left)
        store(result, tag + 1, right)
    if num_tags % 2:
        left = broadcast(0.0)
        for previous in range(num_tags):
            left = multiply_add(load(known, previous), broadcast(matrix[previous, num_tags - 1]), left)
        store(result, num_tags - 1, left)


@_compile
def _longest(lengths, start, lanes):
    longest = 0
    for lane in range(lanes):
        longest = max(longest, lengths[start + lane])
    return longest


@_compile
def _recursion(emissions, lengths, begin, matrix, end, peaks, reach, log_partition, underflow, unary, pairs):
    """Fill the last four arguments (``unary`` and ``pairs`` unless empty); ``peaks`` belong to begin, matrix, end."""
    size, words, num_tags = emissions.shape
    transposed = matrix.T.copy()
    ahead = np.empty((words, num_tags, LANES))  # normalised probabilities of the words so far
    steps = np.empty((words, num_tags, LANES))  # exponentials of the emissions, 1 for the highest
    totals, heights = np.empty((words, LANES)), np.empty((words, LANES))
    known, behind, shares = np.empty((num_tags, LANES)), np.empty((num_tags, LANES)), np.empty((num_tags, LANES))
    counts = np.empty((num_tags, num_tags * LANES))
    for start in range(0, size, LANES):
        lanes = min(LANES, size - start)
        longest = _longest(lengths, start, lanes)
        if longest == 0:
            continue
        _forward_block(
            emissions, lengths, start, lanes, longest, begin, matrix, reach[0], ahead, steps, totals, heights, underflow
        )
        for lane in range(lanes):
            length = lengths[start + lane]
            if length == 0:
                continue
            scale, product = peaks[0] + peaks[1] * (length - 1) + peaks[2], 1.0
            for word in range(length):
                scale += heights[word, lane]
                product *= totals[word, lane]
                if not 1e-150 < product < 1e150:
                    scale += np.log(product)
                    product = 1.0
            mass = 0.0
            for tag in range(num_tags):
                mass += ahead[length - 1, tag, lane] * end[tag]
            log_partition[start + lane] = scale + np.log(product * mass)
            if not product * mass > 0.0:
                underflow[start + lane] = True
        if len(unary):
            _backward_block(
                lengths,
                start,
                lanes,
                longest,
                transposed,
                end,
                reach[1],
                ahead,
                steps,
                known,
                behind,
                shares,
                counts,
                unary,
                underflow,
            )
            for lane in range(lanes):
                for tag in range(num_tags):
                    for following in range(num_tags):
                        count = counts[tag, following * LANES + lane]
                        pairs[start + lane, tag, following] = count * matrix[tag, following]


@_compile
def _forward_block(
    emissions, lengths, start, lanes, longest, begin, matrix, reach, ahead, steps, totals, heights, underflow
):
    """Run the forward recursion of a block: fill the last five arguments."""
    num_tags = emissions.shape[2]
    constrained = len(reach) > 1
    least, wrong = broadcast(1.0), broadcast(0.0)
    for word in range(longest):
        step, values = steps[word], ahead[word]
        for tag in range(num_tags):
            store(step, tag, broadcast(0.0))
        for lane in range(lanes):
            if word < lengths[start + lane]:
                for tag in range(num_tags):
                    step[tag, lane] = emissions[start + lane, word, tag]
        if word:
            _matrix_product(ahead[word - 1], matrix, values)
        else:
            for tag in range(num_tags):
                store(values, tag, broadcast(begin[tag]))
        peak, total = load(step, 0), broadcast(0.0)
        for tag in range(1, num_tags):
            peak = maximum(load(step, tag), peak)
        for tag in range(num_tags):
            score = subtract(load(step, tag), peak)
            wrong = add(wrong, subtract(score, score))  # NaN unless finite
            factor = exponential(score)
            value = multiply(load(values, tag), factor)
            total = add(total, value)
            store(step, tag, factor)
            store(values, tag, value)
        least = minimum(total, least)  # exp is clamped at -700, so a smaller total is an underflow
        inverse = reciprocal(total)
        for tag in range(num_tags):
            value = multiply(load(values, tag), inverse)
            store(values, tag, value)
            if not constrained or reach[word, tag]:
                least = minimum(value, least)
        store(totals, word, total)
        store(heights, word, peak)
    lowest, broken = np.empty(LANES), np.empty(LANES)
    store(lowest, 0, least)
    store(broken, 0, wrong)
    for lane in range(lanes):  # ``crf_torch`` computes these sentences again and finds the cause
        if lengths[start + lane] and not (lowest[lane] >= TINY and broken[lane] == 0.0):
            underflow[start + lane] = True


@_compile
def _backward_block(
    lengths,
    start,
    lanes,
    longest,
    transposed,
    end,
    reach,
    ahead,
    steps,
    known,
    behind,
    shares,
    counts,
    unary,
    underflow,
):
    """Run the backward recursion of a block: fill the last three arguments; ``reach`` counts words from the last."""
    num_tags = len(end)
    constrained = len(reach) > 1
    mass = np.empty(LANES)
    known[:], counts[:] = 0.0, 0.0  # known: normalised mass of the following words; 0 after the last word
    for word in range(longest - 1, -1, -1):
        step, values = steps[word], ahead[word]
        _matrix_product(known, transposed, behind)
        for lane in range(lanes):
            if word == lengths[start + lane] - 1:
                for tag in range(num_tags):
                    behind[tag, lane] = end[tag]
        total = broadcast(0.0)
        for tag in range(num_tags):
            total = multiply_add(load(values, tag), load(behind, tag), total)
        inverse = reciprocal(total)  # 0 in lanes after their last word
        for tag in range(num_tags):
            share = multiply(load(values, tag), inverse)
            store(shares, tag, multiply(share, load(behind, tag)))
            for following in range(num_tags):
                place = tag * num_tags + following
                store(counts, place, multiply_add(share, load(known, following), load(counts, place)))
        total = broadcast(0.0)
        for tag in range(num_tags):
            value = multiply(load(behind, tag), load(step, tag))
            total = add(total, value)
            store(known, tag, value)
        store(mass, 0, total)
        inverse = reciprocal(total)
        for tag in range(num_tags):
            store(known, tag, multiply(load(known, tag), inverse))
        for lane in range(lanes):
            distance = lengths[start + lane] - 1 - word
            if distance >= 0:
                if not mass[lane] >= TINY:
                    underflow[start + lane] = True
                for tag in range(num_tags):
                    unary[start + lane, word, tag] = shares[tag, lane]
                    if not known[tag, lane] >= TINY and (not constrained or reach[distance, tag]):
                        underflow[start + lane] = True


@_compile
def _viterbi(emissions, lengths, first, transitions, last, best, tags, score):
    """Fill the last two arguments; ``best`` is a buffer for the scores of a block."""
    size, _, num_tags = emissions.shape
    added = np.empty((num_tags, LANES))
    broken = np.empty(LANES)
    for start in range(0, size, LANES):
        lanes = min(LANES, size - start)
        wrong = broadcast(0.0)
        for word in range(_longest(lengths, start, lanes)):
            values = best[word]
            for tag in range(num_tags):
                store(added, tag, broadcast(0.0))
            for lane in range(lanes):
                if word < lengths[start + lane]:
                    for tag in range(num_tags):
                        added[tag, lane] = emissions[start + lane, word, tag]
            for tag in range(num_tags):
                if word:
                    before = best[word - 1]
                    reached = broadcast(-np.inf)
                    for previous in range(num_tags):
                        reached = maximum(add(load(before, previous), broadcast(transitions[previous, tag])), reached)
                else:
                    reached = broadcast(first[tag])
                emission = load(added, tag)
                wrong = add(wrong, subtract(emission, emission))  # NaN unless finite
                store(values, tag, add(reached, emission))
        store(broken, 0, wrong)
        for lane in range(lanes):
            length = lengths[start + lane]
            if length == 0:
                continue
            highest, chosen = -np.inf, 0
            for tag in range(num_tags):
                value = best[length - 1, tag, lane] + last[tag]
                if value > highest:
                    highest, chosen = value, tag
            score[start + lane] = highest + broken[lane]
            tags[start + lane, length - 1] = chosen
            for word in range(length - 2, -1, -1):  # recompute the best previous tag instead of storing pointers
                highest, following = -np.inf, chosen
                for tag in range(num_tags):
                    value = best[word, tag, lane] + transitions[tag, following]
                    if value > highest:
                        highest, chosen = value, tag
                tags[start + lane, word] = chosen


@_compile
def _path_score(emissions, tags, lengths, first, transitions, last, allowed_first, allowed, allowed_last, score):
    """Fill ``score``."""
    constrained = allowed.size > 1
    for row in range(len(tags)):
        length = lengths[row]
        if length == 0:
            continue
        begin, end = tags[row, 0], tags[row, length - 1]
        total = np.float64(first[begin]) + last[end]
        fine = not constrained or (allowed_first[0, begin] and allowed_last[0, end])
        for word in range(length):
            tag = tags[row, word]
            total += emissions[row, word, tag]
            if word:
                before = tags[row, word - 1]
                total += transitions[before, tag]
                fine = fine and (not constrained or allowed[before, tag])
        score[row] = total if fine else -np.inf


@_compile
def _gradients(unary, pairs, tags, lengths, weights, first, transitions, last):
    """Add to the last three arguments, which are 0 at the start, and turn ``unary`` into the emission gradient."""
    size, words, num_tags = unary.shape
    for row in range(size):
        weight, length = weights[row], lengths[row]
        if length:
            for tag in range(num_tags):
                first[tag] -= weight * unary[row, 0, tag]
                last[tag] -= weight * unary[row, length - 1, tag]
            first[tags[row, 0]] += weight
            last[tags[row, length - 1]] += weight
        places = unary[row].reshape(words * num_tags)
        for place in range(words * num_tags):  # a single flat loop, which LLVM vectorises
            places[place] *= -weight
        for tag in range(num_tags):
            for following in range(num_tags):
                transitions[tag, following] -= weight * pairs[row, tag, following]
        for word in range(length):
            tag = tags[row, word]
            unary[row, word, tag] += weight
            if word:
                transitions[tags[row, word - 1], tag] += weight
