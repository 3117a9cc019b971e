"""A question with its passage as one example: the question's words first, then those of the passage.

Earlier turns of a conversation stand before the question; together they are the first ``query_length`` words, which an
encoder with a limit repeats in each of its rows. The text begins with the passage, so that characters of the passage
are characters of the text.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from functools import lru_cache

from ner.data.words import WordRule, split_words
from ner.types import Example, Span

ANSWER = "answer"
"""Label of the span that answers a question."""
EVIDENCE = "evidence"
"""Label of the span that the answer follows from, behind that of the answer if there is one."""
SPAN, YES, NO, UNKNOWN = KINDS = ("span", "yes", "no", "unknown")
"""Kinds of answers: the labels of an example that is a question."""
MISSING = "questions whose answer does not occur in the passage"
"""What a reader remarks of them."""
NEAREST = "answers that are not in the passage word by word, the nearest words are learned instead"
"""The same of answers whose words had to be guessed, or of which only parts of words stand there."""
REPAIRED = "answers whose offset was repaired"
"""The same of answers, or their evidence, that do not stand where the file says."""


def ask(turns: Sequence[str], passage: str, rule: WordRule) -> Example:
    """An example without an answer.

    Args:
        turns: Earlier questions and answers, oldest first, and the question itself.
        passage: What is asked about.
        rule: How text is split into words.

    Returns:
        ``text`` holds the passage, then the turns, one a line; ``offsets`` are those of the words in it.
    """
    passage_words, passage_offsets = _split_passage(passage, rule)
    words: list[str] = []
    offsets: list[tuple[int, int]] = []
    start = len(passage) + 1
    for turn in turns:
        found, places = split_words(turn, rule)
        words += found
        offsets += [(start + begin, start + end) for begin, end in places]
        start += len(turn) + 1
    return Example(
        words + passage_words,
        text="\n".join([passage, *turns]),
        offsets=offsets + passage_offsets,
        query_length=len(words),
    )


@lru_cache(maxsize=1)
def _split_passage(passage: str, rule: WordRule) -> tuple[list[str], list[tuple[int, int]]]:
    """Many questions are about one passage; nobody changes these lists."""
    return split_words(passage, rule)


def mark(example: Example, start: int, end: int) -> Span | None:
    """The words of the passage that some of its characters touch; None where they touch none.

    Args:
        example: As :func:`ask` makes it.
        start: First character in the passage.
        end: The character behind the last.
    """
    assert example.offsets is not None, "as ask makes it"
    places = example.offsets[example.query_length :]
    first = bisect.bisect_right([stop for _, stop in places], start)
    last = bisect.bisect_left([begin for begin, _ in places], end)
    if first >= last:
        return None
    return Span(first + example.query_length, last + example.query_length, ANSWER)
