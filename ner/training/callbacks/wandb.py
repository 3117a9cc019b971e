"""Weights & Biases: configuration, losses of steps and scores; with WANDB_MODE=offline it only writes files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ner.errors import InputError, not_installed
from ner.runtime.nested import flat

if TYPE_CHECKING:
    from ner.training.progress import Progress
    from ner.training.run import TrainingRun


def build() -> Wandb:
    """Return the callback.

    Raises:
        InputError: If wandb is not installed.
    """
    try:
        import wandb
    except ImportError:
        raise InputError(not_installed("wandb")) from None
    return Wandb(wandb)


class Wandb:
    """Callback that writes to Weights & Biases."""

    def __init__(self, wandb: Any) -> None:
        self.wandb = wandb

    def on_start(self, run: TrainingRun) -> None:
        """Start a run with the configuration."""
        config = run.config.model_dump(mode="json")  # files stay outside of the run directory: wandb creates links
        self.run = self.wandb.init(project="ner", name=run.directory.name, config=config)

    def on_step(self, progress: Progress) -> None:
        """Log loss and learning rates."""
        rates = {f"step/rate.{name}": rate for name, rate in progress.learning_rates.items()}
        self.run.log({"step/loss": progress.loss, **rates}, step=progress.step)

    def on_epoch(self, progress: Progress) -> None:
        """Log the row of the history."""
        assert progress.epoch_record is not None, "after an epoch"
        self.run.log({key: float(v) for key, v in progress.epoch_record.history_row().items()}, step=progress.step)

    def on_end(self, scores: Mapping[str, Any] | None) -> None:
        """Write the final scores into the summary and end the run."""
        if scores is not None:
            self.run.summary.update(flat(scores, "final"))
        self.run.finish(exit_code=int(scores is None))
