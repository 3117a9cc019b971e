"""Checkpoints: saving and restoring the training state.

A checkpoint is a directory below ``<run>/checkpoints``: tensors in safetensors, all other values in JSON, and a
manifest with checksums. It is written to a temporary directory and renamed when it is complete; older checkpoints are
removed afterwards. A crash during writing therefore leaves the previous checkpoint intact.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field, TypeAdapter
from safetensors import SafetensorError, safe_open
from torch import Tensor
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from ner.config.training import BatchConfig, TrainingConfig
from ner.errors import InputError
from ner.evaluation.scorer import Scorer
from ner.model.saving import read_tensors
from ner.runs.directory import WEIGHTS
from ner.runs.events import MAX_EVENTS, Count, Event
from ner.runtime import atomic, manifest
from ner.runtime.distributed import ProcessGroup, full_cpu_tensor, shard_like
from ner.runtime.json_files import read_json
from ner.training.epoch_record import EpochRecord
from ner.training.state import BestScore, State

FOLDER = "checkpoints"
STATE_FILE = "state.json"
TENSOR_FILE = "state.safetensors"
KEPT_MODEL_FILE = "kept.safetensors"
NAME = re.compile("[0-9]{1,18}-step-[0-9]{1,18}")
"""Names of checkpoints."""


class ScorerCounts(TypedDict):
    """Saved :class:`~ner.evaluation.scorer.Scorer`."""

    totals: dict[str, dict[str, int | float]]
    losses: dict[str, float]
    counts: dict[str, int]
    sentences: Count
    words: Count


class Provenance(TypedDict, total=False):
    """Checksums of the data by split, and what else results depend on."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # read by pydantic
    data: dict[str, str]
    versions: dict[str, str]
    device: str
    threads: int
    processes: int


class SavedState(TypedDict):
    """Contents of ``state.json``: the values of a :class:`~ner.training.state.State` that are not tensors."""

    provenance: Provenance
    step: Count
    epoch: Count
    position: Count
    sentences: Count
    skipped: Count
    lr_scale: Annotated[float, Field(gt=0, le=1)]
    best_epoch: Count
    ended: str
    learning_rates: dict[str, float]
    best: BestScore
    plateau: BestScore
    stopping: BestScore
    training_config: TrainingConfig
    batch_config: BatchConfig
    next_batch_config: BatchConfig
    averaged_updates: Count | None
    scaler: dict[str, float]
    frozen: list[str]
    train_scorer: ScorerCounts
    history: list[EpochRecord]
    events: Annotated[list[Event], Field(max_length=MAX_EVENTS)]


SAVED_STATE = TypeAdapter(SavedState)

_PLAIN = ("step", "epoch", "position", "sentences", "skipped", "lr_scale", "best_epoch", "ended", "learning_rates")
_SCORES = ("best", "plateau", "stopping")
_SETTINGS = ("training_config", "batch_config", "next_batch_config")


def save(state: State, run: Path, provenance: Mapping[str, Any], process_group: ProcessGroup) -> Path | None:
    """Write a checkpoint, then remove all but the ``training.keep_checkpoints`` newest ones.

    Every process must call it; the main process writes.

    Args:
        state: Between two steps.
        run: The run directory.
        provenance: Checksums of the data and versions, compared by :func:`load`.
        process_group: Processes of the training.

    Returns:
        The new directory, or None on all processes but the main one.

    Raises:
        InputError: If it cannot be written; older checkpoints remain.
    """
    tensors = _tensors(state)
    for rank, generator in enumerate(process_group.all_gather_bytes(torch.get_rng_state())):
        tensors[f"random/{rank}/cpu"] = generator
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        for rank, generator in enumerate(process_group.all_gather_bytes(torch.cuda.get_rng_state())):
            tensors[f"random/{rank}/cuda"] = generator
    train_scorer = state.train_scorer.all_reduce(process_group)
    if not process_group.is_main:
        return None
    values = {
        "provenance": dict(provenance),
        **{name: getattr(state, name) for name in _PLAIN},
        **{name: asdict(getattr(state, name)) for name in _SCORES},
        **{name: getattr(state, name).model_dump(mode="json") for name in _SETTINGS},
        "averaged_updates": state.averaged_weights.count if state.averaged_weights else None,
        "scaler": state.scaler.state_dict(),
        "frozen": sorted(state.frozen),
        "train_scorer": train_scorer.to_json(),
        "history": [asdict(record) for record in state.history],
        "events": [asdict(event) for event in state.events],
    }
    older = _directories(run)
    number = 1 + max((_number(path) for path in older), default=0)
    target = run / FOLDER / f"{number:06d}-step-{state.step}"
    for path in (run / FOLDER).glob(".*.part"):  # left behind by a killed process
        shutil.rmtree(path, ignore_errors=True)
    try:
        with process_group.keep_alive(), atomic.new_directory(target) as directory:
            atomic.write_tensors(directory / TENSOR_FILE, tensors)
            atomic.write_bytes(directory / STATE_FILE, json.dumps(values, ensure_ascii=False, indent=1).encode())
            names = [TENSOR_FILE, STATE_FILE]
            # the model that is kept at this step; an epoch that is later discarded may replace it
            if state.best_epoch and (run / WEIGHTS).exists():
                _link(run / WEIGHTS, directory / KEPT_MODEL_FILE)
                names.append(KEPT_MODEL_FILE)
            manifest.write_manifest(directory, names)
    except InputError as error:
        advice = f"; continue from the previous checkpoint ({older[0]}) with --resume" if older else ""
        raise InputError(f"{error}{advice}") from None
    for path in older[max(0, state.training_config.keep_checkpoints - 1) :]:
        shutil.rmtree(path, ignore_errors=True)
    return target


