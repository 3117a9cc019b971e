"""The training loop: yields progress; the caller shows it and saves.

Between two yields the state is whole: a checkpoint taken there goes on exactly as if nothing had happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch

from ner.config.training import BatchConfig, TrainingConfig
from ner.errors import InputError
from ner.inference.annotate import Evaluation, Scorer, annotate
from ner.model.model import Model
from ner.runtime.device import choose_precision
from ner.runtime.distributed import World
from ner.training.checkpoint import Row, State
from ner.training.loader import TrainLoader
from ner.training.optimizer import Average, build_optimizer, check_paths, in_module
from ner.training.step import Learner, Progress, StepTimer, rate_groups
from ner.types import Document

Watcher = Callable[[Sequence[Document]], Iterable[Document]]
"""Gives documents one after the other, and shows how far they are."""


def begin(
    model: Model, training: TrainingConfig, batch: BatchConfig, metrics: Sequence[str], device: torch.device
) -> State:
    """The state before the first step.

    Args:
        model: On ``device``.
        training: Section of the configuration.
        batch: Section of the configuration, its size a number.
        metrics: Names of files in ``ner/evaluation/metrics``.
        device: Where to compute.

    Raises:
        InputError: If a path of rates or of frozen parts is none of the model.
    """
    check_paths(model, training.freeze, "training.freeze")
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if all(any(in_module(name, path) for path in training.freeze) for name in trained):
        raise InputError("config.training.freeze: nothing is left to train at the start; leave a part out of it")
    precision = choose_precision(training.precision, device)
    return State(
        model,
        build_optimizer(training.optimizer, rate_groups(model, training)),
        torch.amp.GradScaler(device.type, enabled=precision == torch.float16),
        None if training.averaging is None else Average(model, training.averaging),
        training,
        batch,
        batch,
        Scorer(metrics),
    )


def train(
    state: State,
    data: TrainLoader,
    valid: Sequence[Document] | None,
    metrics: Sequence[str],
    device: torch.device,
    world: World | None = None,
    watch: Watcher = lambda documents: documents,
) -> Iterator[Progress]:
    """Train a model in place, from wherever its state stands.

    Args:
        state: As :func:`begin` or a checkpoint gives it; changed in place.
        data: To learn from.
        valid: To score each epoch on; None if nothing depends on it.
        metrics: Names of files in ``ner/evaluation/metrics``.
        device: Where to compute.
        world: Processes that share the work.
        watch: Gives the same documents again when they are scored; for a bar.

    Yields:
        Progress after each step, and after each epoch with its evaluations. Train scores are those of the forwards
        that trained.

    Raises:
        NonFiniteLossError: Before the step that it would have spoiled.
        InputError: If a watched score does not exist, or memory does not suffice.
    """
    world = world or World()
    if valid is not None:
        perfect = _perfect(valid, metrics)  # a typing error is found before an epoch is lost
        for key, path in state.training_config.watched.items():
            monitored(perfect, path, f"training.{key}")
    if state.training_config.compile:
        state.model.encoder.compile(dynamic=True)
    learner = Learner(state, data, device, world)
    while state.position or (state.epoch < state.training_config.epochs and not state.ended):
        meter = StepTimer(state.model, device)
        last: Progress | None = None
        for last in learner.epoch(meter):
            yield last
        timing = meter.end()
        started = time.perf_counter()
        if state.averaged_weights is not None:
            state.averaged_weights.after_epoch(state.epoch + 1)
        evaluations = {"train": state.train_scorer.together(world).result()}
        if valid is not None:
            evaluations["valid"] = evaluate(state, watch(valid), metrics, device, world)
        timing["evaluation_seconds"] = time.perf_counter() - started
        row = _close(state, evaluations)
        state.train_scorer = Scorer(metrics)
        share = state.sentences / (state.training_config.epochs * data.sentences)
        yield Progress(
            state.epoch, state.step, share, last.loss if last else math.nan, state.learning_rates, row, timing
        )


def evaluate(
    state: State, documents: Iterable[Document], metrics: Sequence[str], device: torch.device, world: World
) -> Evaluation:
    """Scores of the weights that would be kept; the state stays as it is."""
    scorer = Scorer(metrics)
    precision = choose_precision(state.training_config.precision, device)
    with state.evaluation_weights():
        for chunk in annotate(state.model, documents, state.batch_config, device, precision, world=world):
            scorer.add_chunk(chunk)
    return scorer.result()


def _close(state: State, evaluations: dict[str, Evaluation]) -> Row:
    """What the end of an epoch changes besides the weights."""
    state.epoch += 1
    state.position = 0
    training = state.training_config
    best = training.select == "last" or state.best.look(monitored(evaluations["valid"], training.monitor))
    if best:
        state.best_epoch = state.epoch
    size, rates = state.batch_config.units, dict(state.learning_rates)
    row = Row(state.epoch, state.step, state.sentences, size, best, rates, evaluations)
    state.history.append(row)
    state.batch_config = state.next_batch_config
    if training.plateau is not None:
        _adapt(state, monitored(evaluations["valid"], training.plateau.monitor or training.monitor))
    if training.stopping is not None and not state.ended:
        path = training.stopping.monitor or training.monitor
        state.stopping.look(monitored(evaluations["valid"], path))
        if state.stopping.waited >= training.stopping.patience:
            state.ended = f"{path} has not risen for {state.stopping.waited} epochs"
            state.record_event("stopping", state.ended)
    return row


def _adapt(state: State, score: float) -> None:
    """Lower the rates or enlarge the batch when a score has stopped to rise."""
    plateau = state.training_config.plateau
    assert plateau is not None, "asked for by the caller"
    if state.plateau.look(score) or state.plateau.waited <= plateau.patience:
        return
    state.plateau.waited = 0
    if plateau.change != "batch" and state.lr_scale * plateau.factor >= plateau.smallest * (1 - 1e-9):
        state.lr_scale *= plateau.factor
        state.record_event("plateau", f"learning rates times {state.lr_scale:g}")
    size = round(state.next_batch_config.units / plateau.factor)
    if plateau.change != "rate" and size <= plateau.largest:
        state.next_batch_config = state.batch_config = state.next_batch_config.model_copy(update={"size": size})
        state.record_event("plateau", f"batch.size={size}")


def _perfect(documents: Sequence[Document], metrics: Sequence[str]) -> Evaluation:
    """The evaluation of a model that makes no mistake: which scores there are."""
    scorer = Scorer(metrics)
    for document in documents:
        scorer.add(document.examples, document.examples)
    return scorer.result()


def monitored(evaluation: Evaluation, path: str, key: str = "training.monitor") -> float:
    """The score at a path such as ``entity.micro.f1``; ``loss`` is the loss, negated so that more is better.

    Raises:
        InputError: If there is no such score; ``key`` is where the path stands in the configuration.
    """
    if path == "loss":
        return -evaluation.loss
    value: Any = evaluation.scores
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            known = ", ".join(value) if isinstance(value, dict) else "nothing below it"
            raise InputError(f"config.{key}: no score '{path}'; at '{name}' there are: {known}")
        value = value[name]
    if not isinstance(value, (int, float)):
        raise InputError(f"config.{key}: '{path}' is a group of scores: {', '.join(value)}")
    return float(value)
