"""Backend of the CRF for CPUs, compiled by Numba (extra ``compiled``); see ``ner.model.kernels.chain`` for its functions.

A block of eight sentences is computed in lockstep, one sentence per SIMD lane: all lanes are used for any
number of tags, and the data of a block stay in the CPU cache. Sums have a fixed order. Sentences whose mass could
underflow are computed by ``crf_torch``. Numba caches compiled code beside this file, or in ``NUMBA_CACHE_DIR``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ner.model.kernels import crf_torch
from ner.model.kernels.chain import TINY, Chain
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

ACCEPTS_ANY_MASK = False


def forward(
    emissions: Tensor, tags: Tensor, mask: Tensor, chain: Chain, gradient: bool
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """See :mod:`ner.model.kernels.chain`; marginals are computed along the way, while a block is in the cache."""
    rows = _as_array(emissions)
    size, words, num_tags = rows.shape
    tables = [table.double().numpy() for table in chain.tables()]
    peaks = [max(table.max(), np.finfo(np.float64).min) for table in tables]  # all may be forbidden
    factors = [np.exp(table - peak) for table, peak in zip(tables, peaks, strict=True)]
    reachable = np.ones((2, 1, num_tags), dtype=np.bool_)  # one row means that there are no constraints
    if chain.allowed is not None:
        reachable = crf_torch.reachable(chain, words).numpy()
    log_likelihoods, underflow = np.zeros(size), np.zeros(size, dtype=np.bool_)
    tag_marginals = np.zeros((size, words, num_tags) if gradient else (0, 0, 0), dtype=rows.dtype)
    expected_transitions = np.zeros((size if gradient else 0, num_tags, num_tags))
    gold = tags.numpy(), *tables
    _recursion(
        rows,
        mask.sum(1).numpy(),
        *gold,
        *factors,
        np.array(peaks),
        reachable,
        log_likelihoods,
        underflow,
        tag_marginals,
        expected_transitions,
    )
    log_likelihood, marginals = (
        torch.from_numpy(log_likelihoods),
        (torch.from_numpy(tag_marginals), torch.from_numpy(expected_transitions)),
    )
    if underflow.any():
        underflow_rows = torch.from_numpy(underflow)
        log_likelihood[underflow_rows], exact = crf_torch.forward(
            emissions[underflow_rows], tags[underflow_rows], mask[underflow_rows], chain, gradient
        )
        for table, exact_table in zip(marginals, exact or (), strict=False):
            table[underflow_rows] = exact_table.to(table)
    return log_likelihood, marginals


def backward(
    saved: tuple[Tensor, Tensor], tags: Tensor, mask: Tensor, chain: Chain, weight: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    tag_marginals, expected_transitions = (table.numpy() for table in saved)
    num_tags = expected_transitions.shape[1]
    grad_emissions = np.empty_like(tag_marginals)
    grad_first, grad_transitions, grad_last = np.zeros(num_tags), np.zeros((num_tags, num_tags)), np.zeros(num_tags)
    weights = weight.double().contiguous().numpy()
    _gradients(
        tag_marginals,
        expected_transitions,
        tags.numpy(),
        mask.sum(1).numpy(),
        weights,
        grad_emissions,
        grad_first,
        grad_transitions,
        grad_last,
    )
    scores = torch.from_numpy(grad_first), torch.from_numpy(grad_transitions), torch.from_numpy(grad_last)
    return torch.from_numpy(grad_emissions).to(dtype), *scores


def viterbi(emissions: Tensor, mask: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    rows = _as_array(emissions)
    size, words, num_tags = rows.shape
    tables = [table.double().numpy() for table in chain.tables()]
    tags, score = np.zeros((size, words), dtype=np.int64), np.zeros(size)
    _viterbi(rows, mask.sum(1).numpy(), *tables, np.empty((words, num_tags, LANES)), tags, score)
    return torch.from_numpy(tags), torch.from_numpy(score)


def _as_array(emissions: Tensor) -> np.ndarray:
    """Return emissions in float32 or float64."""
    emissions = emissions.detach()
    return (emissions if emissions.dtype == torch.float64 else emissions.float()).contiguous().numpy()


def _compile(function: Any) -> Any:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "forceinline": True}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # no writable cache folder: compile again in every process
        return njit(function, **options)


@_compile
def _matrix_product(vector, matrix, result):
    """Compute ``result[j] = sum over i of vector[i] * matrix[i, j]`` in every lane, two columns at a time."""
    num_tags = len(vector)
    for tag in range(0, num_tags - 1, 2):
        left, right = broadcast(0.0), broadcast(0.0)
        for previous in range(num_tags):
            value = load(vector, previous)
            left = multiply_add(value, broadcast(matrix[previous, tag]), left)
            right = multiply_add(value, broadcast(matrix[previous, tag + 1]), right)
        store(result, tag, left)
        store(result, tag + 1, right)
    if num_tags % 2:
        left = broadcast(0.0)
        for previous in range(num_tags):
            left = multiply_add(load(vector, previous), broadcast(matrix[previous, num_tags - 1]), left)
        store(result, num_tags - 1, left)


@_compile
def _gather(emissions, lengths, word, emission_scores):
    """Copy the emissions of a word to ``emission_scores (K, LANES)``, 0 for sentences without that word."""
    num_tags = len(emission_scores)
    for tag in range(num_tags):
        store(emission_scores, tag, broadcast(0.0))
    for lane in range(len(lengths)):
        if word < lengths[lane]:
            for tag in range(num_tags):
                emission_scores[tag, lane] = emissions[lane, word, tag]


@_compile
def _recursion(
    emissions, lengths, tags, first, transitions, last, first_factors, transition_factors, last_factors, peaks,
    reachable, log_likelihoods, underflow, tag_marginals, expected_transitions,
):  # fmt: skip
    """Fill the last four arguments, of which ``tag_marginals`` and ``expected_transitions`` may be empty.

    The factors are exponentials of ``first``, ``transitions`` and ``last`` minus their ``peaks``.
    """
    size, words, num_tags = emissions.shape
    alpha = np.empty((words, num_tags, LANES))  # normalised probabilities of the words so far
    emission_factors = np.empty((words, num_tags, LANES))  # exponentials of the emissions, 1 for the highest
    totals, maxima = np.empty((words, LANES)), np.empty((words, LANES))
    counts = np.empty((num_tags, num_tags * LANES))
    transposed = transition_factors.T.copy()
    for start in range(0, size, LANES):
        block = slice(start, start + LANES)
        block_lengths, max_length = lengths[block], lengths[block].max()
        if max_length == 0:
            continue
        _forward_block(
            emissions[block], block_lengths, max_length, first_factors, transition_factors, reachable[0],
            alpha, emission_factors, totals, maxima, underflow[block],
        )  # fmt: skip
        for lane in range(len(block_lengths)):
            row, length = start + lane, block_lengths[lane]
            if length == 0:
                continue
            gold_score = first[tags[row, 0]] + last[tags[row, length - 1]]
            scale, product = peaks[0] + peaks[1] * (length - 1) + peaks[2], 1.0
            for word in range(length):
                gold_score += emissions[row, word, tags[row, word]]
                if word:
                    gold_score += transitions[tags[row, word - 1], tags[row, word]]
                scale += maxima[word, lane]
                product *= totals[word, lane]
                if not 1e-150 < product < 1e150:
                    scale += np.log(product)
                    product = 1.0
            mass = 0.0
            for tag in range(num_tags):
                mass += alpha[length - 1, tag, lane] * last_factors[tag]
            log_likelihoods[row] = gold_score - (scale + np.log(product * mass))
            if not product * mass > 0.0:
                underflow[row] = True
        if len(tag_marginals):
            _backward_block(
                block_lengths, max_length, transposed, last_factors, reachable[1],
                alpha, emission_factors, counts, tag_marginals[block], underflow[block],
            )  # fmt: skip
            for lane in range(len(block_lengths)):
                for tag in range(num_tags):
                    for following in range(num_tags):
                        expected_transitions[start + lane, tag, following] = (
                            counts[tag, following * LANES + lane] * transition_factors[tag, following]
                        )


@_compile
def _forward_block(
    emissions,
    lengths,
    max_length,
    first_factors,
    transition_factors,
    reachable,
    alpha,
    emission_factors,
    totals,
    maxima,
    underflow,
):
    """Run the forward recursion of a block: fill the last five arguments."""
    num_tags = emissions.shape[2]
    constrained = len(reachable) > 1
    min_mass, nan_if_not_finite = broadcast(1.0), broadcast(0.0)
    for word in range(max_length):
        emission_row, values = emission_factors[word], alpha[word]
        _gather(emissions, lengths, word, emission_row)
        if word:
            _matrix_product(alpha[word - 1], transition_factors, values)
        else:
            for tag in range(num_tags):
                store(values, tag, broadcast(first_factors[tag]))
        peak, total = load(emission_row, 0), broadcast(0.0)
        for tag in range(1, num_tags):
            peak = maximum(load(emission_row, tag), peak)
        for tag in range(num_tags):
            score = subtract(load(emission_row, tag), peak)
            nan_if_not_finite = add(nan_if_not_finite, subtract(score, score))  # NaN unless finite
            factor = exponential(score)
            value = multiply(load(values, tag), factor)
            total = add(total, value)
            store(emission_row, tag, factor)
            store(values, tag, value)
        min_mass = minimum(total, min_mass)  # exp is clamped at -700, so a smaller total is an underflow
        inverse = reciprocal(total)
        for tag in range(num_tags):
            value = multiply(load(values, tag), inverse)
            store(values, tag, value)
            if not constrained or reachable[word, tag]:
                min_mass = minimum(value, min_mass)
        store(totals, word, total)
        store(maxima, word, peak)
    min_masses, nan_lanes = np.empty(LANES), np.empty(LANES)
    store(min_masses, 0, min_mass)
    store(nan_lanes, 0, nan_if_not_finite)
    for lane in range(len(lengths)):  # ``crf_torch`` computes these sentences again and finds the cause
        if lengths[lane] and not (min_masses[lane] >= TINY and nan_lanes[lane] == 0.0):
            underflow[lane] = True


@_compile
def _backward_block(
    lengths, max_length, transposed, last_factors, reachable, alpha, emission_factors, counts, tag_marginals, underflow
):
    """Run the backward recursion of a block: fill the last three arguments; ``reachable`` counts words from the last."""
    num_tags = len(last_factors)
    constrained = len(reachable) > 1
    beta_and_emission = np.zeros((num_tags, LANES))  # normalised mass of the following words; 0 after the last word
    beta, marginals, mass = np.empty((num_tags, LANES)), np.empty((num_tags, LANES)), np.empty(LANES)
    counts[:] = 0.0
    for word in range(max_length - 1, -1, -1):
        emission_row, values = emission_factors[word], alpha[word]
        _matrix_product(beta_and_emission, transposed, beta)
        for lane in range(len(lengths)):
            if word == lengths[lane] - 1:
                for tag in range(num_tags):
                    beta[tag, lane] = last_factors[tag]
        total = broadcast(0.0)
        for tag in range(num_tags):
            total = multiply_add(load(values, tag), load(beta, tag), total)
        inverse = reciprocal(total)  # 0 in lanes after their last word
        for tag in range(num_tags):
            scaled_alpha = multiply(load(values, tag), inverse)
            store(marginals, tag, multiply(scaled_alpha, load(beta, tag)))
            for following in range(num_tags):
                pair = tag * num_tags + following
                store(counts, pair, multiply_add(scaled_alpha, load(beta_and_emission, following), load(counts, pair)))
        total = broadcast(0.0)
        for tag in range(num_tags):
            value = multiply(load(beta, tag), load(emission_row, tag))
            total = add(total, value)
            store(beta_and_emission, tag, value)
        store(mass, 0, total)
        inverse = reciprocal(total)
        for tag in range(num_tags):
            store(beta_and_emission, tag, multiply(load(beta_and_emission, tag), inverse))
        for lane in range(len(lengths)):
            distance = lengths[lane] - 1 - word
            if distance >= 0:
                if not mass[lane] >= TINY:
                    underflow[lane] = True
                for tag in range(num_tags):
                    tag_marginals[lane, word, tag] = marginals[tag, lane]
                    if not beta_and_emission[tag, lane] >= TINY and (not constrained or reachable[distance, tag]):
                        underflow[lane] = True


@_compile
def _viterbi(emissions, lengths, first, transitions, last, best, tags, score):
    """Fill the last two arguments; ``best`` is a buffer for the scores of a block."""
    size, _, num_tags = emissions.shape
    emission_row, nan_lanes = np.empty((num_tags, LANES)), np.empty(LANES)
    for start in range(0, size, LANES):
        block, block_lengths = emissions[start : start + LANES], lengths[start : start + LANES]
        nan_if_not_finite = broadcast(0.0)
        for word in range(block_lengths.max()):
            values = best[word]
            _gather(block, block_lengths, word, emission_row)
            for tag in range(num_tags):
                if word:
                    previous_best = best[word - 1]
                    best_candidate = broadcast(-np.inf)
                    for previous in range(num_tags):
                        best_candidate = maximum(
                            add(load(previous_best, previous), broadcast(transitions[previous, tag])), best_candidate
                        )
                else:
                    best_candidate = broadcast(first[tag])
                emission = load(emission_row, tag)
                nan_if_not_finite = add(nan_if_not_finite, subtract(emission, emission))  # NaN unless finite
                store(values, tag, add(best_candidate, emission))
        store(nan_lanes, 0, nan_if_not_finite)
        for lane in range(len(block_lengths)):
            row, length = start + lane, block_lengths[lane]
            if length == 0:
                continue
            best_score, best_tag = -np.inf, 0
            for tag in range(num_tags):
                value = best[length - 1, tag, lane] + last[tag]
                if value > best_score:
                    best_score, best_tag = value, tag
            score[row] = best_score + nan_lanes[lane]
            tags[row, length - 1] = best_tag
            for word in range(length - 2, -1, -1):  # recompute the best previous tag instead of storing pointers
                best_score, following = -np.inf, best_tag
                for tag in range(num_tags):
                    value = best[word, tag, lane] + transitions[tag, following]
                    if value > best_score:
                        best_score, best_tag = value, tag
                tags[row, word] = best_tag


@_compile
def _gradients(
    tag_marginals, expected_transitions, tags, lengths, weights, grad_emissions, grad_first, grad_transitions, grad_last
):
    """Fill ``emissions``, and add to the last three arguments."""
    size, words, num_tags = tag_marginals.shape
    for row in range(size):
        weight, length = weights[row], lengths[row]
        if length:
            for tag in range(num_tags):
                grad_first[tag] -= weight * tag_marginals[row, 0, tag]
                grad_last[tag] -= weight * tag_marginals[row, length - 1, tag]
            grad_first[tags[row, 0]] += weight
            grad_last[tags[row, length - 1]] += weight
        source, target = tag_marginals[row].reshape(words * num_tags), grad_emissions[row].reshape(words * num_tags)
        for index in range(words * num_tags):  # a single flat loop, which LLVM vectorises
            target[index] = source[index] * -weight
        for tag in range(num_tags):
            for following in range(num_tags):
                grad_transitions[tag, following] -= weight * expected_transitions[row, tag, following]
        for word in range(length):
            tag = tags[row, word]
            grad_emissions[row, word, tag] += weight
            if word:
                grad_transitions[tags[row, word - 1], tag] += weight
