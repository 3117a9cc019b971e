"""What training changes, and how it is saved and found again.

A checkpoint is a directory below ``<run>/checkpoints``: tensors in safetensors, everything else in JSON, and a manifest
with checksums. It is written beside its place and appears when it is whole; older ones go only afterwards. So whatever
happens while one is written, the one before is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ner.config.training import BatchConfig, TrainingConfig
from ner.errors import InputError
from ner.inference.annotate import Evaluation, Scorer
from ner.model.model import WEIGHTS, Model
from ner.runs.events import Event
from ner.runtime import text_files
from ner.runtime.distributed import World, gathered, spread
from ner.training.optimizer import Average

ASKED = "stop=epoch was asked for"
"""Why a training ended that somebody ended."""
FOLDER = "checkpoints"
STATE = "state.json"
KEPT = "kept.safetensors"
TENSORS = "state.safetensors"


@dataclass
class Row:
    """What there is to say of an epoch."""

    epoch: int
    step: int
    sentences: int
    batch_size: int
    best: bool
    learning_rates: dict[str, float]
    evaluations: dict[str, Evaluation]


@dataclass
class Watch:
    """A score that is hoped to rise: the best so far, and the epochs since."""

    best: float | None = None
    waited: int = 0

    def look(self, score: float) -> bool:
        """Whether the score is the best so far."""
        if self.best is None or score > self.best:
            self.best, self.waited = score, 0
            return True
        self.waited += 1
        return False


@dataclass
class State:
    """Everything that training changes; a checkpoint is this, saved.

    Attributes:
        model, optimizer, scaler, average: What holds tensors; ``average`` is None without averaging.
        training, batch: Settings as they are now; they may be changed while training runs.
        next_batch: Settings of the batches from the next epoch on.
        running: Train scores of the epoch that runs.
        step: Steps made.
        epoch: Epochs finished.
        position: Groups of the present epoch that were learned from.
        sentences: Sentences seen in all epochs.
        skipped: Batches that were left out because something was not finite.
        factor: Of the rates, besides the schedule: below 1 when a plateau lowered them.
        learning_rates: Of the last step, by group.
        frozen: Paths whose parameters keep their weights until they are named again.
        best, plateau, stopping: Scores that decide something.
        best_epoch: The epoch that is kept.
        ended: Why training is over; empty while it is not.
        history: A row for each finished epoch.
        events: In the order in which they happened.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: Average | None
    training: TrainingConfig
    batch: BatchConfig
    next_batch: BatchConfig
    running: Scorer
    step: int = 0
    epoch: int = 0
    position: int = 0
    sentences: int = 0
    skipped: int = 0
    factor: float = 1.0
    learning_rates: dict[str, float] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    best: Watch = field(default_factory=Watch)
    plateau: Watch = field(default_factory=Watch)
    stopping: Watch = field(default_factory=Watch)
    best_epoch: int = 0
    ended: str = ""
    history: list[Row] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def note(self, kind: str, change: str, request: str = "") -> Event:
        """Keep an event that happens now."""
        event = Event(self.step, self.epoch, kind, change, request)
        self.events.append(event)
        return event

    def held(self) -> set[str]:
        """Paths whose parameters keep their weights in the next step: asked for, or configured for the start."""
        configured = self.training.freeze.items()
        return self.frozen | {path for path, span in configured if self.step < span.steps or self.epoch < span.epochs}

    def go_on(self) -> None:
        """An end that was asked for is not the end of a run that is resumed."""
        if self.ended == ASKED:
            self.ended = ""

    def evaluation_weights(self) -> Any:
        """A context in which the model has the weights that are scored and kept: the averaged ones, if there are."""
        return nullcontext() if self.average is None else self.average.in_place()


_COUNTERS = (
    "step",
    "epoch",
    "position",
    "sentences",
    "skipped",
    "factor",
    "best_epoch",
    "ended",
    "learning_rates",
)
_WATCHES = ("best", "plateau", "stopping")
_SETTINGS = ("training", "batch", "next_batch")


