"""Live control: changes of a running training, and their replay.

``ner control`` writes each change as a file into ``<run>/control``. Between two steps the training applies it,
records it in ``<run>/events.jsonl`` with its step, and removes the file. A training that is repeated, or resumed from
an earlier checkpoint, replays the recorded changes at their original steps.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from ner.config import renamed
from ner.config.load import override
from ner.config.parts import ConfigError, validate
from ner.config.schema import RunConfig
from ner.errors import InputError
from ner.runs.events import Change, Event
from ner.runtime import atomic
from ner.runtime.json_files import read_json
from ner.training.optimizer import check_paths, config_groups, in_module
from ner.training.state import STOP_REQUESTED, State

FOLDER = "control"
REQUEST = TypeAdapter(dict[Literal["change"], str])
MAX_REQUEST_BYTES = 1 << 16
MAX_REQUESTS = 100
"""Requests between two steps, at most."""

LIVE_SETTINGS = (
    "training.learning_rate",
    "training.weight_decay",
    "training.max_grad_norm",
    "training.epochs",
    "training.save_every",
    "training.keep_checkpoints",
    "training.log_every",
    "batch.size",
    "batch.micro_size",
    "batch.prefetch",
)
"""Configuration keys that may change while a training runs, with the keys below them."""
ACTIONS = {"freeze": (), "unfreeze": (), "stop": ("step", "epoch"), "evaluate": ("now",), "save": ("now",)}
"""Actions with their possible values; empty for actions on a module path."""
ONCE = ("stop=step", "evaluate=now", "save=now")
"""Changes that are recorded but never replayed: they do not alter the training."""


def check(config: RunConfig, change: str) -> RunConfig:
    """Return the configuration after a change; an action does not change it.

    Raises:
        InputError: If the change is impossible while a training runs, or its value is invalid.
    """
    key, value = Change.parse(change)
    if key in ACTIONS:
        expected = " or ".join(ACTIONS[key]) or "MODULE, for example encoder"
        if not value or (ACTIONS[key] and value not in ACTIONS[key]):
            raise InputError(f"{change}: expected {key}={expected}")
        return config
    if not value or not any(key == setting or key.startswith(f"{setting}.") for setting in LIVE_SETTINGS):
        if new := renamed.explain(key):
            raise ConfigError(key.split("."), new)
        raise InputError(
            f"{change}: cannot be changed while training runs; expected key=value with one of "
            f"{', '.join(LIVE_SETTINGS)}, or {', '.join(ACTIONS)}"
        )
    raw = config.model_dump(mode="json")
    override(raw, change)
    if raw["batch"]["size"] == "auto" and config.batch.size != "auto":
        raise InputError(f"{change}: automatic batch sizes are determined at the start only; expected a number")
    changed: RunConfig = validate(RunConfig, raw)
    return changed


def same_setting(change: str, another: str) -> bool:
    """Return whether two changes affect the same setting: their keys are equal, or one contains the other."""
    key, other = (f"{Change.parse(text).key}." for text in (change, another))
    return key.startswith(other) or other.startswith(key)


def write_requests(run: Path, changes: Sequence[str]) -> list[Path]:
    """Request changes from the training of a run and return the files, which it removes after reading them."""
    paths = []
    for number, change in enumerate(changes):
        path = run / FOLDER / f"{time.time_ns()}-{os.getpid()}-{number}.json"
        atomic.write_bytes(path, json.dumps({"change": change}, ensure_ascii=False).encode())
        paths.append(path)
    return paths


def read_requests(run: Path, state: State) -> list[Event]:
    """Return the requested changes, oldest first, as events at the current step; rename files that contain none."""
    requests = []
    for number, path in enumerate(sorted((run / FOLDER).glob("*.json"))):
        try:
            if number >= MAX_REQUESTS or path.is_symlink() or not path.is_file():
                raise InputError(f"{path}: not a request")
            change = read_json(path, REQUEST, MAX_REQUEST_BYTES)["change"]
            if not change.isprintable():
                raise InputError(f"{path}: not a request")
            requests.append(Event(state.step, state.epoch, "control", change, path.stem))
        except InputError:
            with suppress(OSError):
                path.rename(path.with_suffix(".unreadable"))
    return requests


def remove_request(run: Path, id: str) -> None:
    """Remove a handled request."""
    (run / FOLDER / f"{id}.json").unlink(missing_ok=True)


def apply_change(state: State, config: RunConfig, change: str) -> str:
    """Apply a change between two steps and return its description for the log.

    Args:
        state: Changed in place.
        config: Configuration of the run.
        change: See :func:`check`; the caller carries out ``stop=step``, ``evaluate`` and ``save``.

    Raises:
        InputError: If it is impossible; the state is unchanged.
    """
    current = config.model_copy(update={"training": state.training_config, "batch": state.next_batch_config})
    changed = check(current, change)
    key, value = Change.parse(change)
    if key in ("freeze", "unfreeze"):
        check_paths(state.model, [value], key)
        if key == "unfreeze" and value not in state.frozen:
            frozen = ", ".join(sorted(state.frozen)) or "-"
            raise InputError(
                f"{change}: expected a module frozen by ner control ({frozen}); encoder.freeze is permanent, "
                "training.freeze ends at its configured step"
            )
        trained = [name for group in state.optimizer.param_groups for name in group["names"]]
        frozen_then = state.frozen_paths() | {value}
        if key == "freeze" and all(any(in_module(name, path) for path in frozen_then) for name in trained):
            raise InputError(f"{change}: no trainable parameter would remain; use stop=step to stop the training")
        state.frozen = state.frozen | {value} if key == "freeze" else state.frozen - {value}
        return f"{change} (takes effect next step)"
    if change == "stop=epoch":
        state.ended = STOP_REQUESTED
        return f"{change} (training ends after this epoch)"
    if key in ACTIONS:
        return change
    epoch = state.epoch + bool(state.position)
    if changed.training.epochs < epoch:
        raise InputError(f"{change}: the run is already in epoch {epoch}")
    if key.startswith("training.learning_rate"):
        config_groups(state.model, changed.training)  # checks the paths
        state.lr_scale = 1.0  # undoes the reductions of a plateau
    if changed.training.epochs > state.training_config.epochs:
        state.ended = ""
    state.training_config = changed.training
    if not key.startswith("batch."):
        return f"{change} (takes effect next step)"
    state.next_batch_config = changed.batch
    if not state.position:  # between two epochs
        state.batch_config = changed.batch
    return f"{change} (takes effect next epoch)"


def unreplayed(events: Iterable[Event], state: State) -> list[Event]:
    """Return the recorded changes that a state does not contain yet, to replay them at their steps.

    A requested end (``stop=epoch``) is left out: a resumed run continues beyond it.
    """
    done = {(event.step, event.epoch, event.change, event.id) for event in state.events}
    return [
        event
        for event in events
        if event.kind == "control"
        and event.change != "stop=epoch"
        and (event.step, event.epoch) >= (state.step, state.epoch)
        and (event.step, event.epoch, event.change, event.id) not in done
    ]
