"""Question answering: a question with its passage as one example, and answers as texts.

The words of the question precede those of the passage. Earlier turns of a conversation precede the question; together
they are the first ``query_length`` words, which an encoder with a length limit repeats in each of its windows. The text
begins with the passage, so character positions in the passage are also positions in the text.
"""

from __future__ import annotations

import bisect
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from typing import Any

from ner.chinese import CHINESE
from ner.config.base import WordSplit
from ner.data.notices import Notice
from ner.data.words import split_words
from ner.errors import InputError
from ner.runtime.text_files import json_field
from ner.types import Example, Span

ANSWER = "answer"
"""Label of the span that answers a question."""
EVIDENCE = "evidence"
"""Label of the span that supports the answer; it follows the answer span if there is one."""
SPAN, YES, NO, UNKNOWN = ANSWER_TYPES = ("span", "yes", "no", "unknown")
"""Types of answers: the labels of an example that is a question."""

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_CHINESE_CHARACTER = re.compile(rf"([{CHINESE}])")

split_passage = lru_cache(maxsize=1)(split_words)
"""Splits a passage once for all of its questions. Callers must not change the lists."""


def json_items(
    value: Any, key: str, location: str, default: list[Any] | None = None, separator: str = "."
) -> Iterator[tuple[str, Any]]:
    """Yield the items of a list in a JSON object with their locations, such as ``a.json: data[0].questions[1]``.

    Raises:
        InputError: If ``value`` is not an object with such a list, and there is no default.
    """
    for number, item in enumerate(json_field(value, key, list, location, default)):
        yield f"{location}{separator}{key}[{number}]", item


def check_id(identifier: str, location: str, seen: dict[str, str]) -> None:
    """Add an id and its location to ``seen``.

    Raises:
        InputError: If the id was seen before. Predictions are written by id, so one of them would be lost.
    """
    if identifier in seen:
        raise InputError(
            f"{location}: expected an id of its own, found '{identifier}' as in {seen[identifier]}, so its answer "
            "would be lost; use another id"
        )
    seen[identifier] = location.rpartition(": ")[2]


def question_example(turns: Sequence[str], passage: str, rule: WordSplit) -> Example:
    """Return an example without an answer.

    Args:
        turns: Earlier questions and answers, oldest first, then the question itself.
        passage: The text that the question is about.
        rule: The rule by which text is split into words.

    Returns:
        An example whose ``text`` is the passage followed by the turns, one per line; ``offsets`` point into it.
    """
    passage_words, passage_offsets = split_passage(passage, rule)
    words: list[str] = []
    offsets: list[tuple[int, int]] = []
    start = len(passage) + 1
    for turn in turns:
        turn_words, turn_offsets = split_words(turn, rule)
        words += turn_words
        offsets += [(start + begin, start + end) for begin, end in turn_offsets]
        start += len(turn) + 1
    return Example(
        words + passage_words,
        text="\n".join([passage, *turns]),
        offsets=offsets + passage_offsets,
        query_length=len(words),
    )


def passage_and_turns(example: Example) -> list[str]:
    """Return the passage of a question, then its turns; the inverse of :func:`question_example`, if no turn has lines.

    Joined with line ends, they are the text of the example in any case.
    """
    assert example.text is not None, "a question has a text"
    question_start = (
        example.offsets[0][0] if example.offsets and example.query_length else len(example.text)
    )  # an empty question
    passage_end = example.text.rindex("\n", 0, question_start)
    return [example.text[:passage_end], *example.text[passage_end + 1 :].split("\n")]


def char_span(example: Example, start: int, end: int, label: str = ANSWER) -> Span | None:
    """Return the span of the words that overlap a range of characters of the text, or None if there are none.

    The words of a question are left out. ``end`` is the position after the last character.
    """
    assert example.offsets is not None, "examples with a text have offsets"
    offsets = example.offsets[example.query_length :]
    first = bisect.bisect_right([stop for _, stop in offsets], start)
    last = bisect.bisect_left([begin for begin, _ in offsets], end)
    return Span(first + example.query_length, last + example.query_length, label) if first < last else None


