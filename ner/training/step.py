"""The steps of an epoch: forward, backward, the checks before an update, the update, and what all of it took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ner.config.training import BatchConfig, TrainingConfig
from ner.data.prefetch import prefetch
from ner.errors import InputError, NonFiniteLossError
from ner.inference.annotate import naming
from ner.model.kernels.chain import BadExampleError
from ner.model.model import Model
from ner.runtime import distributed
from ner.runtime.device import Clock, HostCopy, autocast, choose_precision, peak_memory
from ner.runtime.distributed import World
from ner.training import regularization
from ner.training.checkpoint import Row, State
from ner.training.loader import StepBatch, TrainLoader
from ner.training.optimizer import in_module, parameter_groups, replace_param_groups, schedule
from ner.types import Batch, Example, Loss, Scores


@dataclass
class Progress:
    """After each step, and after each epoch.

    Attributes:
        epoch: The present one, counted from 1.
        step: Steps made.
        share: Of all sentences of the training, how many were seen.
        loss: Of the step.
        learning_rates: Of the step, by group.
        row: Only after an epoch: its figures, ``best`` among them.
        timing: Only after an epoch: seconds of training and of evaluation, words and pieces per second of training,
            padding as a share of what was computed, peak memory in MB, and the share of the seconds that each part
            took.
    """

    epoch: int
    step: int
    share: float
    loss: float
    learning_rates: dict[str, float]
    row: Row | None = None
    timing: dict[str, float] = field(default_factory=dict)


def rate_groups(model: Model, training: TrainingConfig, trained: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Groups of parameters as the settings have them, see :func:`~ner.training.optimizer.parameter_groups`."""
    return parameter_groups(model, training.learning_rate, training.weight_decay, training.layer_decay, trained)


def warmup_share(training: TrainingConfig, data: TrainLoader) -> float:
    """Share of all sentences in which the rates rise; more than 1 where the training ends before the warm-up does."""
    if training.warmup_steps is None:
        return training.warmup
    return training.warmup_steps * data.per_step / (training.epochs * data.sentences)


class StepTimer:
    """The seconds of an epoch by part of the model, forward and backward, and what was done in them."""

    def __init__(self, model: Model, device: Any) -> None:
        self.model, self.device = model, device
        self.clock = Clock(device)
        self.amounts: Counter[str] = Counter()
        self.has_context = not isinstance(model.context, nn.Identity)
        model.watch = self._watch

    def begin(self, made: StepBatch) -> None:
        """A step has its data."""
        self.clock.mark("data")
        self.amounts.update(made.amounts)

    def _watch(self, part: str, result: Tensor) -> None:
        self.clock.mark(part)
        if result.requires_grad:  # when its gradient is there, that of the part behind it has been computed
            behind = "context" if part == "encoder" and self.has_context else "decoder"
            result.register_hook(lambda gradient: self.clock.mark(behind))

    def end(self) -> dict[str, float]:
        """See :class:`Progress`."""
        self.model.unwatch()
        parts = self.clock.totals()
        seconds = max(sum(parts.values()), 1e-9)
        cells = self.amounts["cells"]
        found = {"seconds": seconds, "evaluation_seconds": 0.0}
        found |= {f"{kind}_per_second": self.amounts[kind] / seconds for kind in ("words", "pieces")}
        found["padding"] = 1 - self.amounts["pieces"] / cells if cells else 0.0
        found["peak_memory_mb"] = peak_memory(self.device) / 2**20
        shares = ("data", "encoder", "context", "decoder", "optimizer", "scores")
        return found | {part: parts.get(part, 0.0) / seconds for part in shares}


class NonFiniteGuard(nn.Module):
    """A model that does not raise when it cannot compute: its losses are NaN, and it remembers the sentence.

    Of several processes each must take part in the backward pass, also one whose sentences are spoiled.

    Args:
        model: Whose gradients the processes share.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.failed: Example | None = None

    def forward(self, batch: Batch) -> tuple[Loss, Scores]:
        """As the model's."""
        self.failed = None
        try:
            found: tuple[Loss, Scores] = self.model(batch)
        except BadExampleError as error:
            self.failed = batch.examples[error.position]
            trained = [parameter.sum() for parameter in self.model.parameters() if parameter.requires_grad]
            return dict.fromkeys(batch.counts, torch.stack(trained).sum() * math.nan), {}
        return found


