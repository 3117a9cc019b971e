"""Tag large files in shards, on the processors of this machine or on a Ray cluster; continue after interruptions."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from ner.commands import _plugins
from ner.errors import InputError, counted
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.bulk.shards import Shard

INTERVAL = 60
"""Seconds between two lines of progress where no bar is shown."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner bulk``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory or export; default the newest run below runs/")
    help = "files, or directories of files; text, JSON Lines, CoNLL or Parquet"
    parser.add_argument("--input", metavar="PATH", nargs="+", required=True, help=help)
    help = "directory for a file per shard, errors.jsonl and summary.json; a second run continues there"
    parser.add_argument("--output", metavar="DIR", required=True, help=help)
    help = "format of the input: text, jsonl, conll or arrow (Parquet); default: format of the training data"
    parser.add_argument("--format", metavar="NAME", help=help)
    help = "format of the output: that of ner predict (default) or Parquet"
    parser.add_argument("--to", choices=["same", "parquet"], default="same", help=help)
    parser.add_argument("overrides", nargs="*", metavar="data.format.key=value", help="options of the input format")
    parser.add_argument("--scores", action="store_true", help="add the probability of each entity and label")
    help = "precision of a run (default: that of the run); int8 requires a CPU"
    parser.add_argument("--precision", choices=["run", "fp32", "bf16", "int8"], default="run", help=help)
    help = "local: processes on this machine (default); ray: Ray Data, on a cluster if RAY_ADDRESS is set"
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help=help)
    help = "worker processes, each with one thread (default: one per processor)"
    parser.add_argument("--workers", type=cli.positive, metavar="N", help=help)
    help = "lines, rows or sentences in a shard, a multiple of 2000 (default 20000)"
    parser.add_argument("--shard-size", type=cli.positive, metavar="N", default=20_000, help=help)
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _bulk(arguments)
    return status.code


def _bulk(arguments: argparse.Namespace) -> None:
    from loguru import logger

    from ner.bulk import job as jobs
    from ner.runtime.log import set_up_log

    set_up_log(sys.stderr)
    job = jobs.create(
        arguments.run,
        arguments.input,
        arguments.output,
        arguments.format,
        arguments.to,
        overrides=tuple(arguments.overrides),
        scores=arguments.scores,
        precision=arguments.precision,
        shard_size=arguments.shard_size,
        plugins=tuple(os.path.abspath(path) for path in arguments.plugin),
    )
    if arguments.engine == "ray":
        from ner.bulk.ray import run
    else:
        from ner.bulk.local import run
    if not arguments.run:
        logger.info("run directory: {}", job.run)
    output = job.output_directory()
    num_shards = num_skipped = 0
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = arguments.workers or processors
    with (
        output.locked(job.identity),
        _Progress(job.inputs) as progress,
        closing(run(job, job.shards(), workers)) as results,
    ):
        for shard, record, is_new in results:
            if shard.number == 0 and record.errors and not record.rows:
                first_error = "{file}:{line}: {error}".format(**record.errors[0])
                raise InputError(f"{first_error}; no record of the first shard can be read, see --format")
            num_shards, num_skipped = num_shards + 1, num_skipped + (not is_new)
            progress.update(shard, record.words if is_new else 0)
        summary = output.finish(num_shards)
    logger.info(
        "{}, {:,} of them from an earlier run: {:,} records, {:,} words, {:,} words/s",
        *(
            counted(num_shards, "shard"),
            num_skipped,
            summary["rows"],
            summary["words"],
            round(progress.words / progress.seconds),
        ),
    )
    if summary["errors"]:
        logger.warning("{:,} records could not be read, see {}", summary["errors"], output.directory / "errors.jsonl")


class _Progress:
    """A bar with words per second and time left, or a line of the log every minute if there is no terminal.

    Args:
        files: Inputs.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.sizes = {file: os.path.getsize(file) for file in files}
        self.total = sum(self.sizes[file] for file in files)
        self.words, self.done, self.started = 0, 0.0, time.monotonic()
        self.logged = self.started

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def __enter__(self) -> _Progress:
        from ner.runtime.log import progress

        self.bar = progress(total=self.total, unit="B", unit_scale=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def update(self, shard: Shard, words: int) -> None:
        """Add a shard, and the words that were tagged in it now."""
        from loguru import logger

        size = self.sizes[shard.file] * (shard.stop - shard.start) / shard.total
        self.words, self.done = self.words + words, self.done + size
        speed = self.words / self.seconds
        self.bar.set_postfix_str(f"{speed:,.0f} words/s", refresh=False)
        self.bar.update(size)
        if self.bar.disable and time.monotonic() - self.logged > INTERVAL:
            self.logged = time.monotonic()
            seconds_left = self.seconds * (self.total - self.done) / self.done
            logger.info(
                "{:.1%}, {:,.0f} words/s, {:.0f} minutes left", self.done / self.total, speed, seconds_left / 60
            )


if __name__ == "__main__":
    sys.exit(main())
