"""Manifests: sizes and SHA-256 checksums of the files in a directory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from ner.errors import InputError
from ner.runtime.atomic import write_bytes
from ner.runtime.json_files import read_json

MANIFEST = "manifest.json"
MAX_BYTES = 1 << 22
"""Bytes of a manifest, at most."""
MAX_NAME = 250
"""Characters of a name in a manifest, at most."""


class Entry(TypedDict):
    """Size and SHA-256 of a file."""

    sha256: str
    bytes: int


ENTRIES = TypeAdapter(dict[str, Entry])


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


def write_manifest(directory: Path, names: Iterable[str], staged: Mapping[str, Path] | None = None) -> None:
    """Write the manifest of a directory, with the size and checksum of each file. Call it last.

    Args:
        directory: Directory of the files.
        names: File names relative to the directory.
        staged: Temporary paths of files by name. They are renamed after all checksums are computed, which keeps the
            time short in which files and manifest disagree.
    """
    staged = staged or {}
    paths = {name: staged.get(name, directory / name) for name in sorted(names)}
    entries = {name: {"sha256": sha256(path), "bytes": path.stat().st_size} for name, path in paths.items()}
    for name, path in staged.items():
        os.replace(path, directory / name)
    write_bytes(directory / MANIFEST, json.dumps(entries, indent=2, ensure_ascii=False).encode())


def verify(directory: Path, checksums: bool = True) -> list[str]:
    """Verify every file of a manifest and return their names; without ``checksums``, only compare the sizes.

    Raises:
        InputError: If the manifest or a file is missing, a file has another size or checksum, or a name is not the
            plain relative name of a regular file in the directory.
    """
    path = directory / MANIFEST
    if not directory.exists():
        raise InputError(f"{directory}: no such directory")
    if not path.is_file():
        subdirectories = sorted(manifest.parent.name for manifest in directory.glob(f"*/{MANIFEST}"))
        hint = f"; did you mean {directory / subdirectories[-1]}?" if subdirectories else ""
        raise InputError(f"{directory}: no {MANIFEST}, so this is not the directory of a finished model{hint}")
    entries = read_json(path, ENTRIES, MAX_BYTES)
    for name, entry in entries.items():
        relative_path = PurePosixPath(name)
        is_plain = str(relative_path) == name and name.isprintable() and "\\" not in name and len(name) <= MAX_NAME
        if not is_plain or not relative_path.parts or relative_path.is_absolute() or ".." in relative_path.parts:
            raise InputError(f"{path}: expected relative names of files in the directory, found {name[:MAX_NAME]!r}")
        file = directory / name
        if any((directory / parent).is_symlink() for parent in (relative_path, *relative_path.parents)[:-1]):
            raise InputError(f"{file}: is a symbolic link; a run directory contains only files and folders of its own")
        if not file.is_file():
            raise InputError(f"{file}: missing, but listed in the manifest; copy the whole directory again")
        if file.stat().st_size != entry["bytes"] or (checksums and sha256(file) != entry["sha256"]):
            raise InputError(f"{file}: SHA-256 or size differs from the manifest; copy it again")
    return list(entries)