def save(state: State, run: Path, about: Mapping[str, Any], world: World) -> Path | None:
    """Write a checkpoint, then remove those that are older than the ``training.keep`` newest.

    Every process calls it; the first one writes.

    Args:
        state: Between two steps.
        run: Run directory.
        about: What the checkpoint belongs to (checksums of data, versions), for :func:`load` to compare.
        world: Processes of the training.

    Returns:
        The new directory, or None in other processes than the first.

    Raises:
        InputError: If it cannot be written; all older ones are still there.
    """
    tensors = _tensors(state)
    for rank, generator in enumerate(world.exchange_bytes(torch.get_rng_state())):
        tensors[f"random/{rank}/cpu"] = generator
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        for rank, generator in enumerate(world.exchange_bytes(torch.cuda.get_rng_state())):
            tensors[f"random/{rank}/cuda"] = generator
    running = state.train_scorer.together(world)
    if not world.first:
        return None
    values = {
        "about": dict(about),
        **{name: getattr(state, name) for name in _COUNTERS},
        **{name: asdict(getattr(state, name)) for name in _WATCHES},
        **{name: getattr(state, name).model_dump(mode="json") for name in _SETTINGS},
        "average": state.averaged_weights.count if state.averaged_weights else None,
        "scaler": state.scaler.state_dict(),
        "frozen": sorted(state.frozen),
        "running": running.to_json(),
        "history": [asdict(row) for row in state.history],
        "events": [asdict(event) for event in state.events],
    }
    older = _directories(run)
    number = 1 + max((_number(path) for path in older), default=0)
    target = run / FOLDER / f"{number:06d}-step-{state.step}"
    for path in (run / FOLDER).glob(".*.part"):  # of a process that was killed while it wrote
        shutil.rmtree(path, ignore_errors=True)
    try:
        with world.busy(), text_files.new_directory(target) as directory:
            text_files.write_tensors(directory / TENSORS, tensors)
            text_files.write_bytes(directory / STATE, json.dumps(values, ensure_ascii=False, indent=1).encode())
            names = [TENSORS, STATE]
            # the kept model as it is now; a later epoch that is given up may replace it
            if state.best_epoch and (run / WEIGHTS).exists():
                _link(run / WEIGHTS, directory / KEPT)
                names.append(KEPT)
            text_files.write_manifest(directory, names)
    except InputError as error:
        untouched = ", ".join(str(path) for path in older[:1]) or "none"
        raise InputError(f"{error}; the checkpoint before it is untouched ({untouched}), go on with --resume") from None
    for path in older[max(0, state.training_config.keep - 1) :]:
        shutil.rmtree(path, ignore_errors=True)
    return target


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where there are no links; files here are replaced, never changed."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _tensors(state: State) -> dict[str, Tensor]:
    """All tensors by name, on the CPU; the optimizer's are named after the parameters, whatever its groups are."""
    found = {f"model/{name}": gathered(tensor) for name, tensor in state.model.state_dict().items()}
    for name, parameter in state.model.named_parameters():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            if value is not None:
                found[f"optimizer/{key}/{name}"] = gathered(value)
    if state.averaged_weights is not None:
        found |= {f"average/{name}": gathered(tensor) for name, tensor in state.averaged_weights.weights.items()}
    return found


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _directories(run: Path) -> list[Path]:
    """Checkpoints of a run, whole or not, the newest first."""
    found = [path for path in (run / FOLDER).glob("[0-9]*-step-*") if path.is_dir()]
    return sorted(found, key=_number, reverse=True)


def find(run: Path) -> tuple[Path | None, list[Path]]:
    """The newest checkpoint that is as it was written, and newer ones that are not."""
    broken: list[Path] = []
    for path in _directories(run):
        try:
            if {STATE, TENSORS} <= set(text_files.verify(path)):
                return path, broken
        except InputError:
            pass
        broken.append(path)
    return None, broken


