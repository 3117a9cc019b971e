"""Stores: parsed documents in a directory of memory-mapped files, for training data larger than memory.

``documents.jsonl`` begins with the names of all fields (:func:`layout`). Each document is a line of its fields,
followed by a line per example; fields with default values are left out. As 64-bit integers, ``starts.bin`` contains the
byte where each line starts, and ``firsts.bin`` the line of each document. ``counts.json`` contains the vocabularies.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import shutil
import struct
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar, cast, overload

from ner.data.tags import PLAIN
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.runtime import atomic, manifest
from ner.types import Document, Example, RawTags, Span

T = TypeVar("T")

TEXT, STARTS, FIRSTS, COUNTS = FILES = ("documents.jsonl", "starts.bin", "firsts.bin", "counts.json")
DERIVED_FILES = re.compile(r"[a-z]+-[0-9a-f]{32}\.npy|\..*\.part")
"""Names of the files that :func:`ner.data.cache.derived` adds to a store, and of unfinished files."""
AGAIN = "remove the directory to have it rebuilt"

UNSAVED = ("probabilities",)
"""Fields of predictions, which are not stored."""
FIELDS = {
    kind: [field.name for field in fields(kind) if field.name not in UNSAVED] for kind in (Document, Example, Span)
}
DEFAULTS = {
    Document: {name: getattr(Document([]), name) for name in FIELDS[Document] if name != "examples"},
    Example: {name: getattr(Example([]), name) for name in FIELDS[Example]},
}

_pack = struct.Struct("q").pack
_parse = json.JSONDecoder().raw_decode  # a third faster than json.loads for short lines
_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=attrgetter(*FIELDS[Span])).encode


def layout() -> bytes:
    """Return the first line of a store, which describes the layout that this version and machine write and read."""
    names = {kind.__name__: names for kind, names in FIELDS.items()}
    return json.dumps({"byteorder": sys.byteorder, **names}).encode() + b"\n"


def write(documents: Iterable[Document], directory: Path) -> None:
    """Write a store of documents; the directory is complete or absent. An older store is removed first.

    Memory grows only with the number of distinct words.

    Raises:
        InputError: If the directory cannot be written, or exists and is not a store.
    """
    vocabs = Vocabs(scheme=PLAIN)  # counts the tags of every scheme
    example_defaults = DEFAULTS[Example].copy()
    with atomic.new_directory(directory) as folder:
        _remove_store(directory)
        with (
            open(folder / TEXT, "wb") as text,
            open(folder / STARTS, "wb") as starts,
            open(folder / FIRSTS, "wb") as firsts,
        ):

            def add(line: bytes) -> None:
                starts.write(_pack(text.tell()))
                text.write(line)

            add(layout())
            for document in documents:
                firsts.write(_pack(starts.tell() // 8))  # number of the next line
                add(_line(document, DEFAULTS[Document]))
                example_defaults["source"] = document.source
                for example in document.examples:
                    add(_line(example, example_defaults))
                    vocabs.add(example)
            firsts.write(_pack(starts.tell() // 8))
            starts.write(_pack(text.tell()))
            for file in (text, starts, firsts):
                file.flush()
                os.fsync(file.fileno())
        counts = {kind: getattr(vocabs, kind) for kind in ("words", "labels", "tags", "classes")}
        atomic.write_bytes(folder / COUNTS, _dump(counts).encode(errors="surrogatepass"))
        manifest.write_manifest(folder, FILES)


def _line(value: Document | Example, defaults: Mapping[str, Any]) -> bytes:
    """Return the fields that differ from their defaults as a line of JSON."""
    changed_fields = {
        name: field_value for name, default in defaults.items() if (field_value := getattr(value, name)) != default
    }
    return _dump(changed_fields).encode(errors="surrogatepass") + b"\n"


def _remove_store(directory: Path) -> None:
    """Remove an older store; refuse a directory with other files."""
    if not directory.exists():
        return
    for path in directory.iterdir():
        if path.name not in (*FILES, manifest.MANIFEST) and not DERIVED_FILES.fullmatch(path.name):
            raise InputError(f"{directory}: expected a store or nothing, found '{path.name}'; give another directory")
    shutil.rmtree(directory)


class _LazySequence(Sequence[T]):
    """A sequence that builds an item at every access."""

    __slots__ = ("_positions",)

    _positions: range

    def _build(self, position: int) -> T:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        selected = self._positions[index]
        return list(map(self._build, selected)) if isinstance(selected, range) else self._build(selected)


class _Examples(_LazySequence[Example]):
    """The examples of a document, which are consecutive lines of a store."""

    __slots__ = ("_source", "_store")

    def __init__(self, store: Store, source: str, lines: range) -> None:
        self._store, self._source, self._positions = store, source, lines

    def _build(self, line: int) -> Example:
        record = self._store.record(line)
        record.setdefault("words", [])
        record.setdefault("source", self._source)
        if "spans" in record:
            record["spans"] = [Span(*values) for values in record["spans"]]
        if "raw_tags" in record:
            record["raw_tags"] = RawTags(*record["raw_tags"])
        if "offsets" in record:
            record["offsets"] = [(start, end) for start, end in record["offsets"]]
        return Example(**record)


class Store(_LazySequence[Document]):
    """Documents of a directory that :func:`write` wrote; :func:`open_store` checks the directory before."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._text = _mapped(directory / TEXT)
        self._starts, self._firsts = _mapped(directory / STARTS).cast("q"), _mapped(directory / FIRSTS).cast("q")
        self._positions = range(len(self._firsts) - 1)

    def record(self, line: int) -> dict[str, Any]:
        """Return the fields of a line that differ from their defaults."""
        text = self._text[self._starts[line] : self._starts[line + 1]]
        try:
            record: dict[str, Any] = _parse(str(text, "utf-8", "surrogatepass"))[0]
        except ValueError as error:
            raise InputError(f"{self.directory / TEXT}:{line + 1}: damaged: {error}; {AGAIN}") from None
        return record

    def _build(self, number: int) -> Document:
        line, end = self._firsts[number], self._firsts[number + 1]
        record = self.record(line)
        examples = _Examples(self, record.get("source", ""), range(line + 1, end))
        # a sequence is enough: training only counts, indexes and slices the examples of a document
        return Document(cast("list[Example]", examples), **record)

    def vocabs(self, scheme: str) -> Vocabs:
        """Return the vocabularies of all documents from the counts of the store, without reading the documents."""
        counts = json.loads((self.directory / COUNTS).read_bytes())
        if scheme != PLAIN:
            counts["tags"] = {}
        counters: dict[str, Counter[str]] = {kind: Counter(kind_counts) for kind, kind_counts in counts.items()}
        return Vocabs(scheme=scheme, **counters)  # type: ignore[arg-type]  # keys are the names of counters


def _mapped(path: Path) -> memoryview:
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def open_store(directory: Path) -> Store:
    """Open the store in a directory after checking its layout and the sizes of its files, which takes milliseconds.

    Raises:
        InputError: If the directory does not contain a finished store of this version.
    """
    try:
        if set(manifest.verify(directory, checksums=False)) == set(FILES):
            with open(directory / TEXT, "rb") as file:
                if file.readline() == layout():
                    return Store(directory)
    except OSError as error:
        raise InputError(f"{directory}: cannot be read: {error.strerror or error}") from None
    raise InputError(f"{directory}: written by another version or on a machine with another byte order; {AGAIN}")
