"""Names of the files in a run directory, its configuration, and the search for runs."""

from __future__ import annotations

from pathlib import Path

from ner.config.load import read_yaml
from ner.config.parts import validate
from ner.config.schema import RunConfig
from ner.errors import InputError
from ner.runtime import manifest

WEIGHTS = "model.safetensors"
CONFIG = "config.yaml"
LABELS = "labels.json"


def read_config(directory: Path) -> RunConfig:
    """Read the resolved configuration of a run.

    Raises:
        InputError: If it is missing or invalid.
    """
    path = directory / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read; is {directory} the directory of a run?") from error
    config: RunConfig = validate(RunConfig, read_yaml(text, str(path)))
    return config


def find_runs(root: Path) -> list[Path]:
    """Return the directories below ``root`` that contain a model, newest first, without the copies inside a run."""
    found = [path.parent for path in root.rglob(manifest.MANIFEST)]
    found = [path for path in found if (path / WEIGHTS).exists() and not (path.parent / manifest.MANIFEST).exists()]
    return sorted(found, key=lambda path: ((path / manifest.MANIFEST).stat().st_mtime_ns, str(path)), reverse=True)


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
    raise InputError(f"{root}/: found no run with a model; train one (python train.py --config ...) or pass --run DIR")


def resolve_run(name: str | None) -> Path:
    """Return the run directory of that name, or the newest run if there is no name."""
    return Path(name) if name else newest_run()
