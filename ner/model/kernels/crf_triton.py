"""Backend of the CRF for CUDA, in Triton; see ``ner.model.kernels.chain`` for its functions.

A launch costs more than the arithmetic, so the loss takes one launch forwards and one backwards, and decoding takes
one. Masks of any pattern are read in place, without sorting or gathering. ``_recursion`` has one program for each
sentence and direction, and one that scores the gold tags; ``_posterior`` computes all words in parallel; ``_viterbi``
has back-pointers of 8 or 16 bits. No function synchronizes with the device. A program whose mass could underflow
repeats its sentence in log space and stores a flag for the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ner.model.kernels.chain import TINY, Chain

ANY_MASK = True

WORDS_AT_ONCE = 16
"""Words of one program of ``_posterior``."""

Saved = tuple[Tensor, Tensor, Tensor, Tensor]
"""Output of ``_recursion``: ``values`` and ``before (S, 2, W, K)``, as in ``crf_torch`` but at the positions of the
words; ``short (S, W + 3)``: the position of the previous word, -1 for the first one, then a flag for each direction
that is in log space, then the position of the last word, -1 if there is none; and ``log_partition (S,)``."""


def forward(emissions: Tensor, tags: Tensor, mask: Tensor, chain: Chain, gradient: bool) -> tuple[Tensor, Saved]:
    """See :mod:`ner.model.kernels.chain`; one launch. The result is also NaN for tag ids that are out of range."""
    size, words, num_tags = emissions.shape
    directions = 2 if gradient else 1
    values = emissions.new_empty((size, directions, words, num_tags), dtype=torch.float64)
    before = torch.empty_like(values)
    short = emissions.new_empty((size, words + 3), dtype=torch.int32)
    log_partition, gold_score = (emissions.new_empty(size, dtype=torch.float64) for _ in range(2))
    if size:
        inputs = (emissions.contiguous(), tags.contiguous(), _bytes(mask), *_tables(chain))
        outputs, sizes = (values, before, short, log_partition, gold_score), (words, num_tags, directions)
        _recursion[(size, directions + 1)](*inputs, *outputs, *sizes, **_shape(chain, num_tags))
    return gold_score - log_partition, (values, before, short, log_partition)


def backward(
    saved: Saved, tags: Tensor, mask: Tensor, chain: Chain, weight: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`; one launch."""
    size, _, words, num_tags = saved[0].shape
    target = saved[0].new_empty((size, words, num_tags), dtype=dtype)
    blocks = triton.cdiv(words, WORDS_AT_ONCE)
    sums = saved[0].new_empty((size, blocks, 2 + num_tags, num_tags))  # of first word, last word, and transitions
    if size:
        inputs = (tags.contiguous(), _bytes(mask), *_tables(chain)[2:4], *saved, weight.contiguous())
        sizes = (words, num_tags, blocks)
        _posterior[(size, blocks)](*inputs, target, sums, *sizes, SPAN=WORDS_AT_ONCE, **_shape(chain, num_tags))
    total = sums.sum((0, 1))  # in a fixed order
    return target, total[0], total[2:], total[1]


