"""Training data that outgrow memory: documents in memory-mapped columns of integers, made again when asked for.

A file is read once; every later start opens the columns, which takes no time and hardly any memory. A store is a
directory of binary files (``COLUMNS``), ``layout.json`` and a manifest. An example is a record of 32-bit integers
(``_pack`` and ``_unpack``): numbers of strings in a table of distinct words, tags and labels, and numbers of texts.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast, overload

import numpy as np

from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example, Span

LAYOUT = "layout.json"
COLUMNS = {
    "documents": ("i", 3),  # number of the id, source and scheme of each document
    "lengths": ("i", 1),  # examples of each document
    "firsts": ("q", 1),  # where the examples of each document begin, and the end
    "words_of": ("i", 1),  # words of each example
    "records": ("i", 1),  # the examples, one after the other
    "starts": ("q", 1),  # where the record of each example begins, and the end
    "strings": ("B", 1),  # words, tags, labels, sources and schemes, each once
    "strings.starts": ("q", 1),
    "texts": ("B", 1),  # raw texts, answers and fields
    "texts.starts": ("q", 1),
    "words.counts": ("q", 1),  # how often each string occurs as a word, up to the last that does
    "labels.counts": ("q", 1),
    "tags.counts": ("q", 1),
    "classes.counts": ("q", 1),
}
"""Name of a column -> type code of ``array``, columns of the table. The version of the layout is this table itself."""

KINDS = ("words", "labels", "tags", "classes")
"""What is counted."""
CHUNK = 1 << 20
"""Integers of a buffer that are written at once."""
MOST_KEPT = 1 << 18
"""Strings that stay decoded."""
FOLLOWING = re.compile(r"[a-z]+-[0-9a-f]{32}\.(npy|json)|\..*\.part")
"""Names of what :mod:`ner.data.store.cache` keeps beside the columns, and of files that were never finished."""
ABANDONED = 3600
"""Seconds after which a directory that nobody writes to is left from a process that was killed."""

# The parts of a record that may be missing, in the order in which they stand.
TAGS, SPANS, LABELS, ANSWERS, TEXT, OFFSETS, FIELDS, QUERY, PIECES, SOURCE, REMARKS = (1 << bit for bit in range(11))


def _pack(
    example: Example, source: str, words: Sequence[int], string: Callable[[str], int], text: Callable[[str], int]
) -> list[int]:
    """The record of an example.

    Args:
        example: One tag, piece and pair of offsets a word, where it has them.
        source: Of its document; an example that is from there too says nothing of it.
        words: Numbers of its words.
        string: Gives the number of a word, tag or label.
        text: Gives the number of a longer text.
    """
    for kept in (example.tags, example.offsets, example.pieces):
        assert kept is None or len(kept) == len(words), f"{example.place}: one tag, piece and pair of offsets a word"
    parts, cells = 0, [0, example.line, *words]
    if example.tags is not None:
        parts |= TAGS
        cells.extend(map(string, example.tags))
    if example.spans:
        parts |= SPANS
        cells.append(len(example.spans))
        for span in example.spans:
            cells += (span.start, span.end, string(span.label))
    if example.labels:
        parts |= LABELS
        cells.append(len(example.labels))
        cells.extend(map(string, example.labels))
    if example.answers:
        parts |= ANSWERS
        cells.append(len(example.answers))
        cells.extend(map(text, example.answers))
    if example.text is not None:
        parts |= TEXT
        cells.append(text(example.text))
    if example.offsets is not None:
        parts |= OFFSETS
        for offsets in example.offsets:
            cells += offsets
    if example.fields:
        parts |= FIELDS
        # as they are: of two escaped halves of a surrogate pair JSON would make one character
        cells.append(text(json.dumps(example.fields, ensure_ascii=False)))
    if example.query_length:
        parts |= QUERY
        cells.append(example.query_length)
    if example.pieces is not None:
        parts |= PIECES
        cells += example.pieces
    if example.source != source:
        parts |= SOURCE
        cells.append(string(example.source))
    if example.remarks:
        parts |= REMARKS
        cells.append(len(example.remarks))
        cells.extend(map(string, example.remarks))
    cells[0] = parts
    return cells


def _unpack(
    cells: Sequence[int], width: int, source: str, strings: Mapping[int, str], texts: Callable[[int], str]
) -> Example:
    """The example of a record; ``width`` is the number of its words. The reverse of :func:`_pack`."""
    rest = iter(cells)
    parts, line = next(rest), next(rest)
    example = Example([strings[number] for number in islice(rest, width)], source=source, line=line)
    if parts & TAGS:
        example.tags = [strings[number] for number in islice(rest, width)]
    if parts & SPANS:
        example.spans = [Span(next(rest), next(rest), strings[next(rest)]) for _ in range(next(rest))]
    if parts & LABELS:
        example.labels = [strings[next(rest)] for _ in range(next(rest))]
    if parts & ANSWERS:
        example.answers = [texts(next(rest)) for _ in range(next(rest))]
    if parts & TEXT:
        example.text = texts(next(rest))
    if parts & OFFSETS:
        example.offsets = [(next(rest), next(rest)) for _ in range(width)]
    if parts & FIELDS:
        example.fields = json.loads(texts(next(rest)))
    if parts & QUERY:
        example.query_length = next(rest)
    if parts & PIECES:
        example.pieces = list(islice(rest, width))
    if parts & SOURCE:
        example.source = strings[next(rest)]
    if parts & REMARKS:
        example.remarks = [strings[next(rest)] for _ in range(next(rest))]
    return example


def _pack_id(name: str, text: Callable[[str], int]) -> int:
    """The id of a document: itself where it is a plain number, as in files without document marks."""
    if name.isdecimal() and len(name) < 10 and str(int(name)) == name:
        return int(name)
    return -1 - text(name)


def _unpack_id(cell: int, texts: Callable[[int], str]) -> str:
    """The reverse of :func:`_pack_id`."""
    return str(cell) if cell >= 0 else texts(-1 - cell)


class _Texts:
    """Buffers of strings, one after the other as UTF-8 with halves of surrogate pairs, and of where each begins."""

    def __init__(self, data: array[int], starts: array[int]) -> None:
        self.data, self.starts = data, starts
        self.size = self.count = 0
        starts.append(0)

    def append(self, string: str) -> int:
        """Keep a string; its number is the count of those before."""
        encoded = string.encode(errors="surrogatepass")
        self.data.frombytes(encoded)
        self.size += len(encoded)
        self.starts.append(self.size)
        self.count += 1
        return self.count - 1


class _Strings(dict[str, int]):
    """String -> its number, in the order of first appearance."""

    def __init__(self, texts: _Texts) -> None:
        self.texts = texts

    def __missing__(self, string: str) -> int:
        number = self[string] = self.texts.append(string)
        return number


class _Writer:
    """Takes documents one by one and appends them to the columns of a directory."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.files: dict[str, BinaryIO] = {}
        for name in COLUMNS:
            file = self.files[name] = _path(folder, name).open("wb")
            opened.callback(_close, file)
        self.columns: dict[str, array[int]] = {name: array(code) for name, (code, _) in COLUMNS.items()}
        self.seen: dict[str, array[int]] = {kind: array("i") for kind in KINDS}
        self.counts = {kind: np.zeros(0, dtype=np.int64) for kind in KINDS}
        self.strings = _Strings(_Texts(self.columns["strings"], self.columns["strings.starts"]))
        self.texts = _Texts(self.columns["texts"], self.columns["texts.starts"])
        self.examples = self.cells = 0
        self.columns["firsts"].append(0)
        self.columns["starts"].append(0)

    def add(self, document: Document) -> None:
        """One more document."""
        before = self.examples
        for example in document.examples:
            try:
                self._add_example(example, document.source)
            except OverflowError:
                raise InputError(
                    f"{example.place}: expected numbers below 2,147,483,648, found a larger one, which a store "
                    "cannot hold; split the file"
                ) from None
        name = _pack_id(document.id, self.texts.append)
        self.columns["documents"].extend((name, self.strings[document.source], self.strings[document.scheme]))
        self.columns["lengths"].append(self.examples - before)
        self.columns["firsts"].append(self.examples)

    def _add_example(self, example: Example, source: str) -> None:
        columns, seen, string = self.columns, self.seen, self.strings.__getitem__
        words = list(map(string, example.words))
        cells = _pack(example, source, words, string, self.texts.append)
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
        """Whether a buffer should be written."""
        columns = self.columns
        return len(columns["records"]) > CHUNK or len(columns["texts"]) > CHUNK or len(columns["lengths"]) > CHUNK

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
        """Write what is left, and the counts, and wait until it is on the disk."""
        self.flush()
        for kind, counts in self.counts.items():
            self.files[f"{kind}.counts"].write(counts.astype(np.int64).tobytes())
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())


