from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ner.service.batcher import Batcher, Item, Job, QueueFullError


class Worker:
    """A model that returns each value in upper case; it waits for ``gate`` before each batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Semaphore(0)

    def __call__(self, values: list[str], options: Any) -> list[str]:
        assert self.gate.acquire(timeout=20)
        self.batches.append(values)
        if "bad" in values:
            raise ValueError("bad")
        return [value.upper() for value in values]


def run(check: Callable[[Batcher, Worker], Coroutine[Any, Any, None]], batch: int = 4, queue: int = 100) -> Worker:
    worker = Worker()

    async def main() -> None:
        with ThreadPoolExecutor(1) as thread:
            try:
                await check(Batcher(worker, thread, batch, queue), worker)
            finally:
                worker.gate.release(100)

    asyncio.run(main())
    return worker


def put(batcher: Batcher, values: Sequence[str], options: Hashable = None) -> Job:
    return batcher.put([Item(value, 1) for value in values], options)


def test_requests_that_wait_share_a_batch_and_each_gets_its_own_answers() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        jobs = [put(batcher, values) for values in (["a"], ["b", "c"], ["d"])]
        worker.gate.release(9)
        assert [await job.answers for job in jobs] == [["A"], ["B", "C"], ["D"]]
        assert batcher.waiting_pieces == 0

    assert run(check).batches == [["a", "b", "c", "d"]]


def test_requests_with_other_options_wait_for_a_batch_of_their_own() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        jobs = [put(batcher, [value], option) for value, option in (("a", 1), ("b", 2), ("c", 1), ("d", 2))]
        worker.gate.release(9)
        await asyncio.gather(*(job.answers for job in jobs))

    assert run(check).batches == [["a", "c"], ["b", "d"]]


def test_a_large_request_takes_turns_with_small_ones() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        large, small = put(batcher, list("abcdef")), put(batcher, ["x"])
        worker.gate.release(9)
        assert await small.answers == ["X"]
        assert not large.answers.done()
        assert await large.answers == list("ABCDEF")

    assert run(check, batch=3).batches == [["a", "b", "c"], ["x", "d", "e"], ["f"]]


def test_an_item_larger_than_a_batch_is_a_batch_of_its_own() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        jobs = [batcher.put([Item(value, pieces)]) for value, pieces in (("a", 9), ("b", 9), ("c", 1))]
        worker.gate.release(9)
        await asyncio.gather(*(job.answers for job in jobs))

    assert run(check).batches == [["a"], ["b"], ["c"]]


def test_a_full_queue_refuses_and_an_empty_one_accepts_any_size() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        first = batcher.put([Item("a", 50)])
        while not first.num_batched:
            await asyncio.sleep(0)
        second = batcher.put([Item("b", 50)])
        with pytest.raises(QueueFullError):
            put(batcher, ["c"])
        assert batcher.waiting_pieces == 50
        worker.gate.release(9)
        assert await second.answers == ["B"]
        assert await put(batcher, ["c"]).answers == ["C"]

    run(check, queue=50)


def test_a_cancelled_request_leaves_the_queue() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        jobs = [put(batcher, values) for values in (["a"] * 4, ["b", "c"], ["d"])]
        jobs[1].answers.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting_pieces == 1 + 4 * (jobs[0].num_batched == 0)
        worker.gate.release(9)
        assert await jobs[2].answers == ["D"]

    assert run(check).batches == [["a"] * 4, ["d"]]


def test_a_text_on_which_the_model_fails_does_not_fail_its_neighbours() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        jobs = [put(batcher, values) for values in (["a"], ["bad", "b"], ["c"])]
        worker.gate.release(9)
        assert await jobs[0].answers == ["A"]
        with pytest.raises(ValueError, match="bad"):
            await jobs[1].answers
        assert await jobs[2].answers == ["C"]
        assert await put(batcher, ["d"]).answers == ["D"]

    run(check)


@pytest.mark.slow
def test_a_model_that_gives_too_few_answers_fails_the_request_and_not_the_service() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        batcher.work = lambda values, options: values[1:]
        with pytest.raises(RuntimeError, match="expected 2 answers of the model, found 1"):
            await put(batcher, ["a", "b"]).answers
        batcher.work = worker
        worker.gate.release(9)
        assert await put(batcher, ["c"]).answers == ["C"]

    run(check)


def test_a_queue_that_is_too_slow_refuses_with_the_expected_time() -> None:
    async def check(batcher: Batcher, worker: Worker) -> None:
        batcher.queue_seconds = 0.1
        first = put(batcher, ["a"])
        await asyncio.sleep(0.3)  # one piece takes as long
        worker.gate.release()
        await first.answers
        jobs = [put(batcher, ["b"])]
        while not jobs[0].num_batched:
            await asyncio.sleep(0)
        jobs.append(put(batcher, ["c"]))
        with pytest.raises(QueueFullError) as refused:
            put(batcher, ["d"])
        assert 0.2 < refused.value.seconds < 10
        worker.gate.release(9)
        await asyncio.gather(*(job.answers for job in jobs))

    run(check)