def viterbi(emissions: Tensor, mask: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`; one launch."""
    size, words, num_tags = emissions.shape
    pointers = emissions.new_empty((size, words, num_tags), dtype=torch.int8 if num_tags <= 128 else torch.int16)
    tags = emissions.new_empty((size, words), dtype=torch.long)
    score = emissions.new_empty(size, dtype=torch.float64)
    if size:
        arguments = (emissions.contiguous(), _bytes(mask), *_tables(chain), pointers, tags, score, words, num_tags)
        _viterbi[(size,)](*arguments, **_shape(chain, num_tags))
    return tags, score


def _bytes(mask: Tensor) -> Tensor:
    """View a boolean tensor as bytes for Triton, without a copy."""
    return mask.contiguous().view(torch.int8)


def _tables(chain: Chain) -> list[Tensor]:
    """Return each score and its mask; without constraints the score stands for the mask, which is not read."""
    found = []
    for score, allowed in zip(chain[:3], chain[3:], strict=True):
        found += [score.detach().contiguous(), score if allowed is None else _bytes(allowed)]
    return found


def _shape(chain: Chain, num_tags: int) -> dict[str, Any]:
    padded = max(16, triton.next_power_of_2(num_tags))
    warps = {16: 1, 32: 2, 64: 8}.get(padded, 16)
    return {"PADDED": padded, "CONSTRAINED": chain.allowed is not None, "LEAST": TINY, "num_warps": warps}


@triton.jit
def _vector(scores, allowed, tags, num_tags, CONSTRAINED: tl.constexpr):
    """Load scores of tags in float64, -inf if forbidden or out of range."""
    inside = tags < num_tags
    found = tl.load(scores + tags, mask=inside, other=0.0).to(tl.float64)
    if CONSTRAINED:
        inside = inside & (tl.load(allowed + tags, mask=inside, other=0) != 0)
    return tl.where(inside, found, -float("inf"))


@triton.jit
def _matrix(transitions, allowed, rows, columns, num_tags, backwards, CONSTRAINED: tl.constexpr):
    """Load transitions from the tag of the row to the tag of the column, or transposed; -inf as in ``_vector``."""
    inside = (rows < num_tags) & (columns < num_tags)
    index = tl.where(backwards, columns * num_tags + rows, rows * num_tags + columns)
    found = tl.load(transitions + index, mask=inside, other=0.0).to(tl.float64)
    if CONSTRAINED:
        inside = inside & (tl.load(allowed + index, mask=inside, other=0) != 0)
    return tl.where(inside, found, -float("inf"))


@triton.jit
def _finite(value):
    """Replace -inf by 0."""
    return tl.where(value == -float("inf"), 0.0, value)


@triton.jit
def _score(scores, allowed, index, CONSTRAINED: tl.constexpr):
    """Load one score in float64, -inf if forbidden."""
    found = tl.load(scores + index).to(tl.float64)
    if CONSTRAINED:
        found = tl.where(tl.load(allowed + index) != 0, found, -float("inf"))
    return found


@triton.jit(do_not_specialize=["words", "num_tags", "directions"])
def _recursion(
    emissions, gold_tags, mask, first, allowed_first, transitions, allowed, last, allowed_last,
    values, before, short, log_partition, gold_score, words, num_tags, directions,
    PADDED: tl.constexpr, CONSTRAINED: tl.constexpr, LEAST: tl.constexpr,
):  # fmt: skip
    """Run the recursion of one sentence in one direction; one more program per sentence scores its gold tags."""
    sentence, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    row_short = short + sentence * (words + 3)
    if part == directions:
        _gold(
            emissions, gold_tags, mask, first, allowed_first, transitions, allowed, last, allowed_last,
            row_short, gold_score, sentence, words, num_tags, CONSTRAINED,
        )  # fmt: skip
        return
    backwards = part
    tags = tl.arange(0, PADDED)
    inside = tags < num_tags
    rows, columns = tags[:, None], tags[None, :]
    steps = _matrix(transitions, allowed, rows, columns, num_tags, backwards == 1, CONSTRAINED)
    begin = _vector(first, allowed_first, tags, num_tags, CONSTRAINED)
    end = _vector(last, allowed_last, tags, num_tags, CONSTRAINED)
    if backwards == 1:
        begin, end = end, begin
    step_peak = _finite(tl.max(tl.max(steps, 1), 0))
    begin_peak, end_peak = _finite(tl.max(begin, 0)), _finite(tl.max(end, 0))
    matrix = tl.exp(steps - step_peak)
    open_steps = tl.where(steps > -float("inf"), 1, 0)
    reach = tl.where(begin > -float("inf"), 1, 0)

    row = sentence * words
    own = emissions + row * num_tags + tags
    place = (sentence * directions + backwards) * words * num_tags + tags
    prior = tl.exp(begin - begin_peak)
    value = prior
    nothing = tl.sum(prior * 0.0, 0)
    scale = nothing
    product = nothing + 1.0
    underflowed = tags * 0
    broken = tags * 0
    count = tl.sum(underflowed, 0)
    word = tl.where(backwards == 1, words - 1, 0)
    emission = tl.load(own + word * num_tags, mask=inside, other=-float("inf")).to(tl.float64)
    is_word = tl.load(mask + row + word) != 0
    for _ in range(0, words):
        following = tl.where(backwards == 1, tl.maximum(word - 1, 0), tl.minimum(word + 1, words - 1))
        next_emission = tl.load(own + following * num_tags, mask=inside, other=-float("inf")).to(tl.float64)
        next_is_word = tl.load(mask + row + following) != 0

        here = tags < tl.where(is_word, num_tags, 0)
        peak = tl.max(emission, 0)
        fresh = prior * tl.exp(emission - peak)
        total = tl.sum(fresh, 0)
        shrink = tl.where(total > 0.0, 1.0 / tl.where(total > 0.0, total, 1.0), 0.0)
        arrived = tl.sum(fresh[:, None] * matrix, 0) * shrink  # beside the sum and its inverse, not after them
        fresh = fresh * shrink
        tl.store(before + place + word * num_tags, prior, mask=here)
        tl.store(values + place + word * num_tags, fresh, mask=here)
        broken += tl.where(here & (emission - emission != 0.0), 1, 0)
        enough = fresh * tl.where(total >= LEAST, 1.0, 0.0) >= LEAST
        underflowed += tl.where(here & (reach > 0) & ~enough, 1, 0)
        if CONSTRAINED:
            reach = tl.where(is_word, tl.max(reach[:, None] * open_steps, 0), reach)
        value = tl.where(is_word, fresh, value)
        prior = tl.where(is_word, arrived, prior)
        scale += tl.where(is_word, peak, 0.0)
        product *= tl.where(is_word, total, 1.0)
        count += tl.where(is_word, 1, 0)
        if (product < 1e-150) | (product > 1e150):
            scale += tl.log(product)
            product = nothing + 1.0
        emission, is_word, word = next_emission, next_is_word, following
    is_broken = tl.sum(broken, 0) > 0
    is_underflowed = (tl.sum(underflowed, 0) > 0) & (tl.sum(broken, 0) == 0)
    mass = tl.sum(value * tl.exp(end - end_peak), 0)
    found = scale + tl.log(product) + tl.log(mass) + begin_peak + step_peak * (count - 1) + end_peak

    if is_underflowed:
        steps = _matrix(transitions, allowed, rows, columns, num_tags, backwards == 1, CONSTRAINED)  # again: registers
        prior = begin
        value = begin
        scale = nothing
        for step in range(0, words):
            word = tl.where(backwards == 1, words - 1 - step, step)
            if tl.load(mask + row + word) != 0:
                emission = tl.load(own + word * num_tags, mask=inside, other=0.0).to(tl.float64)
                value = prior + emission
                peak = _finite(tl.max(value, 0))
                value = value - peak
                tl.store(before + place + word * num_tags, prior, mask=inside)
                tl.store(values + place + word * num_tags, value, mask=inside)
                scale += peak
                through = value[:, None] + steps
                highest = _finite(tl.max(through, 0))
                prior = tl.log(tl.sum(tl.exp(through - highest[None, :]), 0)) + highest
        stop = value + end
        highest = _finite(tl.max(stop, 0))
        found = scale + highest + tl.log(tl.sum(tl.exp(stop - highest), 0))
    tl.store(row_short + words + backwards, tl.where(is_underflowed, 1, 0))
    if backwards == 0:
        found = tl.where(is_broken, float("nan"), found)
        tl.store(log_partition + sentence, tl.where(count > 0, found, 0.0))


@triton.jit
def _gold(
    emissions, gold_tags, mask, first, allowed_first, transitions, allowed, last, allowed_last,
    row_short, gold_score, sentence, words, num_tags, CONSTRAINED: tl.constexpr,
):  # fmt: skip
    """Store the position before each word, the last word, and the score of the gold tags."""
    row = sentence * words
    neighbour = -1
    before_tag = 0
    wrong = 0
    score = tl.load(emissions + row * num_tags).to(tl.float64) * 0.0
    score = tl.where(score == 0.0, score, 0.0)
    is_word = tl.load(mask + row) != 0
    tag = tl.load(gold_tags + row).to(tl.int32)
    for word in range(0, words):
        following = tl.minimum(word + 1, words - 1)
        next_is_word = tl.load(mask + row + following) != 0
        tl.store(row_short + word, tl.where(is_word, neighbour, -1))
        next_tag = tl.load(gold_tags + row + following).to(tl.int32)
        wrong += tl.where(is_word & ((tag < 0) | (tag >= num_tags)), 1, 0)
        tag = tl.minimum(tl.maximum(tag, 0), num_tags - 1)
        gain = tl.load(emissions + (row + word) * num_tags + tag).to(tl.float64)
        if neighbour >= 0:
            gain += _score(transitions, allowed, before_tag * num_tags + tag, CONSTRAINED)
        else:
            gain += _score(first, allowed_first, tag, CONSTRAINED)
        score += tl.where(is_word, gain, 0.0)
        before_tag = tl.where(is_word, tag, before_tag)
        tag = next_tag
        neighbour = tl.where(is_word, word, neighbour)
        is_word = next_is_word
    tl.store(row_short + words + 2, neighbour)
    if neighbour >= 0:
        score += _score(last, allowed_last, before_tag, CONSTRAINED)
    tl.store(gold_score + sentence, tl.where(wrong > 0, float("nan"), score))


@triton.jit(do_not_specialize=["words", "num_tags", "blocks"])
def _posterior(
    gold_tags, mask, transitions, allowed, values, before, short, log_partition, weights, target, sums,
    words, num_tags, blocks,
    SPAN: tl.constexpr, PADDED: tl.constexpr, CONSTRAINED: tl.constexpr, LEAST: tl.constexpr,
):  # fmt: skip
    """Compute the marginals of a block of words of one sentence."""
    sentence, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    tags = tl.arange(0, PADDED)
    inside = tags < num_tags
    rows, columns = tags[:, None], tags[None, :]
    steps = _matrix(transitions, allowed, rows, columns, num_tags, False, CONSTRAINED)
    factors = tl.exp(steps - _finite(tl.max(tl.max(steps, 1), 0)))
    row = sentence * words
    row_short = short + sentence * (words + 3)
    ahead = sentence * 2 * words * num_tags + tags
    behind = ahead + words * num_tags
    ahead_logs, behind_logs = tl.load(row_short + words), tl.load(row_short + words + 1)
    end = tl.load(row_short + words + 2)
    logs = (ahead_logs + behind_logs) > 0
    partition = tl.load(log_partition + sentence)
    exists = tl.abs(partition) < float("inf")  # no path, or not finite: no marginals
    weight = tl.load(weights + sentence).to(tl.float64)
    counts = factors * 0.0
    at_first = tl.sum(counts, 0)
    at_last = at_first
    for word in range(block * SPAN, tl.minimum(words, (block + 1) * SPAN)):
        is_word = tl.load(mask + row + word) != 0
        here = tags < tl.where(is_word, num_tags, 0)
        neighbour = tl.load(row_short + word)  # -1 also where there is no word
        has_neighbour = neighbour >= 0
        paired = tags < tl.where(has_neighbour, num_tags, 0)
        left = tl.load(values + ahead + word * num_tags, mask=here, other=0.0)
        right = tl.load(before + behind + word * num_tags, mask=here, other=0.0)
        start = tl.load(values + ahead + tl.maximum(neighbour, 0) * num_tags, mask=paired, other=0.0)
        stop = tl.load(values + behind + word * num_tags, mask=here, other=0.0)
        if logs:
            left = tl.where(ahead_logs > 0, left, tl.log(left))
            right = tl.where(behind_logs > 0, right, tl.log(right))
            start = tl.where(ahead_logs > 0, start, tl.log(start))
            stop = tl.where(behind_logs > 0, stop, tl.log(stop))
            joint = tl.where(here, left + right, -float("inf"))
            joint = tl.exp(joint - _finite(tl.max(joint, 0)))
            both = tl.where(paired, start, -float("inf"))[:, None] + steps
            both = both + tl.where(paired, stop, -float("inf"))[None, :]
            both = tl.exp(both - _finite(tl.max(tl.max(both, 1), 0)))
        else:
            joint = left * right
            both = start[:, None] * stop[None, :] * factors
        mass = tl.sum(joint, 0)
        probability = tl.where(exists & (mass > 0.0), joint / tl.where(mass > 0.0, mass, 1.0), 0.0)
        both_mass = tl.sum(tl.sum(both, 1), 0)
        both = tl.where(exists & (both_mass > 0.0), both * (1.0 / tl.where(both_mass > 0.0, both_mass, 1.0)), 0.0)
        difference = -probability
        tag = tl.load(gold_tags + row + word, mask=is_word, other=-1).to(tl.int32)
        earlier = tl.load(gold_tags + row + tl.maximum(neighbour, 0), mask=has_neighbour, other=-1).to(tl.int32)
        difference += tl.where(tags == tag, 1.0, 0.0)
        counts += tl.where((rows == earlier) & (columns == tag), 1.0, 0.0) - both
        difference = tl.where(here, difference * weight, 0.0)
        at_first += tl.where(has_neighbour, 0.0, difference)
        at_last += tl.where(word == end, difference, 0.0)
        tl.store(target + (row + word) * num_tags + tags, difference.to(target.dtype.element_ty), mask=inside)
    part = sums + (sentence * blocks + block) * (2 + num_tags) * num_tags
    tl.store(part + tags, at_first, mask=inside)
    tl.store(part + num_tags + tags, at_last, mask=inside)
    tl.store(part + (2 + rows) * num_tags + columns, counts * weight, mask=(rows < num_tags) & (columns < num_tags))


@triton.jit(do_not_specialize=["words", "num_tags"])
def _viterbi(
    emissions, mask, first, allowed_first, transitions, allowed, last, allowed_last,
    pointers, tags_out, score_out, words, num_tags,
    PADDED: tl.constexpr, CONSTRAINED: tl.constexpr, LEAST: tl.constexpr,
):  # fmt: skip
    """Decode one sentence; the next word is loaded while one is computed."""
    sentence = tl.program_id(0).to(tl.int64)
    tags = tl.arange(0, PADDED)
    inside = tags < num_tags
    steps = _matrix(transitions, allowed, tags[:, None], tags[None, :], num_tags, False, CONSTRAINED)
    best = _vector(first, allowed_first, tags, num_tags, CONSTRAINED)
    row = sentence * words
    own = emissions + row * num_tags + tags
    place = pointers + row * num_tags
    broken = tags * 0
    count = tl.sum(broken, 0)
    next_emission = tl.load(own, mask=inside, other=0.0).to(tl.float64)
    next_is_word = tl.load(mask + row) != 0
    for word in range(0, words):
        emission, is_word = next_emission, next_is_word
        following = tl.minimum(word + 1, words - 1)
        next_emission = tl.load(own + following * num_tags, mask=inside, other=0.0).to(tl.float64)
        next_is_word = tl.load(mask + row + following) != 0
        here = tags < tl.where(is_word, num_tags, 0)
        through = best[:, None] + steps
        previous = tl.argmax(through, 0, tie_break_left=True)
        tl.store(place + word * num_tags + tags, previous.to(pointers.dtype.element_ty), mask=here)
        arrived = tl.where(count > 0, tl.max(through, 0), best)
        broken += tl.where(here & (emission - emission != 0.0), 1, 0)
        best = tl.where(is_word, arrived + emission, best)
        count += tl.where(is_word, 1, 0)
    stop = best + _vector(last, allowed_last, tags, num_tags, CONSTRAINED)
    score = tl.max(stop, 0)
    score = tl.where(tl.sum(broken, 0) > 0, float("nan"), score)
    tl.store(score_out + sentence, tl.where(count > 0, score, 0.0))
    tag = tl.minimum(tl.argmax(stop, 0, tie_break_left=True), num_tags - 1).to(tl.int32)
    tl.debug_barrier()  # the pointers of all threads are written
    for step in range(0, words):
        word = words - 1 - step
        is_word = tl.load(mask + row + word) != 0
        tl.store(tags_out + row + word, tl.where(is_word, tag, 0).to(tl.int64))
        before = tl.load(place + word * num_tags + tag, mask=is_word, other=0).to(tl.int32)
        tag = tl.where(is_word, tl.minimum(tl.maximum(before, 0), num_tags - 1), tag)
