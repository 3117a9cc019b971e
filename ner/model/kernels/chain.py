"""Scores of a linear chain, and the interface of the backends of the CRF.

``crf_torch`` (any device), ``crf_numba`` (CPU) and ``crf_triton`` (CUDA) each define

- ``forward(emissions, lengths, chain, gradient=True) -> Forward``; pass ``gradient=False`` if ``backward`` is not used,
- ``backward(emissions, lengths, chain, forward) -> (unary, pairs)``: ``(S, W, K)`` probability of each tag, and
  ``(S, K, K)`` expected number of each transition, 0 if no path is allowed,
- ``viterbi(emissions, lengths, chain) -> (tags, score)``: ``(S, W)``, 0 on padding, and ``(S,)``,
- ``path_score(emissions, tags, lengths, chain) -> (S,)``: scores of given tags, -inf for forbidden transitions,
- ``gradients(unary, pairs, tags, lengths, weight, dtype)``: gradients of ``weight (S,)`` times the log-likelihood of
  the tags, by the emissions (in ``dtype``), first, transitions and last; it may overwrite ``unary`` and ``pairs``,

with equal results. ``emissions`` is ``(S, W, K)`` in any float dtype. ``lengths`` is ``(S,)``: the words of a sentence
come first, padding may hold any value. Sums are float64 where the device supports it: probabilities are normalised at
every word and their scales are summed separately (Rabiner, 1989). Sentences whose mass could underflow are computed in
log space instead. A forbidden transition is a factor 0, never a score.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

TINY = 1e-140
"""Probability of a prefix below which a sentence is computed in log space: the product of two is still a float64."""

TINY_SINGLE = 1e-17
"""The same threshold for devices that have only float32."""


class BadExampleError(ValueError):
    """An example with emissions that are not finite or constraints that no path satisfies.

    Args:
        message: Text with a placeholder for the position.
        position: Index of the first such example in its batch.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message.format(position))
        self.position = position


class Chain(NamedTuple):
    """Scores of a linear chain of ``K`` tags, and its allowed transitions; None allows all of them.

    Attributes:
        first: ``(K,)`` score of each tag at the first word.
        transitions: ``(K, K)`` score from previous tag to next tag.
        last: ``(K,)`` score of each tag at the last word.
        allowed_first: ``(K,)`` true for tags of a first word.
        allowed: ``(K, K)`` true where the next tag may follow the previous.
        allowed_last: ``(K,)`` true for tags of a last word.
    """

    first: Tensor
    transitions: Tensor
    last: Tensor
    allowed_first: Tensor | None = None
    allowed: Tensor | None = None
    allowed_last: Tensor | None = None


class Forward(NamedTuple):
    """Result of a forward pass.

    Attributes:
        log_partition: ``(S,)`` float64, 0 for a sentence without words; -inf if no path is allowed, NaN if an
            emission of the sentence is not finite.
        saved: Input of ``backward`` of the same backend.
    """

    log_partition: Tensor
    saved: Any
