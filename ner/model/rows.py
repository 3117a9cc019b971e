"""The rows of pieces of a batch, and where each of its words is read in them.

Words are handed over as the ids of their pieces. Examples without a question share rows or are cut into several; a
question stands in each row of its passage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from ner.model.pretrained import WordTokenizer
from ner.model.windows import cut, owners

"""What is said of them, whatever reads them."""


class Layout(NamedTuple):
    """A question with its passage in rows.

    Attributes:
        skipped: Words of the question that no row has room for, the first ones.
        sizes: Pieces of each word of the passage, as many as a row has room for.
        cuts: Words of the passage in each row.
        cost: Pieces of all rows.
        shortened: Words of the passage of which a row has no room for all pieces.
    """

    skipped: int
    sizes: list[int]
    cuts: list[tuple[int, int]]
    cost: int
    shortened: int


class Room(NamedTuple):
    """What rows have room for.

    Attributes:
        tokenizer: Knows the special pieces.
        capacity: Pieces of a row besides those at both ends.
        max_query: Pieces of a question.
        step_back: Pieces that a row repeats of the one before it, where rows hold so many.
    """

    tokenizer: WordTokenizer
    capacity: int
    max_query: int
    step_back: Callable[[int], int]

    def cut(self, sizes: Sequence[int], capacity: int | None = None) -> list[tuple[int, int]]:
        """Words of each row, as ``(start, stop)``; one row if they fit."""
        capacity = self.capacity if capacity is None else capacity
        return cut(sizes, capacity, self.step_back(capacity)) if sum(sizes) > capacity else [(0, len(sizes))]

    def lay_out(self, sizes: Sequence[int], query_length: int) -> Layout:
        """How a question of so many words and its passage stand in rows; ``sizes`` are the pieces of all words."""
        tokens = self.tokenizer
        skipped = skipped_words(sizes[:query_length], self.max_query)
        kept = sum(sizes[skipped:query_length])
        capacity = self.capacity - kept - len(tokens.middle)
        own = [min(size, capacity) for size in sizes[query_length:]]
        cuts = self.cut(own, capacity)
        marks = len(tokens.prefix) + len(tokens.middle) + len(tokens.suffix) + kept
        cost = sum(sum(own[start:stop]) + marks for start, stop in cuts)
        return Layout(skipped, own, cuts, cost, sum(size > capacity for size in sizes[query_length:]))


def skipped_words(sizes: Sequence[int], room: int) -> int:
    """Words of a question that there is no room for: the first ones, as the last are those of the question itself."""
    read = 0
    for count, size in enumerate(reversed(sizes)):
        read += size
        if read > room:
            return len(sizes) - count
    return 0


class Rows:
    """Rows that grow example by example.

    Attributes:
        pieces: Of each row, special ones included.
        passages: Where the passage begins in each row, 0 in rows without a question.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.pieces: list[list[int]] = []
        self.passages: list[int] = []
        # of each word: its pieces, the row in which it is read, the first of the words that stand there up to it
        # without a gap, where the pieces of that one begin, and in how many rows, this one and those after it
        self._sizes: list[int] = []
        self._rows: list[int] = []
        self._anchors: list[int] = []
        self._shifts: list[int] = []
        self._times: list[int] = []

    def add(self, words: Sequence[Sequence[int]]) -> list[int]:
        """Words without a question; gives the rows in which one is read."""
        tokens, number = self.room.tokenizer, len(self.pieces)
        sizes = [len(ids) for ids in words]
        cuts = self.room.cut(sizes)
        owner = owners(sizes, cuts)
        self._rows += [number + row for row in owner]
        self._anchors += [len(self._sizes) + cuts[row][0] for row in owner]
        self._shifts += [len(tokens.prefix)] * len(sizes)
        self._times += [1] * len(sizes)
        self._sizes += sizes
        for start, stop in cuts:
            row = [*tokens.prefix, *chain.from_iterable(words[start:stop]), *tokens.suffix]
            self.pieces.append(row or [tokens.unknown])  # no model reads an empty row
            self.passages.append(0)
        return sorted({number + row for row in owner}) or [number]

    def add_question(self, words: Sequence[Sequence[int]], query_length: int) -> list[int]:
        """The words of a question and those of its passage, which stands in rows behind it; gives all of them."""
        tokens, first, number = self.room.tokenizer, len(self._sizes), len(self.pieces)
        layout = self.room.lay_out([len(ids) for ids in words], query_length)
        skipped, read = layout.skipped, query_length - layout.skipped
        question = words[skipped:query_length]
        begin = [*tokens.prefix, *chain.from_iterable(question), *tokens.middle]
        # words that are not read get the vector of the row's first piece, those that are their mean over all rows
        self._rows += [number] * query_length
        self._anchors += [*range(first, first + skipped), *[first + skipped] * read]
        self._shifts += [0] * skipped + [len(tokens.prefix)] * read
        self._times += [len(layout.cuts)] * query_length
        self._sizes += [1] * skipped + [len(ids) for ids in question]
        owner = owners(layout.sizes, layout.cuts)
        self._rows += [number + row for row in owner]
        self._anchors += [first + query_length + layout.cuts[row][0] for row in owner]
        self._shifts += [len(begin)] * len(owner)
        self._times += [1] * len(owner)
        self._sizes += layout.sizes
        passage = [ids[:size] for ids, size in zip(words[query_length:], layout.sizes, strict=True)]
        for start, stop in layout.cuts:
            self.pieces.append([*begin, *chain.from_iterable(passage[start:stop]), *tokens.suffix])
            self.passages.append(len(begin))
        return list(range(number, len(self.pieces)))

    def padded(self) -> tuple[np.ndarray, np.ndarray]:
        """``(B, T)`` ids of the pieces, and where they are no padding."""
        lengths = np.array([len(row) for row in self.pieces], dtype=np.int64)
        longest = int(lengths.max(initial=0))
        table = np.full((len(lengths), longest), self.room.tokenizer.padding, dtype=np.int64)
        for number, ids in enumerate(self.pieces):
            table[number, : len(ids)] = ids
        return table, np.arange(longest) < lengths[:, None]

    def reads(self, pooling: str, longest: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the flattened ``(B, T)`` that the words are read from, and how many of them each word has.

        Args:
            pooling: ``first``, ``last`` or ``mean``: which pieces of a word.
            longest: T.
        """
        kept = (self._sizes, self._rows, self._anchors, self._shifts, self._times)
        size, row, anchor, shift, times = (np.array(values, dtype=np.int64) for values in kept)
        before = np.cumsum(size) - size
        begin = shift + before - before[anchor]
        if pooling == "last":
            begin = begin + size - 1
        count = size if pooling == "mean" else np.ones_like(size)
        total = count * times
        if (times > 1).any():  # words of a question, in one row after the other
            row = np.repeat(row, times) + np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
            begin, count = np.repeat(begin, times), np.repeat(count, times)
        first = np.repeat(row * longest + begin, count)
        return first + np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count), total
