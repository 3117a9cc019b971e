"""Tables of labelled texts, a text a row: columns between tabs, or between other separators.

A row is split at its separators and nothing else: quotes are plain characters. Reviews are full of single quotes, and a
reader that takes them for marks of a cell joins rows until the next one (of the 9,600 rows of ChnSentiCorp, Python's
``csv`` makes 9,146 by default). A text can therefore hold neither its separator nor the end of a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ner.config.base import ComponentConfig, WordRule
from ner.data.words import split_words
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example

extension = "tsv"
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
    """Whether the first line contains the column names; without a header, columns have numbers."""
    separator: str = Field("\t", min_length=1)
    """Column separator; quotes have no special meaning."""
    label_separator: str | None = Field(None, min_length=1)
    """Separator of several labels in a cell; null for one label per text. With null, the labels of multi-label
    predictions are joined by |."""
    encoding: str = "utf-8"
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


@dataclass(frozen=True)
class _Table:
    """Columns of a file.

    Attributes:
        names: Column names, or numbers.
        text, label: Column numbers; files for prediction may have no labels.
    """

    names: Sequence[str]
    text: int
    label: int | None


def read(path: str, config: Config, words: WordRule, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield one document with one example per row; other columns become its metadata.

    Empty lines are skipped unless there is a single column. With ``for_rewriting``, labels may be missing. Lines that
    are not rows are kept with the following row, and those after the last row in a document without examples.

    Raises:
        InputError: With file and line, if a column or a label is missing, or a row is longer or shorter than the first;
            with ``for_rewriting`` also if the texts are in a column of predictions.
    """
    table: _Table | None = None
    kept: list[str] = []  # the header and empty lines
    rows = 0
    for number, raw in text_files.decoded_lines(path, config.encoding):
        line = raw.removeprefix("\ufeff") if number == 1 else raw
        cells = line.rstrip("\r\n").split(config.separator)
        place = f"{path}:{number}"
        if table is None:
            table = _table(cells, config, for_rewriting, place)
            if config.header:
                kept.append(raw)
                continue
        if not line.rstrip("\r\n") and len(table.names) > 1:
            kept.append(raw)
            continue
        if len(cells) != len(table.names):
            more = "; quotes protect nothing, so such a text needs another separator" * (len(cells) > len(table.names))
            raise InputError(
                f"{place}: expected {len(table.names)} columns as in the first line, found {len(cells)} "
                f'("{line.strip()[:40]}"){more}'
            )
        text = cells[table.text]
        split, offsets = split_words(text, words)
        example = Example(split, text=text, offsets=offsets, source=path, line=number)
        if table.label is not None:
            example.labels = _labels(cells[table.label], config, for_rewriting, place)
        used = (table.text, table.label)
        example.metadata = {
            name: cell for column, (name, cell) in enumerate(zip(table.names, cells, strict=True)) if column not in used
        }
        yield Document([example], str(rows), path, source_lines=[*kept, raw] if for_rewriting else None)
        kept = []
        rows += 1
    if not rows:
        raise InputError(f"{path}: expected rows of labelled texts, found {'a header alone' if table else 'no line'}")
    if for_rewriting and kept:
        yield Document([], str(rows), path, source_lines=kept)


def _table(cells: Sequence[str], config: Config, for_rewriting: bool, place: str) -> _Table:
    """From the cells of the first line."""
    names = [cell.strip() for cell in cells] if config.header else [str(number) for number in range(len(cells))]
    twice = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if twice is not None:
        raise InputError(f"{place}: expected each column once, found '{twice}' twice")
    if for_rewriting and not config.header and len(names) == 1:
        return _Table(names, 0, None)
    label = _column(config.label, names)
    text = _column(config.text, names)
    for key, column, found in (("text", config.text, text), ("label", config.label, label)):
        if found is None and not (for_rewriting and key == "label" and text is not None):
            listed = ", ".join(names) if config.header else f"{len(names)} columns"
            named = f"'{column}'" if isinstance(column, str) else f"number {column}"
            raise InputError(
                f"{place}: expected a column {named}, found {listed}; data.format.{key} says which it is, "
                "data.format.separator what stands between columns"
            )
    assert text is not None, "said above"
    if for_rewriting and names[text] in ADDED:
        raise InputError(
            f"{place}: expected texts in another column than '{names[text]}', where predictions will stand; "
            "give that column another name"
        )
    return _Table(names, text, label)


