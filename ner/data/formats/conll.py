"""CoNLL column files: one word per line, blank lines between sentences, ``-DOCSTART-`` lines between documents.

Files are written back byte for byte, with the predicted tag as an additional last column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import count
from typing import BinaryIO, Generic, Literal, NamedTuple, TypeVar, cast

from ner.config.base import ComponentConfig, TextEncoding, WordSplit
from ner.data import tags
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example

T = TypeVar("T")

DOCSTART = re.compile(r"-DOCSTART-(?:[ \t]+\([^\r\n]*\))?(?:[ \t]+(?:-X-|O|-DOCSTART-|[-_*]+))*[ \t]*[\r\n]*")
"""Document mark: alone, with an id in parentheses (AIDA), with columns of -X-, O, -DOCSTART- or fillers (CoNLL)."""
COLUMN = re.compile(r"[^ \t]+")
BLANK = " \t\r\n"
"""ASCII only, because other white space may be a word."""
MAX_SENTENCES = 1000
"""Longer documents are read in parts."""
CACHED_LINES = 200_000
"""Distinct lines whose columns are cached; most lines of a file occur many times."""

output_extension = "conll"
probabilities = True
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
    encoding: TextEncoding = "utf-8"
    """Character encoding of the file."""
    probabilities: Literal["none", "entity", "token"] = "none"
    """Last column of predictions: none, or the probability of the entity (_ outside of entities) or of the tag of each
    word, followed by ? in an uncertain entity."""


def forbidden_characters(config: Config) -> dict[str, str]:
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


class Sentence(NamedTuple, Generic[T]):
    """Lines of a sentence with their parsed content.

    Attributes:
        before: Blank lines and document marks before the first row.
        rows: Lines with words; empty after the last sentence of a file.
        cells: Parsed content of each row.
        line: Number of the first row.
        starts_document: True if a document mark is before the sentence.
    """

    before: list[str]
    rows: list[str]
    cells: list[T]
    line: int
    starts_document: bool


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield the documents of a file; without document marks, every sentence is a document.

    Raises:
        InputError: With file and line, if a row lacks a column or has a tag outside the scheme, if a byte cannot be
            decoded, or if the file has no sentence.
    """
    with text_files.spooled([path]), text_files.open_bytes(path) as file:  # it is read twice
        yield from documents(file, path, config, detect_layout(file, path, config), for_rewriting)


def documents(
    file: BinaryIO, path: str, config: Config, layout: Layout, for_rewriting: bool = False
) -> Iterator[Document]:
    """Yield the documents of an open file, or of a part of a file that starts and ends with a document.

    Args:
        file: The file; it is read from its start.
        path: Its path, for messages.
        config: Options.
        layout: Layout of the whole file.
        for_rewriting: Keep the lines.

    Raises:
        InputError: With file and line, if a row or a byte is invalid.
    """
    numbers = count()

    def new_document() -> Document:
        return Document([], str(next(numbers)), path, layout.scheme, [] if for_rewriting else None)

    limit = MAX_SENTENCES if layout.marked else 1
    document = new_document()
    for sentence in sentences(file, path, config, RowParser(config, layout)):
        if document.examples and (sentence.starts_document or (sentence.rows and len(document.examples) >= limit)):
            yield document
            document = new_document()
        line_indices = None
        if document.source_lines is not None:
            document.source_lines += sentence.before + sentence.rows
            end = len(document.source_lines)
            line_indices = list(range(end - len(sentence.rows), end))
        if not sentence.rows:
            continue
        example = Example([word for word, _ in sentence.cells], source=path, line=sentence.line)
        example.line_indices = line_indices
        if config.tag is not None:
            tags.annotate(example, [tag for _, tag in sentence.cells], layout.scheme, one_word_per_line=True)
        document.examples.append(example)
    if document.examples or document.source_lines:
        yield document


