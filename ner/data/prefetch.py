"""Prefetching: compute the items of an iterator in a background thread."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

PAUSE = 0.05
"""Seconds without a further document after which those of an interactive input that were read are annotated."""


def prefetch(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Yield the same items, up to ``depth`` of which a thread computes in advance; with depth 0 there is no thread.

    Exceptions of the thread are raised here. When the generator is closed, the thread ends after its current item.
    """
    if depth == 0:
        yield from items
        return
    iterator, sentinel = iter(items), object()
    executor = ThreadPoolExecutor(1, "prefetch")
    try:
        pending: deque[Any] = deque(executor.submit(next, iterator, sentinel) for _ in range(depth))
        while (item := pending.popleft().result()) is not sentinel:
            pending.append(executor.submit(next, iterator, sentinel))
            yield item
    finally:
        executor.shutdown(cancel_futures=True)


def with_pauses(items: Iterable[T], seconds: float, depth: int) -> Iterator[T | None]:
    """Yield the same items, up to ``depth`` of which a thread computes in advance, and None when it has to wait.

    Exceptions of the thread are raised here. The thread may wait for input forever; it does not keep the program alive.

    Args:
        items: Items without None.
        seconds: Time without an item after which None is yielded, once before each item.
        depth: Number of items.
    """
    computed: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)

    def compute() -> None:
        try:
            for item in items:
                computed.put((True, item))
            computed.put((False, None))
        except BaseException as error:
            computed.put((False, error))

    threading.Thread(target=compute, name="input", daemon=True).start()
    while True:
        try:
            has_item, item = computed.get(timeout=seconds)
        except queue.Empty:
            yield None
            has_item, item = computed.get()
        if has_item:
            yield item
        elif item is None:
            return
        else:
            raise item
