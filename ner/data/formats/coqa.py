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
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any, Literal

from pydantic import Field

from ner.config.base import ComponentConfig, WordRule
from ner.data.notices import Notice
from ner.data.question_answering import (
    ANSWER,
    EVIDENCE,
    NO,
    SPAN,
    UNKNOWN,
    YES,
    answer_span,
    find_answer,
    first_answer,
    normalize_answer,
    question_example,
    strip_answer,
)
from ner.data.words import split_words
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example, Span

extension = "json"
probabilities = False
STORES = frozenset({"answers"})


class Config(ComponentConfig):
    """Conversations with questions in the JSON format of CoQA."""

    name: Literal["coqa"] = "coqa"
    """Name of the file in ner/data/formats."""
    history_len: int = Field(2, ge=0)
    """Number of earlier turns (question and answer) before a question."""
    out_domain: tuple[str, ...] = ("reddit", "science")
    """Sources whose examples get the value out_domain in the field group; others get in_domain."""
    encoding: str = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, words: WordRule, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield the stories in order; ``line`` is the number of the turn in the file.

    Examples have the fields ``id`` (of the story), ``turn_id``, and where the file says whence a story comes ``domain``
    and ``group``. A turn without an answer is there to be answered.

    Raises:
        InputError: With the place in the file, if it is no JSON of that form, if it has no turn, if a turn is there
            twice, if an answer belongs to no question, or if two stories that are asked about have the same id.
    """
    number = 0
    seen: dict[str, str] = {}
    for position, story in enumerate(
        text_files.json_field(text_files.read_json(path, config.encoding), "data", list, path)
    ):
        place = f"{path}: data[{position}]"
        text = text_files.json_field(story, "story", str, place)
        name = position if story.get("id") is None else story["id"]
        if for_rewriting and str(name) in seen:
            raise InputError(
                f"{place}: expected an id of its own, found '{name}' as in {seen[str(name)]}, so answers would be "
                "mixed up; number the stories anew"
            )
        seen[str(name)] = f"data[{position}]"
        fields: dict[str, Any] = {"id": name}
        domain = text_files.json_field(story, "source", str, place, "")
        if domain:
            fields |= {"domain": domain, "group": "out_domain" if domain in config.out_domain else "in_domain"}
        document = Document([], str(name), path)
        questions = _turns(story, "questions", place)
        golds = _gold(story, place, questions)
        past: list[list[str]] = []
        for turn, question in questions.items():
            asked = text_files.json_field(question, "input_text", str, f"{place}.questions, turn {turn}")
            gold = golds.get(turn, [])
            recent = past[-config.history_len :] if config.history_len else []
            example = question_example([said for earlier in recent for said in earlier] + [asked], text, words)
            if gold:
                _answer(example, gold, text, words)
            past.append([asked, *example.answers[:1]])
            number += 1
            example.metadata = {**fields, "turn_id": turn}
            example.source, example.line = path, number
            document.examples.append(example)
        if document.examples:
            yield document
    if not number:
        raise InputError(f"{path}: expected turns in data[].questions[], found none")


def _turns(story: dict[str, Any], key: str, place: str) -> dict[int, Any]:
    """Return the objects of a list by turn. A missing turn defaults to the 1-based position in the list."""
    found: dict[int, Any] = {}
    for number, item in enumerate(
        text_files.json_field(story, key, list, place, None if key == "questions" else []), 1
    ):
        turn = text_files.json_field(item, "turn_id", int, f"{place}.{key}[{number - 1}]", number)
        if turn in found:
            raise InputError(f"{place}.{key}[{number - 1}]: expected another turn_id, found {turn} a second time")
        found[turn] = item
    return found


_Gold = tuple[str, str, int]
"""Answer, evidence, and the stated offset of the evidence."""


def _gold(story: dict[str, Any], place: str, questions: Container[int]) -> dict[int, list[_Gold]]:
    """Return the non-empty answers of each turn, the answer of the conversation first."""
    lists = [(_turns(story, "answers", place), f"{place}.answers")]
    more = story.get("additional_answers") or {}
    if not isinstance(more, dict):
        raise InputError(f"{place}: expected 'additional_answers' (an object), found {json.dumps(more)[:60]}")
    below = f"{place}.additional_answers"
    lists += [(_turns(more, key, below), f"{below}.{key}") for key in more]
    found: dict[int, list[_Gold]] = {}
    for answers, where in lists:
        for turn, answer in answers.items():
            here = f"{where}, turn {turn}"
            if turn not in questions:
                raise InputError(
                    f"{here}: expected a question with this turn_id, found none; correct it or leave it out"
                )
            said = text_files.json_field(answer, "input_text", str, here, "")
            evidence = text_files.json_field(answer, "span_text", str, here, "")
            start = text_files.json_field(answer, "span_start", int, here, -1)
            if said.strip():
                found.setdefault(turn, []).append((said, *strip_answer(evidence, start)))
    return found


def _answer(example: Example, gold: list[_Gold], story: str, rule: WordRule) -> None:
    """Give an example its answers and the kind and the words of the first."""
    example.answers = list(dict.fromkeys(said for said, _, _ in gold))
    said, evidence, start = gold[0]
    begin = find_answer(story, evidence, start) if evidence else None
    whole = None if begin is None else answer_span(example, begin, begin + len(evidence))
    named = normalize_answer(evidence) != [UNKNOWN]
    if named and begin is not None and 0 <= start != begin:
        example.warnings.append(Notice.OFFSET_REPAIRED)
    words = normalize_answer(said)
    if words in ([YES], [NO], [UNKNOWN]):
        example.labels = words
    elif not named and start < 0:
        example.labels = [UNKNOWN]
    else:
        span = None
        if begin is not None and whole is not None:
            span = _stretch(example, said, begin, whole, evidence, rule)
        if span is None:
            example.warnings.append(Notice.QUESTION_UNANSWERED)
            return
        example.spans, example.labels = [span], [SPAN]
        if normalize_answer(example.text_of(span)) != words:
            example.warnings.append(Notice.ANSWER_APPROXIMATED)
    if named and whole is not None:  # what the answer follows from
        example.spans.append(replace(whole, label=EVIDENCE))


def _stretch(example: Example, said: str, begin: int, evidence: Span, text: str, rule: WordRule) -> Span | None:
    """Return the training target in the evidence: the answer, the nearest words, or words that start with it.

    Args:
        example: Question and story.
        said: Answer.
        begin: Character offset of the evidence in the story.
        evidence: Words of the evidence.
        text: Characters of the evidence.
        rule: Rule that splits text into words.
    """
    answer = re.escape(said.strip())

    def marked(pattern: str) -> Span | None:
        match = re.search(pattern, text, re.IGNORECASE)
        return answer_span(example, begin + match.start(), begin + match.end()) if match else None

    found = marked(rf"(?<!\w){answer}(?!\w)")
    if found is None:
        found = _nearest(example, evidence, said, rule)
    return found if found is not None else marked(rf"(?<!\w){answer}")


def _nearest(example: Example, evidence: Span, said: str, rule: WordRule) -> Span | None:
    """Return the span with the highest token F1, or None if it is 0. Ties go to the shortest, then the first."""
    wanted = Counter(token for word in split_words(said, rule)[0] for token in normalize_answer(word))
    tokens = [normalize_answer(word) for word in example.words[evidence.start : evidence.end]]
    lengths = list(accumulate(map(len, tokens), initial=0))
    ends = [place for place, own in enumerate(tokens) if any(token in wanted for token in own)]
    size, highest, chosen = wanted.total(), 0.0, None
    for number, first in enumerate(ends):  # the best stretch begins and ends with words of the answer
        common = 0
        left = wanted.copy()
        for last in ends[number:]:
            length = lengths[last + 1] - lengths[first]
            if 2 * size / (size + length) < highest:  # no longer one can be better
                break
            for token in tokens[last]:
                if left[token] > 0:
                    left[token] -= 1
                    common += 1
            value = 2 * common / (size + length)
            if value > highest or (value == highest and chosen is not None and last - first < chosen[1] - chosen[0]):
                highest, chosen = value, (first, last)
    return Span(evidence.start + chosen[0], evidence.start + chosen[1] + 1, ANSWER) if chosen is not None else None


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write a list of ``{"id", "turn_id", "answer"}``, with ``unknown`` for missing answers."""
    number = 0
    with text_files.open_text(path) as file:
        for document in documents:
            for turn, example in enumerate(document.examples, 1):
                place = {
                    "id": example.metadata.get("id", document.id),
                    "turn_id": example.metadata.get("turn_id", turn),
                }
                value = json.dumps({**place, "answer": first_answer(example) or UNKNOWN}, ensure_ascii=False)
                file.write(f"{',' if number else '['}\n{value}")
                number += 1
        file.write("\n]\n" if number else "[]\n")
