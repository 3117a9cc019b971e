"""CoNLL column files: one word per line, blank lines between sentences, ``-DOCSTART-`` lines between documents.

Files are written back byte for byte, with the predicted tag as an additional last column.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import chain
from typing import Literal, NamedTuple

from ner.config.base import ComponentConfig, WordRule
from ner.data import tags
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example

DOCSTART = "-DOCSTART-"
MAX_SENTENCES = 1000
"""Longer documents are read in parts."""
CACHED_LINES = 200_000
"""Distinct lines whose columns are cached; most lines of a file occur many times."""

extension = "conll"
probabilities = False
STORES = frozenset({"tags"})


class Config(ComponentConfig):
    """Column files as in CoNLL."""

    name: Literal["conll"] = "conll"
    """Name of the file in ner/data/formats."""
    word: int = 0
    """Column of the word, counted from 0."""
    tag: int | None = -1
    """Column of the tag; -1 is the last one, null stands for none."""
    separator: Literal["auto", "space", "tab"] = "auto"
    """Column separator, ASCII space or tab; auto detects it at the first word."""
    scheme: Literal["auto", "bio", "iob1", "io", "bioes", "bmes", "bilou", "none"] = "auto"
    """Tagging scheme of the file; none for plain tags such as parts of speech, auto for detection over the whole
    file."""
    docstart: Literal["document", "sentence"] = "document"
    """Meaning of a line -DOCSTART-: start of a document, or a sentence of one word."""
    strip_position_digit: bool = False
    """Remove the last digit of each word, a position marker in the Weibo files."""
    encoding: str = "utf-8"
    """Character encoding of the file."""


class Layout(NamedTuple):
    """Properties of a file that are detected before its rows are parsed.

    Attributes:
        tabs: Whether tabs separate the columns, otherwise any number of spaces and tabs.
        columns: Number of columns of the first row.
        scheme: Tagging scheme.
        marked: Whether the file contains document marks.
    """

    tabs: bool
    columns: int
    scheme: str
    marked: bool


class Sentence(NamedTuple):
    """The rows of a sentence with their lines, preceded by blank lines and document marks."""

    before: list[str]
    lines: list[str]
    rows: list[list[str]]
    line_number: int


def read(path: str, config: Config, words: WordRule, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield the documents of a file; without document marks, every sentence is a document.

    Raises:
        InputError: With file and line, if a row lacks a column or has a tag outside the scheme, if a byte cannot be
            decoded, or if the file has no sentence.
    """
    lines = _line_source(path, config.encoding)
    layout = detect_layout(path, lines, config)
    parse = lru_cache(CACHED_LINES)(partial(parse_row, config=config, layout=layout))
    limit = MAX_SENTENCES if layout.marked else 1
    number = 0
    document = Document([], "0", path, layout.scheme, [] if for_rewriting else None)
    for before, kept, rows, line_number in sentences(path, lines(), parse):
        full = len(document.examples) >= limit and rows
        if document.examples and (full or any(map(_is_mark, before))):
            yield document
            number += 1
            document = Document([], str(number), path, layout.scheme, [] if for_rewriting else None)
        line_indices = None
        if document.source_lines is not None:
            document.source_lines += before + kept
            line_indices = list(range(len(document.source_lines) - len(kept), len(document.source_lines)))
        if rows:
            example = Example([row[0] for row in rows], source=path, line=line_number, line_indices=line_indices)
            if config.tag is not None:
                example.spans, example.tags = tags.normalize([row[1] for row in rows], layout.scheme)
            document.examples.append(example)
    if document.examples or document.source_lines:
        yield document


def sentences(path: str, lines: Iterable[str], parse: Callable[[str], list[str]]) -> Iterator[Sentence]:
    """Group the rows of a file into sentences. Lines after the last sentence are returned as one without rows.

    Args:
        path: Path of the file, for messages.
        lines: Its lines.
        parse: Returns the columns of a row, none for blank lines and document marks.
    """
    before: list[str] = []
    kept: list[str] = []
    rows: list[list[str]] = []
    first = 0
    for number, line in enumerate(lines, 1):
        try:
            row = parse(line if number > 1 else line.removeprefix("\ufeff"))
        except InputError as error:
            raise InputError(f"{path}:{number}: {error}") from None
        if row:
            first = first if rows else number
            rows.append(row)
            kept.append(line)
        else:
            if rows:
                yield Sentence(before, kept, rows, first)
                before, kept, rows = [], [], []
            before.append(line)
    if rows or before:
        yield Sentence(before, kept, rows, first)


