"""Documents from Python objects: pairs of words and tags, dictionaries, data frames and Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ner.config.base import WordSplit
from ner.data import tags
from ner.data.formats import jsonl
from ner.errors import InputError
from ner.types import Document, Example

NAMES = {
    "words": ("words", "tokens", "word", "token"),
    "tags": ("tags", "ner_tags", "tag", "ner", "pos_tags", "pos"),
    "sentence": ("sentence", "sentence_id", "sentence #", "sent_id"),
    "text": ("text", "text_a", "sentence"),
    "spans": ("spans", "entities"),
    "labels": ("labels", "label"),
    "question": ("question",),
    "answers": ("answers",),
}
"""Usual names of the columns or keys, compared without case; the first one that exists is used."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns or keys; None for those of :data:`NAMES`.

    Attributes:
        words: List of words, or one word per row.
        tags: List of tags, or one tag per row.
        sentence: Identifier of the sentence of a word, in tables with one word per row.
        text: Raw text.
        spans: Spans of a text in characters, or of words, see :mod:`ner.data.formats.jsonl`.
        labels: Label or labels of the whole text.
        question: Question about the text.
        answers: Answers to the question.
    """

    words: str | None = None
    tags: str | None = None
    sentence: str | None = None
    text: str | None = None
    spans: str | None = None
    labels: str | None = None
    question: str | None = None
    answers: str | None = None

    def find(self, existing: Iterable[Any], source: str) -> dict[str, str]:
        """Return the existing column of each role.

        Raises:
            InputError: If a column that was named does not exist.
        """
        known = {str(name).lower(): name for name in existing}
        column_by_role = {}
        for role, usual_names in NAMES.items():
            name = getattr(self, role)
            if name is not None and name not in known.values():
                available = ", ".join(map(str, known.values()))
                raise InputError(f"{source}: expected the column '{name}' ({role}), found {available or 'none'}")
            column = name or next((known[candidate] for candidate in usual_names if candidate in known), None)
            if column is not None:
                column_by_role[role] = column
        return column_by_role


def documents(data: Any, columns: Columns, scheme: str = "auto", rule: WordSplit = "space") -> list[Document]:
    """Return the documents of a Python object, one for each sentence or text.

    Args:
        data: A list of ``(words, tags)``, ``(text, label)`` or ``(text, {"entities": [(start, end, label)]})``; a list
            of dictionaries; a ``pandas.DataFrame`` with a sentence or with a word per row; or a ``datasets.Dataset``.
        columns: Names of keys or columns.
        scheme: Tagging scheme, or ``auto`` for detection over all tags.
        rule: Splitting of raw text.

    Raises:
        InputError: If an item cannot be used; the message contains its number, counted from 1.
        TypeError: If the object is of no such type.
    """
    source, rows = _rows(data, columns)
    examples = []
    tagged_examples: list[Example] = []
    for number, row in enumerate(rows, 1):
        location = f"{source}:{number}"
        if not isinstance(row, Mapping):
            row = _pair(row, location)
            roles = Columns().find(row, location)
        else:
            roles = columns.find(row, location)
        if "words" in roles and "tags" in roles:
            example = _tagged(row[roles["words"]], row[roles["tags"]], location)
            if "labels" in roles:
                example.labels = _strings(_as_list(row[roles["labels"]]), "labels", location)
            tagged_examples.append(example)
        else:
            example = _object(row, roles, rule, location)
        used_columns = {*roles.values()}
        example.metadata = {
            str(name): item for name, item in row.items() if name not in used_columns and _is_plain(item)
        }
        example.source, example.line = source, number
        examples.append(example)
    if not examples:
        raise InputError(f"{source}: expected sentences or texts, found an empty one")
    if scheme == "auto":
        detector = tags.SchemeDetector()
        for example in tagged_examples:
            detector.add(example.tags or ())
        scheme = detector.scheme if tagged_examples else "bio"
    for example in tagged_examples:
        for tag in {*(example.tags or ())}:
            try:
                tags.check_tag(tag, scheme, "pass scheme='none' for plain tags such as parts of speech")
            except InputError as error:
                raise InputError(f"{example.location}: {error}") from None
        example.spans, example.tags, example.raw_tags = tags.normalize(example.tags or [], scheme)
    return [Document([example], str(number), source, scheme) for number, example in enumerate(examples)]


def _rows(data: Any, columns: Columns) -> tuple[str, Iterable[Any]]:
    """Return a name of the object for messages, and its rows as mappings or pairs."""
    if hasattr(data, "iterrows") and hasattr(data, "columns"):  # pandas
        return "<DataFrame>", _frame_rows(data, columns)
    if hasattr(data, "features") and hasattr(data, "column_names"):  # Hugging Face datasets
        return "<Dataset>", _dataset_rows(data)
    if isinstance(data, Mapping) and data and all(hasattr(part, "features") for part in data.values()):
        raise TypeError(f"expected a split of the DatasetDict ({', '.join(map(str, data))}), found all of them")
    if isinstance(data, (str, bytes, Mapping)) or not isinstance(data, Iterable):
        raise TypeError(
            f"expected a path, a list of (words, tags) or of dictionaries, a DataFrame or a Dataset, "
            f"found {type(data).__name__}"
        )
    return "<list>", data


def _pair(row: Any, location: str) -> dict[str, Any]:
    """Return the dictionary of a pair: words with tags, or a text with its label or with its entities."""
    if isinstance(row, Sequence) and not isinstance(row, str) and len(row) == 2:
        content, annotation = row
        if isinstance(content, str) and isinstance(annotation, Mapping):
            return {"text": content, "spans": annotation.get("entities", [])}
        if isinstance(content, str) and isinstance(annotation, str):
            return {"text": content, "labels": annotation}
        if not isinstance(content, str):
            return {"words": content, "tags": annotation}
    raise InputError(f"{location}: expected a pair (words, tags) or a dictionary, found {repr(row)[:60]}")


def _strings(values: Any, role: str, location: str) -> list[str]:
    strings = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(strings, str) or not isinstance(strings, Iterable):
        raise InputError(f"{location}: expected a list of {role}, found {repr(values)[:60]}")
    strings = list(strings)
    for value in strings:
        if not isinstance(value, str) or not value:
            hint = "; map numbers to names, or pass a datasets.Dataset with a ClassLabel" if role == "tags" else ""
            raise InputError(f"{location}: expected {role} as non-empty strings, found {value!r}{hint}")
    return strings


def _tagged(words: Any, tag_names: Any, location: str) -> Example:
    example = Example(_strings(words, "words", location), tags=_strings(tag_names, "tags", location))
    if len(example.words) != len(example.tags or ()):
        raise InputError(
            f"{location}: expected one tag per word, found {len(example.words)} words and "
            f"{len(example.tags or ())} tags"
        )
    return example


def _object(row: Mapping[str, Any], roles: Mapping[str, str], rule: WordSplit, location: str) -> Example:
    """Return the example of a dictionary without tags, as the format ``jsonl`` does."""
    value = {role: row[name] for role, name in roles.items() if role != "sentence"}
    for role in ("words", "spans"):
        if hasattr(value.get(role), "tolist"):
            value[role] = value[role].tolist()
    return jsonl.parse_object(value, jsonl.Config(), rule, location)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _is_plain(value: Any) -> bool:
    """Return whether a further value of a row can be kept: a number, or one or several strings."""
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, (str, int)) or (isinstance(value, float) and value == value)


def _frame_rows(frame: Any, columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield the rows of a data frame; rows with one word each are grouped by the column of the sentence."""
    roles = columns.find(frame.columns, "<DataFrame>")
    records = frame.to_dict("records")
    if (
        "words" not in roles
        or "sentence" not in roles
        or not records
        or not isinstance(records[0][roles["words"]], str)
    ):
        yield from records
        return
    if "tags" not in roles:
        raise InputError(f"<DataFrame>: expected a column of tags, found {', '.join(map(str, frame.columns))}")
    sentence: Any = None

    def key(row: Mapping[str, Any]) -> Any:  # a missing identifier continues the sentence, as in published tables
        nonlocal sentence
        value = row[roles["sentence"]]
        if value is not None and value == value and value != "":
            sentence = value
        return sentence

    for _, rows in groupby(records, key):
        word_rows = list(rows)
        yield {role: [row[roles[role]] for row in word_rows] for role in ("words", "tags")}


def _dataset_rows(data: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Hugging Face dataset with the names of its classes in place of their numbers."""
    names = {column: _class_names(feature) for column, feature in data.features.items()}
    for row in data:
        yield {column: _named(value, names[column]) for column, value in row.items()}


def _class_names(feature: Any) -> Sequence[str] | None:
    class_feature = getattr(feature, "feature", feature[0] if isinstance(feature, list) and feature else feature)
    names: Sequence[str] | None = getattr(class_feature, "names", None)
    return names


def _named(value: Any, names: Sequence[str] | None) -> Any:
    if names is None or value is None:
        return value
    return [_named(item, names) for item in value] if isinstance(value, list) else names[value] if value >= 0 else None
