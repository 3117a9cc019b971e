"""On-disk cache of parsed documents and of data derived from them.

The name of a directory or file is a hash of everything that determines its content, so entries never become stale:
another file or other settings have another name.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ner.data.store.reader import Store, open_store
from ner.data.store.record import layout
from ner.data.store.writer import write, writing
from ner.errors import InputError
from ner.runtime import atomic, manifest
from ner.types import Document

SETTLED = 2_000_000_000
"""Nanoseconds after which another change of a file is visible in its times, even on coarse file systems."""


def cached(
    source: Path, key: Mapping[str, Any], read: Callable[[], Iterable[Document]], root: Path, verify: bool = False
) -> Store:
    """Return the store of a file, which is built once for each content and key.

    Opening compares sizes only, and reuses the checksum of the source while its size and times are unchanged, because
    hashing gigabytes takes longer than opening them. Concurrent processes would each parse the file, so callers let one
    go first.

    Args:
        source: The file to parse.
        key: Everything else that determines the documents, such as the settings of the format; JSON.
        read: Parses the file; called only if the store is absent, damaged or unfinished.
        root: Directory of the stores.
        verify: Compute the SHA-256 of the source and of every file of the store.

    Raises:
        InputError: If the source cannot be read or the store cannot be written, or ``read`` raises it.
    """
    content = _content_sum(source, root, verify)
    directory = root / _name_of({"source": content, "key": dict(key), "layout": layout().decode()})
    try:
        if verify:
            manifest.verify(directory)
        return open_store(directory)
    except InputError:
        write(read(), directory)  # absent, unfinished or damaged
    return open_store(directory)


def _name_of(key: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a JSON value."""
    canonical = json.dumps(dict(key), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _content_sum(source: Path, root: Path, afresh: bool) -> str:
    """Return the SHA-256 of a file; it is noted in ``root`` and recomputed only if size, times or inode have changed.

    For a directory, every file in it is compared, because editing a file leaves the times of the directory unchanged.
    """
    note = root / f"{_name_of({'path': str(source.absolute())})}.json"
    try:
        now, states = time.time_ns(), [file.stat() for file in manifest.files_in(source)]
        stamp = [value for s in states for value in (s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns)]
        known = None if afresh else _noted(note, stamp)
        found = manifest.sha256(source) if known is None else known
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}") from None
    # a second change right after the first may leave the times unchanged (git calls such entries racy)
    if known is None and now - max((max(s.st_mtime_ns, s.st_ctime_ns) for s in states), default=now) > SETTLED:
        with suppress(InputError):  # the stores of another user may be read-only
            atomic.write_bytes(note, json.dumps({"source": str(source), "stamp": stamp, "sha256": found}).encode())
    return found


def _noted(note: Path, stamp: list[int]) -> str | None:
    """Return the checksum in a note if the note describes the same state of the file."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(note.read_bytes())
        if kept["stamp"] == stamp:
            return str(kept["sha256"])
    return None


def saved_table(
    documents: Store, kind: str, columns: int, code: str, key: Mapping[str, Any], make: Callable[[], np.ndarray]
) -> np.ndarray:
    """Return a table derived from documents, computed once and memory-mapped.

    Args:
        documents: The documents; the table is saved in their directory.
        kind: First part of the file name, such as ``plan`` or ``hashes``.
        columns: Number of columns.
        code: Type of the integers, as in ``array``: ``i`` or ``q``.
        key: Everything else that determines the table, such as the settings of an encoder; JSON.
        make: Computes the table, ``(rows, columns)`` integers; called only if there is none yet.

    Returns:
        ``(rows, columns)`` integers of that type, read-only.

    Raises:
        InputError: If the table cannot be written.
    """
    path = documents.directory / f"{kind}-{_name_of(key)}.npy"
    try:
        return _load_table(path, columns, code)
    except (OSError, ValueError, EOFError):  # absent or incomplete
        _save_table(path, make().astype(code, copy=False))
    return _load_table(path, columns, code)


def saved_values(documents: Store, kind: str, key: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    """Return a JSON value derived from documents, computed once; see :func:`saved_table`."""
    path = documents.directory / f"{kind}-{_name_of(key)}.json"
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        found = make()
    atomic.write_bytes(path, json.dumps(found, ensure_ascii=False).encode())
    return found


def _load_table(path: Path, columns: int, code: str) -> np.ndarray:
    table = np.load(path, mmap_mode="r", allow_pickle=False)
    if table.dtype != np.dtype(code) or table.shape[1:] != (columns,):
        raise ValueError("not such a table")
    return np.asarray(table)


def _save_table(path: Path, table: np.ndarray) -> None:
    """Write a table like :func:`ner.runtime.atomic.write_bytes`, but without a second copy in memory."""
    assert table.ndim == 2, f"expected rows and columns, found shape {table.shape}"
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(path):
            with open(part, "wb") as file:
                np.save(file, table, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
