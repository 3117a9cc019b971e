"""What is made of a file once and found again: its documents as a store, and what follows from them.

The name of a directory or a file is a hash of everything that decides its content, so nothing here is ever out of date:
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

from ner.data.store import reader
from ner.data.store.reader import Store
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document

SETTLED = 2_000_000_000
"""Nanoseconds after which another change of a file shows in its times, on coarse file systems too."""


def cached(
    source: Path, key: Mapping[str, Any], read: Callable[[], Iterable[Document]], root: Path, verify: bool = False
) -> Store:
    """The store of a file, read once: another content or another key is another directory.

    Each start compares sizes only, and trusts the sum of the source as long as size and times of that file are those
    of the last start: to hash gigabytes takes longer than to open them. Of several processes that start together each
    would read the file; let one go first.

    Args:
        source: The file that is read.
        key: What else decides what is read: settings of the format, the path if messages shall name another; JSON.
        read: Gives the documents; called only if there is no store yet, or a damaged or half-written one.
        root: Where the stores are.
        verify: Whether to compute the SHA-256 of the source and of every file of the store.

    Raises:
        InputError: If the source cannot be read or the store cannot be written, and whatever ``read`` raises.
    """
    content = _content_sum(source, root, verify)
    directory = root / _name_of({"source": content, "key": dict(key), "layout": reader.layout().decode()})
    try:
        if verify:
            text_files.verify(directory)
        return reader.open_store(directory)
    except InputError:
        reader.write(read(), directory)  # absent, half-written or damaged: the answer is the same
    return reader.open_store(directory)


def _name_of(key: Mapping[str, Any]) -> str:
    """32 hexadecimal digits that stand for a value of JSON."""
    canonical = json.dumps(dict(key), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _content_sum(source: Path, root: Path, afresh: bool) -> str:
    """SHA-256 of a file, noted in ``root`` and computed again when the file's size, times or place on disk change.

    Of a directory the same goes for each file in it: an edit of one leaves the times of the directory as they are.
    """
    note = root / f"{_name_of({'path': str(source.absolute())})}.json"
    try:
        now, states = time.time_ns(), [file.stat() for file in text_files.members(source)]
        stamp = [value for s in states for value in (s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns)]
        known = None if afresh else _noted(note, stamp)
        found = text_files.sha256(source) if known is None else known
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}") from None
    # right after a change the next one may leave the times as they are (git calls such entries racy)
    if known is None and now - max((max(s.st_mtime_ns, s.st_ctime_ns) for s in states), default=now) > SETTLED:
        with suppress(InputError):  # stores that others have made may be read without the right to write
            text_files.write_bytes(note, json.dumps({"source": str(source), "stamp": stamp, "sha256": found}).encode())
    return found


def _noted(note: Path, stamp: list[int]) -> str | None:
    """The sum in a note, if that was written of the same state of the file."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(note.read_bytes())
        if kept["stamp"] == stamp:
            return str(kept["sha256"])
    return None


def saved_table(
    documents: Store, kind: str, columns: int, code: str, key: Mapping[str, Any], make: Callable[[], np.ndarray]
) -> np.ndarray:
    """A table that follows from documents, made once and memory-mapped.

    Args:
        documents: In whose directory the table is kept.
        kind: What it is: ``plan``, ``hashes``.
        columns: How many it has.
        code: Type of its integers, as ``array`` has them: ``i`` or ``q``.
        key: What else decides it, the settings of an encoder, say; JSON.
        make: Gives the table, ``(rows, columns)`` integers; called only if there is none yet.

    Returns:
        Integers of that type, not writable.

    Raises:
        InputError: If the table cannot be written.
    """
    path = documents.directory / f"{kind}-{_name_of(key)}.npy"
    try:
        return _load_table(path, columns, code)
    except (OSError, ValueError, EOFError):  # absent, or not whole
        _save_table(path, make().astype(code, copy=False))
    return _load_table(path, columns, code)


def saved_values(documents: Store, kind: str, key: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    """The same for a plain value, kept as JSON."""
    path = documents.directory / f"{kind}-{_name_of(key)}.json"
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        found = make()
    text_files.write_bytes(path, json.dumps(found, ensure_ascii=False).encode())
    return found


def _load_table(path: Path, columns: int, code: str) -> np.ndarray:
    table = np.load(path, mmap_mode="r", allow_pickle=False)
    if table.dtype != np.dtype(code) or table.shape[1:] != (columns,):
        raise ValueError("not such a table")
    return np.asarray(table)


def _save_table(path: Path, table: np.ndarray) -> None:
    """As :func:`ner.runtime.text_files.write_bytes`, without the bytes of the table in memory a second time."""
    assert table.ndim == 2, f"rows and columns, not {table.shape}"
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with reader.writing(path):
            with open(part, "wb") as file:
                np.save(file, table, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
