"""Content of a small report, without a model."""

from __future__ import annotations

from dataclasses import replace

from ner.evaluation.evaluation import Confidence, Evaluation, Reading
from ner.evaluation.metrics import modes, partial
from ner.evaluation.mistakes import Mistakes
from ner.evaluation.reliability import reliability
from ner.evaluation.scorer import Scorer
from ner.report.content import Content, Transitions
from ner.types import AnnotatedChunk, Document, Example, Span, TagProbabilities

SCRIPT = "<script>document.title='taken'</script>"
SENTENCES: list[tuple[list[str], list[Span], list[Span]]] = [
    (["Ann", "met", "Bob", "."], [Span(0, 1, "PER"), Span(2, 3, "PER")], [Span(0, 1, "PER", 0.99)]),
    (["In", "New", "York", "City"], [Span(1, 4, "LOC")], [Span(1, 3, "LOC", 0.7)]),
    (["Paris", "won"], [Span(0, 1, "ORG")], [Span(0, 1, "LOC", 0.95)]),
    (["The", "weather", "</script>", SCRIPT], [], [Span(3, 4, "ORG", 0.6)]),
    (["ذهب", "أحمد", "إلى", "القاهرة"], [Span(1, 2, "PER")], [Span(3, 4, "LOC", 0.8), Span(1, 2, "PER", 0.9)]),
    ([*"他在北京😀工作"], [Span(2, 4, "LOC")], [Span(2, 5, "ORG", 0.55)]),
    (["Ann", "slept"], [Span(0, 1, "PER")], [Span(0, 1, "PER", 0.98)]),
]
"""Words, gold and predicted spans: missed, boundary, type, spurious, right to left, Chinese with an emoji, correct."""
GOLD_PROBABILITY = 0.25


def chunk(copies: int = 1) -> AnnotatedChunk:
    gold, predicted = [], []
    for number, (words, left, right) in enumerate(SENTENCES * copies, 1):
        example = Example(words, left, source="test.conll", line=number)
        answer = replace(
            example, spans=right, probabilities=TagProbabilities(-1.0, gold=[GOLD_PROBABILITY] * len(left))
        )
        gold.append(Document([example]))
        predicted.append(Document([answer]))
    return AnnotatedChunk(gold, predicted)


def mistakes(copies: int = 1) -> Mistakes:
    found = Mistakes()
    found.add_chunk(chunk(copies))
    return found


def content(copies: int = 1) -> Content:
    data = chunk(copies)
    scorer = Scorer(["entity"], keep_units=True)
    scorer.add_chunk(data)
    evaluation: Evaluation = scorer.result_with_intervals(resamples=20)
    others = Scorer({"modes": modes, "partial": partial})
    others.add_chunk(data)
    evaluation.scores |= others.result().scores
    spans = [(span.score or 0.0, span in left) for _, left, right in SENTENCES for span in right]
    evaluation.confidence = Confidence(reliability(spans))
    evaluation.reading = Reading("conlleval", ("bio",), "bio")
    history = [
        {"epoch": 1.0, "train.loss": 0.5, "valid.loss": 0.6, "valid.entity.micro.f1": 0.5, "learning_rate.all": 0.1},
        {"epoch": 2.0, "train.loss": 0.3, "valid.loss": 0.7, "valid.entity.micro.f1": 0.6, "best": 1.0},
    ]
    chain = Transitions(["O", "B-<b>"], [0.5, -0.25], [[1.0, None], [-2.0, 0.0]], [0.0, 1.5])
    return Content(
        f"run: {SCRIPT}", {"run": "<i>run</i>"}, evaluation, mistakes(copies), ["a <notice>"], chain, history=history
    )
