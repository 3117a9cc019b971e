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

ACCEPTS_ANY_MASK = True

WORDS_AT_ONCE = 16
"""Words of one program of ``_posterior``."""

Saved = tuple[Tensor, Tensor, Tensor, Tensor]
"""Output of ``_recursion``: ``values`` and ``priors (S, 2, W, K)``, as in ``crf_torch`` but at the positions of the
words; ``metadata (S, W + 3)``: the position of the previous word, -1 for the first one, then a flag for each direction
that is in log space, then the position of the last word, -1 if there is none; and ``log_partition (S,)``."""


def forward(emissions: Tensor, tags: Tensor, mask: Tensor, chain: Chain, gradient: bool) -> tuple[Tensor, Saved]:
    """See :mod:`ner.model.kernels.chain`; one launch. The result is also NaN for tag ids that are out of range."""
    size, words, num_tags = emissions.shape
    directions = 2 if gradient else 1
    values = emissions.new_empty((size, directions, words, num_tags), dtype=torch.float64)
    priors = torch.empty_like(values)
    metadata = emissions.new_empty((size, words + 3), dtype=torch.int32)
    log_partition, gold_score = (emissions.new_empty(size, dtype=torch.float64) for _ in range(2))
    if size:
        inputs = (emissions.contiguous(), tags.contiguous(), _bytes(mask), *_tables(chain))
        outputs, sizes = (values, priors, metadata, log_partition, gold_score), (words, num_tags, directions)
        _recursion[(size, directions + 1)](*inputs, *outputs, *sizes, **_shape(chain, num_tags))
    return gold_score - log_partition, (values, priors, metadata, log_partition)


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
    tables = []
    for score, allowed in zip(chain[:3], chain[3:], strict=True):
        tables += [score.detach().contiguous(), score if allowed is None else _bytes(allowed)]
    return tables


def _shape(chain: Chain, num_tags: int) -> dict[str, Any]:
    padded = max(16, triton.next_power_of_2(num_tags))
    warps = {16: 1, 32: 2, 64: 8}.get(padded, 16)
    return {"PADDED": padded, "CONSTRAINED": chain.allowed is not None, "LEAST": TINY, "num_warps": warps}


@triton.jit
def _vector(scores, allowed, tags, num_tags, CONSTRAINED: tl.constexpr):
    """Load scores of tags in float64, -inf if forbidden or out of range."""
    inside = tags < num_tags
    values = tl.load(scores + tags, mask=inside, other=0.0).to(tl.float64)
    if CONSTRAINED:
        inside = inside & (tl.load(allowed + tags, mask=inside, other=0) != 0)
    return tl.where(inside, values, -float("inf"))


@triton.jit
def _matrix(transitions, allowed, rows, columns, num_tags, backwards, CONSTRAINED: tl.constexpr):
    """Load transitions from the tag of the row to the tag of the column, or transposed; -inf as in ``_vector``."""
    inside = (rows < num_tags) & (columns < num_tags)
    index = tl.where(backwards, columns * num_tags + rows, rows * num_tags + columns)
    values = tl.load(transitions + index, mask=inside, other=0.0).to(tl.float64)
    if CONSTRAINED:
        inside = inside & (tl.load(allowed + index, mask=inside, other=0) != 0)
    return tl.where(inside, values, -float("inf"))


@triton.jit
def _finite(value):
    """Replace -inf by 0."""
    return tl.where(value == -float("inf"), 0.0, value)


@triton.jit
def _score(scores, allowed, index, CONSTRAINED: tl.constexpr):
    """Load one score in float64, -inf if forbidden."""
    score = tl.load(scores + index).to(tl.float64)
    if CONSTRAINED:
        score = tl.where(tl.load(allowed + index) != 0, score, -float("inf"))
    return score


