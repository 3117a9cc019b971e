"""Column files: a word a line, blank lines between sentences, ``-DOCSTART-`` between documents.

Written back, every line stands where it stood, byte for byte, with the prediction as a last column.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from ner import files, tags
from ner.contracts import Part
from ner.text import WordRule
from ner.types import Document, Example, InputError

DOCSTART = "-DOCSTART-"
MOST_SENTENCES = 1000
"""A longer document is read in parts."""

extension = "conll"


class Config(Part):
    """Column files."""

    name: Literal["conll"] = "conll"
    """File of ner/formats."""
    word: int = 0
    """Column of the word, counted from 0."""
    tag: int | None = -1
    """Column of the tag, -1 being the last; null where there are no tags."""
    separator: Literal["auto", "space", "tab"] = "auto"
    """What stands between columns; auto looks at the first word. Only ASCII space and tab separate."""
    scheme: Literal["auto", "bio", "iob1", "io", "bioes", "bmes", "bilou", "none"] = "auto"
    """How tags are written; none for plain tags such as parts of speech; auto looks at the whole file."""
    docstart: Literal["document", "sentence"] = "document"
    """Whether a line -DOCSTART- begins a document or is a sentence of one word."""
    encoding: str = "utf-8"
    """Of the file."""


def read(path: str, config: Config, words: WordRule, keep: bool = False) -> Iterator[Document]:
    """Documents in order. Without document marks every sentence is a document.

    Raises:
        InputError: With file and line, if a line lacks a column or has a tag that the scheme does not know, if a byte
            cannot be decoded, or if there is no sentence at all.
    """
    lines = _lines(path, config.encoding)
    tab, scheme, marked = _survey(lines(), config)
    columns = _Columns(path, config, tab, scheme)
    document = Document([], "0", path, scheme, [] if keep else None)
    sentence: list[_Line] = []
    number = sentences = 0
    for line, raw in lines():
        body = _body(line, raw)
        is_blank = not body.strip(" \t")
        is_mark = not is_blank and config.docstart == "document" and _is_mark(body)
        if sentence and (is_blank or is_mark):
            document.examples.append(columns.example(sentence))
            sentence = []
            sentences += 1
        begins = is_mark or (not is_blank and not sentence and (not marked or len(document.examples) >= MOST_SENTENCES))
        if begins and document.examples:
            yield document
            number += 1
            document = Document([], str(number), path, scheme, [] if keep else None)
        if document.lines is not None:
            document.lines.append(raw)
        if not (is_blank or is_mark):
            row = len(document.lines) - 1 if document.lines is not None else None
            sentence.append(_Line(line, row, columns.split(line, body)))
    if sentence:
        document.examples.append(columns.example(sentence))
        sentences += 1
    if not sentences:
        raise InputError(f"{path}: expected sentences, found an empty file")
    if document.examples or document.lines:
        yield document


def _lines(path: str, encoding: str) -> Callable[[], Iterator[tuple[int, str]]]:
    """A function that goes through the lines from the start each time; a pipe is read into memory first."""
    if path != "-":
        return lambda: files.decoded_lines(path, encoding)
    data = files.open_bytes(path).read()
    return lambda: files.decode_lines(io.BytesIO(data), path, encoding)


def _is_mark(body: str) -> bool:
    return body.startswith(DOCSTART) and (len(body) == len(DOCSTART) or body[len(DOCSTART)] in " \t")


def _body(line: int, raw: str) -> str:
    """A line without its end, and the first without a byte-order mark."""
    body = raw.rstrip("\r\n")
    return body.removeprefix("\ufeff") if line == 1 else body


def _cells(body: str, tab: bool) -> list[str]:
    return body.split("\t") if tab else re.split("[ \t]+", body.strip(" \t"))


def _survey(lines: Iterator[tuple[int, str]], config: Config) -> tuple[bool, str, bool]:
    """Whether tabs separate, the scheme of the tags, whether documents are marked; errors in lines are named later."""
    detector = tags.Detector()
    sentence: list[str] = []
    tab: bool | None = None if config.separator == "auto" else config.separator == "tab"
    marked = False
    for line, raw in lines:
        body = _body(line, raw)
        is_blank = not body.strip(" \t")
        if is_blank or (config.docstart == "document" and _is_mark(body)):
            marked = marked or not is_blank
            detector.add(sentence)
            sentence = []
            continue
        if tab is None:
            tab = "\t" in body
        if config.tag is not None:
            cells = _cells(body, tab)
            if -len(cells) <= config.tag < len(cells):
                sentence.append(cells[config.tag])
    detector.add(sentence)
    return bool(tab), (detector.scheme if config.scheme == "auto" else config.scheme), marked


class _Line(NamedTuple):
    """A line with a word: its number in the file, its position in ``Document.lines``, its columns."""

    number: int
    row: int | None
    cells: list[str]


class _Columns:
    """Splits and checks the lines of one file."""

    def __init__(self, path: str, config: Config, tab: bool, scheme: str) -> None:
        self.path, self.config, self.tab, self.scheme = path, config, tab, scheme
        self.count: int | None = None
        needed = [column + 1 if column >= 0 else -column for column in (config.word, config.tag) if column is not None]
        self.needed = max(2 if config.tag is not None else 1, *needed)
        self.prefixes = tags.SCHEMES[scheme].prefixes | {"B"} if scheme in tags.SCHEMES else tags.PREFIXES

    def split(self, line: int, body: str) -> list[str]:
        """The columns of a line."""
        cells = _cells(body, self.tab)
        labelled = self.config.tag is not None  # then all lines must have the columns of the first
        expected = self.count if labelled and self.count is not None else self.needed
        if len(cells) < expected or (labelled and self.count is not None and len(cells) > expected):
            raise InputError(f'{self.path}:{line}: expected {expected} columns, found {len(cells)} ("{body[:40]}")')
        self.count = self.count or len(cells)
        if not cells[self.config.word]:
            raise InputError(f"{self.path}:{line}: expected a word in column {self.config.word}, found nothing")
        if self.config.tag is not None and self.scheme != tags.PLAIN:
            tag = cells[self.config.tag]
            if not tags.is_valid(tag) or (tag != tags.OUTSIDE and tags.split(tag)[0] not in self.prefixes):
                known = ", ".join(f"{prefix}-X" for prefix in sorted(self.prefixes))
                raise InputError(
                    f"{self.path}:{line}: expected O or one of {known}, found '{tag}'; "
                    "set data.format.tag to the column of the tag, or data.format.scheme=none for plain tags"
                )
        return cells

    def example(self, sentence: Sequence[_Line]) -> Example:
        """A sentence of split lines."""
        words = [line.cells[self.config.word] for line in sentence]
        rows = [line.row for line in sentence if line.row is not None]
        example = Example(words, source=self.path, line=sentence[0].number, rows=rows or None)
        if self.config.tag is not None:
            found = [line.cells[self.config.tag] for line in sentence]
            if self.scheme != tags.PLAIN:
                example.spans = tags.decode(found)
                if self.scheme != "bio":
                    found = tags.encode(example.spans, len(found))
            example.tags = found
        return example


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Documents with their predicted tags as a last column.

    Documents that were read with ``keep`` are written as they stood, in the scheme of their file; others as two
    columns, word and tag. The encoding is that of the input.
    """
    with files.open_text(path, config.encoding) as file:
        for document in documents:
            if document.lines is not None:
                file.writelines(_kept_lines(document, config))
                continue
            for example in document.examples:
                for word, tag in zip(example.words, _written_tags(example, document.scheme), strict=True):
                    file.write(f"{word} {tag}\n")
                file.write("\n")


def _kept_lines(document: Document, config: Config) -> list[str]:
    assert document.lines is not None
    lines = list(document.lines)
    for example in document.examples:
        assert example.rows is not None, "the format keeps rows with lines"
        for row, tag in zip(example.rows, _written_tags(example, document.scheme), strict=True):
            body = lines[row].rstrip("\r\n")
            end = lines[row][len(body) :]
            separator = "\t" if config.separator == "tab" or "\t" in body else " "
            lines[row] = f"{body}{separator}{tag}{end}"
    return lines


def _written_tags(example: Example, scheme: str) -> list[str]:
    """Tags in the scheme of the file; as decoded where that is BIO or plain."""
    if example.tags is not None and scheme in ("bio", tags.PLAIN):
        return example.tags
    return tags.encode(example.spans, len(example.words), scheme)
