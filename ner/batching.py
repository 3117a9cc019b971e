"""From documents to batches: groups of examples, their order in an epoch, where batches are cut, and their making."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from ner.types import Document

T = TypeVar("T")
Unit = Literal["sentences", "words", "pieces"]

POOL = 4096
"""Groups that are sorted by length together."""


class Group(NamedTuple):
    """Consecutive examples of a document that an encoder wants side by side. Integers only: cheap to keep."""

    document: int
    start: int
    stop: int
    cost: int
    words: int

    @property
    def sentences(self) -> int:
        """Examples of the group."""
        return self.stop - self.start


def plan(
    documents: Sequence[Document],
    planner: Callable[[Document, int | None], Sequence[tuple[int, int, int]]],
    limit: int | None = None,
) -> list[Group]:
    """Groups of all documents.

    Args:
        documents: In units of the model.
        planner: An encoder's ``plan``.
        limit: Most sentences of a group; None for no bound.
    """
    groups = []
    for number, document in enumerate(documents):
        for start, stop, cost in planner(document, limit):
            words = sum(len(example.words) for example in document.examples[start:stop])
            groups.append(Group(number, start, stop, cost, words))
    return groups


def order(groups: Sequence[Group], seed: int, epoch: int) -> list[int]:
    """The order of an epoch, a function of seed and epoch alone: a permutation, sorted by cost within pools."""
    permutation = np.random.default_rng([seed, epoch]).permutation(len(groups))
    costs = np.array([group.cost for group in groups], dtype=np.int64)
    found: list[int] = []
    for start in range(0, len(permutation), POOL):
        pool = permutation[start : start + POOL]
        found += pool[np.argsort(costs[pool], kind="stable")].tolist()
    return found


def cut(groups: Sequence[Group], ordered: Sequence[int], unit: Unit, size: int) -> list[list[int]]:
    """Batches of consecutive groups of an order.

    Sentences are counted; words and pieces with their padding, that is, the longest group times their number. A group
    that is larger than ``size`` is a batch by itself.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    total = longest = 0
    for position in ordered:
        group = groups[position]
        length = group.cost if unit == "pieces" else group.words
        longest_then = max(longest, length)
        total_then = total + group.sentences if unit == "sentences" else longest_then * (len(current) + 1)
        if current and total_then > size:
            batches.append(current)
            current, longest_then = [], length
            total_then = group.sentences if unit == "sentences" else length
        current.append(position)
        total, longest = total_then, longest_then
    if current:
        batches.append(current)
    return batches


def epoch_batches(groups: Sequence[Group], unit: Unit, size: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of an epoch: alike in length within, in random order among each other."""
    batches = cut(groups, order(groups, seed, epoch), unit, size)
    shuffle = np.random.default_rng([seed, epoch, 1]).permutation(len(batches))
    return [batches[position] for position in shuffle]


def sorted_batches(groups: Sequence[Group], unit: Unit, size: int) -> list[list[int]]:
    """For evaluation and prediction: longest first, so that memory is asked for at once."""
    ordered = sorted(range(len(groups)), key=lambda position: -groups[position].cost)
    return cut(groups, ordered, unit, size)


def ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """The same items, made by a thread, up to ``depth`` of them before they are asked for.

    What the thread raises is raised here. When the generator is closed the thread ends at its next item.
    """
    if depth == 0:
        yield from items
        return
    ready: queue.Queue[tuple[str, object]] = queue.Queue(depth)
    closed = threading.Event()

    def offer(kind: str, value: object) -> bool:
        while not closed.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer("item", item):
                    return
            offer("end", None)
        except BaseException as error:
            offer("error", error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException), "the thread sends what it caught"
                raise value
            yield value  # type: ignore[misc]  # an item
    finally:
        closed.set()
        thread.join()
