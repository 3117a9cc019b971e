from __future__ import annotations

import time
import tracemalloc

import pytest

from ner.training.progress import Stopwatch
from tests.builders import CPU


def test_the_time_since_the_last_mark_is_added_to_a_name() -> None:
    stopwatch = Stopwatch(CPU)
    started = time.perf_counter()
    for name in ("a", "b", "a"):
        time.sleep(0.01)
        stopwatch.mark(name)
    seconds = time.perf_counter() - started
    totals = stopwatch.totals()
    assert list(totals) == ["a", "b"]
    assert sum(totals.values()) == pytest.approx(seconds, rel=0.1)
    assert totals["a"] > totals["b"]
    assert stopwatch.totals() == {}


def test_the_memory_of_a_stopwatch_does_not_grow_with_its_marks() -> None:
    stopwatch = Stopwatch(CPU)
    stopwatch.mark("data")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10_000):
            stopwatch.mark("data")
        assert tracemalloc.get_traced_memory()[0] - before < 10_000  # a tuple for each mark took 880,000
    finally:
        tracemalloc.stop()
