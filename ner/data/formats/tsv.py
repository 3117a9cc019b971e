"""Tables of labelled texts, one text per row, with tabs or other separators between the columns.

Quotes are plain characters, because reviews contain single ones: of the 9,600 rows of ChnSentiCorp, Python's ``csv``
reads 9,146 by default. A text can therefore contain neither the separator nor a line end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from ner.config.base import ComponentConfig, TextEncoding, WordSplit
from ner.data.words import split_words
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example

output_extension = "tsv"
probabilities = True
STORES = frozenset({"labels"})
ADDED = ("predicted", "probability")
"""Columns of predictions, added or overwritten; the second one only with probabilities."""
Column = str | Annotated[int, Field(ge=0)]


class Config(ComponentConfig):
    """Tables of labeled texts."""

    name: Literal["tsv"] = "tsv"
    """Name of the file in ner/data/formats."""
    label: Column = "label"
    """Column of the label: its name, or its number, counted from 0."""
    text: Column = "text_a"
    """Column of the text: its name, or its number, counted from 0."""
    header: bool = True
    """Read column names from the first line; without a header, columns have numbers."""
    separator: str = Field("\t", min_length=1)
    """Column separator; quotes have no special meaning."""
    label_separator: str | None = Field(None, min_length=1)
    """Separator of several labels in a cell; null for one label per text. With null, the labels of multi-label
    predictions are joined by |."""
    encoding: TextEncoding = "utf-8"
    """Character encoding of the file."""

    @field_validator("separator", "label_separator")
    @classmethod
    def _tabs(cls, mark: str | None) -> str | None:
        return mark and mark.replace("\\t", "\t")  # as it is written in a shell

    @model_validator(mode="after")
    def _numbers_without_header(self) -> Config:
        named = [key for key in ("label", "text") if isinstance(getattr(self, key), str)]
        if named and not self.header:
            raise ValueError(f"columns have no names without a header; give data.format.{named[0]} a number")
        if self.label == self.text:
            raise ValueError(f"data.format.label and text are both column {self.label!r}")
        return self


def forbidden_characters(config: Config) -> dict[str, str]:
    """Return the characters that a label cannot contain."""
    return {"labels": f"{config.separator}\r\n"}


class _Table(NamedTuple):
    """Columns of a file: their names or numbers, and the positions of text and label, which may be missing."""

    names: Sequence[str]
    text: int
    label: int | None


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield one document with one example per row; other columns become its metadata.

    Empty lines are skipped unless there is a single column. With ``for_rewriting``, labels may be missing. Lines that
    are not rows are kept with the following row, and those after the last row in a document without examples.

    Raises:
        InputError: With file and line, if a column or a label is missing, or a row is longer or shorter than the first;
            with ``for_rewriting`` also if the texts are in a column of predictions.
    """
    table: _Table | None = None
    pending_lines: list[str] = []  # the header and empty lines
    rows = 0
    for number, raw in text_files.decoded_lines(path, config.encoding, keep_bom=True):
        line = (raw.removeprefix("\ufeff") if number == 1 else raw).rstrip("\r\n")
        cells = line.split(config.separator)
        location = f"{path}:{number}"
        is_header = table is None and config.header
        table = table or _find_columns(cells, config, for_rewriting, location)
        if is_header or (not line and len(table.names) > 1):
            pending_lines.append(raw)
            continue
        if len(cells) != len(table.names):
            hint = "; quotes protect nothing, so such a text needs another separator" * (len(cells) > len(table.names))
            raise InputError(
                f"{location}: expected {len(table.names)} columns as in the first line, found {len(cells)} "
                f'("{line.strip()[:40]}"){hint}'
            )
        text = cells[table.text]
        words, offsets = split_words(text, word_split)
        example = Example(words, text=text, offsets=offsets, source=path, line=number)
        if table.label is not None:
            cell, separator = cells[table.label], config.label_separator
            labels = [label.strip() for label in (cell.split(separator) if separator else [cell])]
            example.labels = list(dict.fromkeys(filter(None, labels)))
            if not (example.labels or separator or for_rewriting):
                raise InputError(
                    f"{location}: expected a label, found none; texts without any need data.format.label_separator"
                )
        used = (table.text, table.label)
        example.metadata = {name: cells[column] for column, name in enumerate(table.names) if column not in used}
        yield Document([example], str(rows), path, source_lines=[*pending_lines, raw] if for_rewriting else None)
        pending_lines = []
        rows += 1
    if not rows:
        raise InputError(f"{path}: expected rows of labelled texts, found {'a header alone' if table else 'no line'}")
    if for_rewriting and pending_lines:
        yield Document([], str(rows), path, source_lines=pending_lines)


