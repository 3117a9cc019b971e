"""Windows of an encoder that reads a limited number of pieces: long examples are cut, short ones share a row.

All lengths are counted in pieces. Every word is in at least one row, except the first words of a question that exceeds
``windows.max_query_length``. A question is repeated in each row of its passage and never shares a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ner.model.padding import padded

if TYPE_CHECKING:
    from ner.model.piece_tokenizer import PieceTokenizer


def pack(lengths: Sequence[int], capacity: int, limit: int | None = None) -> list[tuple[int, int]]:
    """Return the consecutive examples that share a row, as ``(start, stop)``.

    Args:
        lengths: Pieces of each example.
        capacity: Pieces of a row. A longer example is alone in its group and is cut later.
        limit: Maximum number of examples of a row; None for no limit.
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
    """Return overlapping rows of consecutive words, as ``(start, stop)``; a single row if all words fit.

    Args:
        lengths: Pieces of each word, each at most ``capacity``.
        capacity: Pieces of a row.
        overlap: Maximum number of pieces that a row repeats from the previous one.
    """
    ends = [0, *accumulate(lengths)]
    rows: list[tuple[int, int]] = []
    start = stop = 0
    while stop < len(lengths):
        while stop < len(lengths) and ends[stop + 1] - ends[start] <= capacity:
            stop += 1
        rows.append((start, stop))
        if stop == len(lengths):
            break
        free = min(overlap, capacity - lengths[stop])  # the next row must contain at least one new word
        start = max(start + 1, stop)
        while start - 1 > rows[-1][0] and ends[stop] - ends[start - 1] <= free:
            start -= 1
    return rows


def best_row_per_word(lengths: Sequence[int], rows: Sequence[tuple[int, int]]) -> list[int]:
    """Return the row that each word is read from: the one with the most context on its shorter side."""
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


def skipped_words(sizes: Sequence[int], limit: int) -> int:
    """Return how many of the first words of a question exceed ``limit`` pieces.

    Earlier turns of a conversation come first, so the last words are those of the question itself.
    """
    num_read = 0
    for count, size in enumerate(reversed(sizes)):
        num_read += size
        if num_read > limit:
            return len(sizes) - count
    return 0


class RowLayout(NamedTuple):
    """Rows of words, or of a question with its passage.

    Attributes:
        skipped: Number of the question's first words that are not read.
        sizes: Pieces of each word of the passage that are read.
        cuts: Words of the passage in each row, as ``(start, stop)``.
        cost: Pieces of all rows.
        shortened: Number of words of the passage that are longer than a row.
    """

    skipped: int
    sizes: list[int]
    cuts: list[tuple[int, int]]
    cost: int
    shortened: int


class WindowLimits(NamedTuple):
    """Limits of the rows of an encoder.

    Attributes:
        tokenizer: Source of the special pieces.
        capacity: Pieces of a row besides the special pieces at both ends.
        max_query: Pieces of a question.
        overlap: Pieces that a row repeats from the previous one, as a function of the capacity.
    """

    tokenizer: PieceTokenizer
    capacity: int
    max_query: int
    overlap: Callable[[int], int]

    def layout(self, sizes: Sequence[int], query_length: int) -> RowLayout:
        """Return the rows of words of these sizes, of which the first ``query_length`` are a question."""
        tokens = self.tokenizer
        skipped = skipped_words(sizes[:query_length], self.max_query)
        question = sum(sizes[skipped:query_length]) + (len(tokens.pair_separator) if query_length else 0)
        capacity = self.capacity - question
        passage, shortened = list(sizes[query_length:]), 0
        if max(passage, default=0) > capacity:
            shortened = sum(size > capacity for size in passage)
            passage = [min(size, capacity) for size in passage]
        total = sum(passage)
        cuts = [(0, len(passage))]
        if total > capacity:
            cuts = cut(passage, capacity, self.overlap(capacity))
            total = sum(sum(passage[start:stop]) for start, stop in cuts)
        cost = total + len(cuts) * (len(tokens.prefix) + question + len(tokens.suffix))
        return RowLayout(skipped, passage, cuts, cost, shortened)


