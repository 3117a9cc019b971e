"""Training on all folds of the training data but one, so that every sentence has a model that has not seen it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ner.config.parts import validate
from ner.config.schema import RunConfig
from ner.errors import InputError
from ner.training.run import TrainingRun
from ner.types import Document


def assign_folds(documents: Sequence[Document], folds: int, seed: int) -> list[int]:
    """Return the fold of each document: random, and with about as many sentences in each fold.

    Documents stay whole, because their sentences repeat the same mentions.

    Raises:
        InputError: If there are fewer documents than folds.
    """
    if len(documents) < folds:
        raise InputError(f"expected at least {folds} documents for {folds} folds, found {len(documents)}; use --folds")
    order = list(range(len(documents)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda number: -len(documents[number].examples))  # stable, so equal ones stay shuffled
    sizes, assigned = [0] * folds, [0] * len(documents)
    for number in order:
        assigned[number] = fold = sizes.index(min(sizes))
        sizes[fold] += max(1, len(documents[number].examples))
    return assigned


def fold_config(config: RunConfig) -> RunConfig:
    """Return the configuration of a training on folds: no other files, and the last epoch is kept."""
    raw: dict[str, Any] = config.model_dump(mode="json")
    raw["data"] |= {"valid": None, "test": None}
    raw["training"] |= {"keep_epoch": "last", "plateau": None, "early_stopping": None}
    raw["score_by"] = []
    fitted: RunConfig = validate(RunConfig, raw)
    return fitted


@dataclass
class FoldRun(TrainingRun):
    """A training on the training documents outside one fold.

    Attributes:
        fold: Number of the fold that is held out.
        folds: Number of folds.
    """

    fold: int = 0
    folds: int = 2

    def read(self) -> None:
        """Read the data and leave out the documents of the fold."""
        super().read()
        documents = self.corpus.train
        assigned = assign_folds(documents, self.folds, self.config.seed)
        kept = [document for document, fold in zip(documents, assigned, strict=True) if fold != self.fold]
        self.corpus.documents = {"train": kept, "valid": [], "test": []}
