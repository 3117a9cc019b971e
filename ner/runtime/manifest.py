"""Manifests: sizes and SHA-256 checksums of the files in a directory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ner.errors import InputError
from ner.runtime.atomic import write_bytes

MANIFEST = "manifest.json"


def files_in(path: Path) -> list[Path]:
    """Return the files of a directory sorted by name, or the path itself if it is a file."""
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; for a directory, of the names and checksums of its files."""
    if path.is_dir():
        sums = "".join(f"{sha256(file)}  {file.name}\n" for file in files_in(path))
        return hashlib.sha256(sums.encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(path: Path, checksum: bool = True) -> dict[str, Any]:
    return {**({"sha256": sha256(path)} if checksum else {}), "bytes": path.stat().st_size}


def write_manifest(directory: Path, names: Iterable[str], staged: Mapping[str, Path] | None = None) -> None:
    """Write the manifest of a directory, with the size and checksum of each file. Call it last.

    Args:
        directory: Directory of the files.
        names: File names relative to the directory.
        staged: Temporary paths of files by name. They are renamed after all checksums are computed, which keeps the
            time short in which files and manifest disagree.
    """
    staged = staged or {}
    entries = {name: _entry(staged.get(name, directory / name)) for name in sorted(names)}
    for name, path in staged.items():
        os.replace(path, directory / name)
    write_bytes(directory / MANIFEST, json.dumps(entries, indent=2, ensure_ascii=False).encode())


def verify(directory: Path, checksums: bool = True) -> list[str]:
    """Verify every file of a manifest and return their names; without ``checksums``, only compare the sizes.

    Raises:
        InputError: If the manifest or a file is missing, or a file has another size or checksum.
    """
    try:
        entries = json.loads((directory / MANIFEST).read_bytes())
    except OSError:
        below = sorted(path.parent.name for path in directory.glob(f"*/{MANIFEST}"))
        hint = f"; did you mean {directory / below[-1]}?" if below else ""
        raise InputError(
            f"{directory}: no {MANIFEST}, so this is not the directory of a finished model{hint}"
        ) from None
    except ValueError:
        entries = None
    if not isinstance(entries, dict):
        raise InputError(f"{directory / MANIFEST}: not a manifest; copy or train the model again")
    for name, entry in entries.items():
        path = directory / name
        if ".." in Path(name).parts or Path(name).is_absolute() or path.is_symlink():
            raise InputError(f"{directory / MANIFEST}: lists a file outside the directory: {name}")
        if not path.is_file():
            raise InputError(f"{path}: missing, but listed in the manifest; copy the whole directory again")
        found = _entry(path, checksums)
        if not isinstance(entry, dict) or found != {key: entry.get(key) for key in found}:
            raise InputError(f"{path}: SHA-256 or size differs from the manifest; copy it again")
    return list(entries)
