"""From documents to batches: groups of examples, their order in an epoch, where batches are cut, and their making."""

from __future__ import annotations

import queue
import threading
from array import array
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from ner.types import Document

T = TypeVar("T")
Unit = Literal["sentences", "words", "pieces"]

POOL = 4096
"""Groups that are sorted by length together."""


class Group(NamedTuple):
    """Consecutive examples of a document that an encoder wants side by side.

    ``first`` is the number of its first sentence, counted over all documents.
    """

    document: int
    start: int
    stop: int
    cost: int
    words: int
    first: int = 0

    @property
    def sentences(self) -> int:
        """Examples of the group."""
        return self.stop - self.start


class Plan:
    """The groups of all documents, as a table of integers: millions of them are cheap to keep.

    Args:
        table: ``(G, 6)`` 32-bit integers, a row for each group, with the columns of :class:`Group`.
    """

    def __init__(self, table: np.ndarray) -> None:
        self.table = table.reshape(-1, len(Group._fields))
        self.cost, self.words = self.table[:, 3], self.table[:, 4]
        self.sentences = self.table[:, 2] - self.table[:, 1]

    @classmethod
    def of(cls, groups: Iterable[Group]) -> Plan:
        """From groups one by one."""
        flat = array("i")
        for group in groups:
            flat.extend(group)
        return cls(np.frombuffer(flat, dtype=np.int32) if flat else np.zeros(0, dtype=np.int32))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, position: int) -> Group:
        return Group(*self.table[position].tolist())


def plan(
    documents: Iterable[Document],
    planner: Callable[[Document, int | None], Sequence[tuple[int, int, int]]],
    limit: int | None = None,
) -> Plan:
    """Groups of all documents.

    Args:
        documents: In units of the model.
        planner: An encoder's ``plan``.
        limit: Most sentences of a group; None for no bound.
    """

    def groups() -> Iterable[Group]:
        first = 0
        for number, document in enumerate(documents):
            lengths = [len(example.words) for example in document.examples]
            for start, stop, cost in planner(document, limit):
                yield Group(number, start, stop, cost, sum(lengths[start:stop]), first + start)
            first += len(lengths)

    return Plan.of(groups())


def order(groups: Plan, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch, a function of seed and epoch alone: a permutation, sorted by cost within pools."""
    found = np.random.default_rng([seed, epoch]).permutation(np.arange(len(groups), dtype=np.int32))
    for start in range(0, len(found), POOL):
        pool = found[start : start + POOL]
        found[start : start + POOL] = pool[np.argsort(groups.cost[pool], kind="stable")]
    return found


def cut(groups: Plan, ordered: np.ndarray, unit: Unit, size: int) -> list[np.ndarray]:
    """Batches of consecutive groups of an order.

    Sentences are counted; words and pieces with their padding, that is, the longest group times their number. A group
    that is larger than ``size`` is a batch by itself.
    """
    lengths = {"sentences": groups.sentences, "words": groups.words, "pieces": groups.cost}[unit][ordered]
    starts = array("q")
    held = total = longest = 0
    for begin in range(0, len(ordered), POOL):
        for length in lengths[begin : begin + POOL].tolist():
            longest_then = max(longest, length)
            total_then = total + length if unit == "sentences" else longest_then * (held + 1)
            if not starts or (total_then > size and held):
                starts.append(starts[-1] + held if starts else 0)
                held, longest_then, total_then = 0, length, length
            held, total, longest = held + 1, total_then, longest_then
    ends = [*starts, len(ordered)]
    return [ordered[start:stop] for start, stop in pairwise(ends)] if starts else []


def epoch_batches(groups: Plan, unit: Unit, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The batches of an epoch: alike in length within, in random order among each other."""
    batches = cut(groups, order(groups, seed, epoch), unit, size)
    shuffle = np.random.default_rng([seed, epoch, 1]).permutation(len(batches))
    return [batches[position] for position in shuffle]


def sorted_batches(groups: Plan, unit: Unit, size: int) -> list[np.ndarray]:
    """For evaluation and prediction: longest first, so that memory is asked for at once."""
    return cut(groups, np.argsort(-groups.cost, kind="stable"), unit, size)


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
