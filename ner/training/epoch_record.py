"""Record of an epoch, and its row in ``history.csv``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ner.evaluation.evaluation import Evaluation, monitored
from ner.runs import history
from ner.runtime.nested import flat


@dataclass
class EpochRecord:
    """Results of one epoch.

    Attributes:
        batch_size: In the unit of the batch configuration.
        best: True if the model of this epoch replaces the kept one.
        evaluations: By split: ``train`` and, with a validation file, ``valid``.
    """

    epoch: int
    step: int
    sentences: int
    batch_size: int
    best: bool
    learning_rates: dict[str, float]
    evaluations: dict[str, Evaluation]

    def history_row(self) -> dict[str, Any]:
        """Return losses and main scores first, then every score under its path, in full precision."""
        main = self.evaluations.get("valid") or self.evaluations["train"]
        row: dict[str, Any] = {"epoch": self.epoch, "avg_train_loss": self.evaluations["train"].loss}
        if "valid" in self.evaluations:
            row["avg_val_loss"] = self.evaluations["valid"].loss
        row |= {column: monitored(main, path) for column, path in history.score_columns(main.scores).items()}
        row |= {"batch_size": self.batch_size, "step": self.step, "sentences": self.sentences}
        row |= {"best": int(self.best)}
        row |= {f"{history.LEARNING_RATE}{name}": rate for name, rate in self.learning_rates.items()}
        for split, evaluation in self.evaluations.items():
            row[f"{split}.loss"] = evaluation.loss
            row |= flat(evaluation.scores, split)
        return row
