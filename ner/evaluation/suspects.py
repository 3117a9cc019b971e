"""Gold annotations that a model doubts which was trained without them (confident learning, Northcutt et al., 2021)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ner.types import AnnotatedChunk, Example, Span


@dataclass(frozen=True)
class Suspect:
    """An annotation with the probability that a model gives it.

    Attributes:
        probability: Probability of the gold span. For a predicted span that overlaps no gold span, the probability that
            all its words are outside of entities.
        kind: ``type`` or ``boundary`` if an overlapping span is predicted, ``spurious`` if none is, ``missing`` for a
            predicted span without a gold one, ``agreed`` if the gold span is predicted.
        example: The gold sentence.
        gold: The gold span; None if it is missing.
        answer: Predicted spans that overlap it, with their probabilities.
    """

    probability: float
    kind: Literal["type", "boundary", "spurious", "missing", "agreed"]
    example: Example
    gold: Span | None
    answer: tuple[Span, ...]

    @property
    def place(self) -> Span:
        """The gold span, or the predicted one if there is none."""
        return self.gold or self.answer[0]


def suspects(chunks: Iterable[AnnotatedChunk]) -> list[Suspect]:
    """Return all annotations, the least probable first.

    Args:
        chunks: Predictions with probabilities of predicted and of gold spans (``TagQuery.gold``), by models that have
            not seen the sentences.
    """
    candidates: list[Suspect] = []
    for chunk in chunks:
        for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
            for gold_example, prediction in zip(gold.examples, predicted.examples, strict=True):
                candidates += _of_sentence(gold_example, prediction)
    return sorted(candidates, key=lambda suspect: suspect.probability)  # stable: in the order of the data


def _of_sentence(gold: Example, predicted: Example) -> list[Suspect]:
    assert predicted.probabilities is not None, "requested by the caller"
    candidates = []
    for span, probability in zip(gold.spans, predicted.probabilities.gold, strict=True):
        answer = tuple(other for other in predicted.spans if _overlap(span, other))
        if span in answer:
            kind: Literal["type", "boundary", "spurious", "missing", "agreed"] = "agreed"
        elif not answer:
            kind = "spurious"
        else:
            kind = "type" if any((span.start, span.end) == (o.start, o.end) for o in answer) else "boundary"
        candidates.append(Suspect(probability, kind, gold, span, answer))
    for span, outside in zip(predicted.spans, predicted.probabilities.outside, strict=True):
        if not any(_overlap(span, other) for other in gold.spans):
            candidates.append(Suspect(outside, "missing", gold, None, (span,)))
    return candidates


def _overlap(first: Span, second: Span) -> bool:
    return first.start < second.end and second.start < first.end
