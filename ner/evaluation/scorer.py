"""Scorer: counts of metrics, added up over examples, chunks and processes."""

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

    ``scores`` holds the result of each metric that has counted anything under its name; ``loss`` is the mean over
    what was counted, parts added; ``by`` has scores for the values of fields, where they were asked for.
    """

    loss: float
    sentences: int
    words: int
    scores: dict[str, Any]
    by: dict[str, dict[str, Evaluation]] = field(default_factory=dict)

    def to_json(self, split: str) -> dict[str, Any]:
        """Plain values, for people and programs that read them."""
        found = {"split": split, **self._counts(), "loss": self.loss, **self.scores}
        if self.by:
            found["by"] = {
                name: {value: {**part._counts(), **part.scores} for value, part in parts.items()}
                for name, parts in self.by.items()
            }
        return found

    def _counts(self) -> dict[str, int]:
        return {"sentences": self.sentences, "words": self.words}

    def lines(self, split: str) -> list[str]:
        """What the log says: a line for each value of a field, as a table, then one line per figure."""
        parts = [(f"{name} {value}", part) for name, values in self.by.items() for value, part in values.items()]
        width = max((len(name) for name, _ in parts), default=0)
        digits = max((len(str(part.sentences)) for _, part in parts), default=0)
        found = [f"{split} loss: {self.loss:.4f}"]
        for name, part in parts:
            shown = [load_component("metrics", metric).lines(scores)[-1] for metric, scores in part.scores.items()]
            text = "; ".join(shown) or "nothing to score"
            found.append(f"{split} {name:<{width}} ({part.sentences:>{digits}}): {text}")
        for name, scores in self.scores.items():
            found += [f"{split} {line}" for line in load_component("metrics", name).lines(scores)]
        return found


class Scorer:
    """Adds up counts; divides once.

    Args:
        metrics: Names of files in ``ner/evaluation/metrics``.
        by: Names of fields; examples are counted for each value of such a field, too. Of a list every item counts.
    """

    def __init__(self, metrics: Sequence[str], by: Sequence[str] = ()) -> None:
        self.metrics = {name: load_component("metrics", name) for name in metrics}
        self.by: dict[str, dict[str, Scorer]] = {name: {} for name in by}
        self.totals: dict[str, Counter[str]] = {name: Counter() for name in metrics}
        self.losses: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self.sentences = self.words = 0

    def add(self, gold: Sequence[Example], predicted: Sequence[Example]) -> None:
        """Count examples that are scored at once."""
        for name, metric in self.metrics.items():
            self.totals[name].update(metric.count(gold, predicted))
        self.sentences += len(gold)
        self.words += sum(len(example.words) for example in gold)
        for name, scorers in self.by.items():
            for left, right in zip(gold, predicted, strict=True):
                for value in _values(left, name):
                    scorers.setdefault(value, Scorer(list(self.metrics))).add([left], [right])

    def add_loss(self, losses: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Add sums of the loss, and what they are summed over."""
        for part, loss in losses.items():
            self.losses[part] = self.losses.get(part, 0.0) + loss
        self.counts.update(counts)

    def add_chunk(self, chunk: AnnotatedChunk) -> None:
        """Count a chunk example by example, so that batches cannot change a score."""
        self.add_loss(chunk.losses, chunk.counts)
        for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
            for left, right in zip(gold.examples, predicted.examples, strict=True):
                self.add([left], [right])

    def add_counts(self, other: Mapping[str, Any]) -> None:
        """Add what another scorer of the same metrics has counted, see :meth:`to_json`; losses are not added."""
        for name, totals in self.totals.items():
            totals.update(other["totals"][name])
        self.sentences += other["sentences"]
        self.words += other["words"]

    def to_json(self) -> dict[str, Any]:
        """Everything so far as plain values."""
        kept = {"totals": self.totals, "losses": self.losses, "counts": self.counts}
        return {**kept, "sentences": self.sentences, "words": self.words}

    @classmethod
    def from_json(cls, metrics: Sequence[str], value: Mapping[str, Any]) -> Scorer:
        """The reverse of :meth:`to_json`."""
        scorer = cls(metrics)
        scorer.add_counts(value)
        scorer.losses = dict(value["losses"])
        scorer.counts = Counter(value["counts"])
        return scorer

    def all_reduce(self, process_group: ProcessGroup) -> Scorer:
        """What all processes have counted; the losses are already those of all."""
        mine, *others = process_group.all_gather_object(self.to_json())
        scorer = Scorer.from_json(list(self.metrics), mine)
        for other in others:
            scorer.add_counts(other)
        return scorer

    def result(self) -> Evaluation:
        """Scores of everything so far; of a metric that has counted nothing there are none."""
        loss = sum(total / max(1, self.counts[part]) for part, total in self.losses.items())
        scores = {name: metric.scores(self.totals[name]) for name, metric in self.metrics.items() if self.totals[name]}
        by = {
            name: {value: scorers[value].result() for value in sorted(scorers, key=_natural)}
            for name, scorers in self.by.items()
        }
        return Evaluation(float(loss), self.sentences, self.words, scores, by)


def _natural(value: str) -> tuple[Any, ...]:
    """Sorts numbers as numbers, before everything else; in other values, runs of digits by their number."""
    if re.fullmatch("[+-]?[0-9]+([.][0-9]+)?", value):
        return (0, float(value), value)
    parts = re.split("([0-9]+)", value)  # text and digits in turn
    parts[1::2] = [digits.lstrip("0") for digits in parts[1::2]]
    return (1, [(len(part) if odd % 2 else 0, part) for odd, part in enumerate(parts)], value)


def _values(example: Example, name: str) -> list[str]:
    """What the field of an example says; nothing where it has no such field."""
    value = example.metadata.get(name, [])
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


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
