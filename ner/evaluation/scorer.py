"""Counts of gold and predicted examples, which add up and are divided once at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ner.config.parts import load_component
from ner.evaluation import bootstrap
from ner.evaluation.bootstrap import Intervals
from ner.evaluation.evaluation import Evaluation
from ner.evaluation.slices import natural_key
from ner.runtime.distributed import ProcessGroup
from ner.types import AnnotatedChunk, Example


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
