"""Words of Chinese text and their parts of speech, as found by the segmenter jieba, as features of characters.

The position in a word is the feature that Zhang and Yang (2018) call *softword*. The part of speech comes from jieba's
dictionary, which also marks names of people (``nr``), places (``ns``) and organizations (``nt``). The implementation is
rjieba, which, unlike jieba, reads no cache from a directory that all users can write to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from ner.errors import InputError, not_installed

PADDING, BEGIN, MIDDLE, END, SINGLE = range(5)
"""Positions of a unit in the segment that contains it."""
POSITIONS = ("padding", "begin", "middle", "end", "single")
"""Names of the positions."""
PARTS_OF_SPEECH = (
    *("padding", "other", "a", "ad", "ag", "an", "b", "c", "d", "df", "dg", "e", "eng", "f", "g", "h", "i", "j", "k"),
    *("l", "m", "mg", "mq", "n", "ng", "nr", "nrfg", "nrt", "ns", "nt", "nz", "o", "p", "q", "r", "rg", "rr", "rz"),
    *("s", "t", "tg", "u", "ud", "ug", "uj", "ul", "uv", "uz", "v", "vd", "vg", "vi", "vn", "vq", "x", "y", "z", "zg"),
)
"""Parts of speech in jieba's dictionary, and ``other`` for unknown ones."""
_IDS = {name: number for number, name in enumerate(PARTS_OF_SPEECH)}


@cache
def segmenter() -> Any:
    """Return the segmenter of the process; its dictionary takes 0.1 s to load.

    Raises:
        InputError: If rjieba is not installed.
    """
    try:
        import rjieba
    except ImportError:
        raise InputError(f"config.encoder: segmentation requires a package: {not_installed('rjieba')}") from None
    return rjieba.Jieba()


def segment(units: Sequence[str]) -> list[tuple[int, int]]:
    """Return, for each unit of a text, usually a character, its position in its segment, and its part of speech.

    If a unit extends over several segments, its position is ``SINGLE`` where one begins and one ends with it, and its
    part of speech is that of the first.
    """
    text = re.sub("[\ud800-\udfff]", "\ufffd", "".join(units))  # half of a surrogate pair cannot be passed to Rust
    segments = segmenter().tag(text)
    boundaries = {0, *accumulate(len(word) for word, _ in segments)}
    parts_of_speech = [_IDS.get(name, _IDS["other"]) for word, name in segments for _ in word]
    result, start = [], 0
    for unit in units:
        stop = start + len(unit)
        begins, ends = start in boundaries, stop in boundaries
        position = (SINGLE if ends else BEGIN) if begins else (END if ends else MIDDLE)
        result.append((position, parts_of_speech[start]))
        start = stop
    return result
