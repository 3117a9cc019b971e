"""What the machines of the CRF share: the scores of a chain, and what a backend must offer.

``crf_torch`` (any device), ``crf_numba`` (compiled by Numba) and ``crf_triton`` (Triton) each offer

- ``forward(emissions, lengths, chain, gradient=True) -> Forward``; without one if nobody will ask,
- ``backward(emissions, lengths, chain, forward) -> (unary, pairs)``: ``(S, W, K)`` probability of each tag, and
  ``(S, K, K)`` expected number of each step, 0 where there is no path,
- ``viterbi(emissions, lengths, chain) -> (tags, score)``: ``(S, W)``, 0 on padding, and ``(S,)``,
- ``path_score(emissions, tags, lengths, chain) -> (S,)``: of given tags, -inf where they take a forbidden step,
- ``gradients(unary, pairs, tags, lengths, weight, dtype)``: of ``weight (S,)`` times the log-likelihood of tags, by
  the emissions (in ``dtype``), first, transitions and last; it may use up ``unary`` and ``pairs``,

with equal numbers. ``emissions`` is ``(S, W, K)`` in any float dtype, ``lengths`` ``(S,)``: the words of a sentence
come first, what stands behind them may be anything. Sums are taken in float64 where the device has it: probabilities
are normalised at every word and their scales are summed apart (Rabiner, 1989); a sentence in which mass could underflow
is done in log space instead. A forbidden step is a factor 0, never a score.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

TINY = 1e-140
"""Probability of a prefix below which a sentence is done in log space: the product of two is still a float64."""

TINY_SINGLE = 1e-17
"""The same for float32, where there is nothing else."""


class BadExampleError(ValueError):
    """Emissions that are not finite, or constraints that nothing fits; ``position`` is the first such example's."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message.format(position))
        self.position = position


class Chain(NamedTuple):
    """Scores of a linear chain of ``K`` tags, and which of its steps are allowed; None allows all.

    Attributes:
        first: ``(K,)`` score of each tag at the first word.
        transitions: ``(K, K)`` score from previous tag to next tag.
        last: ``(K,)`` score of each tag at the last word.
        allowed_first: ``(K,)`` true where a sentence may begin.
        allowed: ``(K, K)`` true where the next tag may follow the previous.
        allowed_last: ``(K,)`` true where a sentence may end.
    """

    first: Tensor
    transitions: Tensor
    last: Tensor
    allowed_first: Tensor | None = None
    allowed: Tensor | None = None
    allowed_last: Tensor | None = None


class Forward(NamedTuple):
    """A forward pass.

    Attributes:
        log_partition: ``(S,)`` float64, 0 for a sentence without words; -inf where no path is allowed, NaN where an
            emission of the sentence is not finite.
        saved: What ``backward`` of the same backend needs.
    """

    log_partition: Tensor
    saved: Any