def set_answer_span(example: Example, span: Span, answer: str) -> None:
    """Make a span the training target, with a notice if its tokens are not those of the answer."""
    example.spans, example.labels = [span], [SPAN]
    if normalize_answer(example.text_of(span)) != normalize_answer(answer):
        example.warnings.append(Notice.ANSWER_APPROXIMATED)


def answer_type(example: Example) -> str | None:
    """Return the type of the answer to a question, from :data:`ANSWER_TYPES`, or None if it has none."""
    return next((label for label in example.labels or () if label in ANSWER_TYPES), None)


def first_answer(example: Example) -> str:
    """Return the first answer of an example, or the empty string if it has none or its type is ``unknown``."""
    kind = answer_type(example)
    if not example.answers or kind == UNKNOWN or (example.answers[0] == UNKNOWN and kind != SPAN):
        return ""
    return example.answers[0]


def find_answer(passage: str, text: str, start: int) -> int | None:
    """Return the position of an answer's first character in its passage, or None if it does not occur.

    Args:
        passage: The text that the question is about.
        text: The answer, not empty.
        start: The stated position, in characters or in UTF-16 code units (CMRC2018), where a character above U+FFFF
            counts twice. If the answer is at neither, the occurrence that begins nearest is returned, the earlier one
            of two; for a negative number, the first.
    """
    if start >= 0 and passage.startswith(text, start):
        return start
    if start >= 0 and max(passage, default="") > "\uffff":
        utf16_offsets = list(accumulate((1 + (character > "\uffff") for character in passage), initial=0))
        char_position = bisect.bisect_left(utf16_offsets, start)
        if passage.startswith(text, char_position):
            return char_position
    return min(occurrences(passage, text), key=lambda occurrence: abs(occurrence - max(0, start)), default=None)


def occurrences(passage: str, text: str) -> list[int]:
    """Return the positions of a text. Those inside longer words (``art`` in ``party``) count only without others.

    Scripts without spaces between words have no such occurrences.
    """
    starts = [match.start() for match in re.finditer(f"(?={re.escape(text)})", passage)]
    whole_word_starts = [
        start
        for start in starts
        if not any(
            _is_spaced(passage[position - 1]) and _is_spaced(passage[position])
            for position in (start, start + len(text))
            if 0 < position < len(passage)
        )
    ]
    return whole_word_starts or starts


def _is_spaced(character: str) -> bool:
    """Return whether a character belongs to a word of a script with spaces; East Asian scripts begin at U+2E80."""
    return character < "\u2e80" and (character.isalnum() or unicodedata.category(character).startswith("M"))


def strip_answer(text: str, start: int) -> tuple[str, int]:
    """Strip white space from an answer; return it with its position moved along, if that is not negative."""
    return text.strip(), start + len(text) - len(text.lstrip()) if start >= 0 else start


@cache
def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def normalize_answer(text: str) -> list[str]:
    """Return the tokens by which answers are compared: lower case, without punctuation and English articles.

    As in SQuAD (Rajpurkar et al., 2016), tokens are separated by white space; as in CMRC2018 (Cui et al., 2019), every
    Chinese character is a token. Unicode punctuation is removed too; the scripts of SQuAD and CoQA remove ASCII only.
    """
    without_punctuation = "".join(character for character in text.lower() if not _is_punctuation(character))
    return _CHINESE_CHARACTER.sub(r" \1 ", _ARTICLE.sub(" ", without_punctuation)).split()


def token_f1(left: Sequence[str], right: Sequence[str]) -> float:
    """Return the harmonic mean of precision and recall of tokens, each counted as often as it occurs.

    If one side is empty, the result is 1 if the other is empty too, else 0.
    """
    if not left or not right:
        return float(not left and not right)
    return 2 * (Counter(left) & Counter(right)).total() / (len(left) + len(right))
