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

import bisect
import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from ner.config.base import ComponentConfig, WordRule
from ner.data.notices import Notice
from ner.data.question_answering import (
    ANSWER_TYPES,
    SPAN,
    answer_span,
    find_answer,
    normalize_answer,
    on_word_boundaries,
    question_example,
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
    encoding: str = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, words: WordRule, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per line.

    Raises:
        InputError: With file and line, if a line is not such an object or a span does not fit the text.
    """
    lines = 0
    for number, line in text_files.decoded_lines(path, config.encoding):
        line = line.removeprefix("\ufeff") if number == 1 else line
        if not line.strip():
            continue
        lines += 1
        place = f"{path}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: not JSON: {_reason(error)}") from None
        if not isinstance(value, dict):
            raise InputError(f"{place}: expected a JSON object, found {type(value).__name__}")
        example = _example(value, config, words, place)
        example.source, example.line = path, number
        if for_rewriting:
            example.metadata = value
        yield Document([example], str(value.get("id", number - 1)), path)
    if not lines:
        raise InputError(f"{path}: expected JSON objects, found an empty file")


def _reason(error: Exception) -> str:
    return f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else str(error)


def _example(value: dict[str, Any], config: Config, rule: WordRule, place: str) -> Example:
    given = value.get(config.words)
    text = value.get(config.text)
    question = value.get(config.question)
    offsets = None
    if question is not None:
        turns = _strings(question, config.question, place)
        if turns and not turns[-1].strip():
            raise InputError(f"{place}: expected a question in '{config.question}', found an empty one")
        if not isinstance(text, str):
            raise InputError(f"{place}: expected '{config.text}' (a string) that '{config.question}' is about")
        example = question_example(turns, text, rule)
        answers = _strings(value.get(config.answers) or [], config.answers, place)
        example.answers = list(dict.fromkeys(answer.strip() for answer in answers if answer.strip()))
        _mark_answer(example, text)
        return example
    if isinstance(given, list) and all(isinstance(word, str) for word in given):
        example = Example(list(given))
    elif isinstance(text, str):
        split, offsets = split_words(text, rule)
        example = Example(split, text=text, offsets=offsets)
    else:
        raise InputError(f"{place}: expected '{config.words}' (a list of strings) or '{config.text}' (a string)")
    if config.spans in value:
        if given is not None and text is not None:
            raise InputError(
                f"{place}: expected '{config.text}' or '{config.words}' beside '{config.spans}', found both, so their "
                "positions could count either; let data.format.text or data.format.words name a key that is not there"
            )
        for start, end, label in _spans(value[config.spans], place, config.spans):
            end += config.end == "inclusive"
            span = _aligned(start, end, label, offsets, example, config.on_misaligned, place)
            if span is not None:
                example.spans.append(span)
        example.spans.sort()
        example.tags = encode(example.spans, len(example.words))
    if config.labels in value and config.labels != config.spans:
        example.labels = _strings(value[config.labels], config.labels, place)
    return example


def _strings(value: Any, key: str, place: str) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InputError(f"{place}: expected a string or a list of strings in '{key}', found {json.dumps(value)[:60]}")
    return list(found)


def _mark_answer(example: Example, passage: str) -> None:
    """Set the training target of an example: an answer type, or the span of the answer in the passage."""
    for answer in example.answers:
        kind = answer.lower()
        if kind in ANSWER_TYPES and kind != SPAN:
            example.labels = [kind]
            return
        span = _occurrence(example, answer, passage)
        if span is not None:
            example.spans, example.labels = [span], [SPAN]
            if normalize_answer(example.text_of(span)) != normalize_answer(answer):
                example.warnings.append(Notice.ANSWER_APPROXIMATED)
            return
    if example.answers:
        example.warnings.append(Notice.QUESTION_UNANSWERED)


def _occurrence(example: Example, answer: str, passage: str) -> Span | None:
    """Return the first occurrence of an answer: as words of the example, else as whole words, else anywhere."""
    first = find_answer(passage, answer, -1)
    if first is None:
        return None
    place = first
    while place >= 0:
        span = (
            answer_span(example, place, place + len(answer))
            if on_word_boundaries(passage, place, place + len(answer))
            else None
        )
        if span is not None and example.text_of(span) == answer:
            return span
        place = passage.find(answer, place + 1)
    return answer_span(example, first, first + len(answer))


def _spans(value: Any, place: str, key: str) -> Iterator[tuple[int, int, str]]:
    """Start, end as written, label."""
    found: list[Any] = []
    if isinstance(value, dict):
        for label, strings in value.items():
            for positions in strings.values() if isinstance(strings, dict) else [None]:
                pairs = positions if isinstance(positions, list) else [None]
                found += [[*pair, label] if isinstance(pair, list) else None for pair in pairs]
    elif isinstance(value, list):
        keys = ("start", "end", "label")
        found = [[item.get(key) for key in keys] if isinstance(item, dict) else item for item in value]
    else:
        found = [None]
    for item in found:
        if not isinstance(item, list) or [type(x) for x in item] != [int, int, str] or not item[2]:
            raise InputError(f"{place}: expected spans in '{key}' as start, end, label, found {json.dumps(value)[:60]}")
        yield item[0], item[1], item[2]


def _aligned(
    start: int, end: int, label: str, offsets: list[tuple[int, int]] | None, example: Example, rule: str, place: str
) -> Span | None:
    """Return the span in words; character positions are converted by the offsets."""
    size = len(example.words) if example.text is None else len(example.text)
    if not 0 <= start < end <= size:
        raise InputError(f"{place}: expected a span within 0 and {size}, found {start} to {end}")
    if offsets is None:
        return Span(start, end, label)
    first = bisect.bisect_right([stop for _, stop in offsets], start)
    last = bisect.bisect_left([begin for begin, _ in offsets], end)
    exact = first < last and offsets[first][0] == start and offsets[last - 1][1] == end
    if exact or (rule == "expand" and first < last):
        return Span(first, last, label)
    if rule == "drop":
        return None
    text = example.text or ""
    raise InputError(
        f"{place}: span {start} to {end} ('{text[start:end][:40]}') begins or ends inside a word; choose another "
        "data.word_split, or data.format.on_misaligned=expand or drop"
    )


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Objects as they were read with the predicted spans under ``predicted``, or new ones.

    Labels and answers stand under ``predicted_labels`` and ``predicted_answers``, each with its score where that was
    asked for. Positions count as in the input: characters where there is a text, and the end in- or exclusive.
    """
    with text_files.open_text(path) as file:
        for document in documents:
            for example in document.examples:
                found = example.prediction_dict()
                for entity in found.get("entities", []):
                    entity["end"] -= config.end == "inclusive"
                value = dict(example.metadata) or (
                    {config.text: example.text} if example.text is not None else {config.words: example.words}
                )
                value |= {"predicted" if key == "entities" else f"predicted_{key}": f for key, f in found.items()}
                file.write(json.dumps(value, ensure_ascii=False) + "\n")
