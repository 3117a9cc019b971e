"""Micro-batches: texts of several requests are annotated together, by one thread that owns the model.

While a batch is computed, further requests wait in a bounded queue, and the next batch takes as many of them as fit. So
an idle service answers at once, and no timer delays a request. A request may be spread over several batches, and large
requests take turns with small ones.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

DECAY = 0.9
"""Factor by which the weight of a batch in the estimated speed decreases with each later batch."""

Work = Callable[[list[Any], Any], list[Any]]
"""Function that runs in the thread: it takes items and their options, and returns an answer for each item."""


class QueueFullError(Exception):
    """A request that does not fit into the queue; ``seconds`` is the expected time until there is room."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"the queue is full; try again in {math.ceil(seconds)} s")


class Item(NamedTuple):
    """A text with its estimated number of pieces."""

    value: Any
    pieces: int


@dataclass(eq=False)
class Job:
    """A request in the queue; ``answers`` yields one answer per item, in order.

    Attributes:
        items: Items to annotate.
        options: Only items with equal options share a batch.
        answers: Result. Cancelling it removes the job from the queue.
        partial_answers: Answers so far, by the position of their items.
        num_batched: Number of items that were put into a batch.
    """

    items: Sequence[Item]
    options: Hashable
    answers: asyncio.Future[list[Any]]
    partial_answers: dict[int, Any] = field(default_factory=dict)
    num_batched: int = 0

    @property
    def waiting(self) -> int:
        """Pieces that are not yet in a batch."""
        return sum(item.pieces for item in self.items[self.num_batched :])


class _Part(NamedTuple):
    """Consecutive items of a job in a batch."""

    job: Job
    start: int
    stop: int


class Batcher:
    """Queue and batches of one model. All methods must be called in the event loop.

    Args:
        work: Annotates items; called in ``thread``, never twice at a time.
        thread: Executor with one thread.
        batch_pieces: Pieces of a batch; a batch contains at least one item.
        queue_pieces: Pieces that may wait; an empty queue accepts a request of any size.
        queue_seconds: Seconds, as estimated from earlier batches, that a request may wait.
        on_batch: Called with items, pieces and seconds of each batch.
    """

    def __init__(
        self,
        work: Work,
        thread: Executor,
        batch_pieces: int,
        queue_pieces: int,
        queue_seconds: float = math.inf,
        on_batch: Callable[[int, int, float], None] = lambda items, pieces, seconds: None,
    ) -> None:
        self.work, self.thread, self.on_batch = work, thread, on_batch
        self.batch_pieces, self.queue_pieces, self.queue_seconds = batch_pieces, queue_pieces, queue_seconds
        self.waiting_pieces = 0
        self._queue: deque[Job] = deque()
        self._running: asyncio.Task[None] | None = None
        self._done_pieces, self._done_seconds = 0.0, 0.0  # of earlier batches, the last ones weighted most

    @property
    def is_idle(self) -> bool:
        """True if no request waits or is computed."""
        return self._running is None or self._running.done()

    def check_room(self, pieces: int) -> None:
        """Check that a request fits into the queue.

        Raises:
            QueueFullError: If it does not.
        """
        if not self._queue:
            return
        seconds = self.waiting_pieces * self._done_seconds / self._done_pieces if self._done_pieces else 1.0
        if self.waiting_pieces + pieces > self.queue_pieces or seconds > self.queue_seconds:
            raise QueueFullError(seconds)

    def put(self, items: Sequence[Item], options: Hashable = None) -> Job:
        """Add a request to the queue.

        Raises:
            QueueFullError: If it does not fit.
        """
        job = Job(items, options, asyncio.get_running_loop().create_future())
        pieces = job.waiting
        self.check_room(pieces)
        if not items:
            job.answers.set_result([])
            return job
        self._queue.append(job)
        self.waiting_pieces += pieces
        job.answers.add_done_callback(lambda _: self._remove(job))
        if self.is_idle:
            self._running = asyncio.create_task(self._run())
        return job

    def _remove(self, job: Job) -> None:
        """Remove a job that was cancelled or has failed."""
        if job.num_batched < len(job.items) and job in self._queue:
            self._queue.remove(job)
            self.waiting_pieces -= job.waiting

    def _take(self) -> list[_Part]:
        """Remove the items of the next batch from the queue."""
        parts: list[_Part] = []
        skipped: list[Job] = []
        capacity, options = self.batch_pieces, self._queue[0].options
        while self._queue and capacity > 0:
            job = self._queue.popleft()
            if job.options != options:
                skipped.append(job)
                continue
            start = job.num_batched
            for item in job.items[start:]:
                if item.pieces > capacity and (parts or job.num_batched > start):
                    break
                capacity -= item.pieces
                self.waiting_pieces -= item.pieces
                job.num_batched += 1
            if job.num_batched > start:
                parts.append(_Part(job, start, job.num_batched))
            if job.num_batched < len(job.items):
                (self._queue if job.num_batched > start else skipped).append(job)
                break
        self._queue.extendleft(reversed(skipped))
        return parts

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            parts = self._take()
            pieces = sum(item.pieces for part in parts for item in part.job.items[part.start : part.stop])
            start_time = time.perf_counter()
            answers = await loop.run_in_executor(self.thread, self._annotate, parts)
            seconds = time.perf_counter() - start_time
            for part, part_answers in zip(parts, answers, strict=True):
                self._deliver(part, part_answers)
            self._done_pieces = DECAY * self._done_pieces + pieces
            self._done_seconds = DECAY * self._done_seconds + seconds
            self.on_batch(sum(part.stop - part.start for part in parts), pieces, seconds)

    def _annotate(self, parts: list[_Part]) -> list[list[Any] | Exception]:
        """Annotate a batch in the thread; if it fails, each request by itself, so that only the cause fails."""
        values = [[item.value for item in part.job.items[part.start : part.stop]] for part in parts]
        options = parts[0].job.options
        try:
            answers = self.work([value for part in values for value in part], options)
            ends = [*accumulate(map(len, values))]
            if len(answers) != ends[-1]:
                raise RuntimeError(f"expected {ends[-1]} answers of the model, found {len(answers)}")
            return [answers[end - len(part) : end] for part, end in zip(values, ends, strict=True)]
        except BaseException as error:  # tokenizers raise PanicException, which is no Exception
            if len(parts) == 1:
                return [error if isinstance(error, Exception) else RuntimeError(str(error))]
        return [self._annotate([part])[0] for part in parts]

    def _deliver(self, part: _Part, answers: list[Any] | Exception) -> None:
        job = part.job
        if job.answers.done():  # cancelled meanwhile
            return
        if isinstance(answers, Exception):
            job.answers.set_exception(answers)
            return
        job.partial_answers.update(zip(range(part.start, part.stop), answers, strict=True))
        if len(job.partial_answers) == len(job.items):
            job.answers.set_result([job.partial_answers[number] for number in range(len(job.items))])
