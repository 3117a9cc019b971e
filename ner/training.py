"""The training loop: yields progress; the caller shows it and saves.

Between two yields the state is whole: a checkpoint taken there goes on exactly as if nothing had happened.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ner import batching, distributed, regularize, runtime
from ner.checkpoint import Row, State
from ner.config import RunConfig
from ner.distributed import World
from ner.kernels.chain import BadExample
from ner.model import Model
from ner.optimize import Average, build_optimizer, check_paths, is_below, parameter_groups, regroup, schedule
from ner.predict import Evaluation, Scorer, annotate, naming
from ner.training_config import BatchConfig, TrainingConfig
from ner.types import Batch, Document, Example, InputError, Loss, NonFiniteLoss, Scores

Watcher = Callable[[Sequence[Document]], Iterable[Document]]
"""Gives documents one after the other, and shows how far they are."""


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


def begin(
    model: Model, training: TrainingConfig, batch: BatchConfig, metrics: Sequence[str], device: torch.device
) -> State:
    """The state before the first step.

    Args:
        model: On ``device``.
        training: Section of the configuration.
        batch: Section of the configuration, its size a number.
        metrics: Names of files in ``ner/metrics``.
        device: Where to compute.

    Raises:
        InputError: If a path of rates or of frozen parts is none of the model.
    """
    check_paths(model, training.freeze, "training.freeze")
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if all(any(is_below(name, path) for path in training.freeze) for name in trained):
        raise InputError("config.training.freeze: nothing is left to train at the start; leave a part out of it")
    precision = runtime.choose_precision(training.precision, device)
    return State(
        model,
        build_optimizer(training.optimizer, _groups(model, training)),
        torch.amp.GradScaler(device.type, enabled=precision == torch.float16),
        None if training.averaging is None else Average(model, training.averaging),
        training,
        batch,
        batch,
        Scorer(metrics),
    )


def _groups(model: Model, training: TrainingConfig, trained: Collection[str] | None = None) -> list[dict[str, Any]]:
    return parameter_groups(model, training.learning_rate, training.weight_decay, training.layer_decay, trained)


def group_limit(batch: BatchConfig) -> int | None:
    """Most sentences of a group, so that it fits into a pass."""
    return batch.units_at_once if batch.unit == "sentences" else None


def group(model: Model, documents: Iterable[Document], batch: BatchConfig) -> batching.Plan:
    """Groups of documents, as the encoder wants them."""
    return batching.plan(map(model.split, documents), model.encoder.plan, group_limit(batch))


class Data:
    """Training documents in groups, and the batches of an epoch: functions of the seed and the epoch alone.

    Args:
        model: Says how documents are read.
        documents: In words.
        batch: Section of the configuration, its size a number: what a step is where steps are counted ahead.
        seed: Of order and augmentation.
        world: Processes that share each batch.
        groups: If they are known already.
    """

    def __init__(
        self,
        model: Model,
        documents: Sequence[Document],
        batch: BatchConfig,
        seed: int,
        world: World | None = None,
        groups: batching.Plan | None = None,
    ) -> None:
        self.model, self.documents, self.seed, self.world = model, documents, seed, world or World()
        self.groups = group(model, documents, batch) if groups is None else groups
        self.sentences = int(self.groups.sentences.sum())
        self.batch = batch

    @cached_property
    def per_step(self) -> float:
        """Sentences of a step of the configured size, on average."""
        return self.sentences / max(1, len(self.epoch(0, self.batch)))

    def epoch(self, epoch: int, batch: BatchConfig) -> list[np.ndarray]:
        """Batches of an epoch, as positions of groups."""
        return batching.epoch_batches(self.groups, batch.unit, batch.units, self.seed, epoch)

    def steps(
        self, batches: Sequence[np.ndarray], epoch: int, batch: BatchConfig, device: torch.device
    ) -> Iterator[Made]:
        """What this process learns from in some batches; in page-locked memory if it is to go to a GPU."""
        for positions in batches:
            made = Made(len(positions), int(self.groups.sentences[positions].sum()))
            mine = self.world.share(positions)
            for chosen in batching.cut(self.groups, mine, batch.unit, batch.units_at_once):
                tensors, gold = self._tensors(chosen, epoch, device)
                made.amounts.update(_amounts(tensors))
                made.parts.append(Part(tensors, gold))
            if not made.parts:  # the others have all there is; this process must take part all the same
                tensors, gold = self._tensors(positions[:1], epoch, device)
                made.parts.append(Part(tensors, gold, weight=0.0))
            yield made

    def _tensors(self, positions: np.ndarray, epoch: int, device: Any) -> tuple[Batch, list[Example]]:
        chosen = [self.groups[position] for position in positions]
        words = [self.documents[group.document].examples[group.start : group.stop] for group in chosen]
        generators = [
            np.random.default_rng([self.seed, epoch, group.first + number])
            for group in chosen
            for number in range(group.sentences)
        ]
        tensors = self.model.batch([self.model.units.split(group) for group in words], generators)
        gold = [example for group in words for example in group]
        return tensors.pin_memory() if device.type == "cuda" else tensors, gold


class Part(NamedTuple):
    """Tensors of one pass through the model, and the examples in words; without weight they keep others company."""

    batch: Batch
    gold: list[Example]
    weight: float = 1.0


@dataclass
class Made:
    """What a process learns from in one step, and the size of the step in groups and sentences of all processes."""

    groups: int
    sentences: int
    parts: list[Part] = field(default_factory=list)
    amounts: Counter[str] = field(default_factory=lambda: Counter(words=0, pieces=0, cells=0))

    def counts(self) -> Counter[str]:
        """What each part of the loss is summed over in this process."""
        found: Counter[str] = Counter()
        for part in self.parts:
            found.update({name: count * int(part.weight) for name, count in part.batch.counts.items()})
        return found

    def examples(self) -> list[Example]:
        """Of all passes."""
        return [example for part in self.parts for example in part.batch.examples]


def _amounts(batch: Batch) -> Counter[str]:
    """Words, pieces (words where there are none), and the cells of the tensors that they fill."""
    words = int(batch.inputs["mask"].sum())
    masks = [mask for name, mask in batch.inputs.items() if name.endswith("piece_mask")] or [batch.inputs["mask"]]
    return Counter(words=words, pieces=int(masks[0].sum()), cells=masks[0].numel())


def train(
    state: State,
    data: Data,
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
        metrics: Names of files in ``ner/metrics``.
        device: Where to compute.
        world: Processes that share the work.
        watch: Gives the same documents again when they are scored; for a bar.

    Yields:
        Progress after each step, and after each epoch with its evaluations. Train scores are those of the forwards
        that trained.

    Raises:
        NonFiniteLoss: Before the step that it would have spoiled.
        InputError: If a watched score does not exist, or memory does not suffice.
    """
    world = world or World()
    if valid is not None:
        perfect = _perfect(valid, metrics)  # a typing error is found before an epoch is lost
        for key, path in state.training.watched.items():
            monitored(perfect, path, f"training.{key}")
    if state.training.compile:
        state.model.encoder.compile(dynamic=True)
    learner = Learner(state, data, device, world)
    while state.position or (state.epoch < state.training.epochs and not state.ended):
        meter = _Meter(state.model, device)
        last: Progress | None = None
        for last in learner.epoch(meter):
            yield last
        timing = meter.end()
        started = time.perf_counter()
        if state.average is not None:
            state.average.after_epoch(state.epoch + 1)
        evaluations = {"train": state.running.together(world).result()}
        if valid is not None:
            evaluations["valid"] = evaluate(state, watch(valid), metrics, device, world)
        timing["evaluation_seconds"] = time.perf_counter() - started
        row = _close(state, evaluations)
        state.running = Scorer(metrics)
        share = state.sentences / (state.training.epochs * data.sentences)
        yield Progress(
            state.epoch, state.step, share, last.loss if last else math.nan, state.learning_rates, row, timing
        )


