"""Learning-rate schedules, and their reaction to a plateau."""

from __future__ import annotations

import math

from ner.config.training import TrainingConfig
from ner.evaluation.evaluation import Evaluation, monitored
from ner.training.loader import TrainLoader
from ner.training.state import State


def schedule(name: str, done: float, after: float, warmup: float) -> float:
    """Return the factor of the learning rates in a step.

    Args:
        name: ``constant``, ``linear``, ``cosine`` or ``inverse_sqrt``.
        done: Fraction of the training that is finished before the step, by sentences.
        after: Fraction that is finished after the step.
        warmup: Fraction of the training in which the rates rise from 0.
    """
    if after <= warmup:
        return after / warmup
    if name == "constant":
        return 1.0
    if name == "inverse_sqrt":
        start = max(warmup, after - done)  # without warm-up the rate falls from the first step
        return min(1.0, math.sqrt(start / after))
    left = min(1.0, max(0.0, (1 - done) / (1 - warmup))) if warmup < 1 else 1.0
    return left if name == "linear" else (1 - math.cos(math.pi * left)) / 2


def warmup_fraction(training: TrainingConfig, data: TrainLoader) -> float:
    """Return the fraction of the training in which the rates rise; above 1 if the training ends before the warm-up."""
    if training.warmup_steps is None:
        return training.warmup_ratio
    return training.warmup_steps * data.mean_sentences_per_step / (training.epochs * data.sentences)


def set_learning_rates(state: State, data: TrainLoader, sentences: int) -> None:
    """Set the rates of a step with so many sentences."""
    training = state.training_config
    total = training.epochs * data.sentences
    done, after = state.sentences / total, (state.sentences + sentences) / total
    factor = state.lr_scale * schedule(training.schedule, done, after, min(1.0, warmup_fraction(training, data)))
    for group in state.optimizer.param_groups:
        group["lr"] = group["base"] * factor
    state.learning_rates = {group["name"]: group["lr"] for group in state.optimizer.param_groups}


def adapt_to_plateau(state: State, evaluations: dict[str, Evaluation]) -> None:
    """Lower the learning rates or enlarge the batch if the score on the validation data has stopped improving."""
    plateau = state.training_config.plateau
    if plateau is None:
        return
    score = monitored(evaluations["valid"], plateau.monitor or state.training_config.monitor)
    if state.plateau.update(score) or state.plateau.epochs_without_improvement <= plateau.patience:
        return
    state.plateau.epochs_without_improvement = 0
    if plateau.adapt != "batch_size" and state.lr_scale * plateau.factor >= plateau.min_lr_scale * (1 - 1e-9):
        state.lr_scale *= plateau.factor
        state.record_event("plateau", f"learning rates times {state.lr_scale:g}")
    size = round(state.next_batch_config.max_size / plateau.factor)
    if plateau.adapt != "learning_rate" and size <= plateau.max_batch_size:
        state.next_batch_config = state.batch_config = state.next_batch_config.model_copy(update={"size": size})
        state.record_event("plateau", f"batch.size={size}")
