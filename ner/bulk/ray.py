"""The engine ``ray``: Ray Data with one actor per worker (extra ``ray``).

The rows of the data set are the shards. Each actor reads and writes files by itself, so that all machines of a cluster
need the same shared folders. Ray starts actors again that died; shards that are complete are not tagged again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from typing import Any

from ner.bulk.job import Job, from_json
from ner.bulk.output import ADAPTER, Record
from ner.bulk.shards import Shard
from ner.errors import InputError, not_installed

OBJECT_STORE = 100 << 20
"""Bytes of the object store of a local Ray; rows are descriptions of shards."""


class Actor:
    """A worker in an actor.

    Args:
        job: The job as JSON.
    """

    def __init__(self, job: str) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"

        from ner.bulk.work import Worker

        self.worker = Worker(from_json(job))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Process a shard. Errors are returned, because Ray would repeat the work and wrap them in a traceback."""
        try:
            record, is_new = self.worker.process(Shard(*json.loads(row["shard"])))
        except InputError as error:
            return {"shard": row["shard"], "record": "", "is_new": False, "error": str(error)}
        return {"shard": row["shard"], "record": ADAPTER.dump_json(record).decode(), "is_new": is_new, "error": ""}


def run(job: Job, shards: Iterator[Shard], workers: int) -> Generator[tuple[Shard, Record, bool], None, None]:
    """Yield each shard with its record, and whether it was tagged now, when it is complete.

    Raises:
        InputError: If Ray is not installed, or a worker raises one.
    """
    # before the import: the options of today, and no messages of the processes of Ray about themselves
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not os.environ.get("RAY_ADDRESS"):  # otherwise Ray replaces the loopback address by that of the network
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise InputError(not_installed("ray", "'ray[data]'")) from None
    started_here = not ray.is_initialized()
    if started_here:
        _start(ray, workers)
    try:
        rows = [{"shard": json.dumps(shard)} for shard in shards]
        if not rows:
            return
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Actor,
            fn_constructor_args=(job.to_json(),),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        for row in results.iter_rows():
            if row["error"]:
                raise InputError(row["error"])
            yield Shard(*json.loads(row["shard"])), ADAPTER.validate_json(row["record"]), row["is_new"]
    finally:
        if started_here:
            ray.shutdown()


def _start(ray: Any, workers: int) -> None:
    """Connect to the cluster of ``RAY_ADDRESS``, or start Ray on the loopback interface of this machine."""
    import logging

    log_options = {"logging_level": logging.ERROR, "log_to_driver": False}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**log_options)
        return
    ray.init(
        num_cpus=workers,
        object_store_memory=OBJECT_STORE,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        **log_options,
    )
