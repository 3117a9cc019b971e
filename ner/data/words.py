"""Splitting of raw text into words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from functools import cache
from itertools import accumulate, chain

from ner.chinese import CHINESE
from ner.config.base import WordRule, WordSplit
from ner.types import Example


@cache
def marks() -> str:
    """Return the combining marks and joiners that belong to letters; the words of Hindi and others contain them."""
    ranges = range(0x20000), range(0xE0000, 0xE1000)  # no other plane contains marks; half a second less
    combining_marks = (c for c in map(chr, chain(*ranges)) if unicodedata.category(c).startswith("M"))
    return "\u200c\u200d" + "".join(combining_marks)


@cache
def _pattern(rule: WordRule) -> re.Pattern[str]:
    """Return the pattern of a word; without nested repeats, it takes linear time on any text."""
    if rule == "space":
        return re.compile(r"\S+")
    if rule == "characters":
        return re.compile(r"\S")
    if rule == "chinese":
        return re.compile(rf"[{CHINESE}]|(?:(?![{CHINESE}])[^\W_])+|[^\s]")
    return re.compile(rf"[\w{marks()}]+|[^\w\s]")


def split_words(text: str, rule: WordSplit) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the words of a text and the ``(start, end)`` characters of each.

    The rule ``space`` splits at white space; with ``punctuation``, every punctuation mark is also a word. Words are
    single characters with ``characters``; with ``chinese``, they are single Chinese characters, single marks, and runs
    of other letters and digits.
    """
    if callable(rule):
        return rule(text)
    matches = list(_pattern(rule).finditer(text))
    return [match.group() for match in matches], [match.span() for match in matches]


def with_text(example: Example, separator: str = " ") -> Example:
    """Return an example with a text; without one, its words joined by a separator."""
    if example.text is not None:
        return example
    starts = accumulate((len(word) + len(separator) for word in example.words), initial=0)
    offsets = [(start, start + len(word)) for start, word in zip(starts, example.words, strict=False)]
    return replace(example, text=separator.join(example.words), offsets=offsets)