def evaluate(
    state: State, documents: Iterable[Document], metrics: Sequence[str], device: torch.device, world: World
) -> Evaluation:
    """Scores of the weights that would be kept; the state stays as it is."""
    scorer = Scorer(metrics)
    precision = runtime.choose_precision(state.training.precision, device)
    with state.kept_weights():
        for chunk in annotate(state.model, documents, state.batch, device, precision, world=world):
            scorer.add_chunk(chunk)
    return scorer.result()


def _close(state: State, evaluations: dict[str, Evaluation]) -> Row:
    """What the end of an epoch changes besides the weights."""
    state.epoch += 1
    state.position = 0
    training = state.training
    best = training.select == "last" or state.best.look(monitored(evaluations["valid"], training.monitor))
    if best:
        state.best_epoch = state.epoch
    size, rates = state.batch.units, dict(state.learning_rates)
    row = Row(state.epoch, state.step, state.sentences, size, best, rates, evaluations)
    state.history.append(row)
    state.batch = state.next_batch
    if training.plateau is not None:
        _adapt(state, monitored(evaluations["valid"], training.plateau.monitor or training.monitor))
    if training.stopping is not None and not state.ended:
        path = training.stopping.monitor or training.monitor
        state.stopping.look(monitored(evaluations["valid"], path))
        if state.stopping.waited >= training.stopping.patience:
            state.ended = f"{path} has not risen for {state.stopping.waited} epochs"
            state.note("stopping", state.ended)
    return row


