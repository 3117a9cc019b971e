"""SQuAD 1.1 and 2.0 (Rajpurkar et al., 2016 and 2018), and data in that form: one JSON file of passages and questions.

A passage is a document and its questions are the examples. An answer is searched at its stated offset, in characters or
UTF-16 code units (CMRC2018), then at its nearest occurrence (:func:`ner.data.question_answering.find_answer`); repaired
and missing answers are reported as notices. The first answer that occurs in the passage is learned, and all answers are
gold. White space around answers is ignored.

Predictions are written in the input format of the official evaluation scripts: one JSON object, question id to answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from ner.config.base import ComponentConfig, WordRule
from ner.data.notices import Notice
from ner.data.question_answering import (
    SPAN,
    UNKNOWN,
    answer_span,
    find_answer,
    first_answer,
    normalize_answer,
    question_example,
    strip_answer,
)
from ner.errors import InputError
from ner.runtime import text_files
from ner.types import Document, Example

extension = "json"
probabilities = False
STORES = frozenset({"answers"})


class Config(ComponentConfig):
    """SQuAD 1.1, SQuAD 2.0, and CMRC2018 in SQuAD format."""

    name: Literal["squad"] = "squad"
    """Name of the file in ner/data/formats."""
    encoding: str = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, words: WordRule, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield the passages in order; ``line`` is the number of the question in the file.

    A question that is impossible is labelled ``unknown``, and so is one whose list holds no answer, unless
    ``is_impossible`` is there and false. That one, and one without the key ``answers``, has no gold answer: it is there
    to be answered. A question without an id is called by its number.

    Raises:
        InputError: With the place in the file, if it is no JSON of that form, if it has no question, or if two
            questions that are to be answered have the same id.
    """
    number = passages = 0
    seen: dict[str, str] = {}
    articles = text_files.json_field(text_files.read_json(path, config.encoding), "data", list, path)
    for article, value in enumerate(articles):
        place = f"{path}: data[{article}]"
        title = text_files.json_field(value, "title", str, place, "")
        for paragraph, passage in enumerate(text_files.json_field(value, "paragraphs", list, place)):
            below = f"{place}.paragraphs[{paragraph}]"
            context = text_files.json_field(passage, "context", str, below)
            document = Document([], str(passages if passage.get("id") is None else passage["id"]), path)
            passages += 1
            for position, question in enumerate(text_files.json_field(passage, "qas", list, below)):
                here = f"{below}.qas[{position}]"
                example = _example(question, context, words, here)
                name = str(number if question.get("id") is None else question["id"])
                if for_rewriting and name in seen:
                    raise InputError(
                        f"{here}: expected an id of its own, found '{name}' as in {seen[name]}, so its answer would "
                        "be lost; number the questions anew"
                    )
                seen[name] = here.removeprefix(f"{path}: ")
                number += 1
                example.metadata = {"id": name, **({"title": title} if title else {})}
                example.source, example.line = path, number
                document.examples.append(example)
            if document.examples:
                yield document
    if not number:
        raise InputError(f"{path}: expected questions in data[].paragraphs[].qas[], found none")


def _example(question: Any, context: str, rule: WordRule, place: str) -> Example:
    """Return a question with its gold answers."""
    example = question_example([text_files.json_field(question, "question", str, place)], context, rule)
    found = _answers(question, place)
    impossible = text_files.json_field(question, "is_impossible", bool, place, not found and "answers" in question)
    if impossible:
        example.labels = [UNKNOWN]
        return example
    example.answers = list(dict.fromkeys(text for text, _ in found))
    for text, given in found:
        start = find_answer(context, text, given)
        if start is None:
            example.warnings.append(Notice.ANSWER_ABSENT)
            continue
        if given >= 0 and start != given:
            example.warnings.append(Notice.OFFSET_REPAIRED)
        span = answer_span(example, start, start + len(text))
        if span is not None and not example.spans:
            example.spans, example.labels = [span], [SPAN]
            if normalize_answer(example.text_of(span)) != normalize_answer(text):
                example.warnings.append(Notice.ANSWER_APPROXIMATED)
    if found and not example.spans:
        example.warnings.append(Notice.QUESTION_UNANSWERED)
    return example


def _answers(question: dict[str, Any], place: str) -> list[tuple[str, int]]:
    """Texts and where they are said to stand, negative where that is not said; empty texts are no answers."""
    found = []
    for number, answer in enumerate(text_files.json_field(question, "answers", list, place, [])):
        below = f"{place}.answers[{number}]"
        text = text_files.json_field(answer, "text", str, below)
        start = text_files.json_field(answer, "answer_start", int, below, -1)
        if text.strip():
            found.append(strip_answer(text, start))
    return found


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """``{question id: answer}``, the empty string where the model has no answer."""
    number = 0
    with text_files.open_text(path) as file:
        for document in documents:
            for example in document.examples:
                name = str(example.metadata.get("id", number))
                pair = (json.dumps(text, ensure_ascii=False) for text in (name, first_answer(example)))
                file.write(f"{',' if number else '{'}\n{': '.join(pair)}")
                number += 1
        file.write("\n}\n" if number else "{}\n")
