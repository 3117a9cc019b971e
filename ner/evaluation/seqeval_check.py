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
        for left, right in zip(gold, predicted, strict=True):
            if left.tags is None or right.tags is None or not all(map(tags.is_valid, left.tags)):
                self.unsupported += 1
                continue
            self.unsupported += left.spans != tags.decode(left.tags)
            self.gold.append(left.tags)
            self.predicted.append(right.tags)

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
            theirs = precision_recall_fscore_support(self.gold, self.predicted, average="micro", zero_division=0)
        pairs = [
            (key, scores["micro"][key], value)
            for key, value in zip(("precision", "recall", "f1"), theirs, strict=False)
        ]
        different = [f"{key}: {own} and {value}" for key, own, value in pairs if abs(own - value) > 1e-9]
        if different:
            raise InputError(f"entity scores differ from seqeval's ({'; '.join(different)}); please report this file")
        return "seqeval check passed: the same entity precision, recall and f1"
