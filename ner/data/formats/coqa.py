"""CoQA (Reddy et al., 2019): conversations about stories, one JSON file.

A story is a document, and each of its turns is an example: the earlier turns followed by the question. The answers of
earlier turns are the gold answers, in evaluation too.

Answers are free text with marked evidence. The answers ``yes``, ``no`` and ``unknown`` are answer types. For any other
answer, the training target is a span of the evidence: the answer itself if it occurs there, otherwise the span with the
highest token F1. The evidence is a second span of the example.

Predictions have the format of the CoQA evaluation script: a list of ``{"id", "turn_id", "answer"}``.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import Any, Literal, NamedTuple

from pydantic import Field

from ner.config.base import ComponentConfig, TextEncoding, WordSplit
from ner.data.notices import Notice
from ner.data.question_answering import (
    ANSWER,
    EVIDENCE,
    NO,
    UNKNOWN,
    YES,
    char_span,
    check_id,
    find_answer,
    first_answer,
    json_items,
    normalize_answer,
    question_example,
    set_answer_span,
    strip_answer,
)
from ner.data.words import split_words
from ner.errors import InputError
from ner.runtime.text_files import json_field, open_text, read_json
from ner.types import Document, Example, Span

output_extension = "json"
probabilities = False
STORES = frozenset({"answers"})
ROUND_TRIP = "none"  # answers by question


class Config(ComponentConfig):
    """Conversations with questions in the JSON format of CoQA."""

    name: Literal["coqa"] = "coqa"
    """Name of the file in ner/data/formats."""
    history_len: int = Field(2, ge=0)
    """Number of earlier turns (question and answer) before a question."""
    out_domain: tuple[str, ...] = ("reddit", "science")
    """Sources whose examples get the value out_domain in the field group; others get in_domain."""
    encoding: TextEncoding = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield the stories in order; ``line`` is the number of the turn in the file.

    The metadata are ``id`` (of the story), ``turn_id``, and, if the story has a source, ``domain`` and ``group``.

    Raises:
        InputError: With the location in the file, if it is not such JSON, if it contains no turn, if a turn_id occurs
            twice, if an answer has no question, or, with ``for_rewriting``, if two stories have the same id.
    """
    number = 0
    seen: dict[str, str] = {}
    stories = json_items(read_json(path, config.encoding), "data", path, separator=": ")
    for position, (location, story) in enumerate(stories):
        text = json_field(story, "story", str, location)
        identifier = position if story.get("id") is None else story["id"]
        if for_rewriting:
            check_id(str(identifier), location, seen)
        metadata: dict[str, Any] = {"id": identifier}
        if domain := json_field(story, "source", str, location, ""):
            metadata |= {"domain": domain, "group": "out_domain" if domain in config.out_domain else "in_domain"}
        document = Document([], str(identifier), path)
        questions = _turns(story, "questions", location)
        gold = _gold_answers(story, location, questions)
        history: deque[list[str]] = deque(maxlen=config.history_len)
        for turn, value in questions.items():
            question = json_field(value, "input_text", str, f"{location}.questions, turn {turn}")
            example = question_example([*chain.from_iterable(history), question], text, word_split)
            if turn in gold:
                _set_gold(example, gold[turn], text, word_split)
            history.append([question, *example.answers[:1]])
            number += 1
            example.metadata = {**metadata, "turn_id": turn}
            example.source, example.line = path, number
            document.examples.append(example)
        if document.examples:
            yield document
    if not number:
        raise InputError(f"{path}: expected turns in data[].questions[], found none")


def _turns(value: Any, key: str, location: str, default: list[Any] | None = None) -> dict[int, Any]:
    """Return the objects of a list by turn. A missing turn_id defaults to the 1-based position in the list."""
    object_by_turn: dict[int, Any] = {}
    for number, (item_location, item) in enumerate(json_items(value, key, location, default), 1):
        turn = json_field(item, "turn_id", int, item_location, number)
        if turn in object_by_turn:
            raise InputError(f"{item_location}: expected another turn_id, found {turn} a second time")
        object_by_turn[turn] = item
    return object_by_turn


class _Gold(NamedTuple):
    """An answer with its evidence and the stated position of the evidence, negative if there is none."""

    answer: str
    evidence: str
    start: int


