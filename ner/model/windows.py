"""Rows of pieces for an encoder with a limit: cut what is long, pack what is short.

All lengths are counted in pieces. Nothing is ever dropped: every word stands in at least one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


def pack(lengths: Sequence[int], capacity: int, limit: int | None = None) -> list[tuple[int, int]]:
    """Consecutive examples that share a row, as ``(start, stop)``.

    Args:
        lengths: Pieces of each example.
        capacity: Pieces that a row can hold. A longer example stays alone and is cut later.
        limit: Most examples of one row; None for no bound.
    """
    groups: list[tuple[int, int]] = []
    start = filled = 0
    for position, length in enumerate(lengths):
        full = filled + length > capacity or (limit is not None and position - start >= limit)
        if position > start and full:
            groups.append((start, position))
            start, filled = position, 0
        filled += length
    if start < len(lengths):
        groups.append((start, len(lengths)))
    return groups


def cut(lengths: Sequence[int], capacity: int, overlap: int) -> list[tuple[int, int]]:
    """Overlapping rows of consecutive words, as ``(start, stop)``; one row if everything fits.

    Args:
        lengths: Pieces of each word, each at most ``capacity``.
        capacity: Pieces that a row can hold.
        overlap: Most pieces that a row repeats of the one before it; less where words are long.
    """
    if not lengths:
        return []
    ends = [0, *accumulate(lengths)]
    rows: list[tuple[int, int]] = []
    start = stop = 0
    while stop < len(lengths):
        while stop < len(lengths) and ends[stop + 1] - ends[start] <= capacity:
            stop += 1
        rows.append((start, stop))
        if stop == len(lengths):
            break
        room = min(overlap, capacity - lengths[stop])  # the next row must at least reach the next word
        start = max(start + 1, stop)
        while start - 1 > rows[-1][0] and ends[stop] - ends[start - 1] <= room:
            start -= 1
    return rows


def owners(lengths: Sequence[int], rows: Sequence[tuple[int, int]]) -> list[int]:
    """The row in which each word is read: where it has most context on its poorer side; the first of equals."""
    if len(rows) == 1:
        return [0] * len(lengths)
    ends = [0, *accumulate(lengths)]
    best: list[tuple[int, int]] = [(-1, 0)] * len(lengths)
    for row, (start, stop) in enumerate(rows):
        for word in range(start, stop):
            context = min(ends[word] - ends[start], ends[stop] - ends[word + 1])
            if context > best[word][0]:
                best[word] = (context, row)
    return [row for _, row in best]
