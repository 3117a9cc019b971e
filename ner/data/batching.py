"""Batching: group the examples of documents, order the groups of an epoch, and cut the order into batches."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from ner.types import Document

Measure = Literal["sentences", "words", "pieces"]

SORT_POOL_SIZE = 4096
"""Number of groups that are sorted by length together."""
CHUNK = 2000
"""Number of examples that are read and sorted by length together for prediction."""


GROUP_DTYPE = np.dtype([(name, np.int32) for name in ("document", "start", "stop", "cost", "words", "first")])
"""Consecutive examples of a document that an encoder reads together; an array of millions of groups stays small.

``document`` is the number of the document, ``start`` and ``stop`` the range of its examples. ``cost`` is the number of
pieces, or another length that the encoder reports; ``words`` is the number of words. ``first`` is the number of the
first example, counted over all documents.
"""


def group_documents(
    documents: Iterable[Document],
    planner: Callable[[Document, int | None], Sequence[tuple[int, int, int]]],
    limit: int | None = None,
) -> np.ndarray:
    """Group the examples of all documents.

    Args:
        documents: Documents in the units of the model.
        planner: The ``plan`` method of an encoder.
        limit: Maximum number of sentences in a group; None for no limit.

    Returns:
        ``(G,)`` records of type ``GROUP_DTYPE``.
    """

    def groups() -> Iterator[tuple[int, ...]]:
        first = 0
        for number, document in enumerate(documents):
            lengths = [len(example.words) for example in document.examples]
            for start, stop, cost in planner(document, limit):
                yield number, start, stop, cost, sum(lengths[start:stop]), first + start
            first += len(lengths)

    return np.fromiter(groups(), GROUP_DTYPE)


def example_ranges(groups: np.ndarray) -> list[range]:
    """Return the numbers of the examples of each group, counted over all documents."""
    return [range(first, first + stop - start) for _, start, stop, _, _, first in groups.tolist()]


def count_sentences(groups: np.ndarray) -> int:
    """Return the number of sentences in groups."""
    return int((groups["stop"] - groups["start"]).sum())


def epoch_order(groups: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the order of an epoch: a permutation by seed and epoch, sorted by cost within pools."""
    order = np.random.default_rng([seed, epoch]).permutation(np.arange(len(groups), dtype=np.int32))
    for start in range(0, len(order), SORT_POOL_SIZE):
        pool = order[start : start + SORT_POOL_SIZE]
        pool[:] = pool[np.argsort(groups["cost"][pool], kind="stable")]
    return order


def cut_batches(groups: np.ndarray, order: np.ndarray, measure: Measure, size: int) -> list[np.ndarray]:
    """Cut an order into batches of consecutive groups.

    The size of a batch is its number of sentences, or with words and pieces, which include padding, the length of its
    longest group times its number of groups. A group larger than ``size`` is a batch of its own.
    """
    if not len(order):
        return []
    if measure == "sentences":
        lengths = groups["stop"][order] - groups["start"][order]
    else:
        lengths = groups["words" if measure == "words" else "cost"][order]
    starts = array("q")
    count = total = longest = 0
    for position, length in enumerate(memoryview(lengths)):
        longest = max(longest, length)
        total = total + length if measure == "sentences" else longest * (count + 1)
        if total > size and count:
            starts.append(position)
            count, total, longest = 0, length, length
        count += 1
    return np.split(order, starts)


def epoch_batches(groups: np.ndarray, measure: Measure, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the batches of an epoch in random order; the groups of a batch have similar lengths."""
    batches = cut_batches(groups, epoch_order(groups, seed, epoch), measure, size)
    shuffle = np.random.default_rng([seed, epoch, 1]).permutation(len(batches))
    return [batches[position] for position in shuffle]


def sorted_batches(groups: np.ndarray, measure: Measure, size: int) -> list[np.ndarray]:
    """Return batches for evaluation and prediction, longest first: the first batch determines the peak memory."""
    return cut_batches(groups, np.argsort(-groups["cost"], kind="stable"), measure, size)


def chunks(documents: Iterable[Document | None], size: int) -> Iterator[list[Document]]:
    """Yield consecutive documents with at least ``size`` examples together; None, for a pause, ends a chunk."""
    chunk: list[Document] = []
    count = 0
    for document in documents:
        if document is not None:
            chunk.append(document)
            count += max(1, len(document.examples))
        if count >= size or (chunk and document is None):
            yield chunk
            chunk, count = [], 0
    if chunk:
        yield chunk
