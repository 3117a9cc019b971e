"""Backend of the CRF in torch, for any device; see ``ner.model.kernels.chain`` for its functions.

Both directions of the recursion run in one loop, as a batch of two matrix products per word; everything else is
computed for all words at once. ``crf_numba`` also uses the log-space functions of this file where mass could underflow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ner.model.kernels.chain import TINY, TINY_SINGLE, BadExampleError, Chain, Forward


class Recursion(NamedTuple):
    """Forward and backward recursion; each starts at its own end of the sentence.

    Attributes:
        values: ``(W, 2, S, K)`` probabilities of the words so far, normalised for each word and sentence.
        before: The same without the emission of the current word.
        in_logs: Whether both hold logarithms.
    """

    values: Tensor
    before: Tensor
    in_logs: bool


class _Saved(NamedTuple):
    recursion: Recursion
    underflowed: Tensor | None
    log_space: Recursion | None


def forward(emissions: Tensor, lengths: Tensor, chain: Chain, gradient: bool = True) -> Forward:
    """See :mod:`ner.model.kernels.chain`."""
    scores = _clean(emissions, lengths)
    recursion, log_partition = _recursion(scores, lengths, chain, directions=2 if gradient else 1)
    underflowed, log_space = _underflowed(recursion.values, lengths, chain), None
    if underflowed is not None:
        log_space, log_partition[underflowed] = log_recursion(scores[underflowed], lengths[underflowed], chain)
    return Forward(mask_log_partition(log_partition, scores, lengths, chain), _Saved(recursion, underflowed, log_space))


def backward(emissions: Tensor, lengths: Tensor, chain: Chain, forward_pass: Forward) -> tuple[Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    saved: _Saved = forward_pass.saved
    unary, pairs = _posterior(saved.recursion, lengths, chain)
    rows = saved.underflowed
    if rows is not None and saved.log_space is not None:
        unary[rows], pairs[rows] = log_posterior(saved.log_space, lengths[rows], chain)
    nothing = ~torch.isfinite(forward_pass.log_partition)
    return unary.masked_fill_(nothing[:, None, None], 0), pairs.masked_fill_(nothing[:, None, None], 0)


def viterbi(emissions: Tensor, lengths: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    size, words, _ = emissions.shape
    scores = _clean(emissions, lengths)
    first, transitions, last = (table.to(scores) for table in forbidding(chain))
    if not words:
        return lengths.new_zeros((size, 0)), scores.new_zeros(size)
    bests, pointers = [first + scores[:, 0]], []
    onto = transitions.T.contiguous()  # (K, K): next tag, previous tag
    for score in scores.unbind(1)[1:]:
        best, pointer = (bests[-1].unsqueeze(1) + onto).max(-1)  # (S, K): over the previous tag
        bests.append(best.add_(score))
        pointers.append(pointer)
    score, tag = (at_end(torch.stack(bests), lengths) + last).max(-1)
    tags = [tag]
    if pointers:
        table = torch.stack(pointers)  # (W - 1, S, K)
        steps = torch.arange(words - 1, device=lengths.device).unsqueeze(1)
        reversed_steps = (lengths - 2 - steps).clamp(min=0)
        for row in table.gather(0, reversed_steps.unsqueeze(-1).expand_as(table)).unbind():
            tag = row.gather(1, tag.unsqueeze(1)).squeeze(1)
            tags.append(tag)
    path = _reverse(torch.stack(tags, 1), lengths).masked_fill(~word_mask(lengths, words), 0)
    return path, score.masked_fill(lengths == 0, 0).masked_fill(_not_finite(scores), torch.nan)


def path_score(emissions: Tensor, tags: Tensor, lengths: Tensor, chain: Chain) -> Tensor:
    """See :mod:`ner.model.kernels.chain`."""
    work = work_type(emissions.device)
    if not tags.shape[1]:
        return torch.zeros(len(tags), dtype=work, device=emissions.device)
    inside = word_mask(lengths, tags.shape[1])
    score = emissions.gather(2, tags.unsqueeze(-1)).squeeze(-1).to(work).masked_fill(~inside, 0).sum(1)
    begin, end = tags[:, 0], at_end(tags.T, lengths)
    steps = chain.transitions[tags[:, :-1], tags[:, 1:]].to(work).masked_fill(~inside[:, 1:], 0).sum(1)
    score = score + steps + (chain.first[begin].to(work) + chain.last[end].to(work)).masked_fill(lengths == 0, 0)
    if chain.allowed is not None and chain.allowed_first is not None and chain.allowed_last is not None:
        fine = (chain.allowed[tags[:, :-1], tags[:, 1:]] | ~inside[:, 1:]).all(1)
        fine &= (chain.allowed_first[begin] & chain.allowed_last[end]) | (lengths == 0)
        score = score.masked_fill(~fine, -torch.inf)
    return score


def gradients(
    unary: Tensor, pairs: Tensor, tags: Tensor, lengths: Tensor, weight: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    inside = word_mask(lengths, tags.shape[1])
    weight = weight.to(unary)
    difference = unary.neg().scatter_add_(2, tags.unsqueeze(-1), inside.unsqueeze(-1).to(unary))
    difference *= weight[:, None, None]
    steps = tags[:, :-1] * pairs.shape[1] + tags[:, 1:]
    counts = pairs.neg().flatten(1).scatter_add_(1, steps, inside[:, 1:].to(pairs))  # integers: in any order the same
    first = last = unary.new_zeros(pairs.shape[1])
    if tags.shape[1]:
        first, last = difference[:, 0].sum(0), at_end(difference.transpose(0, 1), lengths).sum(0)
    return difference.to(dtype), first, (weight @ counts).view(pairs.shape[1:]), last


def k_best(emissions: Tensor, lengths: Tensor, chain: Chain, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` best paths of each sentence, best first.

    Returns:
        ``(S, k, W)`` tag ids, 0 on padding, and ``(S, k)`` scores, -inf where fewer paths exist.
    """
    size, words, num_tags = emissions.shape
    scores = _clean(emissions, lengths)
    first, transitions, last = (table.to(scores) for table in forbidding(chain))
    mask = word_mask(lengths, words)
    best = scores.new_full((size, num_tags, k), -torch.inf)  # (S, K, k): paths that end in a tag
    pointers = []
    for word in range(words):
        if word == 0:
            best[:, :, 0] = first + scores[:, 0]
            continue
        through = best.unsqueeze(2) + transitions[:, :, None]  # (S, K, K, k): previous tag, next tag, rank
        found, pointer = through.transpose(1, 2).flatten(2).topk(k, -1)  # (S, K, k); pointer = tag * k + rank
        inside = mask[:, word, None, None]
        best = torch.where(inside, found + scores[:, word, :, None], best)
        own = torch.arange(num_tags * k, device=lengths.device).view(num_tags, k)
        pointers.append(torch.where(inside, pointer, own))
    score, place = (best + last[:, None]).flatten(1).topk(k, -1)  # (S, k)
    single = torch.where(
        torch.arange(k, device=lengths.device) == 0, 0.0, -torch.inf
    )  # the empty path of a sentence without words
    score = torch.where((lengths == 0).unsqueeze(1), single, score).masked_fill(
        _not_finite(scores).unsqueeze(1), torch.nan
    )
    if not words:
        return lengths.new_zeros((size, k, 0)), score
    places = [place]
    for pointer in reversed(pointers):
        place = pointer.flatten(1).gather(1, place)
        places.append(place)
    paths = torch.stack(places[::-1], 2) // k
    return paths.masked_fill(~mask.unsqueeze(1), 0), score


