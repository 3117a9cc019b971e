"""Text in scripts without spaces."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
"""Blocks of Chinese characters for a character class of a regular expression (Unicode 16: CJK Unified Ideographs with
extensions A to F, and Compatibility Ideographs)."""


def join_words(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return words as a text, and the characters of each.

    No space separates Chinese or Japanese words. If most words are such characters, as in a file with one character per
    line, no space separates any words of one character, such as the letters of a name.
    """
    in_characters = 2 * sum(len(word) == 1 and _is_ideographic(word) for word in words) > len(words)
    text, offsets, previous = "", [], ""
    for word in words:
        joined = _is_ideographic(previous[-1:]) and _is_ideographic(word[:1])
        if text and not joined and not (in_characters and len(previous) == len(word) == 1):
            text += " "
        offsets.append((len(text), len(text) + len(word)))
        text += word
        previous = word
    return text, offsets


def _is_ideographic(character: str) -> bool:
    """Return True for a wide character of a script without spaces, and its punctuation."""
    if not character or character.isascii():
        return False
    return unicodedata.east_asian_width(character) in "WF" and not unicodedata.name(character, "").startswith("HANGUL")
