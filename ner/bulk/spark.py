"""The work on Spark: the rows of a data frame are shards, each of which a Python worker reads, tags and writes.

There is no option for it, because programs for Spark start with ``spark-submit``; see ``docs/bulk.md``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

from ner.bulk.job import Job, from_json
from ner.bulk.shards import Shard


def run(job: Job, session: Any) -> dict[str, Any]:
    """Run a job and return its summary.

    Args:
        job: The job, see :func:`ner.bulk.job.create`. All machines need its paths.
        session: A ``pyspark.sql.SparkSession``.

    Raises:
        InputError: If an input cannot be read, or the output belongs to another job.
        pyspark.errors.PythonException: If a worker fails.
    """
    output = job.output_directory()
    with output.locked(job.identity):
        rows = [(json.dumps(shard),) for shard in job.shards()]
        if rows:
            frame = session.createDataFrame(session.sparkContext.parallelize(rows, len(rows)), "shard string")
            frame.mapInPandas(partial(tag, job.to_json()), "number int").collect()
        return output.finish(len(rows))


def tag(job: str, frames: Iterator[Any]) -> Iterator[Any]:
    """Process the shards of data frames, for ``mapInPandas``; yield data frames of their numbers."""
    import pandas

    for frame in frames:
        records = [_worker(job).process(Shard(*json.loads(shard)))[0] for shard in frame["shard"]]
        yield pandas.DataFrame({"number": [record.number for record in records]})


@lru_cache(1)
def _worker(job: str) -> Any:
    """Return the worker of this process, which Spark uses for many shards."""
    os.environ["OMP_NUM_THREADS"] = "1"

    from ner.bulk.work import Worker

    return Worker(from_json(job))
