"""On-disk cache of parsed documents and of data derived from them.

The name of a directory or file is a hash of everything that determines its content, so entries never become stale:
another file or other settings have another name.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ner.data.store import Store, layout, open_store, write
from ner.errors import InputError
from ner.runtime import atomic, manifest
from ner.types import Document

SETTLED = 2_000_000_000
"""Nanoseconds after which another change of a file is visible in its times, even on coarse file systems."""


def cached(source: Path, key: Mapping[str, Any], read: Callable[[], Iterable[Document]], root: Path) -> Store:
    """Return the store of a file, which is built once for each content and key.

    Opening compares sizes only, and reuses the checksum of the source while its size and times are unchanged, because
    hashing gigabytes takes longer than opening them. Concurrent processes would each parse the file, so callers let one
    go first.

    Args:
        source: The file to parse.
        key: Everything else that determines the documents, such as the settings of the format; JSON.
        read: Parses the file; called only if the store is absent, damaged or unfinished.
        root: Directory of the stores.

    Raises:
        InputError: If the source cannot be read or the store cannot be written, or ``read`` raises it.
    """

    def documents() -> Iterator[Document]:
        try:
            yield from read()
        except OSError as error:
            raise InputError(f"{source}: cannot be read: {error.strerror or error}") from error

    directory = root / _name_of({"source": _content_sum(source, root), "key": dict(key), "layout": layout().decode()})
    with suppress(InputError):
        return open_store(directory)
    try:
        write(documents(), directory)
    except InputError:
        with suppress(InputError):
            return open_store(directory)  # another process has written it meanwhile
        raise
    return open_store(directory)


def _name_of(key: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a JSON value."""
    canonical = json.dumps(dict(key), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _content_sum(source: Path, root: Path) -> str:
    """Return the SHA-256 of a file; it is noted in ``root`` and recomputed only if size, times or inode have changed.

    For a directory, every file in it is compared, because editing a file leaves the times of the directory unchanged.
    """
    note_path = root / f"{_name_of({'path': str(source.absolute())})}.json"
    try:
        now, file_stats = time.time_ns(), [file.stat() for file in manifest.files_in(source)]
        stamp = [value for s in file_stats for value in (s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns)]
        with suppress(OSError, ValueError, TypeError, KeyError):
            saved_note = json.loads(note_path.read_bytes())
            if saved_note["stamp"] == stamp:
                return str(saved_note["sha256"])
        checksum = manifest.sha256(source)
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}") from None
    # a second change right after the first may leave the times unchanged (git calls such entries racy)
    if now - max((max(s.st_mtime_ns, s.st_ctime_ns) for s in file_stats), default=now) > SETTLED:
        with suppress(InputError):  # the stores of another user may be read-only
            atomic.write_bytes(
                note_path, json.dumps({"source": str(source), "stamp": stamp, "sha256": checksum}).encode()
            )
    return checksum


def derived(documents: Store, kind: str, key: Mapping[str, Any], make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array derived from documents, computed once and memory-mapped.

    Args:
        documents: The documents; the array is saved in their directory.
        kind: First part of the file name, such as ``plan`` or ``hashes``.
        key: Everything else that determines the array, such as the settings of an encoder; JSON.
        make: Computes the array; called only if it is not saved yet.

    Raises:
        InputError: If the array cannot be written.
    """
    path = documents.directory / f"{kind}-{_name_of(key)}.npy"
    with suppress(OSError, ValueError, EOFError):  # absent or damaged
        return _load(path)
    array = make()
    with atomic.new_file(path) as temporary_path, open(temporary_path, "wb") as file:  # without a second copy in memory
        np.save(file, array, allow_pickle=False)
    return _load(path)


def _load(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
