"""Comparison of the entity scores with seqeval."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ner.data import tags
from ner.errors import InputError, counted
from ner.types import Example


class SeqevalCheck:
    """Gold and predicted tags that are also scored by seqeval, whose micro scores must be equal."""

    def __init__(self) -> None:
        self.gold: list[list[str]] = []
        self.predicted: list[list[str]] = []
        self.unsupported = 0

    def add(self, gold: Sequence[Example], predicted: Sequence[Example]) -> None:
        """Collect tags, and count sentences whose entities cannot be represented by tags."""
        for gold_example, prediction in zip(gold, predicted, strict=True):
            if gold_example.tags is None or prediction.tags is None or not all(map(tags.is_valid, gold_example.tags)):
                self.unsupported += 1
                continue
            self.unsupported += gold_example.spans != tags.decode(gold_example.tags)
            self.gold.append(gold_example.tags)
            self.predicted.append(prediction.tags)

    def compare(self, scores: Mapping[str, Any]) -> str:
        """Compare entity scores with those of seqeval and return a log line.

        Raises:
            InputError: If they differ.
        """
        if self.unsupported:
            reason = f"{counted(self.unsupported, 'sentence')} with overlapping entities, plain tags or no tags"
            return f"seqeval check skipped: {reason}"
        if not any(tag != tags.OUTSIDE for side in (self.gold, self.predicted) for row in side for tag in row):
            return "seqeval check skipped: there are no entities"
        from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seqeval_prf = precision_recall_fscore_support(self.gold, self.predicted, average="micro", zero_division=0)
        pairs = [
            (key, scores["micro"][key], other_score)
            for key, other_score in zip(("precision", "recall", "f1"), seqeval_prf, strict=False)
        ]
        differences = [
            f"{key}: {score} and {other_score}" for key, score, other_score in pairs if abs(score - other_score) > 1e-9
        ]
        if differences:
            raise InputError(
                f"entity scores differ from seqeval's ({'; '.join(differences)}); please report this bug with the file"
            )
        return "seqeval check passed: the same entity precision, recall and f1"
