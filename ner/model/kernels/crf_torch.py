"""Backend of the CRF in torch, for any device; see ``ner.model.kernels.chain`` for its functions.

Both directions of the recursion run in one loop, as a batch of two matrix products per word; everything else is
computed for all words at once. :func:`log_space` is slower, but exact for emissions of any size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ner.model.kernels.chain import TINY, TINY_SINGLE, Chain

ACCEPTS_ANY_MASK = False
MAX_CELLS_IN_NUMPY = 256
"""Largest batch, padding included, that NumPy decodes; its calls cost a third of those of torch."""

Marginals = tuple[Tensor, Tensor]
"""``(S, W, K)`` probability of each tag, and ``(S, K, K)`` expected number of each transition."""


def forward(
    emissions: Tensor, tags: Tensor, mask: Tensor, chain: Chain, gradient: bool
) -> tuple[Tensor, Marginals | None]:
    """See :mod:`ner.model.kernels.chain`."""
    scores = clean(emissions, mask)
    values, priors, log_partition = _recursion(scores, mask, chain, directions=2 if gradient else 1)
    marginals = _marginals(values, priors, mask, chain) if gradient else None
    unstable = ~torch.isfinite(log_partition) | _underflowed(values, mask, chain)
    if bool(unstable.any()):
        log_partition[unstable], *exact = log_space(scores[unstable], mask[unstable], chain)
        for table, exact_table in zip(marginals or (), exact, strict=False):
            table[unstable] = exact_table
    log_partition = log_partition.masked_fill(not_finite(scores), torch.nan)
    first, transitions, last = chain.tables()
    first_tags, last_tags = tags[:, 0], at_end(tags.T, mask)
    score = scores.gather(2, tags.unsqueeze(-1)).squeeze(-1).sum(1)
    score = score + transitions[tags[:, :-1], tags[:, 1:]].to(scores).masked_fill(~mask[:, 1:], 0).sum(1)
    score = score + (first[first_tags].to(scores) + last[last_tags].to(scores)).masked_fill(~mask[:, 0], 0)
    return score - log_partition, marginals


def backward(
    saved: Marginals, tags: Tensor, mask: Tensor, chain: Chain, weight: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    tag_marginals, expected_transitions = saved
    weight = weight.to(tag_marginals)
    difference = tag_marginals.neg().scatter_add_(2, tags.unsqueeze(-1), mask.unsqueeze(-1).to(tag_marginals))
    difference *= weight[:, None, None]
    transition_ids = tags[:, :-1] * expected_transitions.shape[1] + tags[:, 1:]
    # the sum of integers is the same in any order
    counts = expected_transitions.neg().flatten(1).scatter_add_(1, transition_ids, mask[:, 1:].to(expected_transitions))
    first, last = difference[:, 0].sum(0), at_end(difference.transpose(0, 1), mask).sum(0)
    return difference.to(dtype), first, (weight @ counts).view(expected_transitions.shape[1:]), last


def viterbi(emissions: Tensor, mask: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """See :mod:`ner.model.kernels.chain`."""
    scores = clean(emissions, mask)
    first, transitions, last = (table.to(scores) for table in chain.tables())
    if mask.device.type == "cpu" and mask.numel() <= MAX_CELLS_IN_NUMPY:
        path, score = (torch.from_numpy(array) for array in _viterbi_in_numpy(scores, mask, first, transitions, last))
        return path, score.masked_fill(not_finite(scores), torch.nan)
    bests, pointers = [first + scores[:, 0]], []
    transition_from_previous = transitions.T.contiguous()  # (K, K): next tag, previous tag
    for score in scores.unbind(1)[1:]:
        best, pointer = (bests[-1].unsqueeze(1) + transition_from_previous).max(-1)  # (S, K): over the previous tag
        bests.append(best.add_(score))
        pointers.append(pointer)
    score, tag = (at_end(torch.stack(bests), mask) + last).max(-1)
    tags = [tag]
    if pointers:
        backpointers = torch.stack(pointers)  # (W - 1, S, K)
        steps = torch.arange(len(pointers), device=mask.device).unsqueeze(1)
        reversed_steps = (mask.sum(1) - 2 - steps).clamp(min=0)
        for backpointer in backpointers.gather(0, reversed_steps.unsqueeze(-1).expand_as(backpointers)).unbind():
            tag = backpointer.gather(1, tag.unsqueeze(1)).squeeze(1)
            tags.append(tag)
    path = reverse(torch.stack(tags, 1), mask).masked_fill(~mask, 0)
    return path, score.masked_fill(~mask[:, 0], 0).masked_fill(not_finite(scores), torch.nan)


def _viterbi_in_numpy(
    scores: Tensor, mask: Tensor, first: Tensor, transitions: Tensor, last: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Return paths and their scores, 0 for sentences without words."""
    values, lengths = scores.numpy(), mask.sum(1).numpy()
    transition_from_previous = np.ascontiguousarray(transitions.numpy().T)  # (K, K): next tag, previous tag
    size, words, num_tags = values.shape
    rows = np.arange(size)
    best = np.empty((words, size, num_tags))  # score of the best path that ends in each tag
    pointers = np.zeros((words, size, num_tags), dtype=np.int64)
    best[0] = first.numpy() + values[:, 0]
    for word in range(1, words):
        candidates = best[word - 1][:, None] + transition_from_previous  # (S, K, K)
        candidates.argmax(-1, out=pointers[word])
        np.add(candidates.max(-1), values[:, word], out=best[word])
    final_scores = best[np.maximum(lengths, 1) - 1, rows] + last.numpy()
    tag = final_scores.argmax(-1)
    score = np.where(lengths > 0, final_scores[rows, tag], 0.0)
    paths = np.zeros((size, words), dtype=np.int64)
    for word in reversed(range(words)):
        inside = word < lengths
        paths[:, word] = np.where(inside, tag, 0)
        tag = np.where(inside, pointers[word][rows, tag], tag)
    return paths, score


