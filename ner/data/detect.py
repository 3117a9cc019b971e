"""Detection of the format of a data file from its beginning."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ner.chinese import CHINESE
from ner.config.base import ComponentConfig, WordRule
from ner.config.parts import load_component, parse_component
from ner.data import tags
from ner.data.formats import conll
from ner.errors import InputError, MisalignedSpanError
from ner.runtime import text_files
from ner.types import Document

LINES = 2_000
"""Lines of a file that are looked at."""
RULES: tuple[WordRule, ...] = ("punctuation", "chinese", "characters")
"""Rules that may be chosen, from the coarsest to the finest."""


class Detected(NamedTuple):
    """Format of a file.

    Attributes:
        format: Name and options.
        word_split: Rule with which the spans of raw text begin and end at words; None for files of words.
    """

    format: ComponentConfig
    word_split: WordRule | None


def detect(path: str, name: str = "auto", options: dict[str, Any] | None = None) -> Detected:
    """Detect the format of a file, its options and the splitting of its raw text.

    Args:
        path: A file, or the folder of the format ``slot_filling``.
        name: Name of a format, so that only options are detected.
        options: Options that are known.

    Raises:
        InputError: If the file cannot be read, or is in no known format.
    """
    options = options or {}
    if name == "auto":
        name = _name(path, options.get("encoding", "utf-8"))
    lines = [] if os.path.isdir(path) else _lines(path, options.get("encoding", "utf-8"))
    detected_options = {"conll": _columns, "tsv": _table, "jsonl": _objects}.get(name, lambda lines: {})(lines)
    config = parse_component("formats", {"name": name, **detected_options, **options})
    return Detected(config, _word_split(path, config))


def _lines(path: str, encoding: str) -> list[str]:
    with text_files.spooled([path]):
        return [line.rstrip("\r\n") for _, line in islice(text_files.decoded_lines(path, encoding), LINES)]


def _name(path: str, encoding: str) -> str:
    """Return the name of the format of a file."""
    if os.path.isdir(path):
        if (Path(path) / "seq.in").exists():
            return "slot_filling"
        raise InputError(f"{path}: expected a file, or a folder with seq.in, seq.out and label; found another folder")
    lines = [line for line in _lines(path, encoding) if line.strip()]
    if not lines:
        raise InputError(f"{path}: expected sentences, found an empty file")
    if lines[0].lstrip()[0] in "{[":
        try:
            value = json.loads(lines[0])
        except ValueError:
            value = None
        if isinstance(value, dict) and not isinstance(value.get("data"), list):
            return "jsonl"
        return _json_name(path, encoding)
    cells = [line.split("\t") for line in lines]
    tabs = len(cells[0]) > 1 and all(len(row) == len(cells[0]) for row in cells)
    if tabs and any(" " in cell.strip() or len(cell) > 40 for row in cells[1:] for cell in row):
        return "tsv"  # a cell is a text
    if max(len(line.split()) for line in lines) == 1 or len({len(line.split()) for line in lines}) > 3:
        raise InputError(
            f"{path}:1: expected columns (word TAG), JSON Lines or a table, found '{lines[0][:40]}'; "
            "pass the name of the format"
        )
    return "conll"


def _json_name(path: str, encoding: str) -> str:
    value = text_files.read_json(path, encoding)
    articles = value.get("data") if isinstance(value, dict) else None
    first_article = articles[0] if isinstance(articles, list) and articles else None
    if isinstance(first_article, dict) and "paragraphs" in first_article:
        return "squad"
    if isinstance(first_article, dict) and "story" in first_article:
        return "coqa"
    raise InputError(f"{path}: expected JSON Lines, SQuAD or CoQA, found other JSON; write an object per line")


def _columns(lines: Sequence[str]) -> dict[str, Any]:
    """Return options of column files: the columns of words and tags, and digits that mark positions in words."""
    rows = [line for line in lines if line.strip() and not conll.DOCSTART.fullmatch(line)]
    if not rows:
        return {}
    tabs = "\t" in rows[0]
    cells = [conll.split_columns(row, tabs) for row in rows]
    width = len(cells[0])
    cells = [row for row in cells if len(row) == width]
    options: dict[str, Any] = {}
    tag_columns = [
        column
        for column in range(width)
        if all(tags.is_valid(row[column]) for row in cells) and any(row[column] != tags.OUTSIDE for row in cells)
    ]
    if tag_columns and tag_columns[-1] != width - 1:
        options["tag"] = tag_columns[-1]
    if options.get("tag") == 0 or (width > 2 and _numbers_words(lines, tabs)):
        options["word"] = 1  # the first column contains the tags, or numbers
    num_marked = sum(len(row[0]) == 2 and row[0][1] in "0123456789" for row in cells)
    if 20 * num_marked > 19 * len(cells) > 200 and all(row[0][-1] in "0123456789" for row in cells if len(row[0]) > 1):
        options["strip_position_digit"] = True
    return options


def _numbers_words(lines: Sequence[str], tabs: bool) -> bool:
    """Return whether the first column counts the words of each sentence, as in CoNLL-U."""
    columns: list[list[str]] = [[]]  # the first column of each sentence
    for line in lines:
        if line.strip() and not conll.DOCSTART.fullmatch(line):
            columns[-1].append(conll.split_columns(line, tabs)[0])
        else:
            columns.append([])
    starts = [int(column[:1] == ["1"]) for column in columns]
    return all(
        column == [str(number) for number in range(start, start + len(column))]
        for column, start in zip(columns, starts, strict=True)
    )


def _table(lines: Sequence[str]) -> dict[str, Any]:
    """Return options of tables: the columns of text and label, by name or number."""
    cells = [line.split("\t") for line in lines if line.strip()]
    lower_names = [cell.strip().lower() for cell in cells[0]]
    names = {"text": ("text_a", "text", "sentence", "review", "content"), "label": ("label", "labels", "class")}
    columns = {
        role: next((cells[0][lower_names.index(name)] for name in usual_names if name in lower_names), None)
        for role, usual_names in names.items()
    }
    if all(columns.values()):
        return columns
    lengths = [sum(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    text = lengths.index(max(lengths))
    return {"header": False, "text": text, "label": 1 if text == 0 else 0}


def _objects(lines: Sequence[str]) -> dict[str, Any]:
    """Return options of JSON Lines: the keys of words and spans."""
    try:
        value = json.loads(next(line for line in lines if line.strip()))
    except (ValueError, StopIteration):
        return {}  # reported by the reader
    if not isinstance(value, dict):
        return {}
    options: dict[str, Any] = {}
    if "words" not in value and "text" not in value and isinstance(value.get("tokens"), list):
        options["words"] = "tokens"
    if "spans" not in value:
        if "entities" in value:
            options["spans"] = "entities"
        elif isinstance(value.get("label"), (dict, list)):
            options["spans"] = "label"
            if isinstance(value["label"], dict):
                options["end"] = "inclusive"  # CLUENER
    if "labels" not in value and isinstance(value.get("label"), str):
        options["labels"] = "label"
    return options


def _word_split(path: str, config: ComponentConfig) -> WordRule | None:
    """Return the splitting for a file of raw text; None if its texts are words already."""
    format_module = load_component("formats", config.name)

    def read(rule: WordRule) -> list[Document]:
        with text_files.spooled([path]):
            return list(islice(format_module.read(path, config, rule), LINES))

    return choose_split(read)[1]


def finest_rule(rules: Iterable[WordRule | None]) -> WordRule | None:
    """Return the rule that splits into the most words; None if there is none."""
    return max(filter(None, rules), key=RULES.index, default=None)


def choose_split(read: Callable[[WordRule], list[Document]]) -> tuple[list[Document], WordRule | None]:
    """Return documents, and the first rule of splitting with which all spans begin and end at words.

    Args:
        read: Returns the documents for a rule.

    Returns:
        The documents, and the rule; None if they contain no raw text.

    Raises:
        InputError: If the documents cannot be read.
    """
    rules = RULES
    while True:
        try:
            documents = read(rules[0])
        except MisalignedSpanError:
            if len(rules) == 1:
                raise
            rules = rules[1:]
            continue
        texts = [example.text for document in documents for example in document.examples if example.text is not None]
        if not texts:
            return documents, None
        if rules[0] != "punctuation" or not _is_chinese("".join(texts)):
            return documents, rules[0]
        rules = rules[1:]


def _is_chinese(text: str) -> bool:
    """Return whether a fifth of the characters of a text are Chinese."""
    return 5 * len(re.findall(f"[{CHINESE}]", text)) >= len(text) > 0
