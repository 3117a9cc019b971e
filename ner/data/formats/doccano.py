"""doccano: JSON Lines with ``text`` and ``label``, as exported and imported by its projects.

``label`` (or ``labels``) is a list of ``[start, end, label]`` in projects for sequence labeling, and a list of strings
in projects for text classification. Exports with relations contain ``entities`` as objects with ``start_offset`` and
``end_offset``; projects for intents and slots contain ``entities`` and ``cats``. Relations and comments are not read.

doccano counts UTF-16 code units or graphemes, depending on a setting of the project, and records no words. Set
``data.format.offsets`` if a text contains characters above U+FFFF.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from ner.config.base import SpanFormatConfig, TextEncoding, WordSplit
from ner.data.char_spans import CharSpan, in_characters, in_unit, set_spans
from ner.data.notices import Notice
from ner.data.words import split_words, with_text
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example

output_extension = "jsonl"
probabilities = False
STORES = frozenset({"tags", "labels"})
KEYS = ("label", "labels", "entities", "cats")
"""Keys of annotations."""


class Config(SpanFormatConfig):
    """JSON Lines of doccano."""

    name: Literal["doccano"] = "doccano"
    """Name of the file in ner/data/formats."""
    text: str = "text"
    """Key of the text; old exports have other names."""
    encoding: TextEncoding = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per line; the other keys of a line are its metadata.

    Raises:
        InputError: With file and line, if a line has another form, or a span does not fit its text.
    """
    empty = True
    for number, _, value in text_files.json_lines(path, config.encoding):
        if value is None:
            continue
        empty = False
        location = f"{path}:{number}"
        text = text_files.json_field(value, config.text, str, location)
        words, offsets = split_words(text, word_split)
        example = Example(words, text=text, offsets=offsets, source=path, line=number)
        spans, example.labels = _annotations(value, location)
        if spans is not None:
            set_spans(example, in_characters(text, spans, config.offsets, location), config, location)
        example.warnings += [Notice.ANNOTATION_IGNORED] * len(value.get("relations") or ())
        example.metadata = {key: value for key, value in value.items() if key not in (config.text, *KEYS)}
        yield Document([example], str(value.get("id", number - 1)), path)
    if empty:
        raise InputError(f"{path}: expected a JSON object per line, found an empty file")


def _annotations(value: dict[str, Any], location: str) -> tuple[list[CharSpan] | None, list[str]]:
    """Return the spans, None if the object has no key for them, and the labels of the whole text."""
    spans: list[CharSpan] | None = None
    labels: list[str] = []
    for key in KEYS:
        items = value.get(key)
        if items is None:
            continue
        if not isinstance(items, list):
            raise InputError(f"{location}: expected a list in '{key}', found {json.dumps(items)[:60]}")
        if not items and key != "cats":
            spans = spans or []
        for item in items:
            if isinstance(item, str) and item and key != "entities":
                labels.append(item)
                continue
            if isinstance(item, dict):
                item = [item.get(name) for name in ("start_offset", "end_offset", "label")]
            if key == "cats" or not isinstance(item, list) or [type(part) for part in item] != [int, int, str]:
                raise InputError(
                    f"{location}: expected [start, end, label] or a label in '{key}', found {json.dumps(item)[:60]}"
                )
            spans = [*(spans or []), CharSpan(*item)]
    return spans, labels


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write a line per text with its predictions, ready to be imported as annotations that people correct.

    With ``data.format.offsets=auto``, positions count UTF-16 code units, as doccano does by default.
    """
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            for example in document.examples:
                file.write(json.dumps(_record(example, config), ensure_ascii=False) + "\n")


export = write
"""Gold data have the same form."""


def _record(example: Example, config: Config) -> dict[str, Any]:
    """Return the JSON object of an example; words without a text are joined by spaces."""
    example = with_text(example)
    text, labels = example.text or "", list(example.labels or [])
    record: dict[str, Any] = {**example.metadata, config.text: text}
    if example.tags is None and not example.spans:
        return {**record, "label": labels} if labels else record
    entities = example.entities()
    unit = "utf16" if config.offsets == "auto" else config.offsets
    positions = in_unit(text, [(entity["start"], entity["end"]) for entity in entities], unit)
    spans = [[*position, entity["label"]] for position, entity in zip(positions, entities, strict=True)]
    return {**record, "entities": spans, "cats": labels} if labels else {**record, "label": spans}
