"""CoNLL column files: one word per line, blank lines between sentences, ``-DOCSTART-`` lines between documents.

Files are written back byte for byte, with the predicted tag as an additional last column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from itertools import chain, count
from typing import BinaryIO, Literal, NamedTuple

from ner.config.base import ComponentConfig, Encoding, WordSplit
from ner.data import tags
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example

DOCSTART = re.compile(r"-DOCSTART-(?:[ \t]+\([^\r\n]*\))?(?:[ \t]+(?:-X-|O|-DOCSTART-|[-_*]+))*[ \t]*[\r\n]*")
"""Document mark: alone, with an id in parentheses (AIDA), with columns of -X-, O, -DOCSTART- or fillers (CoNLL)."""
COLUMN = re.compile(r"[^ \t]+")
BLANK = " \t\r\n"
"""ASCII only, because other white space may be a word."""
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
    encoding: Encoding = "utf-8"
    """Character encoding of the file."""


def breaks(config: Config) -> dict[str, str]:
    """Return the characters that a tag cannot contain. A space is one in rows without tabs, which ``write`` checks."""
    return {"tags": "\t\r\n" + " " * (config.separator == "space")}


class Layout(NamedTuple):
    """Properties of a file that are detected before its rows are parsed.

    Attributes:
        tabs: True if tabs separate the columns, otherwise any number of spaces and tabs.
        columns: Number of columns of the first row.
        scheme: Tagging scheme.
        marked: True if the file contains document marks.
    """

    tabs: bool
    columns: int
    scheme: str
    marked: bool


class Sentence(NamedTuple):
    """Lines of a sentence, the number of its first line, and the blank lines and document marks before it."""

    before: list[str]
    rows: list[str]
    line: int
    starts_document: bool


def read(path: str, config: Config, words: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield the documents of a file; without document marks, every sentence is a document.

    Raises:
        InputError: With file and line, if a row lacks a column or has a tag outside the scheme, if a byte cannot be
            decoded, or if the file has no sentence.
    """
    numbers = count()

    def new_document() -> Document:
        return Document([], str(next(numbers)), path, layout.scheme, [] if for_rewriting else None)

    with text_files.spooled([path]), text_files.open_bytes(path) as file:  # it is read twice
        layout = detect_layout(path, config, sentences(file, path, config))
        parse = lru_cache(CACHED_LINES)(partial(parse_row, config=config, layout=layout))
        document = new_document()
        for sentence in sentences(file, path, config):
            full = sentence.rows and len(document.examples) >= (MAX_SENTENCES if layout.marked else 1)
            if document.examples and (full or sentence.starts_document):
                yield document
                document = new_document()
            example = Example([], source=path, line=sentence.line)
            if document.source_lines is not None:
                document.source_lines += sentence.before + sentence.rows
                end = len(document.source_lines)
                example.line_indices = list(range(end - len(sentence.rows), end))
            if not sentence.rows:
                continue
            parsed: list[tuple[str, str]] = []
            try:
                for row in sentence.rows:
                    parsed.append(parse(row))
            except InputError as error:
                raise InputError(f"{path}:{sentence.line + len(parsed)}: {error}") from None
            example.words = [word for word, _ in parsed]
            if config.tag is not None:
                example.spans, example.tags = tags.normalize([tag for _, tag in parsed], layout.scheme)
            document.examples.append(example)
    if document.examples or document.source_lines:
        yield document


def sentences(file: BinaryIO, path: str, config: Config) -> Iterator[Sentence]:
    """Group the lines of a file into sentences; blank lines and document marks separate them.

    Lines after the last sentence are a sentence without rows. A byte order mark counts as a line before the first.
    """
    file.seek(0)
    before: list[str] = []
    rows: list[str] = []
    first, starts_document = 0, False
    for number, line in enumerate(chain.from_iterable(text_files.decoded_blocks(file, path, config.encoding)), 1):
        if number == 1 and line.startswith("\ufeff"):
            before.append("\ufeff")
            line = line[1:]
        is_mark = line.startswith("-DOCSTART-") and config.docstart == "document" and bool(DOCSTART.fullmatch(line))
        if is_mark or not line.strip(BLANK):
            if rows:
                yield Sentence(before, rows, first, starts_document)
                before, rows, starts_document = [], [], False
            before.append(line)
            starts_document = starts_document or is_mark
        else:
            first = first if rows else number
            rows.append(line)
    if rows or before:
        yield Sentence(before, rows, first, starts_document)


