"""The engine ``local``: a pool of processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

from ner.bulk.job import Job
from ner.bulk.output import Record
from ner.bulk.shards import Shard
from ner.errors import InputError

AHEAD = 2
"""Shards per worker that are submitted at once."""
MAX_FAILURES = 5
"""Times in a row that the pool may break without finishing a shard."""

_job: Any = None


def run(job: Job, shards: Iterator[Shard], workers: int) -> Generator[tuple[Shard, Record, bool], None, None]:
    """Yield each shard with its record, and whether it was tagged now, when it is complete.

    If a process dies, the pool starts again.

    Raises:
        InputError: If a worker raises one, or processes keep dying.
    """
    failures = 0
    pending: deque[Shard] = deque()
    while failures < MAX_FAILURES:
        running: dict[Future[tuple[Record, bool]], Shard] = {}
        try:
            with _pool(job, workers) as pool:
                while True:
                    while len(running) < AHEAD * workers:
                        shard = pending.popleft() if pending else next(shards, None)
                        if shard is None:
                            break
                        running[pool.submit(_process, shard)] = shard
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        record, is_new = future.result()
                        failures = 0
                        yield running.pop(future), record, is_new
        except BrokenProcessPool:
            failures += 1
            pending.extend(running.values())
    places = ", ".join(f"{shard.file}:{shard.line}" for shard in list(pending)[:workers])
    raise InputError(
        f"worker processes were killed {MAX_FAILURES} times in a row while they tagged the shards at {places}; if "
        "there was too little memory, choose fewer --workers or a smaller --shard-size"
    )


@contextmanager
def _pool(job: Job, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool whose processes end at once when the block is left by an exception, or this process is killed."""
    context = multiprocessing.get_context("spawn")
    receiver, lifeline = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(job, receiver))
    try:
        yield pool
        pool.shutdown()
    finally:
        lifeline.close()
        pool.shutdown(cancel_futures=True)
        receiver.close()


def _start(job: Job, lifeline: Connection) -> None:
    """Set up a worker process."""
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes; the first one decides

    def watch() -> None:
        lifeline.poll(None)  # until the other end is closed
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported


@cache
def _worker() -> Any:
    """Return the worker of this process, made by its first shard: exceptions of an initializer look like a kill."""
    from ner.bulk.work import Worker

    return Worker(_job)


def _process(shard: Shard) -> tuple[Record, bool]:
    result: tuple[Record, bool] = _worker().process(shard)
    return result
