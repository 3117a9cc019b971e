"""Report as one HTML file without references, rendered by the template ``report.html.jinja``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ner import highlight
from ner.config.parts import load_component
from ner.evaluation.evaluation import ADDITIONAL
from ner.evaluation.metrics.partial import RULES
from ner.evaluation.mistakes import MistakenSentence
from ner.report.charts import Line, line_chart
from ner.report.content import Content
from ner.runs.calibration import Reliability
from ner.runs.history import LEARNING_RATE
from ner.runtime import templates

MAX_SENTENCES = 10_000
"""Number of sentences in the error browser, at most; the page reports the number of others."""
MAX_MENTIONS = 40
"""Number of confused mentions in the table, at most."""
MAX_TAGS = 80
"""Number of tags above which the heat map of transitions is left out."""
KINDS = {
    "missing": "missed",
    "spurious": "spurious",
    "type": "wrong type",
    "boundary": "wrong boundary",
    "type_and_boundary": "wrong type and boundary",
}
"""Kinds of mistakes and their names on the page."""
SIDES = {-1: "too early", 0: "correct", 1: "too late"}


def render(content: Content) -> str:
    """Return the page."""
    mistakes, evaluation = content.mistakes, content.evaluation
    names = sorted({name for pair in mistakes.types for name in pair if name is not None})
    hues = highlight.colors(names)
    sentences = sorted(mistakes.sentences, key=lambda sentence: -sentence.confidence)[:MAX_SENTENCES]
    return (
        templates.environment(Path(__file__).parent)
        .get_template("report.html.jinja")
        .render(
            content=content,
            evaluation=evaluation,
            intervals=evaluation.intervals.scores if evaluation.intervals else {},
            rules=RULES,
            kinds=KINDS,
            sides=SIDES,
            labels=names,
            hues=hues,
            span_style=highlight.STYLE,
            mentions=mistakes.mentions.most_common(MAX_MENTIONS),
            max_tags=MAX_TAGS,
            largest_transition=_largest(content),
            shown=len(sentences),
            browser={"hues": hues, "kinds": KINDS, "sentences": [browser_entry(sentence) for sentence in sentences]},
            other_lines=_other_lines(evaluation.scores),
            calibration_chart=_calibration_chart(content),
            history_charts=_history_charts(content),
        )
    )


def browser_entry(sentence: MistakenSentence) -> dict[str, Any]:
    """Return a sentence as plain values; positions are in characters (code points)."""
    example = sentence.example
    text, gold = example.marked_text(sentence.gold)
    _, predicted = example.marked_text(sentence.predicted)
    return {
        "number": sentence.number,
        "place": example.location if example.source else "",
        "text": text,
        "gold": [_rounded(mark) for mark in gold],
        "predicted": [_rounded(mark) for mark in predicted],
        "mistakes": [[m.kind, m.gold, m.predicted, round(m.confidence, 4)] for m in sentence.mistakes],
    }


def _rounded(mark: highlight.Mark) -> list[Any]:
    return [mark.start, mark.end, mark.label, None if mark.score is None else round(mark.score, 4)]


def _other_lines(scores: Mapping[str, Any]) -> list[str]:
    """Return the lines of the metrics that have no table."""
    return [
        line
        for name in scores
        if name not in ("entity", *ADDITIONAL)
        for line in load_component("metrics", name).lines(scores[name])
    ]


def _largest(content: Content) -> float:
    """Return the largest absolute score of a transition."""
    if content.transitions is None:
        return 0.0
    rows = [content.transitions.first, *content.transitions.following, content.transitions.last]
    return max((abs(value) for row in rows for value in row if value is not None), default=0.0)


def _calibration_chart(content: Content) -> Any:
    confidence = content.evaluation.confidence
    if confidence is None or not confidence.reliability.bins:
        return None
    lines = [Line("perfect", [(0, 0), (1, 1)], "diagonal"), _reliability_line("this data", confidence.reliability)]
    unit_range = (0.0, 1.0)
    title = f"Precision by probability; expected calibration error {confidence.reliability.error:.4f}"
    return line_chart(title, lines, "probability", "precision", unit_range, unit_range)


def _reliability_line(name: str, reliability: Reliability) -> Line:
    points = [(part.probability, part.precision) for part in reliability.bins]
    return Line(name, points, sizes=[part.entities for part in reliability.bins])


def _history_charts(content: Content) -> list[tuple[str, Any]]:
    """Return heading and chart of the loss, the monitored score, and the learning rates."""
    history = content.history
    if not history:
        return []
    marks = {row["epoch"]: f"best epoch: {row['epoch']:.0f}" for row in history if row.get("best")}
    last_best = dict([*marks.items()][-1:])
    rate_columns = list(dict.fromkeys(key for row in history for key in row if key.startswith(LEARNING_RATE)))
    panels: list[tuple[str, list[tuple[str, str]]]] = [
        ("Loss", [("train", "train.loss"), ("validation", "valid.loss")])
    ]
    if content.monitor != "loss":
        score = content.monitor
        panels.append((score, [("train", f"train.{score}"), ("validation", f"valid.{score}")]))
    panels.append(("Learning rate", [(key.removeprefix(LEARNING_RATE), key) for key in rate_columns[:2]]))
    charts = []
    for heading, columns in panels:
        lines = [
            Line(name, [(row["epoch"], row[column]) for row in history if column in row], f"line-{number}")
            for number, (name, column) in enumerate(columns, 1)
        ]
        if any(line.points for line in lines):
            charts.append((heading, line_chart(f"{heading} by epoch", lines, "epoch", heading, marks=last_best)))
    return charts