def detect_layout(path: str, config: Config, found: Iterable[Sentence]) -> Layout:
    """Detect the layout of a file from its sentences; rows are not checked.

    Raises:
        InputError: If the file has no rows, or word and tag are the same column.
    """
    detector, tabs, columns, marked = tags.SchemeDetector(), False, 0, False
    split = lru_cache(CACHED_LINES)(split_columns)
    tag = config.tag if config.scheme == "auto" else None
    for sentence in found:
        marked = marked or sentence.starts_document
        if sentence.rows and not columns:
            tabs = config.separator == "tab" or (config.separator == "auto" and "\t" in sentence.rows[0])
            columns = len(split(sentence.rows[0], tabs))
            place = f"{path}:{sentence.line}"
            if "\r" in sentence.rows[0].rstrip("\r\n") and not sentence.rows[0].endswith("\n"):
                raise InputError(f"{place}: expected line feeds, found carriage returns alone; convert the file")
            used = [c % columns for c in (config.word, config.tag) if c is not None and -columns <= c < columns]
            if len(used) > len({*used}) and columns > 1:
                raise InputError(
                    f"{place}: expected word and tag in different columns, found both in column {used[0]} of "
                    f"{columns}; set data.format.word and data.format.tag"
                )
        if tag is not None:
            cells = [split(row, tabs) for row in sentence.rows]
            detector.add([row[tag] for row in cells if -len(row) <= tag < len(row)])
    if not columns:
        raise InputError(f"{path}: expected sentences, found an empty file")
    return Layout(tabs, columns, detector.scheme if config.scheme == "auto" else config.scheme, marked)


def split_columns(row: str, tabs: bool) -> list[str]:
    """Return the columns of a row."""
    body = row.rstrip("\r\n")
    return body.split("\t") if tabs else COLUMN.findall(body)


def parse_row(row: str, config: Config, layout: Layout) -> tuple[str, str]:
    """Return the word and the tag of a row; the tag is empty without a tag column.

    Raises:
        InputError: If a column is missing or its content is invalid.
    """
    cells = split_columns(row, layout.tabs)
    columns = [config.word] if config.tag is None else [config.word, config.tag]
    expected = max(len(columns), *(column + 1 if column >= 0 else -column for column in columns))
    if config.tag is not None:  # then all rows have the same columns
        expected = max(expected, layout.columns)
    if len(cells) < expected or (config.tag is not None and len(cells) > expected):
        shown = row.rstrip("\r\n")[:40]
        raise InputError(f'expected {expected} columns, found {len(cells)} ("{shown}")')
    word = cells[config.word]
    if not word:
        raise InputError(f"expected a word in column {config.word}, found nothing")
    if config.strip_position_digit:
        if len(word) < 2 or word[-1] not in "0123456789":
            raise InputError(
                f"expected a word followed by a digit, found '{word[:40]}'; set data.format.strip_position_digit=false"
            )
        word = word[:-1]
    if config.tag is None:
        return word, ""
    hint = "set data.format.tag to the column of the tag, or data.format.scheme=none for plain tags"
    tags.check_tag(cells[config.tag], layout.scheme, hint)
    return word, cells[config.tag]


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
                    if separator == " " and " " in tag:
                        raise InputError(
                            f"{example.location}: expected tabs between columns, because the tag '{tag}' contains a "
                            "space; convert the input, or choose --format text or jsonl"
                        )
                    lines[index] = f"{body}{separator}{tag}{lines[index][len(body) :]}"
            file.writelines(lines)