def as_markov_chain(
    emissions: Tensor, lengths: Tensor, chain: Chain
) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """Return the distribution of the tags as a Markov chain.

    Returns:
        ``(S, W, K)`` marginals, and a function from ``(M,)`` examples and words to the ``(M, K, K)`` probabilities of
        each tag (last axis) given the tag of the previous word.

    Raises:
        BadExampleError: If an emission is not finite or no path is allowed.
    """
    scores = _clean(emissions, lengths)
    recursion, log_partition = _recursion(scores, lengths, chain)
    if _underflowed(recursion.values, lengths, chain) is not None:
        recursion, log_partition = log_recursion(scores, lengths, chain)
    check(mask_log_partition(log_partition, scores, lengths, chain), lengths)
    unary, _ = (log_posterior if recursion.in_logs else _posterior)(recursion, lengths, chain)
    back = _reverse(recursion.values[:, 1].transpose(0, 1), lengths)
    back = back if recursion.in_logs else back.log()
    transitions = forbidding(chain)[1].to(back)

    def step(example: Tensor, word: Tensor) -> Tensor:
        onto = back[example, word.clamp(max=back.shape[1] - 1)].unsqueeze(1)  # (M, 1, K)
        return (transitions + onto).softmax(-1).nan_to_num(0)  # NaN: a tag that nothing may follow

    return unary, step


