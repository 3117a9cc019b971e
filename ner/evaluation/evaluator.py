"""What is counted while a model answers a file: scores, what it was trained on, what is unusual, a second opinion."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ner.data import seen as seen_sentences
from ner.data import statistics, tags
from ner.errors import InputError
from ner.evaluation.scorer import Evaluation, Scorer
from ner.model.model import Model
from ner.types import AnnotatedChunk, Document, Example


class Evaluator:
    """See the file.

    Args:
        metrics: Names of files in ``ner/evaluation/metrics``.
        model: That answers.
        by: Fields whose values have scores of their own.
        trained_on: Hashes of the sentences that the model was trained on, see :mod:`ner.data.seen`; None if nobody
            knows.
        unseen: Score what was not trained on alone, too.
        opinion: Ask seqeval about the same tags.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        model: Model,
        by: Sequence[str] = (),
        trained_on: np.ndarray | None = None,
        unseen: bool = False,
        opinion: bool = False,
    ) -> None:
        self.scorer, self.model, self.trained_on = Scorer(metrics, by), model, trained_on
        self.unseen = Scorer(metrics) if unseen else None
        self.opinion = SeqevalCheck() if opinion else None
        self.tally = statistics.DocumentStatistics()
        self.coverage: Counter[str] = Counter()
        self.known = 0
        self.answered = False

    def score(self, chunks: Iterable[AnnotatedChunk]) -> Iterator[Document]:
        """The predicted documents, each counted."""
        for chunk in chunks:
            self.scorer.add_chunk(chunk)
            for gold, found in zip(chunk.gold, chunk.predicted, strict=True):
                self._add(gold, found)
                yield found

    def _add(self, gold: Document, predicted: Document) -> None:
        self.tally.add(gold)
        self.coverage += self.model.input_warnings(gold)
        self.answered = self.answered or any(e.tags or e.labels or e.answers for e in gold.examples)
        if self.opinion is not None:
            self.opinion.add(gold.examples, predicted.examples)
        if self.trained_on is None:
            return
        seen = seen_sentences.seen(gold.examples, self.trained_on)
        self.known += sum(seen)
        if self.unseen is not None:
            pairs = zip(gold.examples, predicted.examples, seen, strict=True)
            for left, right in ((left, right) for left, right, known in pairs if not known):
                self.unseen.add([left], [right])

    def check(self, source: str, asked: Collection[str] = ()) -> None:
        """That there was something to score.

        Args:
            source: The file.
            asked: Fields that its examples must have; others may be missing, which :meth:`lines` says.

        Raises:
            InputError: If the file has no gold answers, or none of its examples has a field asked for.
        """
        if not self.answered:
            raise InputError(f"{source}: expected gold tags, labels or answers to score, found none; see ner predict")
        for field in self._missing():
            if field in asked:
                raise InputError(f"--by {field}: no example of {source} has a field of that name")

    def _missing(self) -> list[str]:
        """Fields to split by that no example has."""
        return [field for field, values in self.scorer.by.items() if not values]

    def result(self) -> Evaluation:
        """Scores of everything so far."""
        return self.scorer.result()

    def warnings(self, name: str) -> list[str]:
        """What makes the scores say less than they seem to."""
        found = []
        if self.known:
            counts = f"{self.known} of {self.scorer.sentences} sentences"
            found.append(f"{name}: {counts} are among those that the model was trained on")
        if labels := self._unusual().get("unseen_labels"):
            found.append(f"{name}: {statistics.format_unseen(labels)}")
        return found

    def lines(self, name: str) -> list[str]:
        """What the log says, a figure a line.

        Raises:
            InputError: If seqeval disagrees.
        """
        result = self.result()
        found = result.lines(name)
        if self.unseen is not None:
            alone = self.unseen.result()
            found.append(f"{name}: {alone.sentences} of {result.sentences} sentences are unseen")
            found += alone.lines(f"{name} unseen")[1:]  # the loss is not known of single sentences
        unusual = self._unusual()
        for kind in ("remarks", "coverage"):
            found += [f"{name}: {count} {what}" for what, count in unusual.get(kind, {}).items()]
        found += [f"{name}: no example has a field {field} to split the scores by" for field in self._missing()]
        if self.opinion is not None:
            found.append(self.opinion.compare(result.scores["entity"]))
        return found

    def to_json(self, name: str) -> dict[str, Any]:
        """Plain values, for people and programs that read them."""
        found = {**self.result().to_json(name), **self._unusual()}
        if self.unseen is not None:
            alone = self.unseen.result()
            found["unseen"] = {"sentences": alone.sentences, "words": alone.words, **alone.scores}
        return found

    def _unusual(self) -> dict[str, dict[str, int]]:
        coverage = {"coverage": dict(sorted(self.coverage.items()))} if self.coverage else {}
        return {**statistics.notable(vars(self.tally), self.model.vocabs), **coverage}


class SeqevalCheck:
    """The same tags scored by seqeval; two programs must agree before a score is believed."""

    def __init__(self) -> None:
        self.gold: list[list[str]] = []
        self.predicted: list[list[str]] = []
        self.without = 0

    def add(self, gold: Sequence[Example], predicted: Sequence[Example]) -> None:
        """Keep the tags; spans that tags cannot hold are counted instead."""
        for left, right in zip(gold, predicted, strict=True):
            if left.tags is None or right.tags is None or not all(map(tags.is_valid, left.tags)):
                self.without += 1
                continue
            self.without += left.spans != tags.decode(left.tags)
            self.gold.append(left.tags)
            self.predicted.append(right.tags)

    def compare(self, ours: dict[str, Any]) -> str:
        """A line that says what was compared.

        Raises:
            InputError: If the two programs disagree.
        """
        if self.without:
            return f"seqeval: not asked, {self.without} sentences have entities that overlap, or plain or no tags"
        from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

        if not any(tag != "O" for side in (self.gold, self.predicted) for tags in side for tag in tags):
            return "seqeval: not asked, there is no entity on either side"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = precision_recall_fscore_support(self.gold, self.predicted, average="micro", zero_division=0)
        micro = ours["micro"]
        pairs = zip(("precision", "recall", "f1"), theirs, strict=False)
        wrong = [f"{key}: {micro[key]} and {value}" for key, value in pairs if abs(micro[key] - value) > 1e-9]
        if wrong:
            raise InputError(f"our entity scores and seqeval's disagree ({'; '.join(wrong)}); please report this file")
        return "seqeval: the same entity precision, recall and f1"