class RowBuilder:
    """Rows of pieces of a batch, and the position of each word in them.

    Words are added as the ids of their pieces, example by example.

    Attributes:
        pieces: Pieces of each row, special ones included.
        passages: Start of the passage in each row, 0 in rows without a question.
    """

    def __init__(self, limits: WindowLimits) -> None:
        self.limits = limits
        self.pieces: list[list[int]] = []
        self.passages: list[int] = []
        # One entry per word:
        self._sizes: list[int] = []  # its pieces
        self._rows: list[int] = []  # the row that it is read from
        self._anchors: list[int] = []  # the first of the words that precede it in the row without a gap
        self._shifts: list[int] = []  # the position of the pieces of that first word
        self._row_counts: list[int] = []  # the number of rows, from its row on, that contain it

    def add(self, words: Sequence[Sequence[int]], query_length: int = 0) -> list[int]:
        """Add words, of which the first ``query_length`` are a question that each row repeats.

        Returns:
            Rows that the words are read from.
        """
        tokens, first_word, first_row = self.limits.tokenizer, len(self._sizes), len(self.pieces)
        skipped, sizes, cuts, _, shortened = self.limits.layout(list(map(len, words)), query_length)
        begin = tokens.prefix
        if query_length:  # skipped words are read from the first piece of the row, the others as the mean over all rows
            num_read, question = query_length - skipped, words[skipped:query_length]
            begin = [*tokens.prefix, *chain.from_iterable(question), *tokens.pair_separator]
            self._rows += [first_row] * query_length
            self._anchors += [*range(first_word, first_word + skipped), *[first_word + skipped] * num_read]
            self._shifts += [0] * skipped + [len(tokens.prefix)] * num_read
            self._row_counts += [len(cuts)] * query_length
            self._sizes += [1] * skipped + list(map(len, question))
        best = best_row_per_word(sizes, cuts)
        self._rows += [first_row + row for row in best]
        self._anchors += [first_word + query_length + cuts[row][0] for row in best]
        self._shifts += [len(begin)] * len(best)
        self._row_counts += [1] * len(best)
        self._sizes += sizes
        passage = words[query_length:]
        if shortened:
            passage = [ids[:size] for ids, size in zip(passage, sizes, strict=True)]
        for start, stop in cuts:
            row = [*begin, *chain.from_iterable(passage[start:stop]), *tokens.suffix]
            self.pieces.append(row or [tokens.unknown])  # models reject empty rows
            self.passages.append(len(begin) if query_length else 0)
        if query_length:
            return list(range(first_row, len(self.pieces)))
        return sorted({first_row + row for row in best}) or [first_row]

    def padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(B, T)`` piece ids, and ``(B, T)`` true on pieces."""
        return padded(self.pieces, self.limits.tokenizer.padding)

    def word_piece_index(self, pooling: str, longest: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions in the flattened ``(B, T)`` that words are read from, and their number per word.

        Args:
            pooling: ``first``, ``last`` or ``mean``: the pieces of a word that are read.
            longest: T.
        """
        columns = (self._sizes, self._rows, self._anchors, self._shifts, self._row_counts)
        size, row, anchor, shift, row_counts = (np.array(values, dtype=np.int64) for values in columns)
        pieces_before = np.cumsum(size) - size
        begin = shift + pieces_before - pieces_before[anchor]
        if pooling == "last":
            begin = begin + size - 1
        count = size if pooling == "mean" else np.ones_like(size)
        pieces_per_word = count * row_counts
        if (row_counts > 1).any():  # words of a question, which are in several consecutive rows
            row = (
                np.repeat(row, row_counts)
                + np.arange(row_counts.sum())
                - np.repeat(np.cumsum(row_counts) - row_counts, row_counts)
            )
            begin, count = np.repeat(begin, row_counts), np.repeat(count, row_counts)
        first = np.repeat(row * longest + begin, count)
        return first + np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count), pieces_per_word
