"""Run directories: their files, the rules for reading and writing them, and the search for runs.

A run directory may come from a stranger, and a wrong option may point into one. Three rules make both harmless:

- :func:`check_links`: a run directory contains regular files and directories only. No link leads out of it.
- :func:`check_outputs`: no command writes over its inputs, over files of a run, or twice to one file.
- :func:`check_unused`: a new run starts in a directory that is absent, empty, or left by a start that failed.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.config import plugins
from ner.config.parts import load_component, validate
from ner.data.seen import FILE as TRAINED_ON
from ner.errors import InputError, reason
from ner.runs.calibration import FILE as CALIBRATION
from ner.runtime import manifest
from ner.runtime.json_files import read_json

if TYPE_CHECKING:
    from ner.config.schema import RunConfig  # imported where it is used: commands on exports need none of it

WEIGHTS = "model.safetensors"
CONFIG = "config.yaml"
LABELS = "labels.json"
WORDS = "words.json"
LOG = "train.log"
LOCK = "train.lock"
METRICS = "metrics.json"
HISTORY = "history.csv"
PREDICTIONS = "predictions"
CHECKPOINTS = "checkpoints"

FILES = frozenset(
    {
        *(WEIGHTS, CONFIG, LABELS, WORDS, LOG, LOCK, METRICS, HISTORY, CHECKPOINTS, TRAINED_ON, manifest.MANIFEST),
        *("encoder", "unit", "last", "events.jsonl", "control", "history.md", "timing.csv", "tensorboard", "README.md"),
        *(plugins.FILE, CALIBRATION),
    }
)
"""Files and folders of a run; commands write others only below ``predictions`` or under new names."""
MAX_FILES = 100_000
"""Files in a run directory, at most."""


def read_config(directory: Path) -> RunConfig:
    """Read the resolved configuration of a run; warn about plug-ins whose code has changed since the training.

    Raises:
        InputError: If it is missing or invalid, a plug-in is missing, or the directory contains a link.
    """
    from ner.config.schema import RunConfig

    raw = read_raw_config(directory)
    if (directory / plugins.FILE).is_file():
        plugin_records = read_json(directory / plugins.FILE, plugins.RECORDS)
        for message in plugins.check(plugin_records, directory):
            warnings.warn(message, stacklevel=2)
    try:
        config: RunConfig = validate(RunConfig, raw)
    except InputError as error:
        raise InputError(f"{directory / CONFIG}: {error}") from error
    return config


def read_raw_config(directory: Path) -> Any:
    """Read the configuration of a run as plain values; keys of earlier versions have their new names."""
    from ner.config.load import read_text, read_yaml
    from ner.config.renamed import upgrade

    check_links(directory)
    path = directory / CONFIG
    if not path.is_file():
        raise InputError(f"{path}: cannot be read: no such file; is {directory} the directory of a run?")
    return upgrade(read_yaml(read_text(path), str(path)))


def config_files(config: RunConfig) -> dict[str, bytes]:
    """Return the files that describe a run: its configuration, and the plug-ins that it needs, if any."""
    from ner.config.load import write_yaml

    plugin_records = plugins.used_by(config)
    files = {CONFIG: write_yaml(config).encode()}
    return {**files, plugins.FILE: json.dumps(plugin_records, indent=2).encode()} if plugin_records else files


def check_links(directory: Path) -> None:
    """Check that a run directory contains nothing but regular files and directories; the directory may be a link.

    Raises:
        InputError: If it contains a link, a pipe or a device, or more than :data:`MAX_FILES` files.
    """
    for number, entry in enumerate(_entries(directory)):
        mode = entry.stat(follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "a pipe or device"
            raise InputError(f"{entry.path}: is {kind}; a run directory contains only files and folders of its own")
        if number > MAX_FILES:
            raise InputError(f"{directory}: more than {MAX_FILES:,} files; this is not the directory of a run")


def _entries(directory: str | Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below a directory; files that vanish meanwhile are left out."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)


def check_outputs(outputs: Mapping[str, str | None], inputs: Iterable[str | Path | None]) -> None:
    """Check that output files are no inputs, no files of a run, and all different. Call it before any work.

    Args:
        outputs: Path of each output by its option; None and ``-`` are skipped.
        inputs: Paths of the inputs; None and ``-`` are skipped.

    Raises:
        InputError: If one of these rules is broken.
    """
    used_paths = [(Path(path), "an input file") for path in inputs if path and str(path) != "-"]
    for option, name in outputs.items():
        output = Path(name or "-")
        if name == "-" or name is None or (output.exists() and not output.is_file() and not output.is_dir()):
            continue  # streams and devices
        for path, description in used_paths:
            if _same_file(output, path):
                raise InputError(f"{option} {output}: is {description}; choose another name")
        resolved = output.resolve()
        for directory in (resolved, *resolved.parents):
            run_markers = (manifest.MANIFEST, CHECKPOINTS, TRAINED_ON)
            if not (directory / CONFIG).is_file() or not any((directory / marker).exists() for marker in run_markers):
                continue  # not a run
            is_run_file = any(_same_file(output, directory / name) for name in FILES)
            if is_run_file or directory == resolved or resolved.relative_to(directory).parts[0] in FILES:
                raise InputError(f"{option} {output}: belongs to the run {directory}; choose another name")
        used_paths.append((output, "the file of another option"))


def _same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return path.absolute() == other.absolute()


def files_in_config(config: RunConfig) -> list[str]:
    """Return the values of a configuration that name existing files, such as the data of a run."""
    paths: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, (dict, list, tuple)):
            for item in value.values() if isinstance(value, dict) else value:
                walk(item)
        elif isinstance(value, str) and value:
            with suppress(OSError, ValueError):
                if Path(value).exists():
                    paths.append(value)

    walk(config.model_dump())
    return paths


def predictions_path(directory: Path, config: RunConfig) -> Path:
    """Return the file of the predictions for the test data; some formats write a directory."""
    return directory / PREDICTIONS / f"test.{load_component('formats', config.data.format.name).output_extension}"


def remove_results(directory: Path, config: RunConfig) -> None:
    """Remove the scores and predictions of earlier weights."""
    (directory / METRICS).unlink(missing_ok=True)
    path = predictions_path(directory, config)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_unused(directory: Path) -> None:
    """Check that a new run may start in a directory.

    Raises:
        InputError: If it contains a run or other files.
    """
    try:
        names = {path.name for path in directory.iterdir()} if directory.exists() else set()
    except (OSError, ValueError) as error:
        raise InputError(f"{directory}: cannot be written: {reason(error)}") from None
    for name, content in ((manifest.MANIFEST, "a trained model"), (CHECKPOINTS, "checkpoints")):
        if name in names:
            raise InputError(
                f"{directory}: already contains {content}; continue with --resume, choose another --run, or remove it"
            )
    known = FILES | {PREDICTIONS} if TRAINED_ON in names else {LOG, LOCK}  # a start that failed before its first epoch
    foreign = sorted(name for name in names - known if not name.endswith(".part"))
    if foreign:
        raise InputError(f"{directory}: contains other files ({foreign[0]}); choose an empty directory for --run")


def folder_for(config: str) -> Path:
    """Return ``runs/<path of the configuration below configs/>``."""
    path = Path(config).with_suffix("")
    parts = path.parts
    relative_parts = parts[len(parts) - parts[::-1].index("configs") :] if "configs" in parts[:-1] else parts[-1:]
    return Path("runs", *relative_parts)


def create_timed(folder: Path) -> Path:
    """Create ``<folder>/<time>``, with a number if that directory exists, and return it.

    Raises:
        InputError: If it cannot be created.
    """
    now = time.strftime("%Y-%m-%dT%H-%M-%S")
    number = 1
    while True:
        directory = folder / (now if number == 1 else f"{now}-{number}")
        try:
            directory.mkdir(parents=True)
            return directory
        except FileExistsError:  # another training has started in the same second
            number += 1
        except (OSError, ValueError) as error:
            raise InputError(f"{directory}: cannot be written: {reason(error)}") from None


def remove_directory(directory: Path) -> None:
    """Remove a run directory, and the folders below ``runs`` that are empty then."""
    shutil.rmtree(directory, ignore_errors=True)
    for folder in directory.parents:
        if folder.parts[:1] == ("runs",):
            with suppress(OSError):
                folder.rmdir()


def find_runs(root: Path) -> list[Path]:
    """Return the directories below ``root`` that contain a model, newest first, without the copies inside a run."""
    paths = [path.parent for path in root.rglob(manifest.MANIFEST)]
    paths = [path for path in paths if (path / WEIGHTS).exists() and not (path.parent / manifest.MANIFEST).exists()]
    return sorted(paths, key=lambda path: ((path / manifest.MANIFEST).stat().st_mtime_ns, str(path)), reverse=True)


def newest_run(root: Path = Path("runs")) -> Path:
    """Return the newest run whose model passes verification.

    Raises:
        InputError: If there is none.
    """
    for path in find_runs(root):
        try:
            manifest.verify(path)
        except InputError:
            continue
        return path
    raise InputError(f"{root}/: found no run with a model; train one (ner train --config ...) or pass --run DIR")


def resolve_run(name: str | None) -> Path:
    """Return the run directory of that name, or the newest run if there is no name.

    Raises:
        InputError: If there is no run, or its directory contains a link.
    """
    directory = Path(name) if name else newest_run()
    check_links(directory)
    return directory
