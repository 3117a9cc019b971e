"""Linear-chain CRF in NumPy: best paths, marginals and probabilities of spans; the reference for the kernels.

All sums are float64, and in log space where exponentials could underflow. Functions take ``emissions (S, W, K)`` and
``lengths (S,)``: rows are padded on the right. See :mod:`ner.model.kernels.crf` for the same functions in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ner.errors import InputError

UNDERFLOW = 1e-200
"""Sums of exponentials below this value are recomputed in log space."""
MAX_TRANSITIONS = 1 << 15
"""Transitions of a word that are computed at once: 256 KiB, which fit into the cache of a processor."""
NARROW = 8
"""Most previous tags of a tag whose transitions are gathered one by one, such as ``I-PER`` after ``B-PER``."""


class AllowedTransitions:
    """The transitions of a chain without most of the forbidden ones.

    With constraints, an inside tag follows one or two others, and only tags that end an entity precede the rest: with
    79 types in BIOES, a quarter of all pairs. Tags with at most ``NARROW`` previous tags are gathered, and the others
    form a dense table.

    Args:
        transitions: ``(K, K)`` scores, -inf where forbidden.
    """

    def __init__(self, transitions: np.ndarray) -> None:
        allowed = np.isfinite(transitions)
        counts = allowed.sum(0)
        (self.narrow,), (self.wide,) = np.nonzero(counts <= NARROW), np.nonzero(counts > NARROW)
        self.narrow_previous = np.argsort(~allowed[:, self.narrow], axis=0, kind="stable")[:NARROW].T  # (n, NARROW)
        self.narrow_previous = self.narrow_previous[:, : max(1, counts[self.narrow].max(initial=0))]
        self.narrow_scores = transitions[self.narrow_previous, self.narrow[:, None]]
        (self.wide_previous,) = np.nonzero(allowed[:, self.wide].any(1))
        self.wide_scores = np.ascontiguousarray(transitions[np.ix_(self.wide_previous, self.wide)])

    def best(self, previous: np.ndarray) -> np.ndarray:
        """Return the score ``(S, K)`` of the best path to each tag, given those to the tags of the word before."""
        found = np.empty_like(previous)
        if len(self.wide):
            found[:, self.wide] = (previous[:, self.wide_previous, None] + self.wide_scores).max(1)
        found[:, self.narrow] = (previous[:, self.narrow_previous] + self.narrow_scores).max(-1)
        return found


@dataclass(frozen=True, eq=False)
class Potentials:
    """Scores of a linear chain of ``K`` tags, -inf where a tag or transition is forbidden.

    The NumPy counterpart of :class:`ner.model.kernels.chain.Chain`, whose constraints are separate masks.

    Attributes:
        first: ``(K,)`` score of each tag at the first word.
        transitions: ``(K, K)`` score from previous tag to next tag.
        last: ``(K,)`` score of each tag at the last word.
    """

    first: np.ndarray
    transitions: np.ndarray
    last: np.ndarray

    @cached_property
    def allowed_transitions(self) -> AllowedTransitions:
        """The transitions for the search of the best path; computed once, not for every batch."""
        return AllowedTransitions(self.transitions)


def best_paths(emissions: np.ndarray, lengths: np.ndarray, chain: Potentials) -> np.ndarray:
    """Return the most probable tags ``(S, W)`` (Viterbi, 1967), 0 on padding.

    Raises:
        InputError: If an emission is not finite, or no path is allowed.
    """
    scores = _clean(emissions, lengths)
    size, words, _ = scores.shape
    paths = np.zeros((size, words), dtype=np.int64)
    allowed = chain.allowed_transitions
    block_size = max(1, MAX_TRANSITIONS // (allowed.wide_scores.size + allowed.narrow_scores.size))
    for start in range(0, size, block_size):
        block = slice(start, start + block_size)
        if lengths[block].any():
            _viterbi(scores[block], lengths[block], chain, paths[block])
    return paths


def _viterbi(scores: np.ndarray, lengths: np.ndarray, chain: Potentials, paths: np.ndarray) -> None:
    """Fill the paths of a block of sentences, of which at least one has words."""
    size, _, num_tags = scores.shape
    words = int(lengths.max())
    best = np.empty((words, size, num_tags))  # score of the best path that ends in each tag
    best[0] = chain.first + scores[:, 0]
    for word in range(1, words):
        np.add(chain.allowed_transitions.best(best[word - 1]), scores[:, word], out=best[word])
    final_scores = best[np.maximum(lengths, 1) - 1, np.arange(size)] + chain.last
    if not np.isfinite(final_scores.max(-1))[lengths > 0].all():
        raise InputError("the constraints of the model leave no sequence of tags; copy the export again")
    tag = final_scores.argmax(-1)
    transition_from_previous = np.ascontiguousarray(chain.transitions.T)  # (K, K): next tag, previous tag
    for word in reversed(range(words)):
        inside = word < lengths
        paths[inside, word] = tag[inside]
        if word:  # the previous tag is found again by the same sum, so that no pointers are kept
            tag = np.where(inside, (best[word - 1] + transition_from_previous[tag]).argmax(-1), tag)


def k_best_paths(
    emissions: np.ndarray, lengths: np.ndarray, chain: Potentials, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``k`` most probable tag sequences, best first.

    Returns:
        ``(S, k, W)`` tag ids, 0 on padding, and ``(S, k)`` scores, -inf where fewer sequences exist.
    """
    scores = _clean(emissions, lengths)
    size, words, num_tags = scores.shape
    best = np.full((size, num_tags, k), -np.inf)  # sequences that end in a tag
    pointers = np.zeros((words, size, num_tags, k), dtype=np.int64)  # previous tag * k + its rank
    if words:
        best[:, :, 0] = chain.first + scores[:, 0]
    for word in range(1, words):
        candidates = best[:, :, None] + chain.transitions[:, :, None]  # (S, K, K, k): previous tag, next tag, rank
        next_best, pointers[word] = _largest(candidates.transpose(0, 2, 1, 3).reshape(size, num_tags, -1), k)
        best = np.where((word < lengths)[:, None, None], next_best + scores[:, word, :, None], best)
    path_scores, state = _largest((best + chain.last[:, None]).reshape(size, -1), k)
    paths = np.zeros((size, k, words), dtype=np.int64)
    for word in reversed(range(words)):
        inside = word < lengths
        paths[inside, :, word] = state[inside] // k
        if word:
            previous_state = np.take_along_axis(pointers[word].reshape(size, -1), state, 1)
            state = np.where(inside[:, None], previous_state, state)
    path_scores[lengths == 0] = np.where(np.arange(k) == 0, 0.0, -np.inf)
    return paths, path_scores