def check(scores: Tensor, lengths: Tensor | None = None) -> None:
    """Check the scores of paths, or log-partitions, for invalid input.

    Raises:
        BadExampleError: If one is NaN (emissions are not finite) or infinite (no path is allowed).
    """
    if bool(torch.isfinite(scores).all()):
        return
    example = int((~torch.isfinite(scores)).int().argmax())
    if bool(torch.isnan(scores[example])):
        raise BadExampleError("emissions of example {} are not finite", example)
    length = "" if lengths is None else f" of {int(lengths[example])} words"
    raise BadExampleError(f"the constraints leave no sequence of tags to example {{}}{length}", example)


def work_type(device: torch.device) -> torch.dtype:
    """Return the dtype of sums: float64, or float32 on Apple GPUs, which have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def word_mask(lengths: Tensor, words: int) -> Tensor:
    """Return ``(S, W)``, true on words."""
    return torch.arange(words, device=lengths.device) < lengths.unsqueeze(1)


def mask_log_partition(log_partition: Tensor, scores: Tensor, lengths: Tensor, chain: Chain) -> Tensor:
    """Set ``(S,)`` log-partitions to 0 without words, -inf without an allowed path, NaN for non-finite emissions."""
    if chain.allowed is not None and chain.allowed_last is not None and scores.shape[1]:
        ends = (reachable(chain, scores.shape[1])[0] & chain.allowed_last).any(-1)  # (W,)
        log_partition = log_partition.masked_fill(~ends[(lengths - 1).clamp(min=0)], -torch.inf)
    return log_partition.masked_fill(lengths == 0, 0).masked_fill(_not_finite(scores), torch.nan)


def _not_finite(scores: Tensor) -> Tensor:
    """Return ``(S,)``, true where an emission is NaN or infinite."""
    return ~torch.isfinite(scores).flatten(1).all(1)


def reachable(chain: Chain, words: int) -> Tensor:
    """Return ``(2, W, K)``, true for tags on an allowed path, counting words from the first and from the last."""
    assert chain.allowed is not None, "a chain without constraints reaches every tag"
    assert chain.allowed_first is not None, "a chain has all three masks or none"
    assert chain.allowed_last is not None, "a chain has all three masks or none"
    follow = chain.allowed.cpu().numpy()
    found = []
    for start, step in ((chain.allowed_first, follow), (chain.allowed_last, follow.T)):
        rows = [start.cpu().numpy()]
        while len(rows) < words:
            rows.append((step & rows[-1][:, None]).any(0))
            if (rows[-1] == rows[-2]).all():  # a fixed point
                rows += [rows[-1]] * (words - len(rows))
        found.append(np.stack(rows)[:words])
    return torch.from_numpy(np.stack(found)).to(chain.allowed.device)


def _clean(emissions: Tensor, lengths: Tensor) -> Tensor:
    """Return the emissions in the dtype of sums, 0 on padding."""
    padding = ~word_mask(lengths, emissions.shape[1])
    return emissions.to(work_type(emissions.device)).masked_fill(padding.unsqueeze(-1), 0)


def _recursion(scores: Tensor, lengths: Tensor, chain: Chain, directions: int = 2) -> tuple[Recursion, Tensor]:
    """Return the normalised recursion in two directions, or only forwards, and the ``(S,)`` log-partition."""
    size, words, _ = scores.shape
    peaks = scores.amax(-1)  # (S, W)
    steps = _directions((scores - peaks.unsqueeze(-1)).exp(), lengths, directions)  # (W, 2, S, K)
    begin, begin_peak = _factors(chain.first, chain.allowed_first, scores)
    matrix, step_peak = _factors(chain.transitions, chain.allowed, scores)
    end, end_peak = _factors(chain.last, chain.allowed_last, scores)
    pair = torch.stack([matrix, matrix.T])[:directions]  # (2, K, K): from the word just read to the next one
    before, values = torch.empty_like(steps), torch.empty_like(steps)
    totals = steps.new_empty((words, directions, size, 1))
    known: Tensor | None = None
    rows = zip(steps.unbind(), before.unbind(), values.unbind(), totals.unbind(), strict=True)
    for step, prior, value, total in rows:
        if known is None:
            prior.copy_(torch.stack([begin, end])[:directions].unsqueeze(1))
        else:
            torch.bmm(known, pair, out=prior)
        torch.mul(prior, step, out=value)
        torch.sum(value, -1, keepdim=True, out=total)
        known = value.div_(total)
    scales = (totals[:, 0, :, 0].T.log() + peaks).masked_fill(~word_mask(lengths, words), 0).sum(1)
    stop = (at_end(values[:, 0], lengths) @ end).log() if words else scales
    log_partition = scales + stop + begin_peak + end_peak + step_peak * (lengths - 1)
    return Recursion(values, before, in_logs=False), log_partition


def _factors(scores: Tensor, allowed: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the exponentials of scores, scaled to at most 1 and 0 where forbidden, and the log of the scale."""
    scores = scores.to(like)
    if allowed is None:
        peak = scores.max()
        return (scores - peak).exp(), peak
    peak = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).max()
    return (scores - peak).exp().masked_fill(~allowed, 0), peak


