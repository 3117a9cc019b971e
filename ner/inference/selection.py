"""Selection of the sentences that are most worth annotating (uncertainty sampling, Settles, 2009)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from ner.types import Document, Example

Strategy = Literal["entropy", "margin"]
POOL = 10
"""Candidates for each selected sentence, among which diverse ones are chosen."""


class Selected(NamedTuple):
    """A sentence with its uncertainty: the entropy in nats, or 1 minus the margin."""

    example: Example
    uncertainty: float


def select(documents: Iterable[Document], count: int, strategy: Strategy, diversity: float) -> list[Selected]:
    """Return the most uncertain sentences, without repetitions.

    Args:
        documents: Predicted documents with their uncertainty (``TagQuery.uncertainty``).
        count: Number of sentences.
        strategy: Measure of uncertainty.
        diversity: Weight of the similarity to sentences that are already selected, from 0 to 1: sentences are chosen
            one by one by maximal marginal relevance (Carbonell and Goldstein, 1998). The similarity is the share of
            common words.
    """
    distinct: dict[tuple[str, ...], Selected] = {}
    for document in documents:
        for example in document.examples:
            probabilities = example.probabilities
            if probabilities is not None and example.words:
                uncertainty = probabilities.entropy if strategy == "entropy" else 1 - probabilities.margin
                distinct.setdefault(tuple(example.words), Selected(example, uncertainty))
    ordered = sorted(distinct.values(), key=lambda item: -item.uncertainty)  # stable
    return _diverse(ordered[: POOL * count], count, diversity) if diversity else ordered[:count]


def _diverse(pool: Sequence[Selected], count: int, weight: float) -> list[Selected]:
    words = [frozenset(word.lower() for word in item.example.words) for item in pool]
    max_uncertainty = max((item.uncertainty for item in pool), default=0.0) or 1.0
    similarity = [0.0] * len(pool)
    remaining = set(range(len(pool)))
    selection: list[Selected] = []
    while remaining and len(selection) < count:
        best = max(
            remaining, key=lambda n: ((1 - weight) * pool[n].uncertainty / max_uncertainty - weight * similarity[n], -n)
        )
        remaining.remove(best)
        selection.append(pool[best])
        for number in remaining:
            overlap = len(words[number] & words[best]) / len(words[number] | words[best])
            similarity[number] = max(similarity[number], overlap)
    return selection
