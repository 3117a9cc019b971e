"""The training loop: yields progress; the caller shows it and saves the model."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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
    """After each step; ``evaluations`` by split only when an epoch ends, ``best`` says whether it is to be kept.

    ``timing`` of an epoch: seconds of training and of evaluation, words and pieces per second of training, padding as
    a share of what was computed, peak memory in MB, and the share of the seconds that each part took.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    learning_rates: dict[str, float]
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)
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
    if training.compile:
        model.encoder.compile(dynamic=True)
    for epoch, batches in enumerate(epochs):
        model.train()
        state.epoch = epoch + 1
        scorer, meter = Scorer(metrics), _Meter(model, device)
        with closing(batching.ahead(data.steps(batches, epoch, device), batch.ahead)) as ready:
            for position, made in enumerate(ready):
                meter.begin(made)
                rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
                loss = _step(model, made, state, training.max_grad_norm, device, precision, scorer, meter.clock)
                progress = Progress(state.epoch, state.step, steps, loss, rates)
                if position < len(batches) - 1:
                    yield progress
        timing = meter.end()
        progress.evaluations["train"] = scorer.result()
        if valid is not None:
            started = time.perf_counter()
            scorer = Scorer(metrics)
            for chunk in annotate(model, valid, batch, device, precision):
                scorer.add_chunk(chunk)
            progress.evaluations["valid"] = scorer.result()
            timing["evaluation_seconds"] = time.perf_counter() - started
        progress.timing = timing
        progress.best = _is_best(progress.evaluations, training, state)
        yield progress


def _perfect(documents: Sequence[Document], metrics: Sequence[str]) -> Evaluation:
    """The evaluation of a model that makes no mistake: which scores there are."""
    scorer = Scorer(metrics)
    for document in documents:
        scorer.add(document.examples, document.examples)
    return scorer.result()


class _Made(NamedTuple):
    """What one step learns from: batches that go through the model one by one, and their examples in words."""

    parts: list[Batch]
    gold: list[list[Example]]
    amounts: Counter[str]


class _Data:
    """Training documents in groups, and the batches of an epoch: functions of the seed and the epoch alone."""

    def __init__(self, model: Model, documents: Sequence[Document], batch: BatchConfig, seed: int) -> None:
        self.model, self.documents, self.size, self.seed = model, documents, batch, seed
        self.at_once = min(batch.size, batch.at_once or batch.size)
        self.split = [model.split(document) for document in documents]
        self.groups = batching.plan(self.split, model.encoder.plan, self.at_once if batch.unit == "sentences" else None)
        self.first_sentence = np.cumsum([0, *(len(document.examples) for document in documents)])

    def epoch(self, epoch: int) -> list[list[int]]:
        """Batches of an epoch, as positions of groups."""
        return batching.epoch_batches(self.groups, self.size.unit, self.size.size, self.seed, epoch)

    def steps(self, batches: Sequence[Sequence[int]], epoch: int, device: Any) -> Iterator[_Made]:
        """Tensors of some batches, on the CPU; in page-locked memory if they are to go to a GPU."""
        for batch in batches:
            made = _Made([], [], Counter(sentences=0, words=0, pieces=0, cells=0))
            for positions in batching.cut(self.groups, batch, self.size.unit, self.at_once):
                chosen = [self.groups[position] for position in positions]
                generators = [
                    np.random.default_rng([self.seed, epoch, self.first_sentence[group.document] + sentence])
                    for group in chosen
                    for sentence in range(group.start, group.stop)
                ]
                units = [self.split[group.document].examples[group.start : group.stop] for group in chosen]
                words = [self.documents[group.document].examples[group.start : group.stop] for group in chosen]
                tensors = self.model.batch(units, generators)
                made.amounts.update(_amounts(tensors))
                made.parts.append(tensors.pin_memory() if device.type == "cuda" else tensors)
                made.gold.append([example for group in words for example in group])
            yield made