def _column(wanted: str | int, names: Sequence[str]) -> int | None:
    if isinstance(wanted, int):
        return wanted if wanted < len(names) else None
    return names.index(wanted) if wanted in names else None


def _labels(cell: str, config: Config, for_rewriting: bool, place: str) -> list[str]:
    if config.label_separator is not None:
        return list(dict.fromkeys(label for part in cell.split(config.label_separator) if (label := part.strip())))
    label = cell.strip()
    if not label and not for_rewriting:
        raise InputError(f"{place}: expected a label, found none; texts without any need data.format.label_separator")
    return [label] if label else []


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write the source lines byte for byte with the columns ``predicted`` and, with probabilities, ``probability``.

    Documents without source lines are written as label and text, with white space replaced by spaces. Existing columns
    of these names are overwritten; without probabilities, a ``probability`` directly after ``predicted`` is emptied.
    """
    with text_files.open_text(path, config.encoding) as file:
        first = True
        places: list[int | None] = []
        for document in documents:
            if document.source_lines is not None and not document.examples:
                file.writelines(document.source_lines)
            for example in document.examples:
                added = _added(example, config)
                if document.source_lines is not None:
                    *kept, row = document.source_lines
                    if first:
                        header = kept[0] if kept and config.header else None
                        places = _places(header, len(added), config)
                        if header is not None:
                            new = [name for name, place in zip(ADDED, places, strict=False) if place is None]
                            kept[0] = _extended(header, new, config)
                    file.writelines(kept)
                    file.write(_filled(row, places, [*added, ""], config))
                    first = False
                    continue
                if first and config.header:
                    named = _cells(config, str(config.label), str(config.text)) + list(ADDED[1 : len(added)])
                    file.write(config.separator.join(named) + "\n")
                text = example.text if example.text is not None else " ".join(example.words)
                for mark in (config.separator, "\r", "\n"):
                    text = text.replace(mark, " ")
                file.write(config.separator.join(_cells(config, added[0], text) + added[1:]) + "\n")
                first = False


def _added(example: Example, config: Config) -> list[str]:
    """Return the predicted labels and their probabilities, if any."""
    between = config.label_separator or "|"
    added = [between.join(example.labels)]
    if example.scores:
        added.append(between.join(f"{example.scores[label]:.6f}" for label in example.labels))
    return added


def _places(header: str | None, count: int, config: Config) -> list[int | None]:
    """Return the positions of the first ``count`` columns of ``ADDED``, None for new columns."""
    cells = header.rstrip("\r\n").removeprefix("\ufeff").split(config.separator) if header is not None else []
    names = [cell.strip() for cell in cells]
    if ADDED in pairwise(names):
        count = len(ADDED)
    return [_column(name, names) for name in ADDED[:count]]


def _filled(line: str, places: Sequence[int | None], added: Sequence[str], config: Config) -> str:
    """Return a row with replaced cells, and new cells before the line end."""
    body = line.rstrip("\r\n")
    cells = body.split(config.separator)
    for place, cell in zip(places, added, strict=False):
        if place is None:
            cells.append(cell)
        else:
            cells[place] = cell
    return config.separator.join(cells) + line[len(body) :]


def _extended(line: str, added: Sequence[str], config: Config) -> str:
    """Return a line with additional columns before the line end."""
    body = line.rstrip("\r\n")
    return config.separator.join([body, *added]) + line[len(body) :]


def _cells(config: Config, label: str, text: str) -> list[str]:
    """Return a new row with both values in their columns."""
    places = [place if isinstance(place, int) else None for place in (config.label, config.text)]
    cells = [""] * (1 + max([place for place in places if place is not None], default=-1))
    for place, cell in zip(places, (label, text), strict=True):
        if place is None:
            cells.append(cell)
        else:
            cells[place] = cell
    return cells
