"""Boundaries of sentences in raw text, by rules for languages with Latin, Cyrillic or Greek letters and for Chinese.

A sentence ends at an empty line, at ``。！？…`` in Chinese, or at ``.!?…`` before white space and a character that can
begin a sentence. A full stop is part of a word after an initial (``J. Smith``), an abbreviation (``Dr. Smith``), and a
number in front of a lower-case word or a month (``am 3. Mai``).
"""

from __future__ import annotations

import re
from collections.abc import Container

from ner.chinese import CHINESE

_ABBREVIATIONS = """
mr mrs ms dr prof st sr jr rev hon gen col maj capt lt sgt gov sen rep pres supt mt ft
hr fr frl dipl ing phil jur rer hl geb gest verh
nr vol fig figs eds pp sec abb abs abschn anm bd bde kap ziff str
jan feb mar apr jun jul aug sep sept oct nov dec jän mär okt dez
vs e.g i.e cf approx dept univ inc ltd co corp bros u.a z.b d.h i.d.r o.ä u.ä s.o s.u v.a z.t
bzw bspw ca evtl ggf inkl exkl insb mio mrd tel vgl zzgl sog allg bes
"""
_MONTHS = """
januar jänner februar feber märz april mai juni juli august september oktober november dezember
jahrhundert jahrhunderts jh
"""
_STARTERS = """
a an the this that he she it we they i you in on at but and however er sie es wir das die der
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
"""Words after whose full stop a sentence continues, in lower case and without the last full stop."""
MONTHS = frozenset(_MONTHS.split())
"""Words in front of which a number with a full stop is an ordinal number, in lower case."""
STARTERS = frozenset(_STARTERS.split())
"""Words that begin a sentence after an abbreviation of capital letters (``the U.S. They``), in lower case."""

_CANDIDATE = re.compile(r"[.!?…。！？｡︒]+|\n")
_WIDE = frozenset("。！？｡︒")
_CLOSING = frozenset("\"'”’»›)]}」』）】》＂＇")
_BEFORE_FIRST_WORD = frozenset("\"'“‘«‹„‚([{「『（【《¿¡—–-")
_BEFORE_WORD = frozenset("([{\"'“„«‚‘")
_WORD = re.compile(r"\w+")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
MAX_WORD = 40
"""Characters of a word in front of a full stop that are looked at."""
MAX_QUOTE = 1000
"""Characters between the quotation marks of German, at most."""


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the ``(start, end)`` characters of the sentences of a text, without white space around them."""
    spans: list[tuple[int, int]] = []
    start = position = 0
    for match in _CANDIDATE.finditer(text):
        if match.start() < position:
            continue
        end = match.end() if match.group() == "\n" else _end_of_quotes(text, start, match.end())
        position = _skip(text, end)
        if match.group() == "\n":
            is_end = "\n" in text[end:position]
        elif not _WIDE.isdisjoint(match.group()):
            is_end = True
        elif position == end:
            is_end = match.group()[-1] in "!?…" and re.match(f"[{CHINESE}]", text[end : end + 1]) is not None
        else:
            is_end = text.count("\n", end, position) > 1 or not _continues(text, start, match, end, position)
        if is_end:
            _append(spans, text, start, end)
            start = position
    _append(spans, text, start, len(text))
    return spans


def _end_of_quotes(text: str, start: int, position: int) -> int:
    """Return the position behind closing quotes and brackets; ``“`` closes a quote that ``„`` has opened."""
    end = _skip(text, position, _CLOSING)
    if text[end : end + 1] == "“" and text.rfind("„", max(start, end - MAX_QUOTE), end) >= 0:
        return _skip(text, end + 1, _CLOSING)
    return end


def _skip(text: str, position: int, characters: Container[str] | None = None) -> int:
    """Return the position behind a run of the given characters, of white space by default."""
    while position < len(text) and (text[position].isspace() if characters is None else text[position] in characters):
        position += 1
    return position


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    part = text[start:end]
    if part.strip():
        spans.append((start + len(part) - len(part.lstrip()), start + len(part.rstrip())))


def _continues(text: str, start: int, match: re.Match[str], end: int, position: int) -> bool:
    """Return whether the sentence from ``start`` continues after a mark and the white space up to ``position``.

    Args:
        text: The whole text.
        start: First character of the sentence.
        match: Full stops, exclamation or question marks.
        end: End of the mark and of closing quotes and brackets.
        position: First character after the white space.
    """
    following = _WORD.match(text, _skip(text, position, _BEFORE_FIRST_WORD))
    next_word = following.group() if following else ""
    if next_word[:1].islower():
        return True
    if match.group() != "." or match.end() != end:  # a closing quote ends the sentence
        return False
    first = match.start()
    while first > max(start, match.start() - MAX_WORD) and not text[first - 1].isspace():
        first -= 1
        if text[first] in _BEFORE_WORD:
            first += 1
            break
    word = text[first : match.start()]
    if word.isdigit() and len(word) <= 2:
        return next_word.lower() in MONTHS
    if _INITIALS.fullmatch(word):  # U.S., z.B.
        return next_word.lower() not in STARTERS
    return (len(word) == 1 and word.isupper()) or word.lower() in ABBREVIATIONS