def _find_columns(cells: Sequence[str], config: Config, for_rewriting: bool, location: str) -> _Table:
    """Find the columns of text and label in the first line."""
    names = [cell.strip() for cell in cells] if config.header else [str(number) for number in range(len(cells))]
    duplicate = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if duplicate is not None:
        raise InputError(f"{location}: expected each column once, found '{duplicate}' twice")
    if for_rewriting and not config.header and len(names) == 1:
        return _Table(names, 0, None)
    label, text = _position(config.label, names), _position(config.text, names)
    for key, column, position in (("text", config.text, text), ("label", config.label, label)):
        if position is None and not (for_rewriting and key == "label"):
            available = ", ".join(names) if config.header else f"{len(names)} columns"
            expected = f"'{column}'" if isinstance(column, str) else f"number {column}"
            raise InputError(
                f"{location}: expected a column {expected}, found {available}; set data.format.{key} to its column, or "
                "data.format.separator to what separates the columns"
            )
    assert text is not None, "checked above"
    if for_rewriting and names[text] in ADDED:
        raise InputError(
            f"{location}: expected texts in another column than '{names[text]}', which predictions overwrite; "
            "rename that column"
        )
    return _Table(names, text, label)


def _position(column: Column, names: Sequence[str]) -> int | None:
    if isinstance(column, int):
        return column if column < len(names) else None
    return names.index(column) if column in names else None


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write the source lines byte for byte with the columns ``predicted`` and, with probabilities, ``probability``.

    Documents without source lines are written as label and text, with white space replaced by spaces. Existing columns
    of these names are overwritten; without probabilities, a ``probability`` directly after ``predicted`` is emptied.
    """
    label_separator = config.label_separator or "|"
    positions: list[int | None] | None = None  # of the columns for predictions, None for new columns
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            if document.source_lines is not None and not document.examples:
                file.writelines(document.source_lines)
            for example in document.examples:
                labels = example.labels or []
                prediction_cells = [label_separator.join(labels)]
                if example.scores:
                    prediction_cells.append(label_separator.join(f"{example.scores[label]:.6f}" for label in labels))
                is_first = positions is None
                *preceding_lines, row = document.source_lines or _new_lines(example, config, is_first)
                if positions is None:
                    header = preceding_lines[0] if preceding_lines and config.header else ""
                    names = [name.strip() for name in header.removeprefix("\ufeff").split(config.separator)]
                    size = len(ADDED) if ADDED in pairwise(names) else len(prediction_cells)
                    positions = [_position(name, names) for name in ADDED[:size]]
                    if document.source_lines is None:  # the label is the prediction
                        positions[0] = _new_positions(config)[0]
                    if header:
                        new_names = [name for name, position in zip(ADDED, positions, strict=False) if position is None]
                        preceding_lines[0] = _filled(header, [None] * len(new_names), new_names, config)
                file.writelines(preceding_lines)
                file.write(_filled(row, positions, [*prediction_cells, ""], config))


export = write
"""Gold data have the same form: label and text."""


def _filled(line: str, positions: Sequence[int | None], values: Sequence[str], config: Config) -> str:
    """Return a row with replaced cells, and new cells before the line end."""
    body = line.rstrip("\r\n")
    cells = body.split(config.separator)
    for position, value in zip(positions, values, strict=False):
        if position is None:
            cells.append(value)
        else:
            cells[position] = value
    return config.separator.join(cells) + line[len(body) :]


def _new_lines(example: Example, config: Config, is_first: bool) -> list[str]:
    """Return the lines of an example without a source: a row without its label, in a new file after the header."""
    text = example.text if example.text is not None else " ".join(example.words)
    for mark in (config.separator, "\r", "\n"):
        text = text.replace(mark, " ")
    label_position, text_position = _new_positions(config)
    lines = []
    for label_cell, text_cell in [(str(config.label), str(config.text))] * (config.header and is_first) + [("", text)]:
        cells = [""] * (max(label_position, text_position) + 1)
        cells[label_position], cells[text_position] = label_cell, text_cell
        lines.append(config.separator.join(cells) + "\n")
    return lines


def _new_positions(config: Config) -> tuple[int, int]:
    """Return the columns of label and text in a new file; a name follows a number."""
    label, text = config.label, config.text
    if isinstance(label, int):
        return label, text if isinstance(text, int) else label + 1
    return (text + 1, text) if isinstance(text, int) else (0, 1)
