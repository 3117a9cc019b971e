"""The work on a shard: a pure function of its bytes, the model and the options, and the worker that stores its result.

Several workers may do the same shard: they write the same bytes. An engine therefore only has to run every shard at
least once, and every record is in the output exactly once.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.bulk import output, shards
from ner.bulk.invalid import without_invalid
from ner.bulk.job import Job
from ner.bulk.output import Record, Tagged
from ner.bulk.shards import Shard
from ner.data.formats import arrow, conll
from ner.errors import InputError, NonFiniteLossError
from ner.types import Document, TagQuery

if TYPE_CHECKING:
    from ner.inference.rewriting import Rewriter


class Worker:
    """A worker of a job, which loads the model when a shard needs it.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.output = job.output_directory()
        self._options = json.dumps(job.options, sort_keys=True).encode()

    def process(self, shard: Shard) -> tuple[Record, bool]:
        """Return the record of a shard, and whether it was tagged now. A verified output is not computed again.

        Raises:
            InputError: If the input cannot be read, or the model cannot be used.
        """
        data = shards.read(shard, self.job.format)
        location = f"\n{shard.file}\n{shard.line}\n{shard.tabs} {shard.marked} {shard.scheme}\n".encode()
        key = hashlib.sha256(self._options + location + hashlib.sha256(data).digest()).hexdigest()
        record = self.output.verified(shard.number, key)
        if record is not None:
            return record, False
        rewriter = self.rewriter
        self._log_start(shard)
        return self.output.store(shard.number, key, tag(data, shard, rewriter, self.job)), True

    @cached_property
    def rewriter(self) -> Rewriter:
        """Load the model, with one thread."""
        return load(self.job)

    def _log_start(self, shard: Shard) -> None:
        """Append to the log of starts, which shows after a crash which shards were being tagged, and where."""
        origin = {"host": socket.gethostname(), "process": os.getpid(), "time": round(time.time(), 3)}
        line = json.dumps({"shard": shard.number, "file": shard.file, "line": shard.line, **origin}, ensure_ascii=False)
        with suppress(OSError), open(self.output.directory / output.RECORDS / output.STARTS, "ab") as file:
            file.write(f"{line}\n".encode())


def load(job: Job) -> Rewriter:
    """Return the tagger of a job with its format; torch and onnxruntime are limited to one thread.

    Raises:
        InputError: If the model is damaged, or does not support the format or the options.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # obeyed by onnxruntime, and by torch at its import

    from ner import load as load_tagger
    from ner.config.plugins import load_file
    from ner.data import tasks
    from ner.inference.rewriting import check_probabilities, rewriter
    from ner.portable.description import is_export
    from ner.runtime.log import set_up_log

    set_up_log(enabled=False)
    if not is_export(job.run):
        import torch

        torch.set_num_threads(1)
    for path in job.plugins:
        load_file(path)
    tagger = load_tagger(job.run, precision=job.precision)  # type: ignore[arg-type]
    for name in {job.format, *(["arrow"] if job.parquet else [])}:
        tasks.check_format(tagger.decoder_name, name, "--format", tagger.outputs)
        if job.scores:
            check_probabilities("--scores", name, tagger.outputs)
    return rewriter(tagger, Path(job.run), job.format_config(), "entity" if job.scores else "none")


def tag(data: bytes, shard: Shard, rewriter: Rewriter, job: Job) -> Tagged:
    """Return the output of a shard. Records that cannot be read are left out and reported.

    Args:
        data: Bytes of the shard.
        shard: Its place, for messages, and its layout.
        rewriter: Tagger and format.
        job: Options.

    Raises:
        InputError: If the predictions cannot be computed or stored.
    """
    scratch = Path(job.output) / output.RECORDS  # where a later run removes what a killed process leaves
    with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=scratch) as folder:
        source, target = Path(folder, "in.arrow" if job.format == "arrow" else "in"), Path(folder, "out.parquet")

        def read(content: bytes) -> Iterator[Document]:
            source.write_bytes(content)
            return read_shard(source, shard, rewriter)

        try:
            try:
                return _tag(_placed(read(data), shard), source, target, rewriter, job)
            except InputError:
                valid_data, errors = without_invalid(data, shard, source, rewriter.source, read)
                if not errors:
                    raise
                documents = read(valid_data) if valid_data else iter(())
                return _tag(documents, source, target, rewriter, job)._replace(errors=errors)
        except NonFiniteLossError as error:
            raise InputError(str(error)) from None  # an exception that can be sent to another process
        except InputError as error:
            raise InputError(str(error).replace(str(source), shard.file)) from None


def _placed(documents: Iterator[Document], shard: Shard) -> Iterator[Document]:
    """Yield documents with the places of their examples in the input, for messages."""
    for document in documents:
        for example in document.examples:
            example.source, example.line = shard.file, shard.line + example.line - 1
        yield document


def _tag(documents: Iterator[Document], source: Path, target: Path, rewriter: Rewriter, job: Job) -> Tagged:
    rows = words = 0
    query: dict[str, Any] = {}
    if job.scores and getattr(getattr(rewriter.tagger, "model", None), "tag_decoder", None) is not None:
        query = {"query": TagQuery()}  # as ner predict --scores

    def predicted() -> Iterator[Document]:
        nonlocal rows, words
        for chunk in rewriter.tagger.annotate(documents, probabilities=job.scores, **query):
            for document in chunk.predicted:
                rows += len(document.examples)
                words += sum(len(example.words) for example in document.examples)
                yield document

    if isinstance(rewriter.target, arrow.Config):
        has_labels = "labels" in rewriter.tagger.outputs
        arrow.write(str(target), predicted(), rewriter.target, arrow.read_schema(str(source)), has_labels)
    elif job.parquet:
        arrow.write(str(target), predicted(), arrow.Config(), has_labels="labels" in rewriter.tagger.outputs)
    else:
        rewriter.write(str(target), predicted())
    return Tagged(target.read_bytes(), rows, words, [])


def read_shard(path: Path, shard: Shard, rewriter: Rewriter) -> Iterator[Document]:
    """Yield the documents of a file that contains a shard, or some of its records."""
    config = rewriter.source
    if isinstance(config, conll.Config):
        layout = conll.Layout(shard.tabs, 0, config.scheme, shard.marked)
        with open(path, "rb") as file:
            yield from rewriter.check(conll.documents(file, str(path), config, layout, for_rewriting=True))
    elif config.name == "jsonl" and not path.read_bytes().strip():
        yield Document([], source_lines=[path.read_text(encoding="utf-8")])  # a file would be refused
    else:
        scheme_option = {"scheme": shard.scheme} if shard.scheme else {}
        yield from replace(rewriter, source=config.model_copy(update=scheme_option)).read(str(path))
