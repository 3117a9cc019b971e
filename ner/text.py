"""Raw text to words with offsets."""

from __future__ import annotations

import re
from typing import Literal

WordRule = Literal["space", "punctuation", "characters"]

# Linear-time patterns without nested repeats: text of any length and shape is safe.
_PATTERNS: dict[WordRule, re.Pattern[str]] = {
    "space": re.compile(r"\S+"),
    "punctuation": re.compile(r"\w+|[^\w\s]"),
    "characters": re.compile(r"\S"),
}


def split_words(text: str, rule: WordRule) -> tuple[list[str], list[tuple[int, int]]]:
    """Words of a text and the ``(start, end)`` characters of each.

    Args:
        text: Any string.
        rule: ``space`` cuts at white space; ``punctuation`` also makes a word of every mark; ``characters`` makes a
            word of every character that is not white space (Chinese).
    """
    found = list(_PATTERNS[rule].finditer(text))
    return [match.group() for match in found], [match.span() for match in found]
