"""The record of an example in a store: packing it into integers and back, and the columns of a store."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from ner.types import Example, Span

LAYOUT = "layout.json"
COLUMNS = {
    "documents": ("i", 3),  # numbers of the id, source and scheme of each document
    "lengths": ("i", 1),  # examples of each document
    "firsts": ("q", 1),  # number of the first example of each document, and the total
    "words_of": ("i", 1),  # words of each example
    "records": ("i", 1),  # the records of all examples, concatenated
    "starts": ("q", 1),  # where the record of each example begins, and the end
    "strings": ("B", 1),  # distinct words, tags, labels, sources and schemes
    "strings.starts": ("q", 1),
    "texts": ("B", 1),  # raw texts, answers and fields
    "texts.starts": ("q", 1),
    "words.counts": ("q", 1),  # occurrences of each string as a word, up to the last that occurs
    "labels.counts": ("q", 1),
    "tags.counts": ("q", 1),
    "classes.counts": ("q", 1),
}
"""Name of a column -> type code of ``array``, columns of the table. This table is also the version of the layout."""

COUNTED = ("words", "labels", "tags", "classes")
"""Kinds of strings whose occurrences are counted."""

# Optional fields of a record, in the order in which they are stored.
TAGS, SPANS, LABELS, ANSWERS, TEXT, OFFSETS, FIELDS, QUERY, PIECES, SOURCE, REMARKS = (1 << bit for bit in range(11))


def pack(
    example: Example, source: str, words: Sequence[int], string: Callable[[str], int], text: Callable[[str], int]
) -> list[int]:
    """Return the record of an example.

    Args:
        example: The example; its tags, pieces and offsets, if any, are one per word.
        source: Source of the document; the record contains a source only if that of the example differs.
        words: Numbers of the words.
        string: Returns the number of a word, tag or label.
        text: Returns the number of a longer text.
    """
    for kept in (example.tags, example.offsets, example.pieces):
        assert kept is None or len(kept) == len(words), (
            f"{example.location}: expected one tag, piece and offset per word"
        )
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
    if example.metadata:
        parts |= FIELDS
        # not escaped: JSON would join two escaped surrogates into one character
        cells.append(text(json.dumps(example.metadata, ensure_ascii=False)))
    if example.query_length:
        parts |= QUERY
        cells.append(example.query_length)
    if example.pieces is not None:
        parts |= PIECES
        cells += example.pieces
    if example.source != source:
        parts |= SOURCE
        cells.append(string(example.source))
    if example.warnings:
        parts |= REMARKS
        cells.append(len(example.warnings))
        cells.extend(map(string, example.warnings))
    cells[0] = parts
    return cells


def unpack(
    cells: Sequence[int], width: int, source: str, strings: Mapping[int, str], texts: Callable[[int], str]
) -> Example:
    """Return the example of a record of ``width`` words; the inverse of :func:`pack`."""
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
        example.metadata = json.loads(texts(next(rest)))
    if parts & QUERY:
        example.query_length = next(rest)
    if parts & PIECES:
        example.pieces = list(islice(rest, width))
    if parts & SOURCE:
        example.source = strings[next(rest)]
    if parts & REMARKS:
        example.warnings = [strings[next(rest)] for _ in range(next(rest))]
    return example


def pack_id(name: str, text: Callable[[str], int]) -> int:
    """Return a number for the id of a document; a plain decimal, as in files without document marks, is itself."""
    if name.isdecimal() and len(name) < 10 and str(int(name)) == name:
        return int(name)
    return -1 - text(name)


def unpack_id(cell: int, texts: Callable[[int], str]) -> str:
    """Return the id of a document; the inverse of :func:`pack_id`."""
    return str(cell) if cell >= 0 else texts(-1 - cell)


def column_path(directory: Path, column: str) -> Path:
    """Return the path of a column's file."""
    return directory / f"{column}.bin"


def layout() -> bytes:
    """Return the description of the layout that this version and machine write and read."""
    return json.dumps({"byteorder": sys.byteorder, "columns": COLUMNS}, indent=1).encode()