@triton.jit(do_not_specialize=["words", "num_tags", "directions"])
def _recursion(
    emissions, gold_tags, mask, first, allowed_first, transitions, allowed, last, allowed_last,
    values, priors, metadata, log_partition, gold_score, words, num_tags, directions,
    PADDED: tl.constexpr, CONSTRAINED: tl.constexpr, LEAST: tl.constexpr,
):  # fmt: skip
    """Run the recursion of one sentence in one direction; one more program per sentence scores its gold tags."""
    sentence, program = tl.program_id(0).to(tl.int64), tl.program_id(1)
    row_metadata = metadata + sentence * (words + 3)
    if program == directions:
        _gold(
            emissions, gold_tags, mask, first, allowed_first, transitions, allowed, last, allowed_last,
            row_metadata, gold_score, sentence, words, num_tags, CONSTRAINED,
        )  # fmt: skip
        return
    backwards = program
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
    allowed_steps = tl.where(steps > -float("inf"), 1, 0)
    reachable = tl.where(begin > -float("inf"), 1, 0)

    row = sentence * words
    row_emissions = emissions + row * num_tags + tags
    offsets = (sentence * directions + backwards) * words * num_tags + tags
    prior = tl.exp(begin - begin_peak)
    value = prior
    zero = tl.sum(prior * 0.0, 0)
    scale = zero
    product = zero + 1.0
    underflowed = tags * 0
    broken = tags * 0
    count = tl.sum(underflowed, 0)
    word = tl.where(backwards == 1, words - 1, 0)
    emission = tl.load(row_emissions + word * num_tags, mask=inside, other=-float("inf")).to(tl.float64)
    is_word = tl.load(mask + row + word) != 0
    for _ in range(0, words):
        next_word = tl.where(backwards == 1, tl.maximum(word - 1, 0), tl.minimum(word + 1, words - 1))
        next_emission = tl.load(row_emissions + next_word * num_tags, mask=inside, other=-float("inf")).to(tl.float64)
        next_is_word = tl.load(mask + row + next_word) != 0

        tag_mask = tags < tl.where(is_word, num_tags, 0)
        peak = tl.max(emission, 0)
        updated = prior * tl.exp(emission - peak)
        total = tl.sum(updated, 0)
        inverse_total = tl.where(total > 0.0, 1.0 / tl.where(total > 0.0, total, 1.0), 0.0)
        # beside the sum and its inverse, not after them
        next_prior = tl.sum(updated[:, None] * matrix, 0) * inverse_total
        updated = updated * inverse_total
        tl.store(priors + offsets + word * num_tags, prior, mask=tag_mask)
        tl.store(values + offsets + word * num_tags, updated, mask=tag_mask)
        broken += tl.where(tag_mask & (emission - emission != 0.0), 1, 0)
        is_safe = updated * tl.where(total >= LEAST, 1.0, 0.0) >= LEAST
        underflowed += tl.where(tag_mask & (reachable > 0) & ~is_safe, 1, 0)
        if CONSTRAINED:
            reachable = tl.where(is_word, tl.max(reachable[:, None] * allowed_steps, 0), reachable)
        value = tl.where(is_word, updated, value)
        prior = tl.where(is_word, next_prior, prior)
        scale += tl.where(is_word, peak, 0.0)
        product *= tl.where(is_word, total, 1.0)
        count += tl.where(is_word, 1, 0)
        if (product < 1e-150) | (product > 1e150):
            scale += tl.log(product)
            product = zero + 1.0
        emission, is_word, word = next_emission, next_is_word, next_word
    is_broken = tl.sum(broken, 0) > 0
    is_underflowed = (tl.sum(underflowed, 0) > 0) & (tl.sum(broken, 0) == 0)
    mass = tl.sum(value * tl.exp(end - end_peak), 0)
    log_total = scale + tl.log(product) + tl.log(mass) + begin_peak + step_peak * (count - 1) + end_peak

    if is_underflowed:
        steps = _matrix(transitions, allowed, rows, columns, num_tags, backwards == 1, CONSTRAINED)  # again: registers
        prior = begin
        value = begin
        scale = zero
        for step in range(0, words):
            word = tl.where(backwards == 1, words - 1 - step, step)
            if tl.load(mask + row + word) != 0:
                emission = tl.load(row_emissions + word * num_tags, mask=inside, other=0.0).to(tl.float64)
                value = prior + emission
                peak = _finite(tl.max(value, 0))
                value = value - peak
                tl.store(priors + offsets + word * num_tags, prior, mask=inside)
                tl.store(values + offsets + word * num_tags, value, mask=inside)
                scale += peak
                candidates = value[:, None] + steps
                highest = _finite(tl.max(candidates, 0))
                prior = tl.log(tl.sum(tl.exp(candidates - highest[None, :]), 0)) + highest
        final_scores = value + end
        highest = _finite(tl.max(final_scores, 0))
        log_total = scale + highest + tl.log(tl.sum(tl.exp(final_scores - highest), 0))
    tl.store(row_metadata + words + backwards, tl.where(is_underflowed, 1, 0))
    if backwards == 0:
        log_total = tl.where(is_broken, float("nan"), log_total)
        tl.store(log_partition + sentence, tl.where(count > 0, log_total, 0.0))


