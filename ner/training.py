"""The training loop: yields progress; the caller shows it and saves the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ner import batching, runtime
from ner.config import BatchConfig, TrainingConfig
from ner.model import Model
from ner.optimize import build_optimizer, build_schedule, parameter_groups
from ner.predict import Evaluation, Scorer, annotate, naming
from ner.types import Batch, Document, Example, InputError, NonFiniteLoss


@dataclass
class State:
    """Everything that training changes besides the model."""

    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    scaler: torch.amp.GradScaler
    step: int = 0
    epoch: int = 0
    best: float = -math.inf
    best_epoch: int = 0


@dataclass
class Progress:
    """After each step; ``evaluations`` by split only when an epoch ends, ``best`` says whether it is to be kept."""

    epoch: int
    step: int
    steps: int
    loss: float
    learning_rates: dict[str, float]
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    best: bool = False


def train(
    model: Model,
    documents: Sequence[Document],
    valid: Sequence[Document] | None,
    training: TrainingConfig,
    batch: BatchConfig,
    metrics: Sequence[str],
    seed: int,
    device: Any,
) -> Iterator[Progress]:
    """Train a model in place.

    Args:
        model: On ``device``.
        documents: To learn from, in words.
        valid: To choose the best epoch; None with ``training.select=last``.
        training: Section of the configuration.
        batch: Section of the configuration.
        metrics: Names of files in ``ner/metrics``.
        seed: Of order and augmentation; dropout draws from torch's own generator.
        device: Where to compute.

    Yields:
        Progress after each step; the last one of an epoch has its evaluations. Train scores are those of the forwards
        that trained.

    Raises:
        NonFiniteLoss: Before the step that it would have spoiled.
        InputError: If the monitored score does not exist.
    """
    if valid is not None and training.select == "best":
        monitored(_perfect(valid, metrics), training.monitor)  # a typing error is found before an epoch is lost
    data = _Data(model, documents, batch, seed)
    epochs = [data.epoch(epoch) for epoch in range(training.epochs)]
    steps = sum(map(len, epochs))
    precision = runtime.choose_precision(training.precision, device)
    optimizer = build_optimizer(
        training.optimizer, parameter_groups(model, training.learning_rate, training.weight_decay)
    )
    state = State(
        optimizer,
        build_schedule(training.schedule, optimizer, steps, training.warmup),
        torch.amp.GradScaler(device.type, enabled=precision == torch.float16),
    )
    for epoch, batches in enumerate(epochs):
        model.train()
        state.epoch = epoch + 1
        scorer = Scorer(metrics)
        for position, groups in enumerate(batches):
            tensors, gold = data.batch(groups, epoch, device)
            rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
            loss, decoded = _step(model, tensors, state, training.max_grad_norm, device, precision, scorer)
            scorer.add(gold, model.units.merge(gold, decoded))
            progress = Progress(state.epoch, state.step, steps, loss, rates)
            if position < len(batches) - 1:
                yield progress
        progress.evaluations["train"] = scorer.result()
        if valid is not None:
            scorer = Scorer(metrics)
            for chunk in annotate(model, valid, batch, device, precision):
                scorer.add_chunk(chunk)
            progress.evaluations["valid"] = scorer.result()
        progress.best = _is_best(progress.evaluations, training, state)
        yield progress


def _perfect(documents: Sequence[Document], metrics: Sequence[str]) -> Evaluation:
    """The evaluation of a model that makes no mistake: which scores there are."""
    scorer = Scorer(metrics)
    for document in documents:
        scorer.add(document.examples, document.examples)
    return scorer.result()


class _Data:
    """Training documents in groups, and the batches of an epoch: functions of the seed and the epoch alone."""

    def __init__(self, model: Model, documents: Sequence[Document], batch: BatchConfig, seed: int) -> None:
        self.model, self.documents, self.size, self.seed = model, documents, batch, seed
        self.split = [model.split(document) for document in documents]
        self.groups = batching.plan(self.split, model.encoder.plan, batch.size if batch.unit == "sentences" else None)
        self.first_sentence = np.cumsum([0, *(len(document.examples) for document in documents)])

    def epoch(self, epoch: int) -> list[list[int]]:
        """Batches of an epoch, as positions of groups."""
        return batching.epoch_batches(self.groups, self.size.unit, self.size.size, self.seed, epoch)

    def batch(self, positions: Sequence[int], epoch: int, device: Any) -> tuple[Batch, list[Example]]:
        """Tensors of some groups on a device, and their examples in words."""
        chosen = [self.groups[position] for position in positions]
        generators = [
            np.random.default_rng([self.seed, epoch, self.first_sentence[group.document] + sentence])
            for group in chosen
            for sentence in range(group.start, group.stop)
        ]
        units = [self.split[group.document].examples[group.start : group.stop] for group in chosen]
        words = [self.documents[group.document].examples[group.start : group.stop] for group in chosen]
        tensors = self.model.batch(units, generators)
        if device.type == "cuda":
            tensors = tensors.pin_memory()
        return tensors.to(device), [example for group in words for example in group]


def _is_best(evaluations: dict[str, Evaluation], training: TrainingConfig, state: State) -> bool:
    """Whether the epoch is to be kept; the first of equals stays."""
    if training.select == "best":
        score = monitored(evaluations["valid"], training.monitor)
        if score <= state.best:
            return False
        state.best = score
    state.best_epoch = state.epoch
    return True


def _step(
    model: Model, batch: Batch, state: State, max_norm: float | None, device: Any, precision: Any, scorer: Scorer
) -> tuple[float, list[Example]]:
    """One step; gives the loss and what the model said of the batch before it."""
    state.step += 1
    state.optimizer.zero_grad(set_to_none=True)
    with naming(batch.examples, state.step), runtime.autocast(device, precision):
        losses, scores = model(batch)
    loss = torch.stack([total / max(1, batch.counts[part]) for part, total in losses.items()]).sum()
    value = float(loss.detach())
    if not math.isfinite(value):
        raise NonFiniteLoss("the loss", state.step, batch.examples)
    detached = {name: tensor.detach() for name, tensor in scores.items()}
    decoded = model.decoder.decode(detached, batch.inputs["mask"])  # by the weights that gave the scores
    state.scaler.scale(loss).backward()
    state.scaler.unscale_(state.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm or math.inf)
    if not bool(torch.isfinite(norm)) and not state.scaler.is_enabled():
        raise NonFiniteLoss("the gradient", state.step, batch.examples)
    state.scaler.step(state.optimizer)  # in fp16 a step with an overflow is left out and the scale lowered
    state.scaler.update()
    state.schedule.step()
    scorer.add_loss({part: float(total.detach()) for part, total in losses.items()}, batch.counts)
    return value, model.answer(batch.examples, decoded)


def monitored(evaluation: Evaluation, path: str) -> float:
    """The score at a path such as ``entity.micro.f1``; ``loss`` is the loss, negated so that more is better.

    Raises:
        InputError: If there is no such score.
    """
    if path == "loss":
        return -evaluation.loss
    value: Any = evaluation.scores
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            known = ", ".join(value) if isinstance(value, dict) else "nothing below it"
            raise InputError(f"config.training.monitor: no score '{path}'; at '{key}' there are: {known}")
        value = value[key]
    if not isinstance(value, (int, float)):
        raise InputError(f"config.training.monitor: '{path}' is a group of scores: {', '.join(value)}")
    return float(value)
