"""Scores of a linear chain, and the interface of the backends of the CRF.

``crf_torch`` (any device), ``crf_numba`` (CPU) and ``crf_triton`` (CUDA) each define

- ``ACCEPTS_ANY_MASK``: true if ``mask (S, W)`` may have any pattern; otherwise words come first in each row,
- ``forward(emissions, tags, mask, chain, gradient) -> (log_likelihood, saved)``: ``(S,)``, 0 for a sentence without
  words, -inf for forbidden tags, NaN if an emission is not finite; with ``gradient``, ``saved`` is for ``backward``,
- ``backward(saved, tags, mask, chain, weight, dtype)``: gradients of ``weight (S,)`` times the log-likelihood with
  respect to the emissions (in ``dtype``), first, transitions and last: gold tags minus their marginals,
- ``viterbi(emissions, mask, chain) -> (tags, score)``: ``(S, W)``, 0 on padding, and ``(S,)``, -inf if no path is
  allowed, otherwise as above,

with equal results. S counts sentences, W words and K tags. ``emissions`` is ``(S, W, K)`` in any float dtype, with at
least one word; padding may hold any value. Sums are float64 where the device supports it: probabilities are normalised
at every word and their scales are summed separately (Rabiner, 1989). Sentences whose mass could underflow are computed
in log space instead. A forbidden transition is a factor 0, never a score.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

TINY = 1e-140
"""Probability of a prefix below which a sentence is computed in log space: float64 can represent the product of two."""

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


def check_finite(values: Tensor, quantity: str = "emissions") -> None:
    """Check that the ``(S,)`` values of the examples are finite; ``quantity`` names their source in the message.

    Raises:
        BadExampleError: If one is not.
    """
    not_finite = ~values.isfinite()
    if bool(not_finite.any()):
        raise BadExampleError(f"{quantity} of example {{}} are not finite", int(not_finite.int().argmax()))


def check_paths(scores: Tensor, mask: Tensor) -> None:
    """Check ``(S,)`` scores of paths, or log-partitions, of sentences with the words of ``mask (S, W)``.

    Raises:
        BadExampleError: If one is NaN (emissions are not finite) or infinite (no path is allowed).
    """
    not_finite = ~scores.isfinite()
    if not bool(not_finite.any()):
        return
    example = int(not_finite.int().argmax())
    if not bool(scores[example].isnan()):
        words = int(mask[example].sum())
        raise BadExampleError(f"no sequence of tags of example {{}} ({words} words) satisfies the constraints", example)
    check_finite(scores)


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

    def tables(self) -> list[Tensor]:
        """Return first, transitions and last without gradient, with -inf where forbidden."""
        return [
            score.detach() if allowed is None else score.detach().masked_fill(~allowed, float("-inf"))
            for score, allowed in zip(self[:3], self[3:], strict=True)
        ]