class Learner:
    """Makes the steps of an epoch.

    Args:
        state: Changed in place.
        data: To learn from.
        device: Where to compute.
        world: Processes that share each batch.
    """

    def __init__(self, state: State, data: TrainLoader, device: torch.device, world: World) -> None:
        self.state, self.data, self.device, self.world = state, data, device, world
        self.precision = choose_precision(state.training_config.precision, device)
        self.trained = {name for name, parameter in state.model.named_parameters() if parameter.requires_grad}
        self.frozen: frozenset[str] | None = None
        self.settings: TrainingConfig | None = None
        self.failure: NonFiniteLossError | None = None
        self.tables: list[nn.Parameter] = []
        self.wrapped: nn.Module = state.model
        self.guard = NonFiniteGuard(state.model) if world.size > 1 and world.deals else None

    def epoch(self, meter: StepTimer) -> Iterator[Progress]:
        """The steps that are left of the present epoch."""
        state, data = self.state, self.data
        state.model.train()
        batches = data.epoch(state.epoch, state.batch_config)
        starts = np.cumsum([0, *map(len, batches)])
        first = int(np.searchsorted(starts, state.position))
        total = state.training_config.epochs * data.sentences
        made_ahead = data.steps(batches[first:], state.epoch, state.batch_config, self.device)
        with closing(prefetch(made_ahead, state.batch_config.ahead)) as ready:
            for made in ready:
                meter.begin(made)
                self.prepare()
                state.learning_rates = self.rates(made.sentences)
                for group in state.optimizer.param_groups:
                    group["lr"] = state.learning_rates[group["name"]]
                loss = self.step(made, meter.clock)
                state.position += made.groups
                state.sentences += made.sentences
                self.world.beat(state.step)
                yield Progress(state.epoch + 1, state.step, state.sentences / total, loss, state.learning_rates)

    def prepare(self) -> None:
        """Follow the settings: groups of rates, what is frozen, and the wrapper that depends on it."""
        state = self.state
        if self.settings != state.training_config:
            replace_param_groups(state.optimizer, rate_groups(state.model, state.training_config, self.trained))
            self.settings = state.training_config
        frozen = frozenset(state.frozen_paths())
        if self.frozen != frozen:
            for name, parameter in state.model.named_parameters():
                parameter.requires_grad_(name in self.trained and not any(in_module(name, path) for path in frozen))
                parameter.grad = None
            self.frozen = frozen
            self.tables = regularization.embeddings(state.model.encoder)
            self.wrapped = self.world.wrap(self.guard) if self.guard else state.model

    def rates(self, sentences: int) -> dict[str, float]:
        """Of a step that sees so many sentences, by group."""
        state, training = self.state, self.state.training_config
        total = training.epochs * self.data.sentences
        warmup = min(1.0, warmup_share(training, self.data))
        done, after = state.sentences / total, (state.sentences + sentences) / total
        factor = state.lr_scale * schedule(training.schedule, done, after, warmup)
        return {group["name"]: group["base"] * factor for group in state.optimizer.param_groups}

    def step(self, made: StepBatch, clock: Clock) -> float:
        """One step; gives the loss, and counts what the model said of its examples before it learned from them.

        A GPU is waited for once: for the losses, the norm of the gradient and the predictions together.
        """
        state, training = self.state, self.state.training_config
        state.step += 1
        state.optimizer.zero_grad(set_to_none=True)
        self._even(made)
        own = made.counts()
        names = sorted(own)
        counts = dict(zip(names, self.world.add([own[name] for name in names]), strict=True))
        try:
            sums, predictions = self._sweep(made, counts, clock)
            if training.adversarial is not None:
                again = partial(self._sweep, made, counts, None)
                regularization.adversarial(list(state.model.parameters()), self.tables, training.adversarial, again)
        except torch.OutOfMemoryError as error:
            raise _out_of_memory(made, state.batch_config) from error
        except NonFiniteLossError as error:
            return self._leave_out(error)
        state.scaler.unscale_(state.optimizer)
        parameters = [parameter for parameter in state.model.parameters() if parameter.grad is not None]
        norm = distributed.total_norm([p.grad for p in parameters if p.grad is not None])
        numbered = {f"{number}.{name}": t for number, found in enumerate(predictions) for name, t in found.items()}
        host = HostCopy({**{f"loss.{name}": sums[name] for name in names}, "norm": norm, **numbered}).get()
        clock.mark("decoder")
        losses = [float(host[f"loss.{name}"]) for name in names]
        values = dict(zip(names, self.world.add(losses), strict=True))
        value = sum(total / max(1, counts[name]) for name, total in values.items())
        if not math.isfinite(value):
            if state.scaler.is_enabled():
                state.scaler.update()  # it has seen the gradients, and lowers its scale
            what = "the loss of another process" if all(map(math.isfinite, losses)) else "the loss"
            return self._leave_out(self.failure or NonFiniteLossError(what, state.step, made.examples()))
        length = float(host["norm"])
        if not math.isfinite(length) and not state.scaler.is_enabled():
            return self._leave_out(NonFiniteLossError("the gradient", state.step, made.examples()))
        limit = training.max_grad_norm
        if limit is not None and 0 < limit < length:  # torch's own function multiplies by 1 otherwise
            distributed.clip(parameters, limit, norm)
        state.scaler.step(state.optimizer)  # in fp16 a step with an overflow is left out and the scale lowered
        state.scaler.update()
        if state.averaged_weights is not None:
            state.averaged_weights.after_step(state.epoch)
        clock.mark("optimizer")
        state.train_scorer.add_loss(values, {name: int(count) for name, count in counts.items()})
        for number, part in enumerate([part for part in made.parts if part.weight]):  # while a GPU updates the weights
            predicted = {name: host[f"{number}.{name}"] for name in predictions[number]}
            said = state.model.decoder.annotations(predicted, part.batch.inputs["mask"])
            if said:  # a decoder that writes says nothing while it is trained
                answers = state.model.answer(part.batch.examples, said)
                state.train_scorer.add(state.model.marked(part.gold), state.model.units.merge(part.gold, answers))
        clock.mark("scores")
        return value

    def _sweep(
        self, made: StepBatch, counts: dict[str, float], clock: Clock | None
    ) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
        """Add the gradients of all passes; gives the sums of the losses, and the predictions of passes with weight.

        Args:
            made: Of this process.
            counts: Of all processes, by part of the loss.
            clock: None when nobody wants to know times and predictions.
        """
        state, model = self.state, self.state.model
        sums: dict[str, Tensor] = {}
        predictions: list[dict[str, Tensor]] = []
        failures: list[NonFiniteLossError] = []
        for number, part in enumerate(made.parts):
            batch = part.batch.to(self.device)
            if clock is not None:
                clock.mark("data")
            with self.world.without_sync(self.wrapped, last=number == len(made.parts) - 1):
                with naming(batch.examples, state.step), autocast(self.device, self.precision):
                    losses, scores = self.wrapped(batch)
                    total = self._total(losses, scores, batch, counts) * part.weight * self.world.size
                if clock is not None:
                    clock.mark("decoder")
                if self.guard and self.guard.failed is not None:
                    failures.append(NonFiniteLossError("what the model computes", state.step, [self.guard.failed]))
                with self.world.waiting():
                    state.scaler.scale(total).backward()
            if clock is not None:
                clock.mark("encoder")
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.detach() * part.weight
            if clock is not None and part.weight:
                detached = {name: tensor.detach() for name, tensor in scores.items()}
                computes = self.device.type == "cuda" or bool(torch.isfinite(total.detach()))  # a GPU is not asked
                with torch.no_grad():
                    mask = batch.inputs["mask"]
                    predictions.append(model.decoder.predict(detached, mask) if computes else {})
                clock.mark("decoder")
        self.world.sync(list(model.parameters()))
        self.failure = failures[0] if failures else None
        return sums, predictions

    def _total(self, losses: Loss, scores: Scores, batch: Batch, counts: dict[str, float]) -> Tensor:
        """The loss of a pass, as a share of that of the step."""

        def share(parts: Loss) -> Tensor:
            return torch.stack([loss / max(1, counts[name]) for name, loss in parts.items()]).sum()

        if not self.state.training_config.rdrop:
            return share(losses)
        others, other_scores = self.wrapped(batch)
        distributions = self.state.model.decoder.distributions()
        apart = regularization.disagreement(scores, other_scores, batch.inputs["mask"], distributions)
        return (share(losses) + share(others)) / 2 + self.state.training_config.rdrop * share(apart)

    def _even(self, made: StepBatch) -> None:
        """As many passes in each process, where each pass needs all of them."""
        if self.world.size > 1 and not self.world.deals:
            passes = int(self.world.most([len(made.parts)])[0])
            made.parts += [made.parts[0]._replace(weight=0.0)] * (passes - len(made.parts))

    def _leave_out(self, error: NonFiniteLossError) -> float:
        """Skip the step, or stop before it."""
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        if state.training_config.on_nonfinite == "stop":
            raise error
        state.skipped += 1
        state.record_event("skip", str(error))
        if state.skipped > state.training_config.max_skipped:
            raise error
        return math.nan


class OutOfMemory(InputError):
    """A step did not fit."""


def _out_of_memory(made: StepBatch, batch: BatchConfig) -> OutOfMemory:
    """What was too large, and what to try: passes of half the size give the same result."""
    shapes = [tuple(part.batch.inputs["mask"].shape) for part in made.parts]
    sentences, words = max(shapes, key=lambda shape: shape[0] * shape[1])
    longest = max((len(row) for part in made.parts for row in part.batch.inputs.get("pieces", [])), default=0)
    pieces = f", {longest} pieces in its longest row" if longest else ""
    smaller = max(1, batch.units_at_once // 2)
    return OutOfMemory(
        f"out of memory with {sentences} sentences of up to {words} words{pieces}; "
        f"try batch.at_once={smaller}, which gives the same result"
    )