def _adapt(state: State, score: float) -> None:
    """Lower the rates or enlarge the batch when a score has stopped to rise."""
    plateau = state.training.plateau
    assert plateau is not None, "asked for by the caller"
    if state.plateau.look(score) or state.plateau.waited <= plateau.patience:
        return
    state.plateau.waited = 0
    if plateau.change != "batch" and state.factor * plateau.factor >= plateau.smallest * (1 - 1e-9):
        state.factor *= plateau.factor
        state.note("plateau", f"learning rates times {state.factor:g}")
    size = round(state.next_batch.units / plateau.factor)
    if plateau.change != "rate" and size <= plateau.largest:
        state.next_batch = state.batch = state.next_batch.model_copy(update={"size": size})
        state.note("plateau", f"batch.size={size}")


def _perfect(documents: Sequence[Document], metrics: Sequence[str]) -> Evaluation:
    """The evaluation of a model that makes no mistake: which scores there are."""
    scorer = Scorer(metrics)
    for document in documents:
        scorer.add(document.examples, document.examples)
    return scorer.result()


class _Meter:
    """The seconds of an epoch by part of the model, forward and backward, and what was done in them."""

    def __init__(self, model: Model, device: Any) -> None:
        self.model, self.device = model, device
        self.clock = runtime.Clock(device)
        self.amounts: Counter[str] = Counter()
        self.has_context = not isinstance(model.context, nn.Identity)
        model.watch = self._watch

    def begin(self, made: Made) -> None:
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
        found["peak_memory_mb"] = runtime.peak_memory(self.device) / 2**20
        shares = ("data", "encoder", "context", "decoder", "optimizer", "scores")
        return found | {part: parts.get(part, 0.0) / seconds for part in shares}