def k_best(emissions: Tensor, mask: Tensor, chain: Chain, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` best paths of each sentence, best first.

    Returns:
        ``(S, k, W)`` tag ids, 0 on padding, and ``(S, k)`` scores, -inf where fewer paths exist.
    """
    scores = clean(emissions, mask)
    size, _, num_tags = scores.shape
    first, transitions, last = (table.to(scores) for table in chain.tables())
    best = scores.new_full((size, num_tags, k), -torch.inf)  # (S, K, k): paths that end in a tag
    best[:, :, 0] = first + scores[:, 0]
    identity_pointers = torch.arange(num_tags * k, device=mask.device).view(num_tags, k)
    pointers = []
    for score, is_word in zip(scores.unbind(1)[1:], mask.unbind(1)[1:], strict=True):
        candidates = best.unsqueeze(2) + transitions[:, :, None]  # (S, K, K, k): previous tag, next tag, rank
        next_best, pointer = candidates.transpose(1, 2).flatten(2).topk(k, -1)  # (S, K, k); pointer = tag * k + rank
        best = torch.where(is_word[:, None, None], next_best + score.unsqueeze(-1), best)
        pointers.append(torch.where(is_word[:, None, None], pointer, identity_pointers))
    score, state = (best + last[:, None]).flatten(1).topk(k, -1)  # (S, k)
    states = [state]
    for pointer in reversed(pointers):
        state = pointer.flatten(1).gather(1, state)
        states.append(state)
    paths = (torch.stack(states[::-1], 2) // k).masked_fill(~mask.unsqueeze(1), 0)
    # a sentence without words has one path
    empty_path_scores = torch.where(torch.arange(k, device=mask.device) == 0, 0.0, -torch.inf)
    score = torch.where(mask[:, :1], score, empty_path_scores)
    return paths, score.masked_fill(not_finite(scores).unsqueeze(1), torch.nan)


def log_space(scores: Tensor, mask: Tensor, chain: Chain) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return log-partitions, marginals, and the log-sums of a :class:`ner.model.kernels.markov.MarkovChain`.

    Returns:
        ``(S,)``, ``(S, W, K)`` and ``(S, K, K)``, then ``backward_scores`` and ``log_normalizers (S, W, K)``.
    """
    first, transitions, last = (table.to(scores) for table in chain.tables())
    size, words, num_tags = scores.shape
    backward_scores, log_normalizers = torch.empty_like(scores), torch.zeros_like(scores)
    log_beta = last.expand(size, -1)
    log_partition = scores.new_zeros(size)
    for word in reversed(range(words)):
        score = scores[:, word] + log_beta
        peak = score.amax(-1, keepdim=True).clamp(min=torch.finfo(score.dtype).min)  # not of -inf only
        backward_scores[:, word] = score - peak
        log_partition += torch.where(mask[:, word], peak.squeeze(-1), 0)
        if word:
            log_normalizers[:, word] = (transitions + backward_scores[:, word].unsqueeze(1)).logsumexp(-1)
            log_beta = torch.where(mask[:, word, None], log_normalizers[:, word], last)
    first_scores = first + backward_scores[:, 0]
    log_partition = torch.where(mask[:, 0], log_partition + first_scores.logsumexp(-1), 0)
    tag_marginals, expected_transitions = torch.zeros_like(scores), scores.new_zeros((size, num_tags, num_tags))
    tag_marginals[:, 0] = first_scores.softmax(-1).nan_to_num(0) * mask[:, :1]
    for word in range(1, words):
        joint = (
            tag_marginals[:, word - 1].unsqueeze(-1)
            * _step(transitions, backward_scores[:, word])
            * mask[:, word, None, None]
        )
        expected_transitions += joint
        tag_marginals[:, word] = joint.sum(1)
    return log_partition, tag_marginals, expected_transitions, backward_scores, log_normalizers


def _step(transitions: Tensor, backward_scores: Tensor) -> Tensor:
    """Return the ``(M, K, K)`` probability of each tag given the previous one, 0 for a tag that nothing may follow."""
    return (transitions + backward_scores.unsqueeze(1)).softmax(-1).nan_to_num(0)


def work_type(device: torch.device) -> torch.dtype:
    """Return the dtype of sums: float64, or float32 on Apple GPUs, which have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def reachable(chain: Chain, words: int) -> Tensor:
    """Return ``(2, W, K)``, true for tags on an allowed path, counting words from the first and from the last."""
    first, transitions, last = (torch.isfinite(table).cpu().numpy() for table in chain.tables())
    directions = []
    for allowed_start, allowed_transitions in ((first, transitions), (last, transitions.T)):
        rows = [allowed_start]
        while len(rows) < words and (len(rows) < 2 or (rows[-1] != rows[-2]).any()):  # up to a fixed point
            rows.append((allowed_transitions & rows[-1][:, None]).any(0))
        directions.append(np.pad(np.stack(rows), ((0, words - len(rows)), (0, 0)), mode="edge"))
    return torch.from_numpy(np.stack(directions)).to(chain.first.device)


def at_end(values: Tensor, mask: Tensor) -> Tensor:
    """Return the ``(S, ...)`` values of ``(W, S, ...)`` at the last word of each sentence."""
    index = (mask.sum(1) - 1).clamp(min=0).view(1, -1, *[1] * (values.ndim - 2))
    return values.gather(0, index.expand(1, *values.shape[1:]))[0]


def reverse(values: Tensor, mask: Tensor) -> Tensor:
    """Reverse the words of each row in ``(S, W, ...)``; padding stays in place, so a second call restores the order."""
    sentences, width = mask.shape
    positions = torch.arange(width, device=mask.device)
    columns = torch.where(mask, mask.sum(1, keepdim=True) - 1 - positions, positions)
    order = (columns + width * torch.arange(sentences, device=mask.device).unsqueeze(1)).flatten()  # (S * W,)
    if values.requires_grad and torch.is_grad_enabled() and not torch.jit.is_tracing():
        reversed_values: Tensor = _Reversal.apply(values, order)
        return reversed_values
    return _reorder(values, order)


def _reorder(values: Tensor, order: Tensor) -> Tensor:
    """Return the words of ``(S, W, ...)`` in another order."""
    return values.flatten(0, 1).index_select(0, order).view(values.shape)


class _Reversal(torch.autograd.Function):
    """Reversed words; their gradient is reversed in the same way, which is faster than to scatter it."""

    @staticmethod
    def forward(context: Any, values: Tensor, order: Tensor) -> Tensor:
        """Return the words in the given order."""
        context.save_for_backward(order)
        return _reorder(values, order)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the reversed gradient."""
        return _reorder(gradients[0], *context.saved_tensors), None


def clean(emissions: Tensor, mask: Tensor) -> Tensor:
    """Return the emissions without gradient in the dtype of sums, 0 on padding."""
    return emissions.detach().to(work_type(emissions.device)).masked_fill(~mask.unsqueeze(-1), 0)


def not_finite(scores: Tensor) -> Tensor:
    """Return ``(S,)``, true where an emission is NaN or infinite."""
    return ~torch.isfinite(scores).flatten(1).all(1)


def _recursion(scores: Tensor, mask: Tensor, chain: Chain, directions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Run the normalised recursion in two directions, each from its own end, or only forwards.

    Returns:
        ``(W, 2, S, K)`` probabilities of the words so far, the same without the emission of the current word, and the
        ``(S,)`` log-partitions.
    """
    peaks = scores.amax(-1)  # (S, W)
    steps = (scores - peaks.unsqueeze(-1)).exp()
    by_direction = [steps, reverse(steps, mask)] if directions == 2 else [steps]
    steps = torch.stack(by_direction).permute(2, 0, 1, 3).contiguous()  # (W, 2, S, K)
    (begin, begin_peak), (matrix, step_peak), (end, end_peak) = (_factors(table.to(scores)) for table in chain.tables())
    matrices = torch.stack([matrix, matrix.T])[:directions]  # (2, K, K): from the word just read to the next one
    priors, values, totals = torch.empty_like(steps), torch.empty_like(steps), torch.empty_like(steps[..., :1])
    priors[0] = torch.stack([begin, end])[:directions].unsqueeze(1)
    previous: Tensor | None = None
    for step, prior, value, total in zip(*(table.unbind() for table in (steps, priors, values, totals)), strict=True):
        if previous is not None:
            torch.bmm(previous, matrices, out=prior)
        torch.mul(prior, step, out=value)
        torch.sum(value, -1, keepdim=True, out=total)
        previous = value.div_(total)
    log_partition = (totals[:, 0, :, 0].T.log() + peaks).masked_fill(~mask, 0).sum(1)
    log_partition = log_partition + (at_end(values[:, 0], mask) @ end).log()
    log_partition = log_partition + begin_peak + end_peak + step_peak * (mask.sum(1) - 1)
    return values, priors, log_partition.masked_fill(~mask[:, 0], 0)


def _factors(table: Tensor) -> tuple[Tensor, Tensor]:
    """Return the exponentials of scores, scaled to at most 1, and the log of the scale."""
    peak = table.max().clamp(min=torch.finfo(table.dtype).min)  # all may be forbidden
    return (table - peak).exp(), peak


def _underflowed(values: Tensor, mask: Tensor, chain: Chain) -> Tensor:
    """Return ``(S,)``, true for sentences in which the mass of a reachable tag is close to underflow."""
    is_low = ~(values >= (TINY if values.dtype == torch.float64 else TINY_SINGLE))  # true for NaN too
    if chain.allowed is not None:
        is_low &= reachable(chain, len(values)).transpose(0, 1).unsqueeze(2)[:, : values.shape[1]]
    return (is_low.any(-1) & mask.T.unsqueeze(1)).flatten(0, 1).any(0)


def _marginals(values: Tensor, priors: Tensor, mask: Tensor, chain: Chain) -> Marginals:
    """Return the marginals from the recursion in two directions."""
    alpha = values[:, 0].transpose(0, 1)  # (S, W, K)
    beta, beta_and_emission = (reverse(table[:, 1].transpose(0, 1), mask) for table in (priors, values))
    is_word = mask.unsqueeze(-1)
    tag_marginals = alpha * beta
    total = tag_marginals.sum(-1, keepdim=True)
    tag_marginals = (tag_marginals / total).masked_fill_(~is_word, 0)
    previous_alpha = (alpha / total)[:, :-1].masked_fill(~is_word[:, 1:], 0)
    next_beta = beta_and_emission[:, 1:].masked_fill(~is_word[:, 1:], 0)
    matrix, _ = _factors(chain.tables()[1].to(values))
    return tag_marginals, previous_alpha.transpose(1, 2) @ next_beta * matrix
