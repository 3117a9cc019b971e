"""Prefetching: compute the items of an iterator in a background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Yield the same items, up to ``depth`` of which a thread computes in advance; with depth 0 there is no thread.

    Exceptions of the thread are raised here. When the generator is closed, the thread ends at its next item.
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
                assert isinstance(value, BaseException), "the thread sends the exception"
                raise value
            yield value  # type: ignore[misc]  # an item
    finally:
        closed.set()
        thread.join()
