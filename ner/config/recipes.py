"""Recipes: the configurations and the sample data that are shipped with the package."""

from __future__ import annotations

import difflib
import json
import shutil
from pathlib import Path
from typing import Any

from ner.errors import InputError, reason
from ner.types import SPLITS

FOLDER = "configs"
"""Folder of the recipes."""
SAMPLE = "data/sample"
"""Folder of the data of some recipes."""


def root() -> Path:
    """Return the directory that contains the recipes and the sample: the installed package, or the checkout."""
    package = Path(__file__).parents[1]
    return package if (package / FOLDER).is_dir() else package.parent


def names() -> list[str]:
    """Return the names of all recipes, such as ``bert_crf`` and ``conll2003/bilstm_crf``."""
    folder = root() / FOLDER
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def measured() -> dict[str, dict[str, Any]]:
    """Return the measured ``score`` (a text) and ``minutes`` by recipe; ``results/render.py`` writes the file."""
    results: dict[str, dict[str, Any]] = json.loads((root() / FOLDER / "measured.json").read_bytes())
    return results


def sample_notes(raw: dict[str, Any]) -> list[str]:
    """Return a note if files of the bundled sample remain beside training data of the user."""
    data = raw.get("data")
    if not isinstance(data, dict) or _is_sample(data.get("train")):
        return []
    sample_keys = [f"data.{split}" for split in SPLITS if _is_sample(data.get(split))]
    return [f"{' and '.join(sample_keys)}: still the bundled sample; set your own file, or null"] if sample_keys else []


def _is_sample(path: Any) -> bool:
    return str(path).startswith(f"{SAMPLE}/")


def find(name: str | Path) -> Path:
    """Return the configuration file of a path or of the name of a recipe; an existing file takes precedence.

    Raises:
        InputError: If there is no recipe of that name; the message lists similar ones. A path with a suffix or an
            absolute path is returned unchanged, so that reading it reports the error.
    """
    path = Path(name)
    if path.is_file() or path.is_absolute():
        return path
    relative = path.relative_to(FOLDER) if path.parts[:1] == (FOLDER,) else path
    recipe = relative.with_suffix("").as_posix() if relative.suffix in (".yaml", ".yml") else relative.as_posix()
    if recipe in (recipe_names := names()):
        return root() / FOLDER / f"{recipe}.yaml"
    if path.suffix or path.is_dir():
        return path
    similar = difflib.get_close_matches(recipe, recipe_names, 3) or [
        other for other in recipe_names if "/" not in other and other != "tiny"
    ]
    raise InputError(
        f"{name}: no such file and no recipe of that name; recipes: {', '.join(similar)} (see ner recipes)"
    )


def copy_sample(target: Path) -> list[Path]:
    """Copy the sample data, one folder for each task, and return the new files.

    Raises:
        InputError: If the directory exists or cannot be written.
    """
    source = root() / SAMPLE
    paths = sorted(p for p in source.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc"))
    try:
        target.mkdir(parents=True)
        copies = [target / path.relative_to(source) for path in paths]
        for path, copy in zip(paths, copies, strict=True):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    except FileExistsError:
        raise InputError(f"{target}: exists already; choose a new directory") from None
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {reason(error)}") from None
    return copies


def use_sample(raw: dict[str, Any], path: Path) -> None:
    """Let the data files of a recipe refer to the shipped sample unless the working directory contains them.

    Args:
        raw: Plain values of the configuration, changed in place.
        path: Its file; configurations that are not shipped stay as they are.
    """
    data = raw.get("data")
    if not isinstance(data, dict) or not path.resolve().is_relative_to((root() / FOLDER).resolve()):
        return
    for split in SPLITS:
        value = data.get(split)
        if isinstance(value, str) and value.startswith(f"{SAMPLE}/") and not Path(value).exists():
            shipped = root() / value
            if shipped.exists():  # otherwise the path is mistyped, and the message shows it as it was given
                data[split] = str(shipped)