def forbidding(chain: Chain) -> list[Tensor]:
    """Return first, transitions and last with -inf where forbidden, for maxima and for sums in log space."""
    pairs = ((chain.first, chain.allowed_first), (chain.transitions, chain.allowed), (chain.last, chain.allowed_last))
    return [
        scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)
        for scores, allowed in ((scores.detach(), allowed) for scores, allowed in pairs)
    ]


def _directions(steps: Tensor, lengths: Tensor, directions: int) -> Tensor:
    """Stack ``(S, W, K)`` and its reversal as ``(W, 2, S, K)``, or ``(W, 1, S, K)`` for one direction."""
    both = [steps, _reverse(steps, lengths)] if directions == 2 else [steps]
    return torch.stack(both).permute(2, 0, 1, 3).contiguous()


def _reverse(values: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the words of each sentence in ``(S, W, ...)``; padding stays in place."""
    positions = torch.arange(values.shape[1], device=lengths.device)
    index = torch.where(word_mask(lengths, values.shape[1]), lengths.unsqueeze(1) - 1 - positions, positions)
    return values.gather(1, index.view(*index.shape, *[1] * (values.ndim - 2)).expand_as(values))


def at_end(values: Tensor, lengths: Tensor) -> Tensor:
    """Return the ``(S, ...)`` values of ``(W, S, ...)`` at the last word of each sentence."""
    index = (lengths - 1).clamp(min=0).view(1, -1, *[1] * (values.ndim - 2))
    return values.gather(0, index.expand(1, *values.shape[1:]))[0]


def _underflowed(values: Tensor, lengths: Tensor, chain: Chain) -> Tensor | None:
    """Return the positions of sentences in which the mass of a reachable tag is close to underflow, or None."""
    tiny = TINY if values.dtype == torch.float64 else TINY_SINGLE
    low = ~(values >= tiny)  # true for NaN too
    if chain.allowed is not None:
        low &= reachable(chain, len(values)).transpose(0, 1).unsqueeze(2)[:, : values.shape[1]]
    sentences = (low.any(-1) & word_mask(lengths, len(values)).T.unsqueeze(1)).flatten(0, 1).any(0)
    return sentences.nonzero().squeeze(1) if bool(sentences.any()) else None


def _posterior(recursion: Recursion, lengths: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """Return the ``(S, W, K)`` probability of each tag and the ``(S, K, K)`` expected number of each transition."""
    ahead = recursion.values[:, 0].transpose(0, 1)  # (S, W, K)
    behind, back = (_reverse(table[:, 1].transpose(0, 1), lengths) for table in (recursion.before, recursion.values))
    mask = word_mask(lengths, ahead.shape[1]).unsqueeze(-1)
    unary = ahead * behind
    total = unary.sum(-1, keepdim=True)
    unary = (unary / total).masked_fill_(~mask, 0)
    left = (ahead / total)[:, :-1].masked_fill(~mask[:, 1:], 0)
    right = back[:, 1:].masked_fill(~mask[:, 1:], 0)
    matrix, _ = _factors(chain.transitions, chain.allowed, ahead)
    return unary, left.transpose(1, 2) @ right * matrix


def log_recursion(scores: Tensor, lengths: Tensor, chain: Chain) -> tuple[Recursion, Tensor]:
    """Return the recursion in log space (maximum 0 at every word) and the ``(S,)`` log-partition.

    Slower, but exact for emissions of any size. No gradient flows through it, so -inf is safe.
    """
    size, words, _ = scores.shape
    first, transitions, last = (table.to(scores) for table in forbidding(chain))
    steps = _directions(scores, lengths, 2)
    pair = torch.stack([transitions, transitions.T]).unsqueeze(1)  # (2, 1, K, K)
    prior = torch.stack([first, last]).unsqueeze(1).expand(2, size, -1)  # (2, S, K)
    values, before = torch.empty_like(steps), torch.empty_like(steps)
    peaks = steps.new_empty((words, 2, size, 1))
    for word in range(words):
        before[word] = prior
        value = prior + steps[word]
        peaks[word] = value.amax(-1, keepdim=True).clamp(min=torch.finfo(value.dtype).min)  # not of -inf only
        values[word] = value - peaks[word]
        prior = (values[word].unsqueeze(-1) + pair).logsumexp(2)
    scale = peaks[:, 0, :, 0].T.masked_fill(~word_mask(lengths, words), 0).sum(1)
    return Recursion(values, before, in_logs=True), scale + (at_end(values[:, 0], lengths) + last).logsumexp(-1)


def log_posterior(recursion: Recursion, lengths: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """Return the same as ``_posterior`` from a recursion in log space."""
    ahead = recursion.values[:, 0].transpose(0, 1)  # (S, W, K)
    behind, back = (_reverse(table[:, 1].transpose(0, 1), lengths) for table in (recursion.before, recursion.values))
    mask = word_mask(lengths, ahead.shape[1])
    unary = (ahead + behind).softmax(-1).masked_fill(~mask.unsqueeze(-1), 0)
    transitions = forbidding(chain)[1].to(ahead)
    pairs = ahead.new_zeros((len(ahead), *transitions.shape))
    for word in range(1, ahead.shape[1]):
        step = ahead[:, word - 1, :, None] + transitions + back[:, word, None, :]  # (S, K, K)
        step = step.flatten(1).softmax(-1).view_as(step)
        pairs += torch.where(mask[:, word, None, None], step, 0)
    return unary, pairs
