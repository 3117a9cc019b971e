"""Scores of gold and predicted examples: counts that add up, divided once at the end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ner.config.parts import load_component
from ner.errors import InputError
from ner.runtime.distributed import ProcessGroup
from ner.types import AnnotatedChunk, Example


@dataclass
class Evaluation:
    """Scores of a split.

    Attributes:
        loss: Sum of the mean losses of all parts.
        sentences, words: Number of examples and of their words.
        scores: Result of each metric by its name. A metric that counted nothing is missing.
        by: Metadata field -> value -> scores of the examples with that value.
    """

    loss: float
    sentences: int
    words: int
    scores: dict[str, Any]
    by: dict[str, dict[str, Evaluation]] = field(default_factory=dict)

    def to_json(self, split: str) -> dict[str, Any]:
        """Return the scores as plain values."""
        values = {"split": split, **self._counts(), "loss": self.loss, **self.scores}
        if self.by:
            values["by"] = {
                name: {value: {**part._counts(), **part.scores} for value, part in parts.items()}
                for name, parts in self.by.items()
            }
        return values

    def _counts(self) -> dict[str, int]:
        return {"sentences": self.sentences, "words": self.words}

    def lines(self, split: str) -> list[str]:
        """Return the log lines: the loss, a table of the scores by field, then one line per score."""
        parts = [(f"{name} {value}", part) for name, values in self.by.items() for value, part in values.items()]
        width = max((len(name) for name, _ in parts), default=0)
        digits = max((len(str(part.sentences)) for _, part in parts), default=0)
        lines = [f"{split} loss: {self.loss:.4f}"]
        for name, part in parts:
            last = [load_component("metrics", metric).lines(scores)[-1] for metric, scores in part.scores.items()]
            text = "; ".join(last) or "nothing to score"
            lines.append(f"{split} {name:<{width}} ({part.sentences:>{digits}}): {text}")
        for name, scores in self.scores.items():
            lines += [f"{split} {line}" for line in load_component("metrics", name).lines(scores)]
        return lines


class Scorer:
    """Counts of metrics, summed over examples, chunks and processes.

    Args:
        metrics: Names of files in ``ner/evaluation/metrics``.
        by: Metadata fields. Each of their values is also scored separately; a list counts for each of its items.
    """

    def __init__(self, metrics: Sequence[str], by: Sequence[str] = ()) -> None:
        self.metrics = {name: load_component("metrics", name) for name in metrics}
        self.by: dict[str, dict[str, Scorer]] = {name: {} for name in by}
        self.totals: dict[str, Counter[str]] = {name: Counter() for name in metrics}
        self.losses: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self.sentences = self.words = 0

    def add(self, gold: Sequence[Example], predicted: Sequence[Example]) -> None:
        """Count examples, which metrics of batches treat as one batch."""
        for name, metric in self.metrics.items():
            self.totals[name].update(metric.count(gold, predicted))
        self.sentences += len(gold)
        self.words += sum(len(example.words) for example in gold)
        for name, scorers in self.by.items():
            for left, right in zip(gold, predicted, strict=True):
                value = left.metadata.get(name, [])
                for item in value if isinstance(value, list) else [value]:
                    scorers.setdefault(str(item), Scorer(list(self.metrics))).add([left], [right])

    def add_loss(self, losses: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Add sums of losses by part, and the numbers of terms in these sums."""
        for part, loss in losses.items():
            self.losses[part] = self.losses.get(part, 0.0) + loss
        self.counts.update(counts)

    def add_chunk(self, chunk: AnnotatedChunk) -> None:
        """Count a chunk one example at a time, so that scores are independent of the batch size."""
        self.add_loss(chunk.losses, chunk.counts)
        for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
            for left, right in zip(gold.examples, predicted.examples, strict=True):
                self.add([left], [right])

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
        own, *others = process_group.all_gather_object(self.to_json())
        scorer = Scorer.from_json(list(self.metrics), own)
        for other in others:
            scorer.add_counts(other)
        return scorer

    def result(self) -> Evaluation:
        """Return the scores so far."""
        loss = sum(total / max(1, self.counts[part]) for part, total in self.losses.items())
        scores = {name: metric.scores(self.totals[name]) for name, metric in self.metrics.items() if self.totals[name]}
        by = {
            name: {value: scorers[value].result() for value in sorted(scorers, key=_natural)}
            for name, scorers in self.by.items()
        }
        return Evaluation(float(loss), self.sentences, self.words, scores, by)


def _natural(value: str) -> tuple[Any, ...]:
    """Return a sort key: numbers by value and first, other strings with their runs of digits by value."""
    if re.fullmatch("[+-]?[0-9]+([.][0-9]+)?", value):
        return (0, float(value), value)
    parts = re.split("([0-9]+)", value)  # text and digits alternate
    parts[1::2] = [digits.lstrip("0") for digits in parts[1::2]]
    return (1, [(len(part) if odd % 2 else 0, part) for odd, part in enumerate(parts)], value)


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
            known = ", ".join(value) if isinstance(value, dict) else "-"
            raise InputError(f"config.{key}: no score '{path}'; available instead of '{name}': {known}")
        value = value[name]
    if not isinstance(value, (int, float)):
        raise InputError(f"config.{key}: '{path}' is a group of scores: {', '.join(value)}")
    return float(value)