@triton.jit
def _gold(
    emissions, gold_tags, mask, first, allowed_first, transitions, allowed, last, allowed_last,
    row_metadata, gold_score, sentence, words, num_tags, CONSTRAINED: tl.constexpr,
):  # fmt: skip
    """Store the position before each word, the last word, and the score of the gold tags."""
    row = sentence * words
    previous_word = -1
    previous_tag = 0
    out_of_range = 0
    score = tl.load(emissions + row * num_tags).to(tl.float64) * 0.0
    score = tl.where(score == 0.0, score, 0.0)
    is_word = tl.load(mask + row) != 0
    tag = tl.load(gold_tags + row).to(tl.int32)
    for word in range(0, words):
        next_word = tl.minimum(word + 1, words - 1)
        next_is_word = tl.load(mask + row + next_word) != 0
        tl.store(row_metadata + word, tl.where(is_word, previous_word, -1))
        next_tag = tl.load(gold_tags + row + next_word).to(tl.int32)
        out_of_range += tl.where(is_word & ((tag < 0) | (tag >= num_tags)), 1, 0)
        tag = tl.minimum(tl.maximum(tag, 0), num_tags - 1)
        gain = tl.load(emissions + (row + word) * num_tags + tag).to(tl.float64)
        if previous_word >= 0:
            gain += _score(transitions, allowed, previous_tag * num_tags + tag, CONSTRAINED)
        else:
            gain += _score(first, allowed_first, tag, CONSTRAINED)
        score += tl.where(is_word, gain, 0.0)
        previous_tag = tl.where(is_word, tag, previous_tag)
        tag = next_tag
        previous_word = tl.where(is_word, word, previous_word)
        is_word = next_is_word
    tl.store(row_metadata + words + 2, previous_word)
    if previous_word >= 0:
        score += _score(last, allowed_last, previous_tag, CONSTRAINED)
    tl.store(gold_score + sentence, tl.where(out_of_range > 0, float("nan"), score))


