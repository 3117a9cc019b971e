from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ner.data.prefetch import prefetch, with_pauses


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_items_made_ahead_come_in_order(depth: int) -> None:
    assert list(prefetch(iter(range(20)), depth)) == list(range(20))
    assert list(prefetch([], depth)) == []


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_in_making_a_batch_arrives_at_its_place(depth: int) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("bad sentence")

    items = prefetch(broken(), depth)
    assert next(items) == 1
    with pytest.raises(ValueError, match="bad sentence"):
        next(items)


def test_no_more_is_made_ahead_than_asked_for_and_closing_ends_the_thread() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    ready = prefetch(items(), 2)
    assert next(ready) == 0
    ready.close()
    assert len(made) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_items_without_pauses_come_alone(depth: int) -> None:
    assert list(with_pauses(iter(range(20)), 5, depth)) == list(range(20))
    assert list(with_pauses([], 5, depth)) == []


def test_a_pause_is_announced_once_and_nothing_is_lost() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield from (1, 2)
        assert gate.wait(60)
        yield 3

    found = with_pauses(items(), 0.01, 10)
    assert [next(found), next(found), next(found)] == [1, 2, None]
    gate.set()
    assert list(found) == [3]


def test_an_error_before_a_pause_arrives_at_its_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("bad sentence")

    items = with_pauses(broken(), 5, 10)
    assert next(items) == 1
    with pytest.raises(ValueError, match="bad sentence"):
        next(items)
