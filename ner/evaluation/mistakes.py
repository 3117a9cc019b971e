"""Mistakes of a model: confused types, boundaries and mentions, and the sentences that contain them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ner.evaluation.matching import Error, match
from ner.types import AnnotatedChunk, Example, Span


class Confusion(NamedTuple):
    """A gold and a predicted entity that are compared; None stands for no entity."""

    gold: str | None
    predicted: str | None


class MentionConfusion(NamedTuple):
    """Texts and types of a gold and a predicted entity that differ; None stands for no entity."""

    gold_text: str | None
    gold: str | None
    predicted_text: str | None
    predicted: str | None


@dataclass(frozen=True)
class Mistake:
    """A gold entity without an equal predicted one, or the reverse.

    Attributes:
        kind: See :attr:`ner.evaluation.matching.Pair.error`.
        gold, predicted: Positions in ``MistakenSentence.gold`` and ``predicted``; None for no entity.
        confidence: Probability of the predicted entity; if none is predicted, 1 minus that of the gold entity.
    """

    kind: Error
    gold: int | None
    predicted: int | None
    confidence: float


@dataclass(frozen=True)
class MistakenSentence:
    """A sentence with its mistakes.

    Attributes:
        number: Number of the sentence in the data, from 0.
        example: The gold sentence.
        gold, predicted: Its entities with their probabilities.
        mistakes: At least one, the most confident first.
    """

    number: int
    example: Example
    gold: Sequence[Span]
    predicted: Sequence[Span]
    mistakes: Sequence[Mistake]

    @property
    def confidence(self) -> float:
        """Confidence of the most confident mistake."""
        return self.mistakes[0].confidence


@dataclass
class Mistakes:
    """Counts of mistakes, and the sentences that contain them.

    Attributes:
        kinds: Pairs of gold and predicted entities by kind of error, with ``correct``.
        types: Pairs by gold and predicted type.
        boundaries: Pairs of overlapping entities by the sides of their boundaries: -1 if the predicted one starts
            (ends) before the gold one, 0 if both are equal, 1 if it starts (ends) behind it.
        mentions: Mistakes by text and type.
        sentences: In the order of the data.
        read: Number of all sentences.
    """

    kinds: Counter[Error] = field(default_factory=Counter)
    types: Counter[Confusion] = field(default_factory=Counter)
    boundaries: Counter[tuple[int, int]] = field(default_factory=Counter)
    mentions: Counter[MentionConfusion] = field(default_factory=Counter)
    sentences: list[MistakenSentence] = field(default_factory=list)
    read: int = 0

    def add_chunk(self, chunk: AnnotatedChunk) -> None:
        """Count a chunk with probabilities of predicted and, by ``TagQuery.gold``, of gold entities."""
        for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
            for gold_example, prediction in zip(gold.examples, predicted.examples, strict=True):
                self._add(gold_example, prediction)

    def _add(self, example: Example, predicted: Example) -> None:
        scores = predicted.probabilities.gold if predicted.probabilities is not None else []
        gold = [replace(span, score=score) for span, score in zip(example.spans, scores, strict=True)]
        mistakes = []
        for pair in match(gold, predicted.spans):
            left, right = pair
            labels = Confusion(*(None if span is None else span.label for span in pair))
            self.kinds[pair.error] += 1
            self.types[labels] += 1
            if left and right:
                self.boundaries[_sign(right.start - left.start), _sign(right.end - left.end)] += 1
            if pair.error == "correct":
                continue
            texts = [None if span is None else _text(example, span) for span in pair]
            self.mentions[MentionConfusion(texts[0], labels.gold, texts[1], labels.predicted)] += 1
            missed = 1 - (left.score or 0.0) if left else 0.0
            mistakes.append(
                Mistake(
                    pair.error,
                    gold.index(left) if left else None,
                    predicted.spans.index(right) if right else None,
                    (right.score or 0.0) if right else missed,
                )
            )
        if mistakes:
            mistakes.sort(key=lambda mistake: -mistake.confidence)  # stable: in the order of the sentence
            self.sentences.append(MistakenSentence(self.read, example, gold, predicted.spans, mistakes))
        self.read += 1

    @property
    def number(self) -> int:
        """Number of mistakes."""
        return self.kinds.total() - self.kinds["correct"]


def _text(example: Example, span: Span) -> str:
    text, [mark] = example.marked_text([span])
    return text[mark.start : mark.end]


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
