"""Changes while a training runs: asked for through files, checked, made between steps, kept as events.

A request is a small file in ``<run>/control``, written by ``ner control``. The loop reads it between two steps, makes
the change, writes it into ``<run>/events.jsonl`` with its step, and removes the file. A training that is repeated, or
resumed from a checkpoint older than an event, meets the event again at the same step.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ner.config.load import override
from ner.config.parts import validate
from ner.config.schema import RunConfig
from ner.errors import InputError
from ner.runs.events import Event
from ner.runtime import atomic
from ner.training.checkpoint import ASKED, State
from ner.training.optimizer import check_paths, in_module, parameter_groups

FOLDER = "control"

KEYS = (
    "training.learning_rate",
    "training.weight_decay",
    "training.max_grad_norm",
    "training.epochs",
    "training.save_every",
    "training.keep",
    "training.log_every",
    "batch.size",
    "batch.at_once",
    "batch.ahead",
)
"""What can be changed while a training runs, and what lies below."""
ACTIONS = {"freeze": None, "unfreeze": None, "stop": ("step", "epoch"), "evaluate": ("now",), "save": ("now",)}
"""What can be asked for besides, with the values that are understood; None for the path of a part."""


@dataclass(frozen=True)
class Request:
    """A change that somebody asked for: ``batch.size=64``."""

    id: str
    change: str

    @property
    def key(self) -> str:
        """Before the equals sign."""
        return self.change.partition("=")[0]


def check(config: RunConfig, change: str) -> RunConfig:
    """The configuration after a change; for an action, the same.

    Raises:
        InputError: If the change cannot be made while a training runs, or its value is wrong.
    """
    key, equals, value = change.partition("=")
    if key in ACTIONS and equals:
        known = ACTIONS[key]
        if known is not None and value not in known:
            raise InputError(f"{change}: expected {key}={' or '.join(known)}")
        if not value:
            raise InputError(f"{change}: expected the path of a part, as in {key}=encoder")
        return config
    if not equals or not any(key == known or key.startswith(f"{known}.") for known in KEYS):
        raise InputError(
            f"{change}: cannot be changed while training runs; expected key=value with one of "
            f"{', '.join(KEYS)}, or {', '.join(ACTIONS)}"
        )
    raw = config.model_dump(mode="json")
    override(raw, change)
    if raw["batch"]["size"] == "auto" and config.batch.size != "auto":
        raise InputError(f"{change}: sizes are tried out at the start only; give a number")
    found: RunConfig = validate(RunConfig, raw)
    return found


def same_setting(change: str, another: str) -> bool:
    """Whether two changes speak of one setting: their keys are equal, or one lies below the other."""
    key, other = (text.partition("=")[0] for text in (change, another))
    return key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.")


def ask(run: Path, changes: Sequence[str]) -> list[Path]:
    """Leave requests for the training of a run; gives their files, which vanish when they are met."""
    found = []
    for number, change in enumerate(changes):
        path = run / FOLDER / f"{time.time_ns()}-{os.getpid()}-{number}.json"
        atomic.write_bytes(path, json.dumps({"change": change}, ensure_ascii=False).encode())
        found.append(path)
    return found


def requests(run: Path) -> list[Request]:
    """What is asked for at the moment, oldest first; a file that is no request is put aside."""
    folder = run / FOLDER
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            change = json.loads(path.read_bytes())["change"]
            if not isinstance(change, str) or not change.isprintable():
                raise TypeError("not what ner control writes")
            found.append(Request(path.stem, change))
        except (ValueError, KeyError, TypeError, OSError):
            with suppress(OSError):
                path.rename(path.with_suffix(".unreadable"))
    return found


def done(run: Path, request: Request) -> None:
    """The request needs not be read again."""
    (run / FOLDER / f"{request.id}.json").unlink(missing_ok=True)


def apply(state: State, config: RunConfig, change: str) -> str:
    """Make a change between two steps; gives the sentence for the log.

    Args:
        state: Changed in place.
        config: Of the run.
        change: See :func:`check`; ``stop=step``, ``evaluate`` and ``save`` are the caller's business.

    Raises:
        InputError: If it cannot be made; nothing has changed.
    """
    now = config.model_copy(update={"training": state.training_config, "batch": state.next_batch_config})
    after = check(now, change)
    key, _, value = change.partition("=")
    if key in ("freeze", "unfreeze"):
        check_paths(state.model, [value], f"{key}")
        if key == "unfreeze" and value not in state.frozen:
            frozen = ", ".join(sorted(state.frozen)) or "-"
            raise InputError(
                f"{change}: was not frozen by ner control; frozen so are: {frozen} (what training.freeze holds it "
                "releases by itself, what encoder.freeze holds stays)"
            )
        trained = [name for group in state.optimizer.param_groups for name in group["names"]]
        frozen_then = state.frozen_paths() | {value}
        if key == "freeze" and all(any(in_module(name, path) for path in frozen_then) for name in trained):
            raise InputError(f"{change}: nothing would be left to train; stop=step stops the training")
        state.frozen = state.frozen | {value} if key == "freeze" else state.frozen - {value}
        return f"{change}: from the next step on"
    if key == "stop" and value == "epoch":
        state.ended = ASKED
        return f"{change}: training ends with this epoch"
    if key in ACTIONS:
        return change
    if key.startswith("training.learning_rate"):
        training = after.training
        parameter_groups(state.model, training.learning_rate, training.weight_decay, training.layer_decay)
        state.lr_scale = 1.0  # what was asked for is meant, whatever a plateau made of the rate before
    if after.training.epochs < state.epoch + bool(state.position):
        raise InputError(f"{change}: the run is in epoch {state.epoch + bool(state.position)} already")
    if after.training.epochs > state.training_config.epochs:
        state.ended = ""
    state.training_config = after.training
    if key.startswith("batch."):
        state.next_batch_config = after.batch
        if not state.position:  # between two epochs
            state.batch_config = after.batch
        return f"{change}: from the next epoch on"
    return f"{change}: from the next step on"


def later(events: Iterable[Event], state: State) -> list[Event]:
    """Requests among the events that a state has not met yet: to be met again at their steps."""
    met = {(event.step, event.epoch, event.change, event.id) for event in state.events}
    return [
        event
        for event in events
        if event.kind == "control"
        and (event.step, event.epoch) >= (state.step, state.epoch)
        and (event.step, event.epoch, event.change, event.id) not in met
    ]


class Signals:
    """Handler of SIGTERM and SIGINT: the first signal requests an orderly stop, the second ends the process at once."""

    def __init__(self) -> None:
        self.received = 0

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Handle the signals inside the block; without effect outside the main thread."""
        try:
            before = {number: signal.signal(number, self._receive) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
