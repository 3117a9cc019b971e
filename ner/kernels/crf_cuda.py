"""The CRF on CUDA, in Triton; see ``ner.kernels.chain`` for what its functions promise. Imported only to be used.

``forward`` is one launch: a program for each sentence and direction goes through the words, so both directions take
the time of one; ``backward`` is one launch in which all words are done at once; ``viterbi`` is one launch, back-trace
included, with back-pointers of 8 or 16 bits. Nothing waits for the device. A program in which mass could underflow
goes through its sentence a second time, in log space; which of the two it did is part of what it leaves behind.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ner.kernels.chain import TINY, Chain, Forward
from ner.kernels.crf_plain import gradients, path_score

__all__ = ["backward", "forward", "gradients", "path_score", "viterbi"]

WORDS_AT_ONCE = 16
"""Words of one program of ``backward``."""


class _Kept(NamedTuple):
    """``values`` and ``before (S, 2, W, K)`` as in ``crf_plain``; ``in_logs (S, 2)``: whether these are logarithms."""

    values: Tensor
    before: Tensor
    in_logs: Tensor


def forward(emissions: Tensor, lengths: Tensor, chain: Chain, gradient: bool = True) -> Forward:
    """See ``ner.kernels.chain``."""
    size, words, num_tags = emissions.shape
    directions = 2 if gradient else 1
    values = emissions.new_empty((size, directions, words, num_tags), dtype=torch.float64)
    before, in_logs = torch.empty_like(values), lengths.new_zeros((size, 2), dtype=torch.int32)
    log_partition = emissions.new_zeros(size, dtype=torch.float64)
    if size and words:
        _recursion[(size, directions)](
            emissions.contiguous(),
            lengths,
            *_tables(chain),
            values,
            before,
            in_logs,
            log_partition,
            words,
            num_tags,
            directions,
            **_shape(chain, num_tags),
        )
    return Forward(log_partition, _Kept(values, before, in_logs))


def backward(emissions: Tensor, lengths: Tensor, chain: Chain, passed: Forward) -> tuple[Tensor, Tensor]:
    """See ``ner.kernels.chain``."""
    kept: _Kept = passed.kept
    size, words, num_tags = emissions.shape
    blocks = max(1, triton.cdiv(words, WORDS_AT_ONCE))
    unary = emissions.new_zeros((size, words, num_tags), dtype=torch.float64)
    pairs = emissions.new_zeros((size, blocks, num_tags, num_tags), dtype=torch.float64)
    if size and words:
        _posterior[(size, blocks)](
            lengths,
            *_tables(chain)[2:4],
            *kept,
            passed.log_partition,
            unary,
            pairs,
            words,
            num_tags,
            blocks,
            SPAN=WORDS_AT_ONCE,
            **_shape(chain, num_tags),
        )
    return unary, pairs.sum(1)  # in a fixed order


def viterbi(emissions: Tensor, lengths: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """See ``ner.kernels.chain``."""
    size, words, num_tags = emissions.shape
    pointers = lengths.new_empty((size, words, num_tags), dtype=torch.int8 if num_tags <= 128 else torch.int16)
    tags, score = lengths.new_zeros((size, words)), emissions.new_zeros(size, dtype=torch.float64)
    if size and words:
        arguments = (emissions.contiguous(), lengths, *_tables(chain), pointers, tags, score, words, num_tags)
        _viterbi[(size,)](*arguments, **_shape(chain, num_tags))
    return tags, score


def _tables(chain: Chain) -> list[Tensor]:
    """Each score and its mask; a stand-in where everything is allowed."""
    found = []
    for score, allowed in zip(chain[:3], chain[3:], strict=True):
        found += [score.detach().contiguous(), (score if allowed is None else allowed.to(torch.int8)).contiguous()]
    return found


def _shape(chain: Chain, num_tags: int) -> dict[str, Any]:
    padded = max(16, triton.next_power_of_2(num_tags))
    warps = {16: 1, 32: 2, 64: 4, 128: 8}.get(padded, 16)
    return {"PADDED": padded, "CONSTRAINED": chain.allowed is not None, "LEAST": TINY, "num_warps": warps}


@triton.jit
def _vector(scores, allowed, tags, num_tags, CONSTRAINED: tl.constexpr):
    """Scores of one tag each in float64, -inf for what is forbidden or is no tag."""
    inside = tags < num_tags
    found = tl.load(scores + tags, mask=inside, other=0.0).to(tl.float64)
    if CONSTRAINED:
        inside = inside & (tl.load(allowed + tags, mask=inside, other=0) != 0)
    return tl.where(inside, found, -float("inf"))


@triton.jit
def _matrix(transitions, allowed, rows, columns, num_tags, turned, CONSTRAINED: tl.constexpr):
    """Scores from the tag of a row to that of a column, or the other way round; -inf as above."""
    inside = (rows < num_tags) & (columns < num_tags)
    index = tl.where(turned, columns * num_tags + rows, rows * num_tags + columns)
    found = tl.load(transitions + index, mask=inside, other=0.0).to(tl.float64)
    if CONSTRAINED:
        inside = inside & (tl.load(allowed + index, mask=inside, other=0) != 0)
    return tl.where(inside, found, -float("inf"))


@triton.jit
def _finite(value):
    """The same, 0 instead of -inf."""
    return tl.where(value == -float("inf"), 0.0, value)


@triton.jit
def _recursion(
    emissions, lengths, first, allowed_first, transitions, allowed, last, allowed_last,
    values, before, in_logs, log_partition, words, num_tags, directions,
    PADDED: tl.constexpr, CONSTRAINED: tl.constexpr, LEAST: tl.constexpr,
):  # fmt: skip
    """One sentence in one direction."""
    sentence, turned = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(lengths + sentence).to(tl.int32)
    tags = tl.arange(0, PADDED)
    inside = tags < num_tags
    rows, columns = tags[:, None], tags[None, :]
    steps = _matrix(transitions, allowed, rows, columns, num_tags, turned == 1, CONSTRAINED)
    begin = _vector(first, allowed_first, tags, num_tags, CONSTRAINED)
    end = _vector(last, allowed_last, tags, num_tags, CONSTRAINED)
    if turned == 1:
        begin, end = end, begin
    step_peak = _finite(tl.max(tl.max(steps, 1), 0))
    begin_peak, end_peak = _finite(tl.max(begin, 0)), _finite(tl.max(end, 0))
    matrix = tl.exp(steps - step_peak)
    open_steps = tl.where(steps > -float("inf"), 1, 0)
    reach = tl.where(begin > -float("inf"), 1, 0)

    own = emissions + sentence * words * num_tags + tags
    place = (sentence * directions + turned) * words * num_tags + tags
    prior = tl.exp(begin - begin_peak)
    value = prior
    scale = tl.sum(prior * 0.0, 0)
    nothing = scale
    product = nothing + 1.0
    lost = tl.sum(reach * 0, 0)
    broken = lost
    for step in range(0, length):
        word = tl.where(turned == 1, length - 1 - step, step)
        emission = tl.load(own + word * num_tags, mask=inside, other=-float("inf")).to(tl.float64)
        broken += tl.sum(tl.where(inside & (emission - emission != 0.0), 1, 0), 0)
        peak = tl.max(emission, 0)
        value = prior * tl.exp(emission - peak)
        total = tl.sum(value, 0)
        value = value * tl.where(total > 0.0, 1.0 / tl.where(total > 0.0, total, 1.0), 0.0)
        tl.store(before + place + step * num_tags, prior, mask=inside)
        tl.store(values + place + step * num_tags, value, mask=inside)
        scale += peak
        product *= total
        if (product < 1e-150) | (product > 1e150):
            scale += tl.log(product)
            product = nothing + 1.0
        lost += tl.sum(tl.where((reach > 0) & ~(value >= LEAST), 1, 0), 0)
        prior = tl.sum(value[:, None] * matrix, 0)
        if CONSTRAINED:
            reach = tl.max(reach[:, None] * open_steps, 0)
    mass = tl.sum(value * tl.exp(end - end_peak), 0)
    found = scale + tl.log(product) + tl.log(mass) + begin_peak + step_peak * (length - 1) + end_peak

    if (lost > 0) & (broken == 0):
        prior = begin
        scale = nothing
        for step in range(0, length):
            word = tl.where(turned == 1, length - 1 - step, step)
            emission = tl.load(own + word * num_tags, mask=inside, other=0.0).to(tl.float64)
            value = prior + emission
            peak = _finite(tl.max(value, 0))
            value = value - peak
            tl.store(before + place + step * num_tags, prior, mask=inside)
            tl.store(values + place + step * num_tags, value, mask=inside)
            scale += peak
            through = value[:, None] + steps
            highest = _finite(tl.max(through, 0))
            prior = tl.log(tl.sum(tl.exp(through - highest[None, :]), 0)) + highest
        stop = value + end
        highest = _finite(tl.max(stop, 0))
        found = scale + highest + tl.log(tl.sum(tl.exp(stop - highest), 0))
    tl.store(in_logs + sentence * 2 + turned, tl.where((lost > 0) & (broken == 0), 1, 0))
    if turned == 0:
        found = tl.where(broken > 0, float("nan"), found)
        tl.store(log_partition + sentence, tl.where(length > 0, found, 0.0))


@triton.jit
def _posterior(
    lengths, transitions, allowed, values, before, in_logs, log_partition, unary, pairs, words, num_tags, blocks,
    SPAN: tl.constexpr, PADDED: tl.constexpr, CONSTRAINED: tl.constexpr, LEAST: tl.constexpr,
):  # fmt: skip
    """Some words of one sentence."""
    sentence, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(lengths + sentence).to(tl.int32)
    tags = tl.arange(0, PADDED)
    inside = tags < num_tags
    rows, columns = tags[:, None], tags[None, :]
    steps = _matrix(transitions, allowed, rows, columns, num_tags, False, CONSTRAINED)
    factors = tl.exp(steps - _finite(tl.max(tl.max(steps, 1), 0)))
    ahead = sentence * 2 * words * num_tags + tags
    behind = ahead + words * num_tags
    ahead_logs, behind_logs = tl.load(in_logs + sentence * 2), tl.load(in_logs + sentence * 2 + 1)
    logs = (ahead_logs + behind_logs) > 0
    partition = tl.load(log_partition + sentence)
    length = tl.where(tl.abs(partition) < float("inf"), length, 0)  # no path, or not finite: nothing
    counts = factors * 0.0
    for word in range(block * SPAN, tl.minimum(length, (block + 1) * SPAN)):
        left = tl.load(values + ahead + word * num_tags, mask=inside, other=0.0)
        right = tl.load(before + behind + (length - 1 - word) * num_tags, mask=inside, other=0.0)
        goes_on = (length - 1 - word) > 0
        place = behind + tl.maximum(length - 2 - word, 0) * num_tags
        following = tl.load(values + place, mask=inside, other=0.0)
        if logs:
            left = tl.where(ahead_logs > 0, left, tl.log(left))
            right = tl.where(behind_logs > 0, right, tl.log(right))
            following = tl.where(behind_logs > 0, following, tl.log(following))
            joint = tl.where(inside, left + right, -float("inf"))
            joint = tl.exp(joint - tl.max(joint, 0))
            both = tl.where(inside, left, -float("inf"))[:, None] + steps
            both = both + tl.where(inside & goes_on, following, -float("inf"))[None, :]
            both = tl.exp(both - _finite(tl.max(tl.max(both, 1), 0)))
            mass = tl.sum(tl.sum(both, 1), 0)
            counts += both * tl.where(mass > 0.0, 1.0 / tl.where(mass > 0.0, mass, 1.0), 0.0)
            probability = joint / tl.sum(joint, 0)
        else:
            joint = left * right
            mass = tl.sum(joint, 0)
            probability = joint / mass
            counts += (left / mass)[:, None] * tl.where(goes_on, following, 0.0)[None, :] * factors
        tl.store(unary + (sentence * words + word) * num_tags + tags, probability, mask=inside)
    target = pairs + (sentence * blocks + block) * num_tags * num_tags + rows * num_tags + columns
    tl.store(target, counts, mask=inside[:, None] & inside[None, :])


@triton.jit
def _viterbi(
    emissions, lengths, first, allowed_first, transitions, allowed, last, allowed_last,
    pointers, tags_out, score_out, words, num_tags,
    PADDED: tl.constexpr, CONSTRAINED: tl.constexpr, LEAST: tl.constexpr,
):  # fmt: skip
    """One sentence, there and back."""
    sentence = tl.program_id(0).to(tl.int64)
    length = tl.load(lengths + sentence).to(tl.int32)
    tags = tl.arange(0, PADDED)
    inside = tags < num_tags
    steps = _matrix(transitions, allowed, tags[:, None], tags[None, :], num_tags, False, CONSTRAINED)
    best = _vector(first, allowed_first, tags, num_tags, CONSTRAINED)
    own = emissions + sentence * words * num_tags + tags
    place = pointers + sentence * words * num_tags
    broken = tl.sum(tags * 0, 0)
    for word in range(0, length):
        if word > 0:
            through = best[:, None] + steps
            previous = tl.argmax(through, 0, tie_break_left=True)
            tl.store(place + word * num_tags + tags, previous.to(pointers.dtype.element_ty), mask=inside)
            best = tl.max(through, 0)
        emission = tl.load(own + word * num_tags, mask=inside, other=0.0).to(tl.float64)
        broken += tl.sum(tl.where(inside & (emission - emission != 0.0), 1, 0), 0)
        best = best + emission
    stop = best + _vector(last, allowed_last, tags, num_tags, CONSTRAINED)
    score = tl.max(stop, 0)
    score = tl.where(broken > 0, float("nan"), score)
    tl.store(score_out + sentence, tl.where(length > 0, score, 0.0))
    tag = tl.minimum(tl.argmax(stop, 0, tie_break_left=True), num_tags - 1).to(tl.int32)
    tl.debug_barrier()  # the pointers of all threads are written
    for step in range(0, length):
        word = length - 1 - step
        tl.store(tags_out + sentence * words + word, tag.to(tl.int64))
        tag = tl.load(place + word * num_tags + tag, mask=word > 0, other=0).to(tl.int32)
        tag = tl.minimum(tl.maximum(tag, 0), num_tags - 1)