class Guard(nn.Module):
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
        except BadExample as error:
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

    def __init__(self, state: State, data: Data, device: torch.device, world: World) -> None:
        self.state, self.data, self.device, self.world = state, data, device, world
        self.precision = runtime.choose_precision(state.training.precision, device)
        self.trained = {name for name, parameter in state.model.named_parameters() if parameter.requires_grad}
        self.frozen: frozenset[str] | None = None
        self.settings: TrainingConfig | None = None
        self.failure: NonFiniteLoss | None = None
        self.wrapped: nn.Module = state.model
        self.guard = Guard(state.model) if world.size > 1 and world.deals else None

    def epoch(self, meter: _Meter) -> Iterator[Progress]:
        """The steps that are left of the present epoch."""
        state, data = self.state, self.data
        state.model.train()
        batches = data.epoch(state.epoch, state.batch)
        starts = np.cumsum([0, *map(len, batches)])
        first = int(np.searchsorted(starts, state.position))
        total = state.training.epochs * data.sentences
        made_ahead = data.steps(batches[first:], state.epoch, state.batch, self.device)
        with closing(batching.ahead(made_ahead, state.batch.ahead)) as ready:
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
        if self.settings != state.training:
            regroup(state.optimizer, _groups(state.model, state.training, self.trained))
            self.settings = state.training
        frozen = frozenset(self._frozen_paths())
        if self.frozen != frozen:
            for name, parameter in state.model.named_parameters():
                parameter.requires_grad_(name in self.trained and not any(is_below(name, path) for path in frozen))
                parameter.grad = None
            self.frozen = frozen
            self.wrapped = self.world.wrap(self.guard) if self.guard else state.model

    def _frozen_paths(self) -> Iterator[str]:
        yield from self.state.frozen
        for path, span in self.state.training.freeze.items():
            if self.state.step < span.steps or self.state.epoch < span.epochs:
                yield path

    def rates(self, sentences: int) -> dict[str, float]:
        """Of a step that sees so many sentences, by group."""
        state, training = self.state, self.state.training
        total = training.epochs * self.data.sentences
        warmup = training.warmup
        if training.warmup_steps is not None:
            warmup = min(1.0, training.warmup_steps * self.data.per_step / total)
        done, after = state.sentences / total, (state.sentences + sentences) / total
        factor = state.factor * schedule(training.schedule, done, after, warmup)
        return {group["name"]: group["base"] * factor for group in state.optimizer.param_groups}

    def step(self, made: Made, clock: runtime.Clock) -> float:
        """One step; gives the loss, and counts what the model said of its examples before it learned from them."""
        state, training = self.state, self.state.training
        state.step += 1
        state.optimizer.zero_grad(set_to_none=True)
        self._even(made)
        names = sorted(made.counts())
        counts = dict(zip(names, self.world.add([made.counts()[name] for name in names]), strict=True))
        try:
            sums, decoded = self._sweep(made, counts, clock)
            if training.adversarial is not None:
                tables = regularize.embeddings(state.model.encoder)
                again = partial(self._sweep, made, counts, None)
                regularize.adversarial(list(state.model.parameters()), tables, training.adversarial, again)
        except torch.OutOfMemoryError as error:
            raise _out_of_memory(made, state.batch) from error
        except NonFiniteLoss as error:
            return self._leave_out(error)
        clock.mark("decoder")
        values = dict(zip(names, self.world.add([float(sums[name]) for name in names]), strict=True))
        value = sum(total / max(1, counts[name]) for name, total in values.items())
        if not math.isfinite(value):
            mine = all(math.isfinite(float(total)) for total in sums.values())
            what = "the loss of another process" if mine and self.world.size > 1 else "the loss"
            return self._leave_out(self.failure or NonFiniteLoss(what, state.step, made.examples()))
        state.scaler.unscale_(state.optimizer)
        parameters = [parameter for parameter in state.model.parameters() if parameter.grad is not None]
        norm = distributed.total_norm([p.grad for p in parameters if p.grad is not None])
        if not bool(torch.isfinite(norm)) and not state.scaler.is_enabled():
            return self._leave_out(NonFiniteLoss("the gradient", state.step, made.examples()))
        limit = training.max_grad_norm
        if limit is not None and limit > 0 and bool(norm > limit):  # torch's own function multiplies by 1 otherwise
            distributed.clip(parameters, limit, norm)
        state.scaler.step(state.optimizer)  # in fp16 a step with an overflow is left out and the scale lowered
        state.scaler.update()
        if state.average is not None:
            state.average.after_step(state.epoch)
        clock.mark("optimizer")
        state.running.add_loss(values, {name: int(count) for name, count in counts.items()})
        for part, answers in zip([part for part in made.parts if part.weight], decoded, strict=True):
            state.running.add(part.gold, state.model.units.merge(part.gold, answers))
        clock.mark("scores")
        return value

    def _sweep(
        self, made: Made, counts: dict[str, float], clock: runtime.Clock | None
    ) -> tuple[dict[str, Tensor], list[list[Example]]]:
        """Add the gradients of all passes; gives the sums of the losses, and the answers of passes with weight.

        Args:
            made: Of this process.
            counts: Of all processes, by part of the loss.
            clock: None when nobody wants to know times and answers.
        """
        state, model = self.state, self.state.model
        sums: dict[str, Tensor] = {}
        decoded: list[list[Example]] = []
        failures: list[NonFiniteLoss] = []
        for number, part in enumerate(made.parts):
            batch = part.batch.to(self.device)
            if clock is not None:
                clock.mark("data")
            with self.world.without_sync(self.wrapped, last=number == len(made.parts) - 1):
                with naming(batch.examples, state.step), runtime.autocast(self.device, self.precision):
                    losses, scores = self.wrapped(batch)
                    total = self._total(losses, scores, batch, counts) * part.weight * self.world.size
                if clock is not None:
                    clock.mark("decoder")
                if self.guard and self.guard.failed is not None:
                    failures.append(NonFiniteLoss("what the model computes", state.step, [self.guard.failed]))
                with self.world.waiting():
                    state.scaler.scale(total).backward()
            if clock is not None:
                clock.mark("encoder")
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.detach() * part.weight
            if clock is not None and part.weight:
                if torch.isfinite(total.detach()):  # what a GPU still computes is waited for only here
                    detached = {name: tensor.detach() for name, tensor in scores.items()}
                    decoded.append(model.answer(batch.examples, model.decoder.decode(detached, batch.inputs["mask"])))
                clock.mark("decoder")
        self.world.sync(list(model.parameters()))
        self.failure = failures[0] if failures else None
        return sums, decoded

    def _total(self, losses: Loss, scores: Scores, batch: Batch, counts: dict[str, float]) -> Tensor:
        """The loss of a pass, as a share of that of the step."""
        total = torch.stack([loss / max(1, counts[name]) for name, loss in losses.items()]).sum()
        if not self.state.training.rdrop:
            return total
        others, other_scores = self.wrapped(batch)
        second = torch.stack([loss / max(1, counts[name]) for name, loss in others.items()]).sum()
        apart = regularize.disagreement(scores, other_scores, batch.inputs["mask"])
        return (total + second) / 2 + self.state.training.rdrop * apart / max(1, *counts.values())

    def _even(self, made: Made) -> None:
        """As many passes in each process, where each pass needs all of them."""
        if self.world.size > 1 and not self.world.deals:
            passes = int(self.world.most([len(made.parts)])[0])
            made.parts += [made.parts[0]._replace(weight=0.0)] * (passes - len(made.parts))

    def _leave_out(self, error: NonFiniteLoss) -> float:
        """Skip the step, or stop before it."""
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        if state.training.on_nonfinite == "stop":
            raise error
        state.skipped += 1
        state.note("skip", str(error))
        if state.skipped > state.training.max_skipped:
            raise error
        return math.nan


