"""Column files: a word a line, blank lines between sentences, ``-DOCSTART-`` between documents.

Written back, every line stands where it stood, byte for byte, with the prediction as a last column.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from ner.config.base import ComponentConfig, WordRule
from ner.data import tags
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example

DOCSTART = "-DOCSTART-"
MOST_SENTENCES = 1000
"""A longer document is read in parts."""

MOST_KEPT = 200_000
"""Different lines whose columns are remembered."""

extension = "conll"
probabilities = False
holds = frozenset({"tags"})


class Config(ComponentConfig):
    """Column files."""

    name: Literal["conll"] = "conll"
    """File of ner/data/formats."""
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
    positions: bool = False
    """Whether each word ends in a digit that is its place in a longer one and not text, as in the Weibo files."""
    encoding: str = "utf-8"
    """Of the file."""


def read(path: str, config: Config, words: WordRule, for_rewriting: bool = False) -> Iterator[Document]:
    """Documents in order. Without document marks every sentence is a document.

    Raises:
        InputError: With file and line, if a line lacks a column or has a tag that the scheme does not know, if a byte
            cannot be decoded, or if there is no sentence at all.
    """
    blocks = _blocks(path, config.encoding)
    split = _Split(config)
    scheme, marked = _survey(blocks(), split, config)
    columns = _Columns(path, config, scheme)
    fine: dict[str, list[str]] = {}  # lines that need no second check
    document = Document([], "0", path, scheme, [] if for_rewriting else None)
    sentence: list[list[str]] = []
    rows: list[int] = []
    first = line = number = sentences = 0
    for block in blocks():
        for raw in block:
            line += 1
            cells = fine.get(raw)
            if cells is None:
                cells = split[raw if line > 1 else raw.removeprefix(_BYTE_ORDER_MARK)]
                if cells:
                    columns.check(line, raw, cells)
                    if len(fine) < MOST_KEPT:
                        fine[raw] = cells
            if sentence and not cells:
                document.examples.append(columns.example(sentence, first, rows))
                sentence, rows = [], []
                sentences += 1
            begins = (
                not sentence and (not marked or len(document.examples) >= MOST_SENTENCES) if cells else cells is None
            )
            if begins and document.examples:
                yield document
                number += 1
                document = Document([], str(number), path, scheme, [] if for_rewriting else None)
            if document.lines is not None:
                document.lines.append(raw)
            if cells:
                if not sentence:
                    first = line
                if document.lines is not None:
                    rows.append(len(document.lines) - 1)
                sentence.append(cells)
    if sentence:
        document.examples.append(columns.example(sentence, first, rows))
        sentences += 1
    if not sentences:
        raise InputError(f"{path}: expected sentences, found an empty file")
    if document.examples or document.lines:
        yield document


_BYTE_ORDER_MARK = "\ufeff"
_POSITION = re.compile(r".+[0-9]", re.DOTALL)


def _blocks(path: str, encoding: str) -> Callable[[], Iterator[list[str]]]:
    """A function that goes through the lines from the start each time; a pipe is read into memory first."""
    data = text_files.open_bytes(path).read() if path == "-" else None

    def blocks() -> Iterator[list[str]]:
        with io.BytesIO(data) if data is not None else text_files.open_bytes(path) as file:
            yield from text_files.decoded_blocks(file, path, encoding)

    return blocks


class _Split(dict[str, "list[str] | None"]):
    """Line -> its columns, none for a blank line, None for a document mark; most lines of a file occur many times."""

    def __init__(self, config: Config) -> None:
        self.marks = config.docstart == "document"
        self.tab: bool | None = None if config.separator == "auto" else config.separator == "tab"

    def __missing__(self, raw: str) -> list[str] | None:
        body = raw.rstrip("\r\n")
        found: list[str] | None
        if not body.strip(" \t"):
            found = []
        elif self.marks and _is_mark(body):
            found = None
        else:
            if self.tab is None:  # as the first word has it
                self.tab = "\t" in body
            found = body.split("\t") if self.tab else re.split("[ \t]+", body.strip(" \t"))
        if len(self) >= MOST_KEPT:
            self.clear()
        self[raw] = found
        return found


def _is_mark(body: str) -> bool:
    return body.startswith(DOCSTART) and (len(body) == len(DOCSTART) or body[len(DOCSTART)] in " \t")


def _survey(blocks: Iterator[list[str]], split: _Split, config: Config) -> tuple[str, bool]:
    """The scheme of the tags, and whether documents are marked; errors in lines are named later."""
    detector = tags.SchemeDetector()
    sentence: list[str] = []
    marked, column = False, config.tag if config.scheme == "auto" else None
    start = _BYTE_ORDER_MARK
    for block in blocks:
        for raw in block:
            cells = split[raw.removeprefix(start) if start else raw]
            start = ""
            if not cells:
                marked = marked or cells is None
                if sentence:
                    detector.add(sentence)
                    sentence = []
            elif column is not None and -len(cells) <= column < len(cells):
                sentence.append(cells[column])
    detector.add(sentence)
    return (detector.scheme if config.scheme == "auto" else config.scheme), marked


class _Columns:
    """Checks the lines of one file and makes sentences of them."""

    def __init__(self, path: str, config: Config, scheme: str) -> None:
        self.path, self.config, self.scheme = path, config, scheme
        self.count: int | None = None
        needed = [column + 1 if column >= 0 else -column for column in (config.word, config.tag) if column is not None]
        self.needed = max(2 if config.tag is not None else 1, *needed)
        self.prefixes = tags.prefixes(scheme)
        self.fine = {tags.OUTSIDE}  # tags that were checked

    def check(self, line: int, raw: str, cells: list[str]) -> None:
        """Refuse a line that lacks a column or has an unknown tag."""
        labelled = self.config.tag is not None  # then all lines must have the columns of the first
        expected = self.count if labelled and self.count is not None else self.needed
        if len(cells) < expected or (labelled and self.count is not None and len(cells) > expected):
            body = raw.rstrip("\r\n").removeprefix(_BYTE_ORDER_MARK if line == 1 else "")
            raise InputError(f'{self.path}:{line}: expected {expected} columns, found {len(cells)} ("{body[:40]}")')
        if self.count is None:
            self.count = len(cells)
        if not cells[self.config.word]:
            raise InputError(f"{self.path}:{line}: expected a word in column {self.config.word}, found nothing")
        if self.config.positions and not _POSITION.fullmatch(cells[self.config.word]):
            raise InputError(
                f"{self.path}:{line}: expected a word and a digit behind it, found '{cells[self.config.word][:40]}'; "
                "set data.format.positions=false"
            )
        if self.config.tag is not None and cells[self.config.tag] not in self.fine:
            self._check_tag(line, cells[self.config.tag])

    def _check_tag(self, line: int, tag: str) -> None:
        if self.scheme != tags.PLAIN and (not tags.is_valid(tag) or tags.split(tag)[0] not in self.prefixes):
            known = ", ".join(f"{prefix}-X" for prefix in sorted(self.prefixes))
            raise InputError(
                f"{self.path}:{line}: expected O or one of {known}, found '{tag}'; "
                "set data.format.tag to the column of the tag, or data.format.scheme=none for plain tags"
            )
        self.fine.add(tag)

    def example(self, sentence: Sequence[list[str]], line: int, rows: list[int]) -> Example:
        """A sentence of checked lines, the first of which has the number ``line``."""
        word, tag = self.config.word, self.config.tag
        words = [cells[word] for cells in sentence]
        if self.config.positions:
            words = [text[:-1] for text in words]
        example = Example(words, source=self.path, line=line, rows=rows or None)
        if tag is not None:
            found = [cells[tag] for cells in sentence]
            if self.scheme != tags.PLAIN:
                example.spans = tags.decode(found)
                if self.scheme != "bio":
                    found = tags.encode(example.spans, len(found))
            example.tags = found
        return example


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Documents with their predicted tags as a last column.

    Documents that were read with ``for_rewriting`` are written as they stood, in the scheme of their file; others as two
    columns, word and tag. The encoding is that of the input.
    """
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            if document.lines is not None:
                file.writelines(_kept_lines(document, config))
                continue
            for example in document.examples:
                for word, tag in zip(example.words, tags.tags_in_scheme(example, document.scheme), strict=True):
                    file.write(f"{word} {tag}\n")
                file.write("\n")


def _kept_lines(document: Document, config: Config) -> list[str]:
    assert document.lines is not None
    lines = list(document.lines)
    for example in document.examples:
        assert example.rows is not None, "the format keeps rows with lines"
        for row, tag in zip(example.rows, tags.tags_in_scheme(example, document.scheme), strict=True):
            body = lines[row].rstrip("\r\n")
            end = lines[row][len(body) :]
            separator = "\t" if config.separator == "tab" or "\t" in body else " "
            lines[row] = f"{body}{separator}{tag}{end}"
    return lines
