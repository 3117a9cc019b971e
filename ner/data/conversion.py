"""Conversion of gold documents between formats, checked by reading the result back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ner.config.base import ComponentConfig, WordSplit
from ner.config.parts import component_names, load_component
from ner.data.tags import PLAIN
from ner.data.tasks import OUTPUTS, has_gold
from ner.data.words import with_text
from ner.errors import InputError
from ner.types import Document, Example

PLAIN_TAGS = frozenset({"arrow", "conll", "slot_filling"})
"""Formats that store plain tags, such as parts of speech."""


def targets() -> list[str]:
    """Return the names of the formats that gold data can be written in."""
    return [name for name in component_names("formats") if load_component("formats", name).export]


def check_target(name: str) -> None:
    """Check that gold data can be written in a format.

    Raises:
        InputError: If they cannot; the message lists the formats that can.
    """
    if name not in targets():
        raise InputError(f"--to: {name} files cannot be written from other data; choose {', '.join(targets())}")


def fitting(documents: Iterable[Document], source: str, name: str, drop: Sequence[str] = ()) -> Iterator[Document]:
    """Yield documents whose annotations a format can store.

    Args:
        documents: Gold documents.
        source: Name of the source format.
        name: Name of the target format.
        drop: Kinds of annotations that are removed: keys of :data:`ner.data.tasks.OUTPUTS`.

    Raises:
        InputError: With file and line, if an example has annotations that the format cannot store.
    """
    storable_kinds = load_component("formats", name).STORES
    only_questions = {"answers"} == load_component("formats", source).STORES
    for document in documents:
        examples = [_without(example, drop) for example in document.examples]
        for example in examples:
            is_question = bool(example.query_length) or only_questions  # a question may have no word
            if is_question and "answers" not in storable_kinds:
                raise InputError(f"{example.location}: {name} files cannot store questions; choose squad or jsonl")
            if not is_question and storable_kinds == {"answers"}:
                raise InputError(f"{example.location}: {name} files store questions only, found a text without one")
            kinds = ["answers"] if is_question else list(OUTPUTS)  # spans and labels of a question are its answer
            unstored = [kind for kind in kinds if kind not in storable_kinds and has_gold(example, kind)]
            if unstored:
                raise InputError(
                    f"{example.location}: {name} files cannot store {' or '.join(OUTPUTS[kind] for kind in unstored)}; "
                    f"choose another format, or leave them out: {' '.join(f'--drop {kind}' for kind in unstored)}"
                )
            if document.scheme == PLAIN and example.tags is not None and name not in PLAIN_TAGS:
                raise InputError(
                    f"{example.location}: {name} files cannot store plain tags, such as parts of speech; choose "
                    f"{' or '.join(sorted(PLAIN_TAGS))}"
                )
        yield replace(document, examples=examples)


def _without(example: Example, drop: Sequence[str]) -> Example:
    changes: dict[str, Any] = {}
    if "tags" in drop:
        changes |= {"tags": None, "spans": []}
    if "labels" in drop:
        changes["labels"] = []
    if "answers" in drop:
        changes["answers"] = []
    return replace(example, **changes) if changes else example


def joined(documents: Iterable[Document], separator: str) -> Iterator[Document]:
    """Yield documents with texts; words without a text are joined by a separator."""
    for document in documents:
        yield replace(document, examples=[with_text(example, separator) for example in document.examples])


def difference(documents: Iterable[Document], path: str, config: ComponentConfig, words: WordSplit) -> str | None:
    """Read a converted file back and return the first difference from the documents, or None.

    Words, entities, labels, answers and, if both sides have them, texts are compared. Examples without words, and
    boundaries of documents, are not compared, because some formats cannot store them.
    """
    format_module = load_component("formats", config.name)
    written_documents = format_module.read(path, config, words)
    written_examples = (example for document in written_documents for example in document.examples if example.words)
    for document in documents:
        for example in document.examples:
            if not example.words:
                continue
            written_example = next(written_examples, None)
            if written_example is None:
                return f"{example.location}: missing in {path}"
            compared_fields: dict[str, tuple[Any, Any]] = {
                "words": (example.words, written_example.words),
                "entities": (_spans(example), _spans(written_example)),
                "labels": (sorted(example.labels or ()), sorted(written_example.labels or ())),
                "answers": (example.answers, written_example.answers),
            }
            if document.scheme == PLAIN:
                compared_fields["tags"] = (example.tags, written_example.tags)
            if example.text is not None and written_example.text is not None:
                compared_fields["text"] = (example.text, written_example.text)
            for field_name, (source_value, written_value) in compared_fields.items():
                if source_value != written_value:
                    change = f"{str(source_value)[:60]} became {str(written_value)[:60]}"
                    return f"{example.location}: {field_name} differ in {written_example.location}: {change}"
    return None if next(written_examples, None) is None else f"{path}: contains more texts than the source"


def _spans(example: Example) -> list[Any]:
    """Return the entities; the spans of a question mark its answer, which is compared as text."""
    return [] if example.query_length else sorted(example.spans)
