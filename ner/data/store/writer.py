"""Writing a store: documents as columns of integers in a directory of binary files."""

from __future__ import annotations

import glob
import os
import re
import shutil
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ner.data.store.record import COLUMNS, COUNTED, LAYOUT, column_path, layout, pack, pack_id
from ner.errors import InputError
from ner.runtime import atomic, manifest
from ner.types import Document, Example

BUFFER_SIZE = 1 << 20
"""Integers in a buffer before it is written."""
DERIVED_FILES = re.compile(r"[a-z]+-[0-9a-f]{32}\.(npy|json)|\..*\.part")
"""Names of the files that :mod:`ner.data.store.cache` adds to a store, and of unfinished files."""
ABANDONED_AFTER = 3600
"""Seconds without a write after which an unfinished directory belongs to a process that was killed."""


class _Texts:
    """Buffers of concatenated UTF-8 strings (lone surrogates are allowed) and of their start positions."""

    def __init__(self, data: array[int], starts: array[int]) -> None:
        self.data, self.starts = data, starts
        self.size = self.count = 0
        starts.append(0)

    def append(self, string: str) -> int:
        """Append a string and return its number."""
        encoded = string.encode(errors="surrogatepass")
        self.data.frombytes(encoded)
        self.size += len(encoded)
        self.starts.append(self.size)
        self.count += 1
        return self.count - 1


class _Strings(dict[str, int]):
    """Numbers of distinct strings, assigned in order of first occurrence."""

    def __init__(self, texts: _Texts) -> None:
        self.texts = texts

    def __missing__(self, string: str) -> int:
        number = self[string] = self.texts.append(string)
        return number


class _Writer:
    """Writer that appends documents to the columns of a directory."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.files: dict[str, BinaryIO] = {}
        for name in COLUMNS:
            file = self.files[name] = column_path(folder, name).open("wb")
            opened.callback(_close, file)
        self.columns: dict[str, array[int]] = {name: array(code) for name, (code, _) in COLUMNS.items()}
        self.seen: dict[str, array[int]] = {kind: array("i") for kind in COUNTED}
        self.counts = {kind: np.zeros(0, dtype=np.int64) for kind in COUNTED}
        self.strings = _Strings(_Texts(self.columns["strings"], self.columns["strings.starts"]))
        self.texts = _Texts(self.columns["texts"], self.columns["texts.starts"])
        self.examples = self.cells = 0
        self.columns["firsts"].append(0)
        self.columns["starts"].append(0)

    def add(self, document: Document) -> None:
        """Append a document."""
        before = self.examples
        for example in document.examples:
            try:
                self._add_example(example, document.source)
            except OverflowError:
                raise InputError(
                    f"{example.location}: expected numbers below 2,147,483,648, found a larger one, which a store "
                    "cannot hold; split the file"
                ) from None
        name = pack_id(document.id, self.texts.append)
        self.columns["documents"].extend((name, self.strings[document.source], self.strings[document.scheme]))
        self.columns["lengths"].append(self.examples - before)
        self.columns["firsts"].append(self.examples)

    def _add_example(self, example: Example, source: str) -> None:
        columns, seen, string = self.columns, self.seen, self.strings.__getitem__
        words = list(map(string, example.words))
        cells = pack(example, source, words, string, self.texts.append)
        columns["records"].extend(cells)
        self.cells += len(cells)
        columns["starts"].append(self.cells)
        columns["words_of"].append(len(words))
        self.examples += 1
        seen["words"].extend(words)
        if example.spans:
            seen["labels"].extend([string(span.label) for span in example.spans])
        if example.tags:
            seen["tags"].extend(cells[2 + len(words) : 2 + 2 * len(words)])
        if example.labels:
            seen["classes"].extend(map(string, example.labels))

    @property
    def full(self) -> bool:
        """Return whether the buffers should be written."""
        return any(len(self.columns[name]) > BUFFER_SIZE for name in ("records", "texts", "lengths"))

    def flush(self) -> None:
        """Write the buffers and empty them."""
        for kind, seen in self.seen.items():
            before = self.counts[kind]
            self.counts[kind] = np.bincount(seen, minlength=len(before))
            self.counts[kind][: len(before)] += before
            del seen[:]
        for name, column in self.columns.items():
            self.files[name].write(column)
            del column[:]

    def close(self) -> None:
        """Write the rest of the buffers and the counts, and flush the files to disk."""
        self.flush()
        for kind, counts in self.counts.items():
            self.files[f"{kind}.counts"].write(counts.astype(np.int64).tobytes())
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())


def _close(file: BinaryIO) -> None:
    """Close a file; errors are ignored, because a full disk was already reported by the flush."""
    with suppress(OSError):
        file.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert errors of the operating system, such as a full disk or missing permissions, into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}; make room, or give another directory"
        ) from error


def write(documents: Iterable[Document], directory: Path) -> None:
    """Write a store of documents; the directory is complete or absent. An older store is removed first.

    Memory grows only with the table of distinct strings. ``Document.source_lines``, ``Example.line_indices`` and all
    scores are dropped, because only predictions need them.

    Raises:
        InputError: If the directory cannot be written, or exists and is not a store.
    """
    # in a container the successor of a killed process often has the same process id
    part = directory.with_name(f".{directory.name}.{os.getpid()}.{time.time_ns()}.part")
    try:
        with ExitStack() as opened:
            with writing(directory):
                _clear(directory)
                part.mkdir(parents=True)
                writer = _Writer(part, opened)
            for document in documents:
                writer.add(document)
                if writer.full:
                    with writing(directory):
                        writer.flush()
            with writing(directory):
                writer.close()
        with writing(directory):
            atomic.write_bytes(part / LAYOUT, layout())
            manifest.write_manifest(part, [LAYOUT, *(column_path(part, name).name for name in COLUMNS)])
            _put(part, directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _clear(directory: Path) -> None:
    """Remove an older store, and the unfinished directories of processes that were killed."""
    ours = {LAYOUT, manifest.MANIFEST, *(column_path(directory, name).name for name in COLUMNS)}
    for path in directory.iterdir() if directory.exists() else ():
        if path.name not in ours and not DERIVED_FILES.fullmatch(path.name):
            raise InputError(f"{directory}: expected a store or nothing, found '{path.name}'; give another directory")
    if directory.exists():
        shutil.rmtree(directory)
    for part in directory.parent.glob(f".{glob.escape(directory.name)}.*.part"):
        with suppress(OSError):  # another process may be removing it
            latest = max(path.stat().st_mtime for path in (part, *part.iterdir()))
            if time.time() - latest > ABANDONED_AFTER:
                shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, directory: Path) -> None:
    """Move a finished directory to its final path, unless another process has written the same store meanwhile."""
    try:
        os.replace(part, directory)
    except OSError:
        if not (directory / manifest.MANIFEST).is_file():
            raise
