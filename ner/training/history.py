"""Rows of ``history.csv``, made of epoch records."""

from __future__ import annotations

from typing import Any

from ner.evaluation.scorer import monitored
from ner.runs import history
from ner.runtime.nested import flat
from ner.training.state import EpochRecord


def history_row(record: EpochRecord) -> dict[str, Any]:
    """Return an epoch as a row: losses and main scores first, then every score under its path, in full precision."""
    main = record.evaluations.get("valid") or record.evaluations["train"]
    row: dict[str, Any] = {"epoch": record.epoch, "avg_train_loss": record.evaluations["train"].loss}
    if "valid" in record.evaluations:
        row["avg_val_loss"] = record.evaluations["valid"].loss
    row |= {column: monitored(main, path) for column, path in history.score_columns(main.scores).items()}
    row |= {"batch_size": record.batch_size, "step": record.step, "sentences": record.sentences}
    row |= {"best": int(record.best)}
    row |= {f"{history.LEARNING_RATE}{name}": rate for name, rate in record.learning_rates.items()}
    for split, evaluation in record.evaluations.items():
        row[f"{split}.loss"] = evaluation.loss
        row |= flat(evaluation.scores, split)
    return row