def _close(file: BinaryIO) -> None:
    """Close a file that was flushed, or one that is given up: a full disk would be met here a second time."""
    with suppress(OSError):
        file.close()


def _path(folder: Path, column: str) -> Path:
    return folder / f"{column}.bin"


def layout() -> bytes:
    """What a store that this version and this machine can read says of itself."""
    return json.dumps({"byteorder": sys.byteorder, "columns": COLUMNS}, indent=1).encode()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses is said in a sentence: a full disk, a directory that belongs to somebody else."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}; make room, or give another directory"
        ) from error


def write(documents: Iterable[Document], directory: Path) -> None:
    """A store of documents, whole or absent; an older one in its place is removed first.

    Memory grows with the table of distinct strings alone. ``Document.lines``, ``Example.rows`` and all scores
    are dropped: they are for writing predictions back.

    Raises:
        InputError: If the directory cannot be written, or is there and is not a store.
    """
    # in containers a process that follows a killed one often has the same id
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
            text_files.write_bytes(part / LAYOUT, layout())
            text_files.write_manifest(part, [LAYOUT, *(_path(part, name).name for name in COLUMNS)])
            _put(part, directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _clear(directory: Path) -> None:
    """Make room: remove an older store, and what processes that were killed have left of this one."""
    ours = {LAYOUT, text_files.MANIFEST, *(_path(directory, name).name for name in COLUMNS)}
    for path in directory.iterdir() if directory.exists() else ():
        if path.name not in ours and not FOLLOWING.fullmatch(path.name):
            raise InputError(f"{directory}: expected a store or nothing, found '{path.name}'; give another directory")
    if directory.exists():
        shutil.rmtree(directory)
    for part in directory.parent.glob(f".{glob.escape(directory.name)}.*.part"):
        with suppress(OSError):  # another process may be removing it
            latest = max(path.stat().st_mtime for path in (part, *part.iterdir()))
            if time.time() - latest > ABANDONED:
                shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, directory: Path) -> None:
    """Move a finished directory into its place; where another process was faster its store is as good."""
    try:
        os.replace(part, directory)
    except OSError:
        if not (directory / text_files.MANIFEST).is_file():
            raise