def parse_row(line: str, config: Config, layout: Layout) -> list[str]:
    """Return the word and the tag, if any, of a row; an empty list for a blank line or a document mark.

    Raises:
        InputError: If a column is missing or its content is invalid.
    """
    cells = split_columns(line, layout.tabs, config.docstart)
    if not cells:
        return []
    columns = [config.word] if config.tag is None else [config.word, config.tag]
    expected = max(len(columns), *(column + 1 if column >= 0 else -column for column in columns))
    if config.tag is not None:  # then all rows have the same columns
        expected = max(expected, layout.columns)
    if len(cells) < expected or (config.tag is not None and len(cells) > expected):
        shown = line.rstrip("\r\n")[:40]
        raise InputError(f'expected {expected} columns, found {len(cells)} ("{shown}")')
    word, *tag = (cells[column] for column in columns)
    if not word:
        raise InputError(f"expected a word in column {config.word}, found nothing")
    if config.strip_position_digit:
        if len(word) < 2 or word[-1] not in "0123456789":
            raise InputError(
                f"expected a word followed by a digit, found '{word[:40]}'; set data.format.strip_position_digit=false"
            )
        word = word[:-1]
    if tag:
        hint = "set data.format.tag to the column of the tag, or data.format.scheme=none for plain tags"
        tags.check_tag(tag[0], layout.scheme, hint)
    return [word, *tag]


def split_columns(line: str, tabs: bool, docstart: str) -> list[str]:
    """Return all columns of a row, or an empty list for a blank line or a document mark."""
    body = line.rstrip("\r\n")
    if not body.strip(" \t") or (docstart == "document" and _is_mark(line)):
        return []
    return body.split("\t") if tabs else re.split("[ \t]+", body.strip(" \t"))


def _is_mark(line: str) -> bool:
    return re.match(r"\ufeff?-DOCSTART-(?![^ \t\r\n])", line) is not None


def detect_layout(path: str, lines: Callable[[], Iterator[str]], config: Config) -> Layout:
    """Detect the layout of a file; rows are not checked.

    Raises:
        InputError: If the file has no rows.
    """

    def split(tabs: bool) -> Iterator[Sentence]:
        cached = lru_cache(CACHED_LINES)(partial(split_columns, tabs=tabs, docstart=config.docstart))
        return sentences(path, lines(), cached)

    first = next(split(tabs=False), None)
    if first is None or not first.rows:
        raise InputError(f"{path}: expected sentences, found an empty file")
    tabs = config.separator == "tab" or (config.separator == "auto" and "\t" in first.lines[0])
    detector, columns, marked = tags.SchemeDetector(), 0, False
    tag = config.tag if config.scheme == "auto" else None
    for sentence in split(tabs):
        columns = columns or len(sentence.rows[0])
        marked = marked or any(map(_is_mark, sentence.before))
        if tag is not None:
            detector.add([row[tag] for row in sentence.rows if -len(row) <= tag < len(row)])
    return Layout(tabs, columns, detector.scheme if config.scheme == "auto" else config.scheme, marked)


def _line_source(path: str, encoding: str) -> Callable[[], Iterator[str]]:
    """Return a function that reads the lines from the start each time; a pipe is read into memory first."""
    data = text_files.open_bytes(path).read() if path == "-" else None

    def lines() -> Iterator[str]:
        with io.BytesIO(data) if data is not None else text_files.open_bytes(path) as file:
            yield from chain.from_iterable(text_files.decoded_blocks(file, path, encoding))

    return lines


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write documents with their predicted tags as the last column, in the encoding of the input.

    Documents that were read ``for_rewriting`` keep their lines and the scheme of their file. Others are written as two
    columns, word and tag.
    """
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            lines = list(document.source_lines or ())
            for example in document.examples:
                predicted = tags.tags_in_scheme(example, document.scheme)
                if document.source_lines is None:
                    rows = [f"{word} {tag}\n" for word, tag in zip(example.words, predicted, strict=True)]
                    lines += [*rows, "\n"]
                    continue
                assert example.line_indices is not None, "examples have line indices if their document has lines"
                for index, tag in zip(example.line_indices, predicted, strict=True):
                    body = lines[index].rstrip("\r\n")
                    separator = "\t" if config.separator == "tab" or "\t" in body else " "
                    lines[index] = f"{body}{separator}{tag}{lines[index][len(body) :]}"
            file.writelines(lines)