def load(path: Path, state: State, about: Mapping[str, Any], metrics: Sequence[str], world: World) -> list[str]:
    """Go on from a checkpoint.

    Args:
        path: As :func:`find` gives it.
        state: Fresh, of the same configuration; changed in place.
        about: As given to :func:`save`; the ``data`` in it must be the same.
        metrics: Of the run.
        world: Processes of the training; they may be more or fewer than those that saved.

    Returns:
        What is different from the time it was saved, a sentence each.

    Raises:
        InputError: If the data have changed, or the checkpoint is of another model.
    """
    values = json.loads((path / STATE).read_bytes())
    differences = compare(path, about)
    for name in _COUNTERS:
        setattr(state, name, values[name])
    for name in _WATCHES:
        setattr(state, name, Watch(**values[name]))
    for name in _SETTINGS:
        setattr(state, name, type(getattr(state, name)).model_validate(values[name]))
    state.frozen = set(values["frozen"])
    state.train_scorer = Scorer.from_json(metrics, values["running"])
    if not world.first:  # what was counted so far is added up once
        state.train_scorer.totals = Scorer(metrics).totals
        state.train_scorer.sentences = state.train_scorer.words = 0
    state.history = [_row(row) for row in values["history"]]
    state.events = [Event(**event) for event in values["events"]]
    if values["scaler"]:
        state.scaler.load_state_dict(values["scaler"])
    with world.busy():
        tensors = load_file(path / TENSORS)
    _restore(path, state, tensors, values["average"])
    generator = tensors.get(f"random/{world.rank}/cpu")
    if generator is None:
        torch.manual_seed(world.rank)
    else:
        torch.set_rng_state(generator)
    saved = sum(name.startswith("random/") and name.endswith("/cpu") for name in tensors)
    if world.size > saved:
        differences.append(f"{world.size - saved} processes are new and drop out anew; weights will differ in the end")
    if f"random/{world.rank}/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors[f"random/{world.rank}/cuda"])
    return differences


def compare(path: Path, about: Mapping[str, Any]) -> list[str]:
    """What is different from the time when a checkpoint was saved, a sentence each.

    Raises:
        InputError: If the data have changed.
    """
    then = json.loads((path / STATE).read_bytes())["about"]
    for split, checksum in then["data"].items():
        now = about["data"].get(split)
        if now is None:
            raise InputError(f"config.data.{split}: the run has such a file, found none; give it again")
        if now != checksum:
            raise InputError(
                f"{path}: the {split} file has changed since the run began (SHA-256 {checksum[:12]}..., now "
                f"{now[:12]}...); give the old file, or start another run, with --init for these weights"
            )
    return _differences(then, about)


def reached(path: Path) -> tuple[int, int]:
    """Steps made and epochs finished at a checkpoint."""
    values = json.loads((path / STATE).read_bytes())
    return values["step"], values["epoch"]


def weights_digest(path: Path) -> str:
    """SHA-256 of the weights in a checkpoint, in the order of their names."""
    found = hashlib.sha256()
    for name, tensor in sorted(load_file(path / TENSORS).items()):
        if name.startswith("model/"):
            found.update(name.encode() + tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _restore(path: Path, state: State, tensors: Mapping[str, Tensor], averaged: int | None) -> None:
    def below(folder: str) -> dict[str, Tensor]:
        return {name.removeprefix(folder): tensor for name, tensor in tensors.items() if name.startswith(folder)}

    own, saved = state.model.state_dict(), below("model/")
    for name in sorted(own.keys() | saved.keys()):
        if name not in own or name not in saved or own[name].shape != saved[name].shape:
            raise InputError(f"{path}: of another model, {name} differs; the configuration must be that of the run")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(spread(saved[name], tensor))
    parameters = dict(state.model.named_parameters())
    state.optimizer.state.clear()
    for name, tensor in below("optimizer/").items():
        key, _, parameter = name.partition("/")
        template = parameters[parameter]
        state.optimizer.state[template][key] = spread(tensor, template) if tensor.ndim else tensor.to(template.device)
    if state.averaged_weights is not None:
        state.averaged_weights.count = averaged or 0
        state.averaged_weights.weights = {name: spread(t, parameters[name]) for name, t in below("average/").items()}


def _row(values: Mapping[str, Any]) -> Row:
    evaluations = {split: Evaluation(**evaluation) for split, evaluation in values["evaluations"].items()}
    return Row(**{**values, "evaluations": evaluations})


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What may keep a resumed run from ending in the same bits."""
    found = []
    for key in ("versions", "device", "threads", "processes"):
        before, after = then.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
            pairs = [(f"{key} of {name}", before.get(name), after.get(name)) for name in sorted(changed)]
        else:
            pairs = [(key, before, after)] if before != after else []
        found += [
            f"{name}: {old} when it was saved, {new} now; weights may differ in the end" for name, old, new in pairs
        ]
    return found
