"""Positions of characters in the words of Chinese text, as found by the segmenter jieba.

They are the feature that Zhang and Yang (2018) call *softword*. The implementation is rjieba, which, unlike jieba,
reads no cache from a directory that all users can write to.
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
NAMES = ("padding", "begin", "middle", "end", "single")
"""Names of the positions."""


@cache
def segmenter() -> Any:
    """Return the segmenter of the process; its dictionary takes 0.1 s to load.

    Raises:
        InputError: If rjieba is not installed.
    """
    try:
        import rjieba
    except ImportError:
        requirement = "'rjieba>=0.2.2,<0.3'"  # another dictionary is another feature
        raise InputError(f"encoder.segmentation_dimension: {not_installed('rjieba', requirement)}") from None
    return rjieba.Jieba()


def positions(units: Sequence[str]) -> list[int]:
    """Return the position of each unit of a text, usually a character, in its segment.

    A unit that spans several segments counts as ``SINGLE`` if a segment begins and a segment ends with it.
    """
    text = re.sub("[\ud800-\udfff]", "\ufffd", "".join(units))  # half of a surrogate pair cannot be passed to Rust
    boundaries = {0, *accumulate(map(len, segmenter().cut(text)))}
    result, start = [], 0
    for unit in units:
        stop = start + len(unit)
        begins, ends = start in boundaries, stop in boundaries
        result.append((SINGLE if ends else BEGIN) if begins else (END if ends else MIDDLE))
        start = stop
    return result
