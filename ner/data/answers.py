"""Answers as texts: where they stand in a passage, and how two of them are compared."""

from __future__ import annotations

import bisect
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import accumulate

from ner.data.questions import SPAN, UNKNOWN
from ner.data.words import CHINESE
from ner.types import Example

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_CHINESE_CHARACTER = re.compile(rf"([{CHINESE}])")


def best(example: Example) -> str:
    """What a model answers first, the empty string where it has no answer; ``unknown`` is a text in a span alone."""
    if not example.answers or example.labels[:1] == [UNKNOWN]:
        return ""
    first = example.answers[0]
    return "" if first == UNKNOWN and example.labels[:1] != [SPAN] else first


def locate(passage: str, text: str, start: int) -> int | None:
    """The first character of an answer in its passage; None where it does not occur.

    Args:
        passage: What the question is about.
        text: The answer, not empty.
        start: Where the answer is said to stand: characters, or units of UTF-16, in which a character above U+FFFF
            counts twice (CMRC2018). Where it stands at neither, the occurrence that begins nearest counts, the earlier
            of two; with a negative number that is the first one. Occurrences inside of longer words (``art`` in
            ``party``) count only where there are no others; scripts without spaces have no such words.
    """
    if start >= 0 and passage.startswith(text, start):
        return start
    if start >= 0 and max(passage, default="") > "\uffff":
        units = list(accumulate((1 + (character > "\uffff") for character in passage), initial=0))
        converted = bisect.bisect_left(units, start)
        if passage.startswith(text, converted):
            return converted
    start = max(0, start)
    whole = _nearest(passage, text, start, whole=True)
    return whole if whole is not None else _nearest(passage, text, start, whole=False)


def _nearest(passage: str, text: str, start: int, whole: bool) -> int | None:
    """Where the occurrence begins that is nearest to a place, the earlier of two; ``whole``: not inside of a word."""
    before = passage.rfind(text, 0, start + len(text))
    after = passage.find(text, start)
    while whole and before >= 0 and not is_whole(passage, before, before + len(text)):
        before = passage.rfind(text, 0, before + len(text) - 1)
    while whole and after >= 0 and not is_whole(passage, after, after + len(text)):
        after = passage.find(text, after + 1)
    return min({before, after} - {-1}, key=lambda position: (abs(position - start), position), default=None)


def is_whole(passage: str, start: int, end: int) -> bool:
    """Whether a stretch of characters, not empty, neither begins nor ends inside of a word between spaces or marks."""
    return not any(
        _is_spaced(passage[place - 1]) and _is_spaced(passage[place])
        for place in (start, end)
        if 0 < place < len(passage)
    )


def _is_spaced(character: str) -> bool:
    """Whether it is part of a word between spaces; from U+2E80 on are the scripts of East Asia, which have none."""
    return character < "\u2e80" and (character.isalnum() or unicodedata.category(character).startswith("M"))


def stripped(text: str, start: int) -> tuple[str, int]:
    """A text without white space around it, and where that begins if the text is said to begin at ``start``."""
    return text.strip(), start + len(text) - len(text.lstrip()) if start >= 0 else start


@cache
def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def normalized(text: str) -> list[str]:
    """The tokens by which answers are compared, as for SQuAD (Rajpurkar et al., 2016): lower case, no punctuation, no
    articles.

    White space separates tokens, and every Chinese character is one, as for CMRC2018 (Cui et al., 2019). Punctuation is
    that of Unicode and all marks of ASCII; the scripts of SQuAD and CoQA know those of ASCII alone.
    """
    kept = "".join(character for character in text.lower() if not _is_punctuation(character))
    return _CHINESE_CHARACTER.sub(r" \1 ", _ARTICLE.sub(" ", kept)).split()


def f1(left: Sequence[str], right: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of tokens, each counted as often as it occurs.

    Without tokens on one side it is 1 if there are none on the other, else 0.
    """
    if not left or not right:
        return float(not left and not right)
    return 2 * (Counter(left) & Counter(right)).total() / (len(left) + len(right))
