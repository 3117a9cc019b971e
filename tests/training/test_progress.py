from __future__ import annotations

import time
import tracemalloc

import pytest
import torch

from ner.training.progress import PENDING_EVENTS, Stopwatch
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


def test_a_stopwatch_keeps_few_cuda_events_and_never_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of a GPU that is always 10 events behind; each event takes 1 ms."""
    recorded, live, synchronized = [0], [0], [0]

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            live[0] += 1

        def record(self) -> None:
            self.number = recorded[0]
            recorded[0] += 1

        def query(self) -> bool:
            return self.number < recorded[0] - 10

        def elapsed_time(self, other: Event) -> float:
            assert other.query() or synchronized[0]
            return float(other.number - self.number)

        def __del__(self) -> None:
            live[0] -= 1

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: synchronized.append(synchronized.pop() + 1))
    stopwatch = Stopwatch(torch.device("cuda"))
    for _ in range(5000):
        for name in ("data", "encoder"):
            stopwatch.mark(name)
            assert live[0] <= PENDING_EVENTS + 3
    assert synchronized == [0]
    assert stopwatch.totals() == {"data": pytest.approx(5.0), "encoder": pytest.approx(5.0)}
    assert synchronized == [1]
    assert live[0] == 1