def sentences(file: BinaryIO, path: str, config: Config, parse: Callable[[str], T]) -> Iterator[Sentence[T]]:
    """Group the lines of a file into sentences; blank lines and document marks separate them.

    Lines after the last sentence are a sentence without rows. A byte order mark counts as a line before the first.

    ``parse`` is a function of a row; its results are cached, and its errors are raised with file and line.
    """

    @lru_cache(CACHED_LINES)
    def parse_line(line: str) -> T | None:
        return None if is_separator(line, config) else parse(line)

    file.seek(0)
    block_line, sentence_line, starts_document = 1, 1, False  # line numbers of the block and of the sentence
    before: list[str] = []
    rows: list[str] = []
    cells: list[T] = []
    for block in text_files.decoded_blocks(file, path, config.encoding):
        if block_line == 1 and block[0].startswith("\ufeff"):
            before.append("\ufeff")
            block[0] = block[0][1:]
        try:
            parsed = [*map(parse_line, block), None]  # a separator ends the block
        except InputError:
            for position, line in enumerate(block, block_line):
                try:
                    parse_line(line)
                except InputError as error:
                    raise InputError(f"{path}:{position}: {error}") from None
            raise
        start = 0
        while start < len(block):
            end = parsed.index(None, start)
            if end > start:
                sentence_line = sentence_line if rows else block_line + start
                rows += block[start:end]
                cells += cast("list[T]", parsed[start:end])
            if end < len(block):
                if rows:
                    yield Sentence(before, rows, cells, sentence_line, starts_document)
                    before, rows, cells, starts_document = [], [], [], False
                before.append(block[end])
                starts_document = starts_document or block[end].startswith("-")
            start = end + 1
        block_line += len(block)
    if rows or before:
        yield Sentence(before, rows, cells, sentence_line, starts_document)


def is_separator(line: str, config: Config) -> bool:
    """Return whether a line is blank or a document mark."""
    if line.startswith("-DOCSTART-") and config.docstart == "document" and DOCSTART.fullmatch(line):
        return True
    return not line.strip(BLANK)


def detect_layout(file: BinaryIO, path: str, config: Config) -> Layout:
    """Detect the layout of a file; its rows are not checked.

    Raises:
        InputError: If the file has no rows, or word and tag are the same column.
    """
    first_sentence = next((sentence for sentence in sentences(file, path, config, str) if sentence.rows), None)
    if first_sentence is None:
        raise InputError(f"{path}: expected sentences, found an empty file")
    row, location = first_sentence.rows[0], f"{path}:{first_sentence.line}"
    tabs = config.separator == "tab" or (config.separator == "auto" and "\t" in row)
    columns = len(split_columns(row, tabs))
    if "\r" in row.rstrip("\r\n") and not row.endswith("\n"):
        raise InputError(f"{location}: expected line feeds, found carriage returns alone; convert the file")
    used_columns = [c % columns for c in (config.word, config.tag) if c is not None and -columns <= c < columns]
    if len(used_columns) > len({*used_columns}) and columns > 1:
        raise InputError(
            f"{location}: expected word and tag in different columns, found both in column {used_columns[0]} of "
            f"{columns}; set data.format.word and data.format.tag"
        )
    tag = config.tag if config.scheme == "auto" else None

    def tag_of(row: str) -> str:
        cells = split_columns(row, tabs) if tag is not None else []
        return cells[tag] if tag is not None and -len(cells) <= tag < len(cells) else ""

    detector, marked = tags.SchemeDetector(), False
    for sentence in sentences(file, path, config, tag_of):
        marked = marked or sentence.starts_document
        if tag is not None:
            detector.add(sentence.cells)
    return Layout(tabs, columns, detector.scheme if config.scheme == "auto" else config.scheme, marked)


def split_columns(row: str, tabs: bool) -> list[str]:
    """Return the columns of a row."""
    body = row.rstrip("\r\n")
    return body.split("\t") if tabs else COLUMN.findall(body)


