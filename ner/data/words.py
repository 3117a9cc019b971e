"""Raw text to words with offsets."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

from ner.config.base import WordRule

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
"""Blocks of Chinese characters (Unicode 16, CJK Unified Ideographs and its extensions A to F, Compatibility), to stand
between brackets in a regular expression."""


@cache
def _pattern(rule: WordRule) -> re.Pattern[str]:
    """Linear-time patterns without nested repeats: text of any length and shape is safe."""
    if rule == "space":
        return re.compile(r"\S+")
    if rule == "characters":
        return re.compile(r"\S")
    if rule == "chinese":
        return re.compile(rf"[{CHINESE}]|(?:(?![{CHINESE}])[^\W_])+|[^\s]")
    # \w lacks combining marks and joiners, without which words of Hindi and many other languages would be cut.
    marks = (c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c).startswith("M"))
    inner = "\u200c\u200d" + "".join(marks)
    return re.compile(rf"[\w{inner}]+|[^\w\s]")


def split_words(text: str, rule: WordRule) -> tuple[list[str], list[tuple[int, int]]]:
    """Words of a text and the ``(start, end)`` characters of each.

    Args:
        text: Any string.
        rule: ``space`` cuts at white space; ``punctuation`` also makes a word of every mark; ``characters`` makes a
            word of every character that is not white space; ``chinese`` makes a word of every Chinese character, of
            every mark, and of every run of other letters and digits.
    """
    found = list(_pattern(rule).finditer(text))
    return [match.group() for match in found], [match.span() for match in found]