class OutOfMemory(InputError):
    """A step did not fit."""


def _out_of_memory(made: Made, batch: BatchConfig) -> OutOfMemory:
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


def trial(
    model: Model, documents: Sequence[Document], config: RunConfig, device: torch.device
) -> Callable[[int], bool]:
    """What tells :func:`find_size` whether a batch of the longest sentences fits: forward, backward, optimizer."""

    def fits(size: int) -> bool:
        batch = config.batch.model_copy(update={"size": size})
        data = Data(model, documents, batch, config.seed)
        state = begin(model, config.training, batch, (), device)
        longest = batching.sorted_batches(data.groups, batch.unit, batch.units)[:1]
        generator = torch.get_rng_state()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        try:
            learner = Learner(state, data, device, World())
            learner.prepare()
            for made in data.steps(longest, 0, batch, device):
                learner.step(made, runtime.Clock(device))
        except (torch.OutOfMemoryError, OutOfMemory):
            return False
        finally:
            model.load_state_dict(before)
            torch.set_rng_state(generator)
            model.zero_grad(set_to_none=True)
            if device.type == "cuda":
                torch.cuda.empty_cache()
        return True

    return fits


def find_size(fits: Callable[[int], bool], start: int = 8, largest: int = 4096) -> int:
    """The largest power of two times ``start`` that fits.

    Args:
        fits: Tries a size out.
        start: The first size.
        largest: The last one.

    Raises:
        InputError: If not even the first one fits.
    """
    found = 0
    size = start
    while size <= largest and fits(size):
        found, size = size, 2 * size
    if not found:
        raise InputError(f"batch.size=auto: not even {start} fit into memory; give batch.size and batch.at_once")
    return found


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
