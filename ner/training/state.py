"""Training state: everything that an optimizer step or the end of an epoch changes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch

from ner.config.training import BatchConfig, TrainingConfig
from ner.errors import InputError
from ner.evaluation.scorer import Scorer
from ner.model.model import Model
from ner.runs.events import Event
from ner.runtime.device import resolve_precision
from ner.training.averaged_weights import AveragedWeights
from ner.training.dropout import replace_dropout
from ner.training.epoch_record import EpochRecord
from ner.training.lookup import replace_embeddings
from ner.training.optimizer import build_optimizer, check_paths, config_groups, in_module

STOP_REQUESTED = "stopped by stop=epoch"
"""Value of ``State.ended`` after ``ner control ... stop=epoch``."""


@dataclass
class BestScore:
    """Best score so far and the number of epochs since it improved; higher is better."""

    best: float | None = None
    epochs_without_improvement: int = 0

    def update(self, score: float) -> bool:
        """Record the score of an epoch and return whether it is the best so far."""
        if self.best is None or score > self.best:
            self.best, self.epochs_without_improvement = score, 0
            return True
        self.epochs_without_improvement += 1
        return False


@dataclass
class State:
    """Everything that training changes. A checkpoint is a saved ``State``.

    Attributes:
        averaged_weights: None without ``training.averaging``.
        training_config, batch_config: Current settings; live control may replace them.
        next_batch_config: Batch settings from the next epoch on.
        train_scorer: Train scores of the current epoch.
        step: Optimizer steps, skipped ones included.
        epoch: Finished epochs.
        position: Groups of examples that the current epoch has consumed.
        sentences: Sentences seen in all epochs.
        skipped: Batches skipped because a loss or gradient was not finite.
        lr_scale: Factor of all learning rates in addition to the schedule; a plateau lowers it.
        learning_rates: Rates of the last step, by parameter group.
        frozen: Module paths frozen by live control.
        best, plateau, stopping: Monitored scores for model selection, plateau and early stopping.
        best_epoch: Epoch of the kept model.
        ended: Reason why training has ended; empty while it continues.
        history: One record per finished epoch.
        events: In chronological order.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    averaged_weights: AveragedWeights | None
    training_config: TrainingConfig
    batch_config: BatchConfig
    next_batch_config: BatchConfig
    train_scorer: Scorer
    step: int = 0
    epoch: int = 0
    position: int = 0
    sentences: int = 0
    skipped: int = 0
    lr_scale: float = 1.0
    learning_rates: dict[str, float] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    best: BestScore = field(default_factory=BestScore)
    plateau: BestScore = field(default_factory=BestScore)
    stopping: BestScore = field(default_factory=BestScore)
    best_epoch: int = 0
    ended: str = ""
    history: list[EpochRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def record_event(self, kind: str, change: str, request_id: str = "") -> None:
        """Append an event at the current step."""
        self.events.append(Event(self.step, self.epoch, kind, change, request_id))

    def frozen_paths(self) -> set[str]:
        """Return the module paths that the next step must not update: by live control or by ``training.freeze``."""
        configured = self.training_config.freeze.items()
        return self.frozen | {path for path, span in configured if self.step < span.steps or self.epoch < span.epochs}

    def clear_stop(self) -> None:
        """Clear a requested stop so that the resumed run continues."""
        if self.ended == STOP_REQUESTED:
            self.ended = ""

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Return a context in which the model holds the weights to evaluate: the averaged ones, if configured."""
        return nullcontext() if self.averaged_weights is None else self.averaged_weights.swapped_in()


def initial_state(
    model: Model, training: TrainingConfig, batch: BatchConfig, metrics: Sequence[str], device: torch.device
) -> State:
    """Return the state before the first step.

    Args:
        model: On ``device``.
        training: The configuration section.
        batch: The configuration section; its size is a number.
        metrics: Names of files in ``ner/evaluation/metrics``.
        device: Device of the training.

    Raises:
        InputError: If a path of ``training.learning_rate`` or ``training.freeze`` matches no parameter, or if every
            parameter is frozen.
    """
    check_paths(model, training.freeze, "training.freeze")
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if all(any(in_module(name, path) for path in training.freeze) for name in trained):
        raise InputError("config.training.freeze: every parameter is frozen at the start; leave one module trainable")
    if device.type == "cpu" and not training.compile:
        replace_dropout(model)
        if not torch.distributed.is_available() or not torch.distributed.is_initialized():
            replace_embeddings(model)  # DDP waits for gradients that autograd accumulates
    precision = resolve_precision(training.precision, device)
    return State(
        model,
        build_optimizer(training.optimizer, config_groups(model, training)),
        torch.amp.GradScaler(device.type, enabled=precision == torch.float16),
        None if training.averaging is None else AveragedWeights(model, training.averaging),
        training,
        batch,
        batch,
        Scorer(metrics),
    )