def _check_sizes(directory: Path) -> None:
    """An error unless the directory has the files of a store in the sizes that its manifest names."""
    again = "remove the directory, and it is made again"
    try:
        entries = json.loads((directory / text_files.MANIFEST).read_bytes())
        sizes = {name: entry["bytes"] for name, entry in entries.items()}
    except OSError:
        raise InputError(f"{directory}: no {text_files.MANIFEST}, so this is not a finished store; {again}") from None
    except (ValueError, AttributeError, TypeError, KeyError):
        raise InputError(f"{directory / text_files.MANIFEST}: not a manifest; {again}") from None
    for path in (directory / LAYOUT, *(_path(directory, name) for name in COLUMNS)):
        expected, found = sizes.get(path.name), path.stat().st_size if path.is_file() else None
        if found is None or found != expected:
            raise InputError(f"{path}: expected {expected} bytes as in {text_files.MANIFEST}, found {found}; {again}")
    if (directory / LAYOUT).read_bytes() != layout():
        raise InputError(f"{directory}: written by another version or on another kind of machine; {again}")


class Examples(Sequence[Example]):
    """The examples of a document. Each is made when it is asked for, anew each time."""

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
    """Strings by number, decoded each time. The reverse of :class:`_Texts`."""

    def __init__(self, data: np.ndarray, starts: np.ndarray) -> None:
        self.data, self.starts = data, starts

    def __call__(self, number: int) -> str:
        start, stop = self.starts[number : number + 2].tolist()
        return self.data[start:stop].tobytes().decode(errors="surrogatepass")


class _SavedStrings(dict[int, str]):
    """Strings by number; those lately asked for stay decoded, so that equal words share their memory."""

    def __init__(self, texts: _SavedTexts) -> None:
        self.texts = texts

    def __missing__(self, number: int) -> str:
        if len(self) >= MOST_KEPT:
            self.clear()
        string = self[number] = self.texts(number)
        return string


class Store(Sequence[Document]):
    """Documents of a directory that :func:`write` has filled, each made when it is asked for.

    Args:
        directory: Whose files were checked; :func:`open_store` does it.

    Attributes:
        directory: Where it is.
        lengths: Number of examples of each document; memory-mapped, as the next one.
        words_of: ``(S,)`` number of words of each example, over all documents.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._columns = {name: _mapped(_path(directory, name), code) for name, (code, _) in COLUMNS.items()}
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
        # training only counts, indexes and slices the list of a document
        kept = cast("list[Example]", examples)
        return Document(kept, _unpack_id(name, self._texts), source, self._strings[scheme])

    def _example(self, position: int, source: str) -> Example:
        start, stop = self._starts[position : position + 2].tolist()
        cells = self._records[start:stop].tolist()
        return _unpack(cells, int(self.words_of[position]), source, self._strings, self._texts)

    def word_counts(self) -> Counter[str]:
        """How often each word occurs: all distinct words in memory."""
        return self._counts("words")

    def label_counts(self) -> Counter[str]:
        """How often each label of a span occurs."""
        return self._counts("labels")

    def tag_counts(self) -> Counter[str]:
        """How often each tag occurs, of whichever scheme."""
        return self._counts("tags")

    def class_counts(self) -> Counter[str]:
        """How often each label of a whole example occurs."""
        return self._counts("classes")

    def _counts(self, kind: str) -> Counter[str]:
        counts = self._columns[f"{kind}.counts"]
        numbers = np.flatnonzero(counts)
        strings = map(self._strings.texts, numbers.tolist())
        return Counter(dict(zip(strings, counts[numbers].tolist(), strict=True)))


def _mapped(path: Path, code: str) -> np.ndarray:
    """The array of a file, not writable; an empty file cannot be mapped."""
    dtype = np.dtype(code)
    return np.asarray(np.memmap(path, dtype, "r")) if path.stat().st_size else np.zeros(0, dtype)


def open_store(directory: Path) -> Store:
    """The store in a directory. Layout and sizes of files are checked, which takes milliseconds.

    Raises:
        InputError: If it is not the directory of a finished store of this version.
    """
    _check_sizes(directory)
    try:
        return Store(directory)
    except OSError as error:
        raise InputError(f"{directory}: cannot be read: {error.strerror or error}") from None
