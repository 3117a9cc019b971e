"""Evaluation of a model on a file: scores, overlap with the training data, notices, and the seqeval check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ner.data import seen, statistics
from ner.errors import InputError
from ner.evaluation.scorer import Evaluation, Scorer
from ner.evaluation.seqeval_check import SeqevalCheck
from ner.model.model import Model
from ner.types import AnnotatedChunk, Document


class Evaluator:
    """Scores of annotated chunks, with the facts that limit what the scores mean.

    Args:
        metrics: Names of files in ``ner/evaluation/metrics``.
        model: The model that annotates.
        by: Metadata fields; each of their values is scored separately.
        trained_on: Hashes of the training sentences, see :mod:`ner.data.seen`; None if unknown.
        unseen: Score also the sentences that are not in ``trained_on``.
        seqeval: Compare the entity scores with seqeval.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        model: Model,
        by: Sequence[str] = (),
        trained_on: np.ndarray | None = None,
        unseen: bool = False,
        seqeval: bool = False,
    ) -> None:
        self.scorer, self.model, self.trained_on = Scorer(metrics, by), model, trained_on
        self.unseen = Scorer(metrics) if unseen else None
        self.seqeval = SeqevalCheck() if seqeval else None
        self.statistics = statistics.DocumentStatistics()
        self.input_warnings: Counter[str] = Counter()
        self.num_seen = 0
        self.has_gold = False

    def score(self, chunks: Iterable[AnnotatedChunk]) -> Iterator[Document]:
        """Yield the predicted documents after scoring them."""
        for chunk in chunks:
            self.scorer.add_chunk(chunk)
            for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
                self._add(gold, predicted)
                yield predicted

    def _add(self, gold: Document, predicted: Document) -> None:
        self.statistics.add(gold)
        self.input_warnings += self.model.input_warnings(gold)
        self.has_gold = self.has_gold or any(e.tags or e.labels or e.answers for e in gold.examples)
        if self.seqeval is not None:
            self.seqeval.add(gold.examples, predicted.examples)
        if self.trained_on is not None:
            known = seen.seen(gold.examples, self.trained_on)
            self.num_seen += sum(known)
            for left, right, is_known in zip(gold.examples, predicted.examples, known, strict=True):
                if self.unseen is not None and not is_known:
                    self.unseen.add([left], [right])

    def check(self, source: str, required: Collection[str] = ()) -> None:
        """Check that there was something to score.

        Args:
            source: Path of the file.
            required: Metadata fields that an example must have. Other missing fields are reported by :meth:`lines`.

        Raises:
            InputError: If the file has no gold annotations, or no example has a required field.
        """
        if not self.has_gold:
            raise InputError(f"{source}: expected gold tags, labels or answers to score, found none; use ner predict")
        for field in self._missing():
            if field in required:
                raise InputError(f"--by {field}: no example of {source} has a field of that name")

    def _missing(self) -> list[str]:
        return [field for field, values in self.scorer.by.items() if not values]

    def result(self) -> Evaluation:
        """Return the scores so far."""
        return self.scorer.result()

    def warnings(self, name: str) -> list[str]:
        """Return log lines about sentences and labels that distort the scores."""
        lines = []
        if self.num_seen:
            lines.append(f"{name}: {self.num_seen} of {self.scorer.sentences} sentences occur in the training data")
        if labels := self._notable().get("unseen_labels"):
            lines.append(f"{name}: {statistics.format_unseen(labels)}")
        return lines

    def lines(self, name: str) -> list[str]:
        """Return the log lines, one per score or notice.

        Raises:
            InputError: If the scores differ from seqeval's.
        """
        result = self.result()
        lines = result.lines(name)
        if self.unseen is not None:
            unseen = self.unseen.result()
            lines.append(f"{name}: {unseen.sentences} of {result.sentences} sentences are unseen")
            lines += unseen.lines(f"{name} unseen")[1:]  # without the loss, which is a sum over batches
        notable = self._notable()
        for kind in ("remarks", "coverage"):
            lines += [f"{name}: {count} {notice}" for notice, count in notable.get(kind, {}).items()]
        lines += [f"{name}: no example has the field {field}; scores by it are skipped" for field in self._missing()]
        if self.seqeval is not None:
            lines.append(self.seqeval.compare(result.scores["entity"]))
        return lines

    def to_json(self, name: str) -> dict[str, Any]:
        """Return scores, counts and notices as plain values."""
        values = {**self.result().to_json(name), **self._notable()}
        if self.unseen is not None:
            unseen = self.unseen.result()
            values["unseen"] = {"sentences": unseen.sentences, "words": unseen.words, **unseen.scores}
        return values

    def _notable(self) -> dict[str, dict[str, int]]:
        coverage = {"coverage": dict(sorted(self.input_warnings.items()))} if self.input_warnings else {}
        return {**statistics.notable(vars(self.statistics), self.model.vocabs), **coverage}
