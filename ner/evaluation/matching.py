"""Pairs of gold and predicted entities, and the kind of error of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from ner.types import Span

Error = Literal["correct", "type", "boundary", "type_and_boundary", "missing", "spurious"]


class Pair(NamedTuple):
    """A gold entity and the predicted one that is compared with it; one of both is None if there is none."""

    gold: Span | None
    predicted: Span | None

    @property
    def error(self) -> Error:
        """Kind of the error, or ``correct``."""
        if self.gold is None:
            return "spurious"
        if self.predicted is None:
            return "missing"
        same_type = self.gold.label == self.predicted.label
        if (self.gold.start, self.gold.end) == (self.predicted.start, self.predicted.end):
            return "correct" if same_type else "type"
        return "boundary" if same_type else "type_and_boundary"


def match(gold: Iterable[Span], predicted: Iterable[Span]) -> list[Pair]:
    """Return pairs in which each entity occurs once, by position.

    Equal entities are paired first, then those with equal boundaries, then overlapping ones: those of one type before
    others, long overlaps before short ones, and first ones before later ones.
    """
    gold_spans, predicted_spans = sorted(set(gold)), sorted(set(predicted))
    candidates = []
    for i, left in enumerate(gold_spans):
        for j, right in enumerate(predicted_spans):
            overlap = min(left.end, right.end) - max(left.start, right.start)
            if overlap > 0:
                exact = left.start == right.start and left.end == right.end
                candidates.append(
                    (
                        not (exact and left.label == right.label),
                        not exact,
                        left.label != right.label,
                        -overlap,
                        i,
                        j,
                    )
                )
    pairs, used = [], (set[int](), set[int]())
    for *_, i, j in sorted(candidates):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            pairs.append(Pair(gold_spans[i], predicted_spans[j]))
    pairs += [Pair(span, None) for i, span in enumerate(gold_spans) if i not in used[0]]
    pairs += [Pair(None, span) for j, span in enumerate(predicted_spans) if j not in used[1]]
    return sorted(pairs, key=lambda pair: pair.gold or pair.predicted or Span(0, 0, ""))
