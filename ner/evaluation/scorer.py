"""Scores of gold and predicted examples: counts that add up, divided once at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from ner.config.parts import load_component
from ner.errors import InputError
from ner.evaluation import bootstrap
from ner.evaluation.bootstrap import Intervals
from ner.evaluation.slices import Slices, natural_key
from ner.runs.calibration import ChosenThreshold, Reliability
from ner.runtime.distributed import ProcessGroup
from ner.runtime.nested import leaves
from ner.types import AnnotatedChunk, Example

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
class Selected(ChosenThreshold):
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
    selected: Selected | None = None


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


class Scorer:
    """Counts of metrics, summed over examples, chunks and processes.

    Args:
        metrics: Names of files in ``ner/evaluation/metrics``, or metrics by name.
        by: Metadata fields. Each of their values is also scored separately; a list counts for each of its items.
        keep_units: Keep the counts of each document and each sentence, for intervals and comparisons.
    """

    def __init__(
        self, metrics: Sequence[str] | Mapping[str, Any], by: Sequence[str] = (), keep_units: bool = False
    ) -> None:
        by_name = (
            metrics if isinstance(metrics, Mapping) else {name: load_component("metrics", name) for name in metrics}
        )
        self.metrics: dict[str, Any] = dict(by_name)
        self.by: dict[str, dict[str, Scorer]] = {name: {} for name in by}
        self.keep_units = keep_units
        self.sentence_counts: list[dict[str, Counter[str]]] = []
        self.document_starts: list[int] = []
        self.totals: dict[str, Counter[str]] = {name: Counter() for name in metrics}
        self.losses: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self.sentences = self.words = 0

    def add(self, gold: Sequence[Example], predicted: Sequence[Example]) -> None:
        """Count examples, which metrics of batches treat as one batch."""
        counts_by_metric = {name: metric.count(gold, predicted) for name, metric in self.metrics.items()}
        for name, counts in counts_by_metric.items():
            self.totals[name].update(counts)
        if self.keep_units:
            self.sentence_counts.append(counts_by_metric)
        self.sentences += len(gold)
        self.words += sum(len(example.words) for example in gold)
        for name, scorers in self.by.items():
            for gold_example, prediction in zip(gold, predicted, strict=True):
                value = gold_example.metadata.get(name, [])
                for item in value if isinstance(value, list) else [value]:
                    if (scorer := scorers.get(str(item))) is None:
                        scorer = scorers[str(item)] = Scorer(self.metrics, keep_units=self.keep_units)
                        scorer.start_document()
                    scorer.add([gold_example], [prediction])

    def start_document(self) -> None:
        """Begin a document; the following examples belong to it."""
        if self.keep_units:
            self.document_starts.append(len(self.sentence_counts))
        for scorers in self.by.values():
            for scorer in scorers.values():
                scorer.start_document()

    def add_loss(self, losses: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Add sums of losses by part, and the numbers of terms in these sums."""
        for part, loss in losses.items():
            self.losses[part] = self.losses.get(part, 0.0) + loss
        self.counts.update(counts)

    def add_chunk(self, chunk: AnnotatedChunk) -> None:
        """Count a chunk one example at a time, so that scores are independent of the batch size."""
        self.add_loss(chunk.losses, chunk.counts)
        for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
            self.start_document()
            for gold_example, prediction in zip(gold.examples, predicted.examples, strict=True):
                self.add([gold_example], [prediction])

    def add_counts(self, other: Mapping[str, Any]) -> None:
        """Add the counts of another scorer of the same metrics, without losses; see :meth:`to_json`."""
        for name, totals in self.totals.items():
            totals.update(other["totals"][name])
        self.sentences += other["sentences"]
        self.words += other["words"]

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain values, without the scores by field."""
        state = {"totals": self.totals, "losses": self.losses, "counts": self.counts}
        return {**state, "sentences": self.sentences, "words": self.words}

    @classmethod
    def from_json(cls, metrics: Sequence[str], value: Mapping[str, Any]) -> Scorer:
        """Restore a scorer from the value of :meth:`to_json`."""
        scorer = cls(metrics)
        scorer.add_counts(value)
        scorer.losses = dict(value["losses"])
        scorer.counts = Counter(value["counts"])
        return scorer

    def all_reduce(self, process_group: ProcessGroup) -> Scorer:
        """Return a scorer with the counts of all processes. The losses are already global and are not summed."""
        own_state, *other_states = process_group.all_gather_object(self.to_json())
        scorer = Scorer.from_json(list(self.metrics), own_state)
        for state in other_states:
            scorer.add_counts(state)
        return scorer

    def result(self) -> Evaluation:
        """Return the scores so far."""
        loss = sum(total / max(1, self.counts[part]) for part, total in self.losses.items())
        scores = {name: metric.scores(self.totals[name]) for name, metric in self.metrics.items() if self.totals[name]}
        by = {
            name: {value: scorers[value].result() for value in sorted(scorers, key=natural_key)}
            for name, scorers in self.by.items()
        }
        return Evaluation(float(loss), self.sentences, self.words, scores, by)

    def units(self) -> tuple[str, list[dict[str, Counter[str]]]]:
        """Return the unit of resampling and the counts of each unit by metric.

        The unit is a document, because the sentences of a document resemble each other. Few documents are replaced by
        their sentences.
        """
        starts = sorted({*self.document_starts} - {len(self.sentence_counts)})
        if len(starts) < bootstrap.FEW_DOCUMENTS:
            return "sentence", self.sentence_counts
        bounds = pairwise([*starts, len(self.sentence_counts)])
        document_counts = [
            {name: bootstrap.total(unit[name] for unit in self.sentence_counts[start:stop]) for name in self.metrics}
            for start, stop in bounds
        ]
        return "document", document_counts

    def intervals(self, resamples: int = bootstrap.RESAMPLES, seed: int = 1) -> Intervals:
        """Return the intervals of all scores, without those by field; requires ``keep_units``."""
        unit, counts = self.units()
        scores = {name: metric.scores for name, metric in self.metrics.items() if self.totals[name]}
        return bootstrap.intervals(unit, counts, scores, resamples, seed)

    def result_with_intervals(self, resamples: int = bootstrap.RESAMPLES, seed: int = 1) -> Evaluation:
        """Return the scores so far with their intervals, also those by field; requires ``keep_units``."""
        evaluation = self.result()
        evaluation.intervals = self.intervals(resamples, seed)
        for name, scorers in self.by.items():
            for value, scorer in scorers.items():
                evaluation.by[name][value].intervals = scorer.intervals(resamples, seed)
        return evaluation


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
