"""Prefetching: compute the items of an iterator in a background thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Yield the same items, up to ``depth`` of which a thread computes in advance; with depth 0 there is no thread.

    Exceptions of the thread are raised here. When the generator is closed, the thread ends after its current item.
    """
    if depth == 0:
        yield from items
        return
    iterator, end = iter(items), object()
    executor = ThreadPoolExecutor(1, "prefetch")
    try:
        pending: deque[Any] = deque(executor.submit(next, iterator, end) for _ in range(depth))
        while (item := pending.popleft().result()) is not end:
            pending.append(executor.submit(next, iterator, end))
            yield item
    finally:
        executor.shutdown(cancel_futures=True)
