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

from ner.config.base import ComponentConfig, TextEncoding, WordSplit
from ner.data.notices import Notice
from ner.data.question_answering import (
    UNKNOWN,
    answer_type,
    char_span,
    check_id,
    find_answer,
    first_answer,
    json_items,
    passage_and_turns,
    question_example,
    set_answer_span,
    strip_answer,
)
from ner.errors import InputError
from ner.runtime.text_files import json_field, open_text, read_json
from ner.types import Document, Example

output_extension = "json"
probabilities = False
STORES = frozenset({"answers"})
ROUND_TRIP = "none"  # answers by question


class Config(ComponentConfig):
    """SQuAD 1.1, SQuAD 2.0, and CMRC2018 in SQuAD format."""

    name: Literal["squad"] = "squad"
    """Name of the file in ner/data/formats."""
    encoding: TextEncoding = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield the passages in order; ``line`` is the number of the question in the file.

    An impossible question has the label ``unknown``. So has a question with an empty list of answers, unless
    ``is_impossible`` is false. The number of a question is its id if it has none.

    Raises:
        InputError: With the location in the file, if it is not such JSON, if it contains no question, or, with
            ``for_rewriting``, if two questions have the same id.
    """
    number = passages = 0
    seen: dict[str, str] = {}
    for article_location, article in json_items(read_json(path, config.encoding), "data", path, separator=": "):
        title = json_field(article, "title", str, article_location, "")
        for passage_location, passage in json_items(article, "paragraphs", article_location):
            context = json_field(passage, "context", str, passage_location)
            document = Document([], str(passages if passage.get("id") is None else passage["id"]), path)
            passages += 1
            for location, question in json_items(passage, "qas", passage_location):
                example = _example(question, context, word_split, location)
                identifier = str(number if question.get("id") is None else question["id"])
                if for_rewriting:
                    check_id(identifier, location, seen)
                number += 1
                example.metadata = {"id": identifier, **({"title": title} if title else {})}
                example.source, example.line = path, number
                document.examples.append(example)
            if document.examples:
                yield document
    if not number:
        raise InputError(f"{path}: expected questions in data[].paragraphs[].qas[], found none")


def _example(question: Any, context: str, rule: WordSplit, location: str) -> Example:
    """Return a question with its gold answers."""
    example = question_example([json_field(question, "question", str, location)], context, rule)
    answers: list[tuple[str, int]] = []  # with the stated position, negative if there is none
    for answer_location, answer in json_items(question, "answers", location, default=[]):
        text = json_field(answer, "text", str, answer_location)
        stated_start = json_field(answer, "answer_start", int, answer_location, -1)
        if text.strip():
            answers.append(strip_answer(text, stated_start))
    if json_field(question, "is_impossible", bool, location, not answers and "answers" in question):
        example.labels = [UNKNOWN]
        return example
    example.answers = list(dict.fromkeys(text for text, _ in answers))
    for text, stated_start in answers:
        start = find_answer(context, text, stated_start)
        if start is None:
            example.warnings.append(Notice.ANSWER_ABSENT)
            continue
        if 0 <= stated_start != start:
            example.warnings.append(Notice.OFFSET_REPAIRED)
        span = char_span(example, start, start + len(text))
        if span is not None and not example.spans:
            set_answer_span(example, span, text)
    if answers and not example.spans:
        example.warnings.append(Notice.QUESTION_UNANSWERED)
    return example


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write ``{question id: answer}``, with an empty string for missing answers."""
    with open_text(path, config.encoding) as file:
        examples = enumerate(example for document in documents for example in document.examples)
        answers = {str(example.metadata.get("id", number)): first_answer(example) for number, example in examples}
        json.dump(answers, file, ensure_ascii=False, indent=0)
        file.write("\n")


def export(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write passages with questions and gold answers. Answers other than the learned one are placed by search.

    Raises:
        InputError: If the file cannot be written.
    """
    articles: list[dict[str, Any]] = []
    for document in documents:
        questions = []
        context = ""
        for number, example in enumerate(document.examples):
            context, *turns = passage_and_turns(example)
            question: dict[str, Any] = {"id": str(example.metadata.get("id", f"{document.id}-{number}"))}
            question |= {"question": "\n".join(turns), "answers": _answers(example, context)}
            if answer_type(example) == UNKNOWN:
                question |= {"answers": [], "is_impossible": True}
            questions.append(question)
        title = next((example.metadata["title"] for example in document.examples if "title" in example.metadata), "")
        paragraph = {"id": document.id, "context": context, "qas": questions}
        articles.append({"title": title, "paragraphs": [paragraph]})
    with open_text(path, config.encoding) as file:
        json.dump({"version": "ner", "data": articles}, file, ensure_ascii=False)
        file.write("\n")


def _answers(example: Example, context: str) -> list[dict[str, Any]]:
    """Return the answers with their positions; -1 stands for an answer that does not occur in the passage."""
    learned_start = example.offsets[example.spans[0].start][0] if example.spans and example.offsets else -1
    answers = []
    for text in example.answers:
        start = find_answer(context, text, learned_start)
        answers.append({"text": text, "answer_start": -1 if start is None else start})
    return answers