def _gold_answers(story: dict[str, Any], location: str, questions: Container[int]) -> dict[int, list[_Gold]]:
    """Return the non-empty answers of each turn, the answer of the conversation first."""
    answers_by_location = {f"{location}.answers": _turns(story, "answers", location, [])}
    additional_answers = json_field(story, "additional_answers", dict, location, {})
    additional_location = f"{location}.additional_answers"
    answers_by_location |= {
        f"{additional_location}.{key}": _turns(additional_answers, key, additional_location, [])
        for key in additional_answers
    }
    gold_by_turn: dict[int, list[_Gold]] = {}
    for list_location, answers in answers_by_location.items():
        for turn, value in answers.items():
            answer_location = f"{list_location}, turn {turn}"
            if turn not in questions:
                raise InputError(
                    f"{answer_location}: expected a question with this turn_id, found none; correct it or leave it out"
                )
            answer = json_field(value, "input_text", str, answer_location, "")
            evidence = json_field(value, "span_text", str, answer_location, "")
            start = json_field(value, "span_start", int, answer_location, -1)
            if answer.strip():
                gold_by_turn.setdefault(turn, []).append(_Gold(answer, *strip_answer(evidence, start)))
    return gold_by_turn


def _set_gold(example: Example, gold: Sequence[_Gold], story: str, rule: WordSplit) -> None:
    """Set the answers of an example, and the type and spans of the first one."""
    example.answers = list(dict.fromkeys(answer for answer, _, _ in gold))
    answer, evidence, stated_start = gold[0]
    start = find_answer(story, evidence, stated_start) if evidence else None
    evidence_span = None if start is None else char_span(example, start, start + len(evidence))
    has_evidence = normalize_answer(evidence) != [UNKNOWN]
    if has_evidence and start is not None and 0 <= stated_start != start:
        example.warnings.append(Notice.OFFSET_REPAIRED)
    tokens = normalize_answer(answer)
    if tokens in ([YES], [NO], [UNKNOWN]):
        example.labels = tokens
    elif not has_evidence and stated_start < 0:
        example.labels = [UNKNOWN]
    else:
        span = None
        if start is not None and evidence_span is not None:
            span = _find_in_evidence(example, answer, evidence, start, evidence_span, rule)
        if span is None:
            example.warnings.append(Notice.QUESTION_UNANSWERED)
            return
        set_answer_span(example, span, answer)
    if has_evidence and evidence_span is not None:
        example.spans.append(replace(evidence_span, label=EVIDENCE))


def _find_in_evidence(
    example: Example, answer: str, evidence: str, start: int, evidence_span: Span, rule: WordSplit
) -> Span | None:
    """Return the span of an answer in its evidence, else the nearest span, else words that begin with the answer."""

    def find(pattern: str) -> Span | None:
        match = re.search(pattern, evidence, re.IGNORECASE)
        return char_span(example, start + match.start(), start + match.end()) if match else None

    prefix = rf"(?<!\w){re.escape(answer.strip())}"
    return find(rf"{prefix}(?!\w)") or nearest_span(example, evidence_span, answer, rule) or find(prefix)


def nearest_span(example: Example, evidence: Span, answer: str, rule: WordSplit) -> Span | None:
    """Return the span with the highest token F1, or None if it is 0. Ties go to the shortest, then the first."""
    answer_tokens = Counter(token for word in split_words(answer, rule)[0] for token in normalize_answer(word))
    tokens = [normalize_answer(word) for word in example.words[evidence.start : evidence.end]]
    lengths = list(accumulate(map(len, tokens), initial=0))
    answer_length = answer_tokens.total()
    best: tuple[float, int, int] | None = None  # F1, negative number of words, negative start: the highest is best
    answer_positions = [
        position for position, word_tokens in enumerate(tokens) if any(token in answer_tokens for token in word_tokens)
    ]
    for number, first in enumerate(answer_positions):  # the best span begins and ends with a word of the answer
        num_common = 0
        remaining = answer_tokens.copy()
        for last in answer_positions[number:]:
            length = lengths[last + 1] - lengths[first]
            if best is not None and 2 * answer_length / (answer_length + length) < best[0]:
                break  # no longer span can be better
            for token in tokens[last]:
                if remaining[token] > 0:
                    remaining[token] -= 1
                    num_common += 1
            candidate = (2 * num_common / (answer_length + length), first - last, -first)
            best = max(best or candidate, candidate)
    if best is None:
        return None
    start = evidence.start - best[2]
    return Span(start, start - best[1] + 1, ANSWER)


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write a list of ``{"id", "turn_id", "answer"}``, with ``unknown`` for missing answers."""
    with open_text(path, config.encoding) as file:
        file.write("[")
        separator = "\n"
        for document in documents:
            for turn, example in enumerate(document.examples, 1):
                value = {
                    "id": example.metadata.get("id", document.id),
                    "turn_id": example.metadata.get("turn_id", turn),
                    "answer": first_answer(example) or UNKNOWN,
                }
                file.write(separator + json.dumps(value, ensure_ascii=False))
                separator = ",\n"
        file.write("\n]\n" if separator == ",\n" else "]\n")
