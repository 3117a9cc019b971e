"""Resuming a run: its configuration, its newest checkpoint, the changes to replay."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.config.schema import RunConfig
from ner.data import seen
from ner.errors import InputError
from ner.model import saving
from ner.runs import events, history
from ner.runs.directory import WEIGHTS, read_config
from ner.runs.events import Change, Event
from ner.runtime import manifest
from ner.runtime.distributed import ProcessGroup
from ner.training import checkpoint, control

if TYPE_CHECKING:
    from ner.training.run import TrainingRun

MAY_CHANGE_ON_RESUME = (
    *("data.train", "data.valid", "data.test", "data.memmap_dir"),
    *("device", "score_by", "processes.", "training.callbacks", "training.tensorboard"),
)
"""Settings without influence on the result; the contents of data files are compared by checksum."""


def resumed_config(directory: Path, given: RunConfig, overrides: Sequence[str]) -> tuple[RunConfig, list[str]]:
    """Return the configuration to resume a run with, and the live changes that it needs afterwards.

    Args:
        directory: The run directory.
        given: Configuration of this start.
        overrides: Its ``key=value`` arguments; live settings among them become changes even if they are unchanged.

    Raises:
        InputError: If a setting differs that cannot change during a run.
    """
    saved = read_config(directory)
    changes, refused = differences(saved, given)
    typed = [change for change in overrides if change.startswith(control.LIVE_SETTINGS)]
    changes = [old for old in changes if not any(control.same_setting(old, new) for new in typed)] + typed
    if refused:
        raise InputError(f"{directory}: cannot be resumed with another configuration: {'; '.join(refused)}")
    outputs = {name: getattr(given.training, name) for name in ("callbacks", "tensorboard")}
    training = saved.training.model_copy(update=outputs)
    return given.model_copy(update={"training": training, "batch": saved.batch}), changes


def differences(saved: RunConfig, given: RunConfig) -> tuple[list[str], list[str]]:
    """Compare the configuration of a run with that of a resume.

    Returns:
        Live changes as ``key=value``, and messages about settings that cannot change during a run.
    """
    changes, refused = [], []
    before, after = (_flatten(config.model_dump(mode="json")) for config in (saved, given))
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new or key.startswith(MAY_CHANGE_ON_RESUME):
            continue
        if key.startswith(control.LIVE_SETTINGS):
            changes.append(f"{key}={json.dumps(new)}")
        else:
            refused.append(f"config.{key}: the run has {old}, found {new}")
    return changes, refused


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Return a nested mapping by paths; learning rates by module stay together."""
    if not isinstance(value, dict) or not value or path == "training.learning_rate":
        return {path: value}
    flat: dict[str, Any] = {}
    for key, below in value.items():
        flat |= _flatten(below, f"{path}.{key}" if path else key)
    return flat


def initial_run(directory: Path, process_group: ProcessGroup) -> Path | None:
    """Return the run whose weights a run was initialized with, if it has no checkpoint of its own yet."""
    change = None
    if process_group.is_main and checkpoint.find(directory)[0] is None:
        change = next((event.change for event in events.read(directory) if event.kind == "init"), None)
    change = process_group.broadcast(change)
    return None if change is None else parse_init_event(change)


def parse_init_event(change: str) -> Path:
    """Return the run that an event of the kind ``init`` names.

    Raises:
        InputError: If its weights have changed or are missing.
    """
    name, _, checksum = change.rpartition(" ")
    path = Path(name)
    if not (path / WEIGHTS).is_file() or manifest.sha256(path / WEIGHTS) != checksum:
        raise InputError(f"{events.FILE}: the initial weights {path} are missing or changed; it cannot be repeated")
    return path


def resume(run: TrainingRun, changes: Sequence[str]) -> None:
    """Restore the newest intact checkpoint of a run, or start from the beginning if there is none.

    Args:
        run: Built, from the configuration of :func:`resumed_config`.
        changes: Live changes to make now. They replace recorded changes of the same settings.

    Raises:
        InputError: If the data have changed.
    """
    process_group, state, directory = run.process_group, run.state, run.directory
    path = _newest_checkpoint(run)
    recorded = run.recorded_events()
    for request in control.read_requests(directory, state) if process_group.is_main else []:
        if Change.parse(request.change).key in ("stop", "save", "evaluate"):
            run.log_info(f"{request.change}: requested from the previous start of the run; dropped")
            control.remove_request(directory, request.id)
    trained_on = seen.read(directory)  # includes the sentences of an initial run
    if trained_on is not None:
        run.trained_on = seen.to_bytes(trained_on, seen.from_bytes(run.trained_on))
    if path is None:
        run.log_info(f"{directory}: no checkpoint found, starting from the beginning")
        run.pending_events = control.unreplayed(recorded, state)
    else:
        warnings = checkpoint.load(path, state, run.provenance, run.config.metrics, process_group)
        run.pending_events = control.unreplayed(recorded, state)
        state.events += [event for event in recorded if event.kind == "resume" and event not in state.events]
        state.record_event("resume", path.name)
        state.clear_stop()
        timings = directory / "timing.csv"
        if timings.exists():
            run.timings = [row for row in history.read_history(timings) if row.get("epoch", math.inf) <= state.epoch]
        run.log_info(f"resumed from {path}: epoch {state.epoch}, step {state.step}, {state.sentences} sentences seen")
        for warning in warnings:
            run.log_warning(warning)
        if state.ended:
            run.log_info(f"training is finished ({state.ended}); raise training.epochs to continue")
        _restore_kept_model(run, path)
    run.apply_changes()
    if run.pending_events:
        run.log_info(f"{len(run.pending_events)} later changes will be replayed at their original steps")
    run.pending_events = [
        event for event in run.pending_events if not any(control.same_setting(event.change, new) for new in changes)
    ]
    start = sum(event.kind == "resume" for event in state.events)
    for number, change in enumerate(changes):
        current = run.config.model_copy(update={"training": state.training_config, "batch": state.next_batch_config})
        if control.check(current, change) != current:
            run.apply_changes([Event(state.step, state.epoch, "control", change, f"resume-{start}-{number}")])


def _newest_checkpoint(run: TrainingRun) -> Path | None:
    """Return the newest intact checkpoint, and remove newer ones that are corrupt."""
    path, corrupt = checkpoint.find(run.directory) if run.process_group.is_main else (None, [])
    for other in corrupt:
        run.log_warning(f"{other}: checksum mismatch; removed, falling back to the previous checkpoint")
        shutil.rmtree(other, ignore_errors=True)
    name = run.process_group.broadcast(None if path is None else str(path))
    return None if name is None else Path(name)


def _restore_kept_model(run: TrainingRun, path: Path) -> None:
    """Replace the kept model by that of the checkpoint, as a later epoch may have overwritten it."""
    kept, current = path / checkpoint.KEPT_MODEL_FILE, run.directory / WEIGHTS
    if not run.process_group.is_main or not kept.exists():
        return
    if not current.exists() or manifest.sha256(current) != manifest.sha256(kept):
        extra = {seen.FILE: run.trained_on}
        saving.save(run.state.model, run.config, run.directory, extra, weights=saving.read_tensors(kept))
