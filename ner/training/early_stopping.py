"""Selection of the best epoch, and early stopping."""

from __future__ import annotations

from ner.evaluation.evaluation import Evaluation, monitored
from ner.training.state import State


def select_epoch(state: State, evaluations: dict[str, Evaluation]) -> bool:
    """Return whether the model of the epoch that has just ended replaces the kept one, and record it if so."""
    training = state.training_config
    best = training.keep_epoch == "last" or state.best.update(monitored(evaluations["valid"], training.monitor))
    if best:
        state.best_epoch = state.epoch
    return best


def stop_early(state: State, evaluations: dict[str, Evaluation]) -> None:
    """End the training if its score on the validation data has stopped improving."""
    training = state.training_config
    if training.early_stopping is None or state.ended:
        return
    path = training.early_stopping.monitor or training.monitor
    state.stopping.update(monitored(evaluations["valid"], path))
    epochs = state.stopping.epochs_without_improvement
    if epochs >= training.early_stopping.patience:
        state.ended = f"{path} has not improved for {epochs} epochs"
        state.record_event("stopping", state.ended)
