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

from ner.config.base import OffsetUnit, SpanFormatConfig, SpanOverlap, TextEncoding, WordSplit
from ner.data.char_spans import CharSpan, annotate, in_characters, in_unit, set_spans
from ner.data.notices import Notice
from ner.data.question_answering import (
    NO,
    UNKNOWN,
    YES,
    answer_type,
    char_span,
    occurrences,
    passage_and_turns,
    question_example,
    set_answer_span,
)
from ner.data.words import split_words
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example, Span

output_extension = "jsonl"
probabilities = True
STORES = frozenset({"tags", "labels", "answers"})
ROUND_TRIP = "words"  # predictions have keys of their own


class Config(SpanFormatConfig):
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
    offsets: OffsetUnit = "characters"
    """Unit of the positions in a text: characters (Unicode code points), utf16 (code units) or bytes of UTF-8. auto
    finds the unit in which the positions fit the strings of CLUENER's form, and refuses ambiguous positions."""
    on_overlap: SpanOverlap = "keep"
    """Reaction to spans that overlap: raise an error, keep the longest ones, or keep all, as CLUENER does. Taggers
    learn the longest ones."""
    encoding: TextEncoding = "utf-8"
    """Character encoding of the file."""


KEYS = ("text", "words", "spans", "labels", "question", "answers")
"""Options that name the keys of an object; its other keys are metadata."""


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per line; with ``for_rewriting``, a blank line is a document without examples.

    Raises:
        InputError: With file and line, if a line is not such an object or a span does not fit the text.
    """
    empty, blank = True, 0
    known = () if for_rewriting else [getattr(config, name) for name in KEYS]
    for number, line, value in text_files.json_lines(path, config.encoding):
        if value is None:
            blank += 1
            if for_rewriting:
                yield Document([], str(number - 1), path, source_lines=[line])
            continue
        empty = False
        location = f"{path}:{number}"
        example = parse_object(value, config, word_split, location)
        example.source, example.line = path, number
        example.warnings += [Notice.LINE_BLANK] * blank
        blank = 0
        example.metadata = {key: entry for key, entry in value.items() if key not in known}
        yield Document([example], str(value.get("id", number - 1)), path)
    if empty:
        raise InputError(f"{path}: expected a JSON object per line, found an empty file")


def parse_object(value: dict[str, Any], config: Config, rule: WordSplit, location: str) -> Example:
    """Return the example of an object.

    Raises:
        InputError: If a key or a span is invalid; the message starts with ``location``.
    """
    if value.get(config.question) is None:
        return _text(value, config, rule, location)
    return _question(value, config, rule, location)


def _text(value: dict[str, Any], config: Config, rule: WordSplit, location: str) -> Example:
    """Return the example of an object without a question."""
    words, text = value.get(config.words), value.get(config.text)
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        if "" in words:
            raise InputError(f"{location}: expected words in '{config.words}', found an empty one; remove it")
        example = Example(list(words))
    elif isinstance(text, str):
        text_words, offsets = split_words(text, rule)
        example = Example(text_words, text=text, offsets=offsets)
    else:
        raise InputError(f"{location}: expected '{config.words}' (a list of strings) or '{config.text}' (a string)")
    if config.spans in value:
        if words is not None and text is not None:
            raise InputError(
                f"{location}: expected '{config.text}' or '{config.words}' beside '{config.spans}', found both, so the "
                "unit of the positions is ambiguous; set data.format.text or data.format.words to a key that is absent"
            )
        file_spans = [
            CharSpan(start, end + (config.end == "inclusive"), label, surface)
            for start, end, label, surface in _spans(value[config.spans], config.spans, location)
        ]
        if example.text is not None:
            set_spans(example, in_characters(example.text, file_spans, config.offsets, location), config, location)
        else:
            size = len(example.words)
            for span in file_spans:
                if not 0 <= span.start < span.end <= size:
                    raise InputError(
                        f"{location}: expected a span within 0 and {size}, found {span.start} to {span.end}"
                    )
            annotate(example, [Span(*span[:3]) for span in file_spans], config, location)
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
    strings = [value] if isinstance(value, str) else value
    if not isinstance(strings, list) or not all(isinstance(item, str) for item in strings):
        raise InputError(
            f"{location}: expected a string or a list of strings in '{key}', found {json.dumps(value)[:60]}"
        )
    return list(strings)


def _spans(value: Any, key: str, location: str) -> list[Any]:
    """Return the start, the end as written, the label and, in CLUENER's form, the text of each span."""
    try:
        spans: list[Any]
        if isinstance(value, dict):
            spans = [
                (*pair, label, surface)
                for label, surfaces in value.items()
                for surface, pairs in surfaces.items()
                for pair in pairs
            ]
        else:
            names = ("start", "end", "label")
            items: list[Any] = value if isinstance(value, list) else [None]
            spans = [([item[name] for name in names] if isinstance(item, dict) else [*item]) for item in items]
            spans = [(*item, None) for item in spans]
        if all([type(part) for part in item[:-1]] == [int, int, str] and item[2] for item in spans):
            return spans
    except (AttributeError, KeyError, TypeError):
        pass
    raise InputError(f"{location}: expected spans in '{key}' as start, end, label, found {json.dumps(value)[:60]}")


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write the source objects, or new ones, with ``predicted`` (spans), ``predicted_labels``, ``predicted_answers``.

    Predictions have scores if they were requested. Positions have the unit and the kind of end of the input.
    """
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            if not document.examples:
                file.writelines(document.source_lines or ())
            for example in document.examples:
                prediction = example.prediction_dict()
                if "entities" in prediction:
                    prediction["entities"] = _in_file_units(example, prediction["entities"], config)
                for alternative in prediction.get("n_best", ()):
                    alternative["entities"] = _in_file_units(example, alternative["entities"], config)
                value = dict(example.metadata)
                if config.text not in value and config.words not in value:  # not from a file
                    source = {config.words: example.words} if example.text is None else {config.text: example.text}
                    value = source | value
                value |= {
                    "predicted" if key == "entities" else f"predicted_{key}": field_value
                    for key, field_value in prediction.items()
                }
                file.write(json.dumps(value, ensure_ascii=False) + "\n")


def export(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write documents as gold data, which :func:`read` returns unchanged. Questions keep no position of the answer."""
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            for example in document.examples:
                value = dict(example.metadata)
                if example.query_length:
                    passage, *turns = passage_and_turns(example)
                    value |= {config.question: turns if len(turns) > 1 else turns[0], config.text: passage}
                    kind = answer_type(example)
                    value[config.answers] = example.answers or ([kind] if kind in (YES, NO, UNKNOWN) else [])
                else:
                    value |= {config.text: example.text} if example.text is not None else {config.words: example.words}
                    if example.tags is not None:
                        entities = _in_file_units(example, example.entities(), config)
                        value[config.spans] = [[e["start"], e["end"], e["label"]] for e in entities]
                    if example.labels:
                        value[config.labels] = example.labels
                file.write(json.dumps(value, ensure_ascii=False) + "\n")


def _in_file_units(example: Example, entities: list[dict[str, Any]], config: Config) -> list[dict[str, Any]]:
    """Return entities with positions in the unit and with the kind of end of the file."""
    positions = [(entity["start"], entity["end"]) for entity in entities]
    if example.text is not None:
        positions = in_unit(example.text, positions, config.offsets)
    inclusive = config.end == "inclusive"
    file_bounds = [{"start": start, "end": end - inclusive} for start, end in positions]
    return [entity | bounds for entity, bounds in zip(entities, file_bounds, strict=True)]
