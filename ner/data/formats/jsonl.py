"""JSON Lines: one object per line with ``words`` or ``text``, and spans, labels or a question. Reads CLUENER unchanged.

Spans are a list of ``{"start", "end", "label"}`` or ``[start, end, label]``, or CLUENER's
``{label: {string: [[start, end], ...]}}``. Positions are character offsets with ``text`` and word indices with
``words``. An object with both keys may not have spans, because their unit would be ambiguous. Labels of the whole text
are a string or a list of strings.

A question about the text is a string, or a list of earlier questions and answers that ends with the question. Its gold
answers are strings. ``yes``, ``no`` and ``unknown`` (any case) are answer types, even if the text contains them. Any
other answer is trained at its first occurrence as whole words, or else inside words with a warning. Among several
answers, the first one with a type or an occurrence is the training target, and all are gold. Surrounding white space
and empty answers are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from ner.config.base import ComponentConfig, Encoding, WordSplit
from ner.data.notices import Notice
from ner.data.question_answering import (
    NO,
    UNKNOWN,
    YES,
    char_span,
    occurrences,
    question_example,
    set_answer_span,
)
from ner.data.tags import encode
from ner.data.words import split_words
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example, Span

extension = "jsonl"
probabilities = True
STORES = frozenset({"tags", "labels", "answers"})


class Config(ComponentConfig):
    """JSON Lines."""

    name: Literal["jsonl"] = "jsonl"
    """Name of the file in ner/data/formats."""
    text: str = "text"
    """Key of the raw text."""
    words: str = "words"
    """Key of the list of words of tokenized text."""
    spans: str = "spans"
    """Key of the spans (label in CLUENER)."""
    labels: str = "labels"
    """Key of the labels of the whole text."""
    question: str = "question"
    """Key of a question about the text."""
    answers: str = "answers"
    """Key of the answers to the question."""
    end: Literal["exclusive", "inclusive"] = "exclusive"
    """Meaning of the end of a span: the position after it (exclusive) or its last position (inclusive)."""
    on_misaligned: Literal["error", "expand", "drop"] = "error"
    """Reaction to a span that starts or ends inside a word: raise an error, expand it to whole words, or drop it."""
    encoding: Encoding = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, words: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per line; with ``for_rewriting``, a blank line is a document without examples.

    Raises:
        InputError: With file and line, if a line is not such an object or a span does not fit the text.
    """
    empty, blank = True, 0
    for number, line in text_files.decoded_lines(path, config.encoding):
        if not line.strip():
            blank += 1
            if for_rewriting:
                yield Document([], str(number - 1), path, source_lines=[line])
            continue
        empty = False
        location = f"{path}:{number}"
        try:
            value = _parse(line)
        except KeyError as error:
            raise InputError(f"{location}: the key {error} occurs twice in an object; keep one") from None
        except (ValueError, RecursionError) as error:
            at = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
            raise InputError(f"{location}: not JSON: {at}") from None
        if not isinstance(value, dict):
            raise InputError(f"{location}: expected a JSON object, found {type(value).__name__}")
        if value.get(config.question) is None:
            example = _text(value, config, words, location)
        else:
            example = _question(value, config, words, location)
        example.source, example.line = path, number
        example.warnings += [Notice.LINE_BLANK] * blank
        blank = 0
        if for_rewriting:
            example.metadata = value
        yield Document([example], str(value.get("id", number - 1)), path)
    if empty:
        raise InputError(f"{path}: expected JSON objects, found an empty file")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; raise a KeyError for a key that occurs twice."""
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return value


_parse = json.JSONDecoder(object_pairs_hook=_object).decode


def _text(value: dict[str, Any], config: Config, rule: WordSplit, location: str) -> Example:
    """Return the example of an object without a question."""
    words, text = value.get(config.words), value.get(config.text)
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        if "" in words:
            raise InputError(f"{location}: expected words in '{config.words}', found an empty one; remove it")
        example = Example(list(words))
    elif isinstance(text, str):
        split, offsets = split_words(text, rule)
        example = Example(split, text=text, offsets=offsets)
    else:
        raise InputError(f"{location}: expected '{config.words}' (a list of strings) or '{config.text}' (a string)")
    if config.spans in value:
        if words is not None and text is not None:
            raise InputError(
                f"{location}: expected '{config.text}' or '{config.words}' beside '{config.spans}', found both, so the "
                "unit of the positions is ambiguous; set data.format.text or data.format.words to a key that is absent"
            )
        for start, end, label in _spans(value[config.spans], config.spans, location):
            span = _aligned(start, end + (config.end == "inclusive"), label, example, config.on_misaligned, location)
            if span is not None:
                example.spans.append(span)
        example.spans.sort()
        example.tags = encode(example.spans, len(example.words))
    if config.labels in value and config.labels != config.spans:
        example.labels = _strings(value[config.labels], config.labels, location)
    return example


def _question(value: dict[str, Any], config: Config, rule: WordSplit, location: str) -> Example:
    """Return the example of an object with a question: its first answer with a type or an occurrence is the target."""
    turns = _strings(value[config.question], config.question, location)
    if turns and not turns[-1].strip():
        raise InputError(f"{location}: expected a question in '{config.question}', found an empty one")
    passage = value.get(config.text)
    if not isinstance(passage, str):
        raise InputError(f"{location}: expected '{config.text}' (a string) that '{config.question}' is about")
    example = question_example(turns, passage, rule)
    answers = _strings(value.get(config.answers) or [], config.answers, location)
    example.answers = list(dict.fromkeys(answer.strip() for answer in answers if answer.strip()))
    for answer in example.answers:
        if answer.lower() in (YES, NO, UNKNOWN):
            example.labels = [answer.lower()]
            return example
        spans = [char_span(example, start, start + len(answer)) for start in occurrences(passage, answer)]
        exact = (span for span in spans if span is not None and example.text_of(span) == answer)
        span = next(exact, spans[0] if spans else None)
        if span is not None:
            set_answer_span(example, span, answer)
            return example
    if example.answers:
        example.warnings.append(Notice.QUESTION_UNANSWERED)
    return example


def _strings(value: Any, key: str, location: str) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InputError(
            f"{location}: expected a string or a list of strings in '{key}', found {json.dumps(value)[:60]}"
        )
    return list(found)


def _spans(value: Any, key: str, location: str) -> list[Any]:
    """Return the start, the end as written, and the label of each span."""
    try:
        found: list[Any]
        if isinstance(value, dict):
            found = [(*pair, label) for label, strings in value.items() for pairs in strings.values() for pair in pairs]
        else:
            names = ("start", "end", "label")
            items: list[Any] = value if isinstance(value, list) else [None]
            found = [[item[name] for name in names] if isinstance(item, dict) else [*item] for item in items]
        if all([type(part) for part in item] == [int, int, str] and item[2] for item in found):
            return found
    except (AttributeError, KeyError, TypeError):
        pass
    raise InputError(f"{location}: expected spans in '{key}' as start, end, label, found {json.dumps(value)[:60]}")


def _aligned(start: int, end: int, label: str, example: Example, rule: str, location: str) -> Span | None:
    """Return a span in words; with a text, ``start`` and ``end`` are characters. None if it is dropped."""
    size = len(example.words) if example.text is None else len(example.text)
    if not 0 <= start < end <= size:
        raise InputError(f"{location}: expected a span within 0 and {size}, found {start} to {end}")
    if example.text is None or example.offsets is None:
        return Span(start, end, label)
    span = char_span(example, start, end, label)
    exact = span and (example.offsets[span.start][0], example.offsets[span.end - 1][1]) == (start, end)
    if span is not None and (exact or rule == "expand"):
        return span
    if rule == "drop":
        return None
    raise InputError(
        f"{location}: span {start} to {end} ('{example.text[start:end][:40]}') begins or ends inside a word; choose "
        "another data.word_split, or data.format.on_misaligned=expand or drop"
    )


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write the source objects, or new ones, with ``predicted`` (spans), ``predicted_labels``, ``predicted_answers``.

    Predictions have scores if they were requested. Positions have the unit and the kind of end of the input.
    """
    with text_files.open_text(path) as file:
        for document in documents:
            if not document.examples:
                file.writelines(document.source_lines or ())
            for example in document.examples:
                found = example.prediction_dict()
                for entity in found.get("entities", []):
                    entity["end"] -= config.end == "inclusive"
                value = dict(example.metadata) or (
                    {config.text: example.text} if example.text is not None else {config.words: example.words}
                )
                value |= {"predicted" if key == "entities" else f"predicted_{key}": f for key, f in found.items()}
                file.write(json.dumps(value, ensure_ascii=False) + "\n")
