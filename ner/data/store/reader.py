"""Reading a store: documents in memory-mapped columns of integers, for training data larger than memory.

A file is parsed once; later runs open the columns, which takes neither time nor memory. A store is a directory of
binary files (``COLUMNS``), ``layout.json`` and a manifest. An example is a record of 32-bit integers: numbers of
strings in a table of distinct words, tags and labels, and numbers of texts (see :mod:`ner.data.store.record`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast, overload

import numpy as np

from ner.data.store.record import COLUMNS, LAYOUT, column_path, layout, unpack, unpack_id
from ner.data.tags import PLAIN
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.runtime import manifest
from ner.types import Document, Example

MAX_CACHED_STRINGS = 1 << 18
"""Strings that stay decoded."""


class Examples(Sequence[Example]):
    """The examples of a document. Every access builds a new example."""

    __slots__ = ("_make", "_positions", "_source")

    def __init__(self, make: Callable[[int, str], Example], positions: range, source: str) -> None:
        self._make, self._positions, self._source = make, positions, source

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self._make(position, self._source) for position in self._positions[index]]
        return self._make(self._positions[index], self._source)

    def __iter__(self) -> Iterator[Example]:
        return (self._make(position, self._source) for position in self._positions)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, Examples)):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))


class _SavedTexts:
    """Strings by number, decoded at every access."""

    def __init__(self, data: np.ndarray, starts: np.ndarray) -> None:
        self.data, self.starts = data, starts

    def __call__(self, number: int) -> str:
        start, stop = self.starts[number : number + 2].tolist()
        return self.data[start:stop].tobytes().decode(errors="surrogatepass")


class _SavedStrings(dict[int, str]):
    """Strings by number. Recently used ones stay decoded, so equal words share memory."""

    def __init__(self, texts: _SavedTexts) -> None:
        self.texts = texts

    def __missing__(self, number: int) -> str:
        if len(self) >= MAX_CACHED_STRINGS:
            self.clear()
        string = self[number] = self.texts(number)
        return string


class Store(Sequence[Document]):
    """Documents of a directory written by :func:`ner.data.store.writer.write`. Every access builds a new document.

    Args:
        directory: The directory of the store; :func:`open_store` checks its files.

    Attributes:
        directory: The directory of the store.
        lengths: Number of examples of each document; memory-mapped.
        words_of: ``(S,)`` number of words of each example over all documents; memory-mapped.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._columns = {name: _mapped(column_path(directory, name), code) for name, (code, _) in COLUMNS.items()}
        self.lengths, self.words_of = self._columns["lengths"], self._columns["words_of"]
        self._documents = self._columns["documents"].reshape(-1, COLUMNS["documents"][1])
        self._firsts, self._starts = self._columns["firsts"], self._columns["starts"]
        self._records = self._columns["records"]
        self._strings = _SavedStrings(_SavedTexts(self._columns["strings"], self._columns["strings.starts"]))
        self._texts = _SavedTexts(self._columns["texts"], self._columns["texts.starts"])

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> list[Document]: ...
    def __getitem__(self, index: int | slice) -> Document | list[Document]:
        if isinstance(index, slice):
            return [self._document(number) for number in range(len(self))[index]]
        return self._document(range(len(self))[index])

    def __iter__(self) -> Iterator[Document]:
        return map(self._document, range(len(self)))

    def _document(self, number: int) -> Document:
        name, source_number, scheme = self._documents[number].tolist()
        source = self._strings[source_number]
        examples = Examples(self._example, range(*self._firsts[number : number + 2].tolist()), source)
        # a sequence is enough: training only counts, indexes and slices the examples of a document
        kept = cast("list[Example]", examples)
        return Document(kept, unpack_id(name, self._texts), source, self._strings[scheme])

    def _example(self, position: int, source: str) -> Example:
        start, stop = self._starts[position : position + 2].tolist()
        cells = self._records[start:stop].tolist()
        return unpack(cells, int(self.words_of[position]), source, self._strings, self._texts)

    def vocabs(self, scheme: str) -> Vocabs:
        """Return the vocabularies of all documents from the counts of the store, without reading the documents."""
        tags = self._counts("tags") if scheme == PLAIN else Counter[str]()
        return Vocabs.from_counts(self._counts("words"), self._counts("labels"), tags, self._counts("classes"), scheme)

    def _counts(self, kind: str) -> Counter[str]:
        """Return how often each distinct string occurs as one of ``COUNTED``."""
        counts = self._columns[f"{kind}.counts"]
        numbers = np.flatnonzero(counts)
        strings = map(self._strings.texts, numbers.tolist())
        return Counter(dict(zip(strings, counts[numbers].tolist(), strict=True)))


def _mapped(path: Path, code: str) -> np.ndarray:
    """Map a file as a read-only array; an empty file cannot be mapped and becomes an empty array."""
    dtype = np.dtype(code)
    return np.asarray(np.memmap(path, dtype, "r")) if path.stat().st_size else np.zeros(0, dtype)


def open_store(directory: Path) -> Store:
    """Open the store in a directory after checking its layout and the sizes of its files, which takes milliseconds.

    Raises:
        InputError: If the directory does not contain a finished store of this version.
    """
    _check_sizes(directory)
    try:
        return Store(directory)
    except OSError as error:
        raise InputError(f"{directory}: cannot be read: {error.strerror or error}") from None


def _check_sizes(directory: Path) -> None:
    """Raise an InputError unless the directory contains the files of a store in the sizes of its manifest."""
    again = "remove the directory to have it rebuilt"
    try:
        entries = json.loads((directory / manifest.MANIFEST).read_bytes())
        sizes = {name: entry["bytes"] for name, entry in entries.items()}
    except OSError:
        raise InputError(f"{directory}: no {manifest.MANIFEST}, so this is not a finished store; {again}") from None
    except (ValueError, AttributeError, TypeError, KeyError):
        raise InputError(f"{directory / manifest.MANIFEST}: not a manifest; {again}") from None
    for path in (directory / LAYOUT, *(column_path(directory, name) for name in COLUMNS)):
        expected, found = sizes.get(path.name), path.stat().st_size if path.is_file() else None
        if found is None or found != expected:
            raise InputError(f"{path}: expected {expected} bytes as in {manifest.MANIFEST}, found {found}; {again}")
    if (directory / LAYOUT).read_bytes() != layout():
        raise InputError(f"{directory}: written by another version or on a machine with another byte order; {again}")
