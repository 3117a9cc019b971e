"""Chinese characters in texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
"""Blocks of Chinese characters for a character class of a regular expression (Unicode 16: CJK Unified Ideographs with
extensions A to F, and Compatibility Ideographs)."""
_CHARACTER = re.compile(f"[{CHINESE}]")
_BETWEEN_CHARACTERS = re.compile(r"(?<!\S)(\S) (?=\S(?!\S))")


def join_words(words: Sequence[str]) -> str:
    """Return words as a text, with spaces; in Chinese text, adjacent words of one character are not separated."""
    text = " ".join(words)
    return _BETWEEN_CHARACTERS.sub(r"\1", text) if _CHARACTER.search(text) else text