def path_scores(emissions: np.ndarray, lengths: np.ndarray, chain: Potentials, paths: np.ndarray) -> np.ndarray:
    """Return the score ``(S,)`` of a path ``(S, W)`` of each example."""
    scores = _clean(emissions, lengths)
    inside = np.arange(scores.shape[1]) < lengths[:, None]
    total = (np.take_along_axis(scores, paths[..., None], -1)[..., 0] * inside).sum(-1)
    total += np.where(inside[:, 1:], chain.transitions[paths[:, :-1], paths[:, 1:]], 0).sum(-1)
    if scores.shape[1]:
        rows = np.arange(len(paths))
        boundary_scores = chain.first[paths[:, 0]] + chain.last[paths[rows, np.maximum(lengths, 1) - 1]]
        total += np.where(lengths > 0, boundary_scores, 0)
    result: np.ndarray = total
    return result


def _largest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``k`` largest values of the last dimension, largest first, and their positions."""
    order = np.argsort(-values, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(values, order, -1), order


class ForwardBackward(NamedTuple):
    """Distribution of the tags as a Markov chain: each word depends only on the one before.

    Attributes:
        log_partition: ``(S,)``.
        tag_marginals: ``(S, W, K)`` probability of each tag at each word, 0 on padding.
        backward_scores: ``(S, W, K)`` log-sum over all paths from each tag of a word to the end, with the emission of
            the word (emission plus log beta), up to a constant for each word.
        log_normalizers: ``(S, W, K)`` log-sum of transition and ``backward_scores`` over the tags of a word, given the
            tag of the word before: log beta of the word before, and the denominator of its transition probabilities; 0
            at the first word.
    """

    log_partition: np.ndarray
    tag_marginals: np.ndarray
    backward_scores: np.ndarray
    log_normalizers: np.ndarray


def forward_backward(emissions: np.ndarray, lengths: np.ndarray, chain: Potentials) -> ForwardBackward:
    """Return the distribution of the tags."""
    scores = _clean(emissions, lengths)
    size, words, num_tags = scores.shape
    inside = np.arange(words) < lengths[:, None]
    backward_scores, log_normalizers = np.empty_like(scores), np.zeros_like(scores)
    log_beta = np.broadcast_to(chain.last, (size, num_tags))
    log_partition = np.zeros(size)
    has_next = np.isfinite(chain.transitions).any(1)
    max_transition = max(chain.transitions.max(initial=-np.inf), np.finfo(scores.dtype).min)
    weights = np.exp(chain.transitions - max_transition)
    sums: dict[int, np.ndarray] = {}  # (S, K) of the words whose sums of exponentials do not underflow
    for word in reversed(range(words)):
        score = scores[:, word] + log_beta
        peak = np.maximum(score.max(-1, keepdims=True), np.finfo(score.dtype).min)
        backward_scores[:, word] = score - peak
        log_partition += np.where(inside[:, word], peak[:, 0], 0.0)
        if word:
            total = np.exp(backward_scores[:, word]) @ weights.T
            if total[:, has_next].min(initial=1.0) > UNDERFLOW:
                sums[word] = np.where(has_next, total, 1.0)
                log_normalizers[:, word] = np.where(has_next, np.log(sums[word]) + max_transition, -np.inf)
            else:
                log_normalizers[:, word] = _log_sum(chain.transitions + backward_scores[:, word, None])
            log_beta = np.where(inside[:, word, None], log_normalizers[:, word], chain.last)
    tag_marginals = np.zeros_like(scores)
    if words:
        first_scores = chain.first + backward_scores[:, 0]
        log_partition = np.where(lengths > 0, log_partition + _log_sum(first_scores), 0.0)
        tag_marginals[:, 0] = _softmax(first_scores)
    for word in range(1, words):
        if word in sums:
            tag_marginals[:, word] = (
                (tag_marginals[:, word - 1] / sums[word]) @ weights * np.exp(backward_scores[:, word])
            )
        else:
            transition_probabilities = _softmax(chain.transitions + backward_scores[:, word, None])
            tag_marginals[:, word] = (tag_marginals[:, word - 1, None] @ transition_probabilities)[:, 0]
    tag_marginals *= inside[..., None]
    return ForwardBackward(log_partition, tag_marginals, backward_scores, log_normalizers)


def span_probabilities(
    emissions: np.ndarray,
    lengths: np.ndarray,
    chain: Potentials,
    spans: Sequence[tuple[int, int, int, int]],
    begins: np.ndarray,
    continues: np.ndarray,
) -> list[float]:
    """Return the probability of spans: the mass of all tag sequences that contain exactly them.

    Args:
        emissions: ``(S, W, K)``.
        lengths: ``(S,)`` words of each example.
        chain: Scores and constraints.
        spans: Example, first word, end (exclusive) and label of each span.
        begins: ``(N, K + 1, K)``, see :meth:`ner.data.tags.TagSet.span_masks`.
        continues: ``(N, K, K)``, see :meth:`ner.data.tags.TagSet.span_masks`.
    """
    if not spans:
        return []
    distribution = forward_backward(emissions, lengths, chain)
    is_label_tag = begins.any(1) | continues.any(1)  # (N, K): the tags within spans of each label
    max_label_tags = is_label_tag.sum(1).max()
    tags = np.argsort(~is_label_tag, axis=1, kind="stable")[:, :max_label_tags]  # (N, C)
    span_table = np.asarray(spans, dtype=np.int64)
    chunk_size = max(1, (1 << 16) // (emissions.shape[2] * max_label_tags))  # spans, whose matrices fit into a cache
    masses: list[float] = []
    for start in range(0, len(spans), chunk_size):
        chunk = span_table[start : start + chunk_size]
        masses.extend(_masses(distribution, lengths, chain, chunk, tags, begins, continues).tolist())
    return masses


def _masses(
    distribution: ForwardBackward,
    lengths: np.ndarray,
    chain: Potentials,
    spans: np.ndarray,
    tags: np.ndarray,
    begins: np.ndarray,
    continues: np.ndarray,
) -> np.ndarray:
    """Return the probability ``(P,)`` of spans ``(P, 4)``, one word of all spans at a time.

    The tags within a span are those of its label, so that ``C`` columns of the ``(K, K)`` probabilities of a tag given
    the one before are enough. ``tags (N, C)`` contains them, followed by others, which the masks exclude.
    """
    example, start, end, label = spans.T

    def step(numbers: np.ndarray, word: np.ndarray, previous_tags: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the probabilities ``(P, B, C)`` of the tags of the label, given ``previous_tags (P, B)``."""
        examples, next_tags = example[numbers, None], tags[label[numbers]]
        normalizer = distribution.log_normalizers[examples, word[:, None], previous_tags]
        scores = chain.transitions[previous_tags[:, :, None], next_tags[:, None]]
        scores = scores + distribution.backward_scores[examples, word[:, None], next_tags][:, None]
        scores -= np.where(np.isfinite(normalizer), normalizer, 0)[:, :, None]
        result: np.ndarray = (
            np.exp(scores) * mask[label[numbers, None, None], previous_tags[:, :, None], next_tags[:, None]]
        )
        return result

    label_tags = tags[label]
    all_tags = np.arange(distribution.tag_marginals.shape[2])
    mass = distribution.tag_marginals[example[:, None], 0, label_tags] * begins[label[:, None], -1, label_tags]
    (begins_inside,) = np.nonzero(start > 0)
    previous_tags = np.broadcast_to(all_tags, (len(begins_inside), len(all_tags)))
    begin_probabilities = step(begins_inside, start[begins_inside], previous_tags, begins)
    mass[begins_inside] = (
        distribution.tag_marginals[example[begins_inside], start[begins_inside] - 1, None] @ begin_probabilities
    )[:, 0]
    for offset in range(1, int((end - start).max())):
        (continued,) = np.nonzero(start + offset < end)
        mass[continued] = (
            mass[continued, None] @ step(continued, start[continued] + offset, label_tags[continued], continues)
        )[:, 0]
    (has_next,) = np.nonzero(end < lengths[example])
    mass[has_next] *= 1 - step(has_next, end[has_next], label_tags[has_next], continues).sum(-1)
    total: np.ndarray = mass.sum(-1)
    return total


def _clean(emissions: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the emissions in float64, 0 on padding."""
    mask = np.arange(emissions.shape[1]) < lengths[:, None]
    scores = np.where(mask[..., None], emissions, 0).astype(np.float64)
    if not np.isfinite(scores).all():
        raise InputError("the scores of the model are not finite; copy the export again")
    return scores


def _log_sum(values: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sum of exponentials over the last dimension, -inf if all are."""
    peak = np.maximum(values.max(-1, keepdims=True), np.finfo(values.dtype).min)
    with np.errstate(divide="ignore"):
        result: np.ndarray = np.log(np.exp(values - peak).sum(-1)) + peak[..., 0]
    return result


def _softmax(values: np.ndarray) -> np.ndarray:
    """Return the softmax over the last dimension, 0 where all values are -inf."""
    exponentials = values - np.maximum(values.max(-1, keepdims=True), np.finfo(values.dtype).min)
    np.exp(exponentials, out=exponentials)
    total = exponentials.sum(-1, keepdims=True)
    result: np.ndarray = exponentials / np.where(total > 0, total, 1)
    return result