class RowParser:
    """Function of a row that returns its word and its tag; the tag is empty without a tag column."""

    def __init__(self, config: Config, layout: Layout) -> None:
        self.config, self.layout = config, layout
        columns = [config.word] if config.tag is None else [config.word, config.tag]
        self.min_columns = max(len(columns), *(column + 1 if column >= 0 else -column for column in columns))
        if config.tag is not None:  # then all rows have the same columns
            self.min_columns = max(self.min_columns, layout.columns)
        self.valid_tags = {tags.OUTSIDE}

    def __call__(self, row: str) -> tuple[str, str]:
        """Return the word and the tag of a row.

        Raises:
            InputError: If a column is missing or its content is invalid.
        """
        config, cells = self.config, split_columns(row, self.layout.tabs)
        if len(cells) < self.min_columns or (config.tag is not None and len(cells) > self.min_columns):
            shown = row.rstrip("\r\n")[:40]
            is_object = row.lstrip().startswith("{") and row.rstrip().endswith("}")
            hint = "; the line looks like a JSON object; set data.format.name=jsonl" if is_object else ""
            if "\u3000" in row.strip("\u3000\r\n") and len(cells) < self.min_columns:
                hint = "; the line contains the wide space U+3000, but columns are separated by ASCII spaces or tabs"
            raise InputError(f'expected {self.min_columns} columns, found {len(cells)} ("{shown}"){hint}')
        word = cells[config.word]
        if not word:
            raise InputError(f"expected a word in column {config.word}, found nothing")
        if config.strip_position_digit:
            if len(word) < 2 or word[-1] not in "0123456789":
                raise InputError(
                    f"expected a word followed by a digit, found '{word[:40]}'; "
                    "set data.format.strip_position_digit=false"
                )
            word = word[:-1]
        if config.tag is None:
            return word, ""
        tag = cells[config.tag]
        if tag not in self.valid_tags:
            hint = "set data.format.tag to the column of the tag, or data.format.scheme=none for plain tags"
            if re.match("[BIESMLU]_.", tag):
                hint = f"write {tag[0]}-{tag[2:]} if an entity is meant; otherwise {hint}"
            tags.check_tag(tag, self.layout.scheme, hint)
            self.valid_tags.add(tag)
        return word, tag


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write documents with their predicted tags as the last column, in the encoding of the input.

    Documents that were read ``for_rewriting`` keep their lines and the scheme of their file. Others are written as two
    columns, word and tag. ``config.probabilities`` adds a column.
    """
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            lines = list(document.source_lines or ())
            for example in document.examples:
                prediction_cells = predicted_columns(example, document.scheme, config)
                if document.source_lines is None:
                    rows = [
                        " ".join([word, *cells]) + "\n"
                        for word, cells in zip(example.words, prediction_cells, strict=True)
                    ]
                    lines += [*rows, "\n"]
                    continue
                assert example.line_indices is not None, "examples have line indices if their document has lines"
                for index, cells in zip(example.line_indices, prediction_cells, strict=True):
                    body = lines[index].rstrip("\r\n")
                    separator = "\t" if config.separator == "tab" or "\t" in body else " "
                    if separator == " " and " " in cells[0]:
                        raise InputError(
                            f"{example.location}: expected tabs between columns, because the tag '{cells[0]}' contains "
                            "a space; convert the input, or choose --format text or jsonl"
                        )
                    lines[index] = separator.join([body, *cells]) + lines[index][len(body) :]
            file.writelines(lines)


def predicted_columns(example: Example, scheme: str, config: Config) -> list[list[str]]:
    """Return the predicted tag of each word, and its probability if ``config.probabilities`` requests a column."""
    columns = [tags.tags_in_scheme(example, scheme)]
    if config.probabilities != "none":
        column = ["_"] * len(example.words)
        if config.probabilities == "token" and example.probabilities is not None:
            column = [f"{value:.6f}" for value in example.probabilities.tokens]
        for span in example.spans:
            for word in range(span.start, span.end):
                if config.probabilities == "entity" and span.score is not None:
                    column[word] = f"{span.score:.6f}"
                column[word] += "?" * span.uncertain
        columns.append(column)
    return [list(cells) for cells in zip(*columns, strict=True)]


def export(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write documents as gold data in two columns, word and tag, which :func:`read` returns unchanged.

    The scheme is that of ``config``, or that of the documents with ``auto``. Tabs separate the columns if a word
    contains a space. Document marks are written if a document has several sentences. Examples without words are left
    out.

    Raises:
        InputError: If a word contains a tab or the end of a line, or the file cannot be written.
    """
    documents = list(documents)
    examples = [example for document in documents for example in document.examples if example.words]
    marked = any(len(document.examples) > 1 for document in documents)
    for example in examples:
        bad_word = next((word for word in example.words if re.search("[\t\r\n]", word)), None)
        if bad_word is not None or example.words[0].startswith("-DOCSTART-"):
            raise InputError(
                f"{example.location}: conll files cannot store the word {bad_word or example.words[0]!r}; choose jsonl"
            )
    spaced = any(" " in text for example in examples for text in (*example.words, *(example.tags or ())))
    separator = "\t" if spaced or config.separator == "tab" else " "
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            if marked:
                file.write(f"-DOCSTART-{separator}O\n\n")
            for example in document.examples:
                if not example.words:
                    continue
                scheme = document.scheme if config.scheme == "auto" else config.scheme
                cells = [[word] for word in example.words]
                if config.tag is not None:
                    sentence_tags = tags.tags_in_scheme(example, scheme) if example.tags else ["O"] * len(cells)
                    cells = [[word, tag] for word, tag in zip(example.words, sentence_tags, strict=True)]
                file.writelines(f"{separator.join(row)}\n" for row in cells)
                file.write("\n")
