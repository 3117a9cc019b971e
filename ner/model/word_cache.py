"""Cache of values that are computed from single words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class WordCache(Generic[Value]):
    """Values by word, bounded in memory and shared by any number of threads.

    A full table is replaced, never emptied, so a thread finds every word in the table with which it began. Copies and
    pickles are empty.

    Args:
        max_size: Maximum size of the table in characters; a word also counts ``OVERHEAD`` characters.
    """

    OVERHEAD = 16

    def __init__(self, max_size: int = 4_000_000) -> None:
        self.max_size = max_size
        self._table: dict[str, Value] = {}
        self._size = 0
        self._lock = Lock()

    def get(self, words: Sequence[str], compute: Callable[[list[str]], list[Value]]) -> list[Value]:
        """Return the value of each word; ``compute`` returns those of distinct words that are not cached."""
        table = self._table
        try:
            return [table[word] for word in words]
        except KeyError:
            missing = [word for word in dict.fromkeys(words) if word not in table]
        new = dict(zip(missing, compute(missing), strict=True))
        values = [new[word] if word in new else table[word] for word in words]
        with self._lock:
            new = {word: value for word, value in new.items() if word not in self._table}
            size = sum(map(len, new)) + self.OVERHEAD * len(new)
            if self._size + size > self.max_size:
                self._table, self._size = {}, 0
            if size <= self.max_size:
                self._table.update(new)
                self._size += size
        return values

    def __reduce__(self) -> tuple[Any, ...]:
        return WordCache, (self.max_size,)