def _link(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it where links are not supported; run files are replaced, never modified."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _tensors(state: State) -> dict[str, Tensor]:
    """Return all tensors on the CPU by name; optimizer state is named after parameters, independent of the groups."""
    found = {f"model/{name}": full_cpu_tensor(tensor) for name, tensor in state.model.state_dict().items()}
    for name, parameter in state.model.named_parameters():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            if value is not None:
                found[f"optimizer/{key}/{name}"] = full_cpu_tensor(value)
    if state.averaged_weights is not None:
        found |= {f"average/{name}": full_cpu_tensor(tensor) for name, tensor in state.averaged_weights.weights.items()}
    return found


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _directories(run: Path) -> list[Path]:
    """Return the checkpoints of a run, intact or not, newest first."""
    found = [path for path in (run / FOLDER).glob("*-step-*") if NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=_number, reverse=True)


def find(run: Path) -> tuple[Path | None, list[Path]]:
    """Return the newest checkpoint whose checksums match, and the newer ones that are corrupt."""
    corrupt: list[Path] = []
    for path in _directories(run):
        try:
            if {STATE_FILE, TENSOR_FILE} <= set(manifest.verify(path)):
                return path, corrupt
        except InputError:
            pass
        corrupt.append(path)
    return None, corrupt


def load(
    path: Path, state: State, provenance: Mapping[str, Any], metrics: Sequence[str], process_group: ProcessGroup
) -> list[str]:
    """Restore a checkpoint.

    Args:
        path: Result of :func:`find`.
        state: Initial state of the same configuration; changed in place.
        provenance: As given to :func:`save`; its ``data`` must be equal.
        metrics: Names of the metrics of the run.
        process_group: Processes of the training; their number may differ from that of :func:`save`.

    Returns:
        Warnings about differences that may change the result.

    Raises:
        InputError: If the data have changed, or the checkpoint belongs to another model.
    """
    values = read_state(path)
    warnings = compare(path, provenance)
    missing = set(metrics) - set(values["train_scorer"]["totals"])
    if missing or len(values["history"]) != values["epoch"] or not 0 <= values["best_epoch"] <= values["epoch"]:
        raise InputError(f"{path / STATE_FILE}: not a state of this run; remove the checkpoint")
    with process_group.keep_alive():
        tensors = read_tensors(path / TENSOR_FILE)
    _restore(path, state, tensors, values["averaged_updates"] or 0)
    for name in (*_PLAIN, *_SCORES, *_SETTINGS):
        setattr(state, name, values[name])  # type: ignore[literal-required]  # names of both
    state.frozen = set(values["frozen"])
    state.train_scorer = Scorer.from_json(metrics, values["train_scorer"])
    if not process_group.is_main:  # the counts are summed over the processes later
        state.train_scorer.totals = Scorer(metrics).totals
        state.train_scorer.sentences = state.train_scorer.words = 0
    state.history, state.events = values["history"], values["events"]
    if values["scaler"]:
        state.scaler.load_state_dict(values["scaler"])
    generator = tensors.get(f"random/{process_group.rank}/cpu")
    if generator is not None:  # otherwise the process is new and keeps the random state of its seed
        try:
            torch.set_rng_state(generator)
        except (TypeError, RuntimeError):
            raise InputError(
                f"{path / TENSOR_FILE}: not a random state of this version of torch; remove the checkpoint"
            ) from None
    saved = sum(name.startswith("random/") and name.endswith("/cpu") for name in tensors)
    if process_group.size > saved:
        warnings.append(
            f"{process_group.size - saved} processes are new and have new random states; weights will differ"
        )
    if f"random/{process_group.rank}/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors[f"random/{process_group.rank}/cuda"])
    return warnings


def compare(path: Path, provenance: Mapping[str, Any]) -> list[str]:
    """Return warnings about what has changed since a checkpoint was saved.

    Raises:
        InputError: If the data have changed.
    """
    then = read_state(path)["provenance"]
    for split, checksum in then.get("data", {}).items():
        now = provenance["data"].get(split)
        if now is None:
            raise InputError(
                f"config.data.{split}: the run was started with such a file; expected the same file, found none"
            )
        if now != checksum:
            raise InputError(
                f"{path / STATE_FILE}: the {split} file has changed since the run began (SHA-256 {checksum[:12]}..., "
                f"now {now[:12]}...); restore the file, or start a new run from these weights with --init"
            )
    return _differences(then, provenance)


def read_state(path: Path) -> SavedState:
    """Read the values of a checkpoint.

    Raises:
        InputError: If they have other names or types.
    """
    try:
        return read_json(path / STATE_FILE, SAVED_STATE)
    except InputError as error:
        raise InputError(f"{error}; a checkpoint of another version cannot be resumed, only used with --init") from None


def num_elements(path: Path) -> int:
    """Return the number of elements of all tensors in a checkpoint, from the header of the file.

    Raises:
        InputError: If it is not a safetensors file.
    """
    try:
        with safe_open(path / TENSOR_FILE, "pt") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # not iterable
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path / TENSOR_FILE}: not a safetensors file ({error})") from None


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of the model weights in a checkpoint, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(read_tensors(path / TENSOR_FILE).items()):
        if name.startswith("model/"):
            digest.update(name.encode() + tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _restore(path: Path, state: State, tensors: Mapping[str, Tensor], averaged_updates: int) -> None:
    """Copy the tensors of a checkpoint into a state, after all of them have been checked.

    Raises:
        InputError: If a tensor is missing, unknown, or has another shape or type than in a training of this model.
    """

    def checked(folder: str, templates: Mapping[str, Tensor]) -> dict[str, Tensor]:
        saved = {name.removeprefix(folder): tensor for name, tensor in tensors.items() if name.startswith(folder)}
        for name in sorted(templates.keys() | saved.keys()):
            template, tensor = templates.get(name), saved.get(name)
            if template is None or tensor is None or (template.shape, template.dtype) != (tensor.shape, tensor.dtype):
                raise InputError(
                    f"{path / TENSOR_FILE}: checkpoint of another model ({name} differs); "
                    "use the configuration of the run"
                )
        return saved

    model_tensors = state.model.state_dict()
    parameters = dict(state.model.named_parameters())
    keys = ("momentum_buffer",) if isinstance(state.optimizer, torch.optim.SGD) else ("step", "exp_avg", "exp_avg_sq")
    started = [name for name in parameters if f"optimizer/{keys[0]}/{name}" in tensors]
    scalar = torch.zeros(())
    templates = {f"{key}/{name}": scalar if key == "step" else parameters[name] for key in keys for name in started}
    saved_model, saved_optimizer = checked("model/", model_tensors), checked("optimizer/", templates)
    saved_average = {}
    if state.averaged_weights is not None:
        averaged = {name: parameter for name, parameter in parameters.items() if f"average/{name}" in tensors}
        saved_average = checked("average/", averaged)
    with torch.no_grad():
        for name, tensor in model_tensors.items():
            tensor.copy_(shard_like(saved_model[name], tensor))
    state.optimizer.state.clear()
    for name, tensor in saved_optimizer.items():
        key, _, parameter = name.partition("/")
        template = parameters[parameter]
        state.optimizer.state[template][key] = (
            shard_like(tensor, template) if tensor.ndim else tensor.to(template.device)
        )
    if state.averaged_weights is not None:
        state.averaged_weights.count = averaged_updates
        state.averaged_weights.weights = {name: shard_like(t, parameters[name]) for name, t in saved_average.items()}


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return warnings about differences that may change the weights of a resumed run."""
    found = []
    for key in ("versions", "device", "threads", "processes"):
        before, after = then.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
            pairs = [(f"{key} of {name}", before.get(name), after.get(name)) for name in sorted(changed)]
        else:
            pairs = [(key, before, after)] if before != after else []
        found += [f"{name}: {old} in the checkpoint, {new} now; weights may differ" for name, old, new in pairs]
    return found