@triton.jit(do_not_specialize=["words", "num_tags", "blocks"])
def _posterior(
    gold_tags, mask, transitions, allowed, values, priors, metadata, log_partition, weights, target, sums,
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
    row_metadata = metadata + sentence * (words + 3)
    alpha_offsets = sentence * 2 * words * num_tags + tags
    beta_offsets = alpha_offsets + words * num_tags
    alpha_is_log, beta_is_log = tl.load(row_metadata + words), tl.load(row_metadata + words + 1)
    last_word = tl.load(row_metadata + words + 2)
    in_log_space = (alpha_is_log + beta_is_log) > 0
    partition = tl.load(log_partition + sentence)
    exists = tl.abs(partition) < float("inf")  # no path, or not finite: no marginals
    weight = tl.load(weights + sentence).to(tl.float64)
    counts = factors * 0.0
    at_first = tl.sum(counts, 0)
    at_last = at_first
    for word in range(block * SPAN, tl.minimum(words, (block + 1) * SPAN)):
        is_word = tl.load(mask + row + word) != 0
        tag_mask = tags < tl.where(is_word, num_tags, 0)
        previous_word = tl.load(row_metadata + word)  # -1 also where there is no word
        has_previous = previous_word >= 0
        pair_mask = tags < tl.where(has_previous, num_tags, 0)
        alpha = tl.load(values + alpha_offsets + word * num_tags, mask=tag_mask, other=0.0)
        beta = tl.load(priors + beta_offsets + word * num_tags, mask=tag_mask, other=0.0)
        previous_alpha = tl.load(
            values + alpha_offsets + tl.maximum(previous_word, 0) * num_tags, mask=pair_mask, other=0.0
        )
        beta_and_emission = tl.load(values + beta_offsets + word * num_tags, mask=tag_mask, other=0.0)
        if in_log_space:
            alpha = tl.where(alpha_is_log > 0, alpha, tl.log(alpha))
            beta = tl.where(beta_is_log > 0, beta, tl.log(beta))
            previous_alpha = tl.where(alpha_is_log > 0, previous_alpha, tl.log(previous_alpha))
            beta_and_emission = tl.where(beta_is_log > 0, beta_and_emission, tl.log(beta_and_emission))
            joint = tl.where(tag_mask, alpha + beta, -float("inf"))
            joint = tl.exp(joint - _finite(tl.max(joint, 0)))
            pair_mass = tl.where(pair_mask, previous_alpha, -float("inf"))[:, None] + steps
            pair_mass = pair_mass + tl.where(pair_mask, beta_and_emission, -float("inf"))[None, :]
            pair_mass = tl.exp(pair_mass - _finite(tl.max(tl.max(pair_mass, 1), 0)))
        else:
            joint = alpha * beta
            pair_mass = previous_alpha[:, None] * beta_and_emission[None, :] * factors
        mass = tl.sum(joint, 0)
        probability = tl.where(exists & (mass > 0.0), joint / tl.where(mass > 0.0, mass, 1.0), 0.0)
        pair_total = tl.sum(tl.sum(pair_mass, 1), 0)
        pair_mass = tl.where(
            exists & (pair_total > 0.0), pair_mass * (1.0 / tl.where(pair_total > 0.0, pair_total, 1.0)), 0.0
        )
        difference = -probability
        tag = tl.load(gold_tags + row + word, mask=is_word, other=-1).to(tl.int32)
        previous_tag = tl.load(gold_tags + row + tl.maximum(previous_word, 0), mask=has_previous, other=-1).to(tl.int32)
        difference += tl.where(tags == tag, 1.0, 0.0)
        counts += tl.where((rows == previous_tag) & (columns == tag), 1.0, 0.0) - pair_mass
        difference = tl.where(tag_mask, difference * weight, 0.0)
        at_first += tl.where(has_previous, 0.0, difference)
        at_last += tl.where(word == last_word, difference, 0.0)
        tl.store(target + (row + word) * num_tags + tags, difference.to(target.dtype.element_ty), mask=inside)
    block_sums = sums + (sentence * blocks + block) * (2 + num_tags) * num_tags
    tl.store(block_sums + tags, at_first, mask=inside)
    tl.store(block_sums + num_tags + tags, at_last, mask=inside)
    tl.store(
        block_sums + (2 + rows) * num_tags + columns, counts * weight, mask=(rows < num_tags) & (columns < num_tags)
    )


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
    row_emissions = emissions + row * num_tags + tags
    row_pointers = pointers + row * num_tags
    broken = tags * 0
    count = tl.sum(broken, 0)
    next_emission = tl.load(row_emissions, mask=inside, other=0.0).to(tl.float64)
    next_is_word = tl.load(mask + row) != 0
    for word in range(0, words):
        emission, is_word = next_emission, next_is_word
        next_word = tl.minimum(word + 1, words - 1)
        next_emission = tl.load(row_emissions + next_word * num_tags, mask=inside, other=0.0).to(tl.float64)
        next_is_word = tl.load(mask + row + next_word) != 0
        tag_mask = tags < tl.where(is_word, num_tags, 0)
        candidates = best[:, None] + steps
        best_previous = tl.argmax(candidates, 0, tie_break_left=True)
        tl.store(row_pointers + word * num_tags + tags, best_previous.to(pointers.dtype.element_ty), mask=tag_mask)
        best_candidate = tl.where(count > 0, tl.max(candidates, 0), best)
        broken += tl.where(tag_mask & (emission - emission != 0.0), 1, 0)
        best = tl.where(is_word, best_candidate + emission, best)
        count += tl.where(is_word, 1, 0)
    final_scores = best + _vector(last, allowed_last, tags, num_tags, CONSTRAINED)
    score = tl.max(final_scores, 0)
    score = tl.where(tl.sum(broken, 0) > 0, float("nan"), score)
    tl.store(score_out + sentence, tl.where(count > 0, score, 0.0))
    tag = tl.minimum(tl.argmax(final_scores, 0, tie_break_left=True), num_tags - 1).to(tl.int32)
    tl.debug_barrier()  # the pointers of all threads are written
    for step in range(0, words):
        word = words - 1 - step
        is_word = tl.load(mask + row + word) != 0
        tl.store(tags_out + row + word, tl.where(is_word, tag, 0).to(tl.int64))
        previous_tag = tl.load(row_pointers + word * num_tags + tag, mask=is_word, other=0).to(tl.int32)
        tag = tl.where(is_word, tl.minimum(tl.maximum(previous_tag, 0), num_tags - 1), tag)