def _amounts(batch: Batch) -> Counter[str]:
    """Words, pieces (words where there are none), and the cells of the tensors that they fill."""
    words = int(batch.inputs["mask"].sum())
    masks = [mask for name, mask in batch.inputs.items() if name.endswith("piece_mask")] or [batch.inputs["mask"]]
    return Counter(words=words, pieces=int(masks[0].sum()), cells=masks[0].numel())


class _Meter:
    """The seconds of an epoch by part of the model, forward and backward, and what was done in them."""

    def __init__(self, model: Model, device: Any) -> None:
        self.model, self.device = model, device
        self.clock = runtime.Clock(device)
        self.amounts: Counter[str] = Counter()
        self.has_context = not isinstance(model.context, torch.nn.Identity)
        model.watch = self._watch

    def begin(self, made: _Made) -> None:
        """A step has its data."""
        self.clock.mark("data")
        self.amounts.update(made.amounts)

    def _watch(self, part: str, result: torch.Tensor) -> None:
        self.clock.mark(part)
        if result.requires_grad:  # when its gradient is there, that of the part behind it has been computed
            behind = "context" if part == "encoder" and self.has_context else "decoder"
            result.register_hook(lambda gradient: self.clock.mark(behind))

    def end(self) -> dict[str, float]:
        """See :class:`Progress`."""
        self.model.unwatch()
        parts = self.clock.totals()
        seconds = sum(parts.values())
        cells = self.amounts["cells"]
        found = {"seconds": seconds, "evaluation_seconds": 0.0}
        found |= {f"{kind}_per_second": self.amounts[kind] / seconds for kind in ("words", "pieces")}
        found["padding"] = 1 - self.amounts["pieces"] / cells if cells else 0.0
        found["peak_memory_mb"] = runtime.peak_memory(self.device) / 2**20
        shares = ("data", "encoder", "context", "decoder", "optimizer", "scores")
        return found | {part: parts.get(part, 0.0) / seconds for part in shares}


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
    model: Model,
    made: _Made,
    state: State,
    max_norm: float | None,
    device: Any,
    precision: Any,
    scorer: Scorer,
    clock: runtime.Clock,
) -> float:
    """One step; gives the loss, and counts what the model said of its examples before it learned from them."""
    state.step += 1
    state.optimizer.zero_grad(set_to_none=True)
    counts = sum((Counter(batch.counts) for batch in made.parts), Counter[str]())
    examples = [example for batch in made.parts for example in batch.examples]
    sums: dict[str, torch.Tensor] = {}
    decoded: list[list[Example]] = []
    for part in made.parts:
        batch = part.to(device)
        clock.mark("data")
        with naming(batch.examples, state.step), runtime.autocast(device, precision):
            losses, scores = model(batch)
        loss = torch.stack([total / max(1, counts[name]) for name, total in losses.items()]).sum()
        clock.mark("decoder")
        state.scaler.scale(loss).backward()
        clock.mark("encoder")
        for name, total in losses.items():
            sums[name] = sums.get(name, 0) + total.detach()
        if torch.isfinite(loss.detach()):  # what a GPU still computes is waited for only here
            detached = {name: tensor.detach() for name, tensor in scores.items()}
            decoded.append(model.answer(batch.examples, model.decoder.decode(detached, batch.inputs["mask"])))
        clock.mark("decoder")
    values = {name: float(total) for name, total in sums.items()}
    value = sum(total / max(1, counts[name]) for name, total in values.items())
    if not math.isfinite(value):
        raise NonFiniteLoss("the loss", state.step, examples)
    state.scaler.unscale_(state.optimizer)
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not bool(torch.isfinite(norm)) and not state.scaler.is_enabled():
        raise NonFiniteLoss("the gradient", state.step, examples)
    if max_norm is not None and bool(norm > max_norm):  # torch's own function multiplies by 1 otherwise
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    state.scaler.step(state.optimizer)  # in fp16 a step with an overflow is left out and the scale lowered
    state.scaler.update()
    state.schedule.step()
    clock.mark("optimizer")
    scorer.add_loss(values, counts)
    for gold, answers in zip(made.gold, decoded, strict=True):
        scorer.add(gold, model.units.merge(gold, answers))
    clock.mark("scores")
    return value


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
