"""Linear-chain CRF in NumPy: best paths, marginals and probabilities of spans; the reference for the kernels.

All sums are float64, and in log space where exponentials could underflow. Functions take ``emissions (S, W, K)`` and
``lengths (S,)``: rows are padded on the right. See :mod:`ner.model.kernels.crf` for the same functions in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ner.errors import InputError

UNDERFLOW = 1e-200
"""Sums of exponentials below this value are recomputed in log space."""


class Potentials(NamedTuple):
    """Scores of a linear chain of ``K`` tags, -inf where a tag or transition is forbidden.

    Attributes:
        first: ``(K,)`` score of each tag at the first word.
        transitions: ``(K, K)`` score from previous tag to next tag.
        last: ``(K,)`` score of each tag at the last word.
    """

    first: np.ndarray
    transitions: np.ndarray
    last: np.ndarray


def best_paths(emissions: np.ndarray, lengths: np.ndarray, chain: Potentials) -> np.ndarray:
    """Return the most probable tags ``(S, W)`` (Viterbi, 1967), 0 on padding.

    Raises:
        InputError: If an emission is not finite, or no path is allowed.
    """
    scores = _clean(emissions, lengths)
    size, words, num_tags = scores.shape
    path = np.zeros((size, words), dtype=np.int64)
    if not words or not size:
        return path
    rows = np.arange(size)
    onto = chain.transitions.T  # (K, K): next tag, previous tag
    pointers = np.zeros((words, size, num_tags), dtype=np.int64)
    best = chain.first + scores[:, 0]
    for word in range(1, words):
        through = best[:, None] + onto  # (S, K, K)
        pointer = through.argmax(-1)
        reached = np.take_along_axis(through, pointer[..., None], -1)[..., 0] + scores[:, word]
        pointers[word] = pointer
        best = np.where((word < lengths)[:, None], reached, best)
    final = best + chain.last
    tag = final.argmax(-1)
    if not np.isfinite(final.max(-1))[lengths > 0].all():
        raise InputError("the constraints of the model leave no sequence of tags; copy the export again")
    for word in reversed(range(words)):
        inside = word < lengths
        path[inside, word] = tag[inside]
        if word:
            tag = np.where(inside, pointers[word, rows, tag], tag)
    return path


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
        through = best[:, :, None] + chain.transitions[:, :, None]  # (S, K, K, k): previous tag, next tag, rank
        reached, pointers[word] = _largest(through.transpose(0, 2, 1, 3).reshape(size, num_tags, -1), k)
        best = np.where((word < lengths)[:, None, None], reached + scores[:, word, :, None], best)
    found, place = _largest((best + chain.last[:, None]).reshape(size, -1), k)
    paths = np.zeros((size, k, words), dtype=np.int64)
    for word in reversed(range(words)):
        inside = word < lengths
        paths[inside, :, word] = place[inside] // k
        if word:
            before = np.take_along_axis(pointers[word].reshape(size, -1), place, 1)
            place = np.where(inside[:, None], before, place)
    found[lengths == 0] = np.where(np.arange(k) == 0, 0.0, -np.inf)
    return paths, found


def path_scores(emissions: np.ndarray, lengths: np.ndarray, chain: Potentials, paths: np.ndarray) -> np.ndarray:
    """Return the score ``(S,)`` of a path ``(S, W)`` of each example."""
    scores = _clean(emissions, lengths)
    inside = np.arange(scores.shape[1]) < lengths[:, None]
    total = (np.take_along_axis(scores, paths[..., None], -1)[..., 0] * inside).sum(-1)
    total += np.where(inside[:, 1:], chain.transitions[paths[:, :-1], paths[:, 1:]], 0).sum(-1)
    if scores.shape[1]:
        rows = np.arange(len(paths))
        ends = chain.first[paths[:, 0]] + chain.last[paths[rows, np.maximum(lengths, 1) - 1]]
        total += np.where(lengths > 0, ends, 0)
    result: np.ndarray = total
    return result


def _largest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``k`` largest values of the last dimension, largest first, and their positions."""
    order = np.argsort(-values, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(values, order, -1), order


class Marginals(NamedTuple):
    """Distribution of the tags as a Markov chain: each word depends only on the one before.

    Attributes:
        log_partition: ``(S,)``.
        unary: ``(S, W, K)`` probability of each tag at each word, 0 on padding.
        onto: ``(S, W, K)`` log-sum over the tags from each word on, up to a constant for each word.
        reached: ``(S, W, K)`` log-sum of transition and ``onto`` over the tags of a word, given the tag of the word
            before; 0 at the first word.
    """

    log_partition: np.ndarray
    unary: np.ndarray
    onto: np.ndarray
    reached: np.ndarray


def marginals(emissions: np.ndarray, lengths: np.ndarray, chain: Potentials) -> Marginals:
    """Return the distribution of the tags."""
    scores = _clean(emissions, lengths)
    size, words, num_tags = scores.shape
    inside = np.arange(words) < lengths[:, None]
    onto, reached = np.empty_like(scores), np.zeros_like(scores)
    following = np.broadcast_to(chain.last, (size, num_tags))
    log_partition = np.zeros(size)
    has_next = np.isfinite(chain.transitions).any(1)
    top = max(chain.transitions.max(initial=-np.inf), np.finfo(scores.dtype).min)
    weights = np.exp(chain.transitions - top)
    sums: dict[int, np.ndarray] = {}  # (S, K) of the words whose sums of exponentials do not underflow
    for word in reversed(range(words)):
        value = scores[:, word] + following
        peak = np.maximum(value.max(-1, keepdims=True), np.finfo(value.dtype).min)
        onto[:, word] = value - peak
        log_partition += np.where(inside[:, word], peak[:, 0], 0.0)
        if word:
            total = np.exp(onto[:, word]) @ weights.T
            if total[:, has_next].min(initial=1.0) > UNDERFLOW:
                sums[word] = np.where(has_next, total, 1.0)
                reached[:, word] = np.where(has_next, np.log(sums[word]) + top, -np.inf)
            else:
                reached[:, word] = _log_sum(chain.transitions + onto[:, word, None])
            following = np.where(inside[:, word, None], reached[:, word], chain.last)
    unary = np.zeros_like(scores)
    if words:
        begin = chain.first + onto[:, 0]
        log_partition = np.where(lengths > 0, log_partition + _log_sum(begin), 0.0)
        unary[:, 0] = _softmax(begin)
    for word in range(1, words):
        if word in sums:
            unary[:, word] = (unary[:, word - 1] / sums[word]) @ weights * np.exp(onto[:, word])
        else:
            step = _softmax(chain.transitions + onto[:, word, None])
            unary[:, word] = (unary[:, word - 1, None] @ step)[:, 0]
    unary *= inside[..., None]
    return Marginals(log_partition, unary, onto, reached)


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
    found = marginals(emissions, lengths, chain)
    own = begins.any(1) | continues.any(1)  # (N, K): the tags within spans of each label
    width = own.sum(1).max()
    tags = np.argsort(~own, axis=1, kind="stable")[:, :width]  # (N, C)
    table = np.asarray(spans, dtype=np.int64)
    together = max(1, (1 << 16) // (emissions.shape[2] * width))  # spans, whose matrices fit into a cache
    masses: list[float] = []
    for start in range(0, len(spans), together):
        some = table[start : start + together]
        masses.extend(_masses(found, lengths, chain, some, tags, begins, continues).tolist())
    return masses


def _masses(
    found: Marginals,
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

    def step(chosen: np.ndarray, word: np.ndarray, before: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the probabilities ``(P, B, C)`` of the tags of the label, given ``before (P, B)``."""
        rows, next_tags = example[chosen, None], tags[label[chosen]]
        normalizer = found.reached[rows, word[:, None], before]
        scores = chain.transitions[before[:, :, None], next_tags[:, None]]
        scores = scores + found.onto[rows, word[:, None], next_tags][:, None]
        scores -= np.where(np.isfinite(normalizer), normalizer, 0)[:, :, None]
        result: np.ndarray = np.exp(scores) * mask[label[chosen, None, None], before[:, :, None], next_tags[:, None]]
        return result

    own = tags[label]
    everyone = np.arange(found.unary.shape[2])
    mass = found.unary[example[:, None], 0, own] * begins[label[:, None], -1, own]
    (inner,) = np.nonzero(start > 0)
    before = np.broadcast_to(everyone, (len(inner), len(everyone)))
    opened = step(inner, start[inner], before, begins)
    mass[inner] = (found.unary[example[inner], start[inner] - 1, None] @ opened)[:, 0]
    for offset in range(1, int((end - start).max())):
        (longer,) = np.nonzero(start + offset < end)
        mass[longer] = (mass[longer, None] @ step(longer, start[longer] + offset, own[longer], continues))[:, 0]
    (followed,) = np.nonzero(end < lengths[example])
    mass[followed] *= 1 - step(followed, end[followed], own[followed], continues).sum(-1)
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
