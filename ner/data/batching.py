"""Batching: group the examples of documents, order the groups of an epoch, and cut the order into batches."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from ner.types import Document

Measure = Literal["sentences", "words", "pieces"]

SORT_POOL_SIZE = 4096
"""Number of groups that are sorted by length together."""


class Group(NamedTuple):
    """Consecutive examples of a document that an encoder reads together.

    Attributes:
        document: Number of the document.
        start, stop: Range of examples in the document.
        cost: Number of pieces, or another length that the encoder reports.
        words: Number of words.
        first: Number of the first example, counted over all documents.
    """

    document: int
    start: int
    stop: int
    cost: int
    words: int
    first: int = 0

    @property
    def sentences(self) -> int:
        """Return the number of examples."""
        return self.stop - self.start


class GroupTable:
    """The groups of all documents as a table of integers, which stays small for millions of groups.

    Args:
        table: ``(G, 6)`` 32-bit integers: a row per group, a column per field of :class:`Group`.
    """

    def __init__(self, table: np.ndarray) -> None:
        self.table = table.reshape(-1, len(Group._fields))
        self.cost, self.words = self.table[:, 3], self.table[:, 4]
        self.sentences = self.table[:, 2] - self.table[:, 1]

    @classmethod
    def from_groups(cls, groups: Iterable[Group]) -> GroupTable:
        """Build the table from single groups."""
        flat = array("i")
        for group in groups:
            flat.extend(group)
        return cls(np.frombuffer(flat, dtype=np.int32) if flat else np.zeros(0, dtype=np.int32))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, position: int) -> Group:
        return Group(*self.table[position].tolist())


def group_documents(
    documents: Iterable[Document],
    planner: Callable[[Document, int | None], Sequence[tuple[int, int, int]]],
    limit: int | None = None,
) -> GroupTable:
    """Group the examples of all documents.

    Args:
        documents: Documents in the units of the model.
        planner: The ``plan`` method of an encoder.
        limit: Maximum number of sentences in a group; None for no limit.
    """

    def groups() -> Iterable[Group]:
        first = 0
        for number, document in enumerate(documents):
            lengths = [len(example.words) for example in document.examples]
            for start, stop, cost in planner(document, limit):
                yield Group(number, start, stop, cost, sum(lengths[start:stop]), first + start)
            first += len(lengths)

    return GroupTable.from_groups(groups())


def epoch_order(groups: GroupTable, seed: int, epoch: int) -> np.ndarray:
    """Return the order of an epoch: a permutation that depends on seed and epoch only, sorted by cost within pools."""
    order = np.random.default_rng([seed, epoch]).permutation(np.arange(len(groups), dtype=np.int32))
    for start in range(0, len(order), SORT_POOL_SIZE):
        pool = order[start : start + SORT_POOL_SIZE]
        order[start : start + SORT_POOL_SIZE] = pool[np.argsort(groups.cost[pool], kind="stable")]
    return order


def cut_batches(groups: GroupTable, order: np.ndarray, measure: Measure, size: int) -> list[np.ndarray]:
    """Cut an order into batches of consecutive groups.

    Sentences are counted; words and pieces include padding, so a batch measures its longest group times its number of
    groups. A group larger than ``size`` is a batch of its own.
    """
    lengths = {"sentences": groups.sentences, "words": groups.words, "pieces": groups.cost}[measure][order]
    starts = array("q")
    held = total = longest = 0
    for begin in range(0, len(order), SORT_POOL_SIZE):
        for length in lengths[begin : begin + SORT_POOL_SIZE].tolist():
            new_longest = max(longest, length)
            new_total = total + length if measure == "sentences" else new_longest * (held + 1)
            if not starts or (new_total > size and held):
                starts.append(starts[-1] + held if starts else 0)
                held, new_longest, new_total = 0, length, length
            held, total, longest = held + 1, new_total, new_longest
    ends = [*starts, len(order)]
    return [order[start:stop] for start, stop in pairwise(ends)] if starts else []


def epoch_batches(groups: GroupTable, measure: Measure, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the batches of an epoch in random order; the groups of a batch have similar lengths."""
    batches = cut_batches(groups, epoch_order(groups, seed, epoch), measure, size)
    shuffle = np.random.default_rng([seed, epoch, 1]).permutation(len(batches))
    return [batches[position] for position in shuffle]


def sorted_batches(groups: GroupTable, measure: Measure, size: int) -> list[np.ndarray]:
    """Return batches for evaluation and prediction, longest first, so that memory use peaks at once."""
    return cut_batches(groups, np.argsort(-groups.cost, kind="stable"), measure, size)
