"""Scores of a split with their log lines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ner.config.parts import load_component
from ner.errors import InputError
from ner.evaluation import bootstrap
from ner.evaluation.bootstrap import Intervals
from ner.evaluation.slices import Slices
from ner.runs.calibration import ChosenThreshold, Reliability
from ner.runtime.nested import leaves

F1 = ("f1", "weighted_f1", "accuracy")
"""Last names of the scores whose intervals are logged."""
ADDITIONAL = ("modes", "partial", "slices")
"""Metrics whose intervals are logged on request only."""


@dataclass(frozen=True)
class Reading:
    """Rules by which entities were read from tags.

    Attributes:
        mode: See :func:`ner.data.tags.read_as`.
        gold_schemes: Tagging schemes of the files.
        predicted_scheme: Tagging scheme of the decoder.
    """

    mode: str
    gold_schemes: tuple[str, ...]
    predicted_scheme: str


@dataclass(frozen=True)
class ThresholdScores(ChosenThreshold):
    """Scores of the predicted entities whose probability reaches a threshold.

    Attributes:
        kept: Number of these entities.
        precision: Share of correct ones among them.
        recall: Share of the gold entities that they find.
    """

    kept: int
    precision: float
    recall: float


@dataclass(frozen=True)
class Confidence:
    """Quality of the probabilities of predicted entities.

    Attributes:
        reliability: Agreement of probabilities with precision.
        selected: Scores with a threshold, if one was chosen.
    """

    reliability: Reliability
    selected: ThresholdScores | None = None


@dataclass
class Evaluation:
    """Scores of a split.

    Attributes:
        loss: Sum of the mean losses of all parts.
        sentences, words: Number of examples and of their words.
        scores: Result of each metric by its name. A metric that counted nothing is missing.
        by: Metadata field -> value -> scores of the examples with that value.
        intervals: Bootstrap intervals of the scores, if they were requested.
        reading: Rules by which entities were read, if there are entity scores.
        confidence: Quality of the probabilities of entities, if they were computed.
    """

    loss: float
    sentences: int
    words: int
    scores: dict[str, Any]
    by: dict[str, dict[str, Evaluation]] = field(default_factory=dict)
    intervals: Intervals | None = None
    reading: Reading | None = None
    confidence: Confidence | None = None

    def to_json(self, split: str) -> dict[str, Any]:
        """Return the scores as plain values."""
        values = {"split": split, **self._counts(), "loss": self.loss, **self.scores}
        if self.by:
            values["by"] = {
                name: {value: {**part._counts(), **part.scores, **part._intervals()} for value, part in parts.items()}
                for name, parts in self.by.items()
            }
        reading = {} if self.reading is None else {"reading": asdict(self.reading)}
        confidence = {} if self.confidence is None else {"confidence": asdict(self.confidence)}
        return {**values, **reading, **confidence, **self._intervals()}

    def _counts(self) -> dict[str, int]:
        return {"sentences": self.sentences, "words": self.words}

    def _intervals(self) -> dict[str, Any]:
        return {} if self.intervals is None else {"intervals": asdict(self.intervals)}

    def lines(self, split: str) -> list[str]:
        """Return the log lines: the loss, a table of the scores by field, then one line per score."""
        parts = [(f"{name} {value}", part) for name, values in self.by.items() for value, part in values.items()]
        width = max((len(name) for name, _ in parts), default=0)
        digits = max((len(str(part.sentences)) for _, part in parts), default=0)
        lines = [f"{split} loss: {self.loss:.4f}"]
        for name, part in parts:
            last_lines = [load_component("metrics", metric).lines(scores)[-1] for metric, scores in part.scores.items()]
            text = "; ".join(last_lines) or "nothing to score"
            lines.append(f"{split} {name:<{width}} ({part.sentences:>{digits}}): {text}")
        for name, scores in self.scores.items():
            lines += [f"{split} {line}" for line in _lines(name, scores)]
        if self.reading is not None:
            gold, predicted = ", ".join(self.reading.gold_schemes), self.reading.predicted_scheme
            lines.append(f"{split} entity mode: {self.reading.mode}; scheme: gold {gold}, predicted {predicted}")
        if self.confidence is not None:
            lines.append(f"{split} entity calibration error: {self.confidence.reliability.error:.4f}")
            if (selected := self.confidence.selected) is not None:
                lines.append(
                    f"{split} entities with a probability of at least {selected.probability:.4f}: {selected.kept}, "
                    f"precision: {selected.precision:.4f}, recall: {selected.recall:.4f} (on the calibration data "
                    f"{selected.calibrated_precision:.4f} and {selected.calibrated_recall:.4f})"
                )
        return lines

    def interval_lines(self, split: str, details: bool = False) -> list[str]:
        """Return one log line for each metric with the intervals of its F1; with ``details``, one line per F1."""
        if self.intervals is None:
            return []
        lines = []
        source = f"{self.intervals.resamples:,} resamples of {self.intervals.units:,} {self.intervals.unit}s"
        parts: list[tuple[str, Evaluation]] = [("", self)]
        if details:
            parts += [(f"{name} {value} ", part) for name, values in self.by.items() for value, part in values.items()]
        for prefix, part in parts:
            for metric, scores in (part.intervals.scores if part.intervals else {}).items():
                score_bounds = [
                    (".".join(path), bootstrap.value_at(part.scores[metric], path), pair)
                    for path, pair in leaves(scores)
                    if path[-1] in F1 and (details or len(path) <= 2)
                ]
                texts = [f"{path} {value:.4f} ({low:.4f} to {high:.4f})" for path, value, (low, high) in score_bounds]
                if details:
                    lines += [f"{split} {prefix}{metric} {text}" for text in texts]
                elif metric not in ADDITIONAL and texts:
                    lines.append(f"{split} {metric} {self.intervals.level:.0%} interval: {', '.join(texts)}; {source}")
        return lines


def _lines(metric: str, scores: Any) -> list[str]:
    return Slices.lines(scores) if metric == "slices" else load_component("metrics", metric).lines(scores)


def monitored(evaluation: Evaluation, path: str, key: str = "training.monitor") -> float:
    """Return the score at a path such as ``entity.micro.f1``; for ``loss`` the negated loss, so that higher is better.

    Raises:
        InputError: If there is no such score; the message contains ``key``, the key of the configuration.
    """
    if path == "loss":
        return -evaluation.loss
    value: Any = evaluation.scores
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            available = ", ".join(value) if isinstance(value, dict) else "-"
            raise InputError(f"config.{key}: no score '{path}'; available instead of '{name}': {available}")
        value = value[name]
    if not isinstance(value, (int, float)):
        raise InputError(f"config.{key}: '{path}' is a group of scores: {', '.join(value)}")
    return float(value)
