"""Shards: consecutive records of an input file, cut by their number, so the cut depends on the input alone.

A shard is a whole number of chunks of ``ner predict`` (:data:`ner.data.batching.CHUNK`). Each chunk is therefore cut
into the same batches in both commands, and their outputs are equal byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import BinaryIO, NamedTuple

from ner.config.base import ComponentConfig
from ner.data.batching import CHUNK
from ner.data.formats import arrow, conll
from ner.errors import InputError
from ner.runtime import text_files

FORMATS = ("text", "jsonl", "conll", "arrow")
"""Formats whose files can be cut."""
BOM = "\ufeff".encode()


class Shard(NamedTuple):
    """A part of a file.

    Attributes:
        number: Number among all shards of a job, from 0.
        file: Path of the file.
        start, stop: Range of bytes, or of rows of a Parquet file.
        line: Number of its first line or row, from 1.
        total: Bytes or rows of the file.
        tabs, marked: Layout of a CoNLL file, see :class:`ner.data.formats.conll.Layout`.
        scheme: Tagging scheme of the gold tags of a Parquet file.
    """

    number: int
    file: str
    start: int
    stop: int
    line: int
    total: int
    tabs: bool = False
    marked: bool = False
    scheme: str = ""


def cut(files: Sequence[str], config: ComponentConfig, size: int) -> Iterator[Shard]:
    """Yield the shards of files in order; a file is read once while its shards are yielded.

    Args:
        files: Paths.
        config: Options of their format.
        size: Records in a shard, a multiple of :data:`~ner.data.batching.CHUNK`. Records are lines, rows, or sentences.

    Raises:
        InputError: If a file cannot be read.
    """
    numbers = count()
    for file in files:
        if isinstance(config, arrow.Config):
            total = arrow.count_rows(file)
            scheme = arrow.detect_scheme(file, config)
            for start in range(0, total, size):
                yield Shard(next(numbers), file, start, min(start + size, total), start + 1, total, scheme=scheme)
            continue
        with text_files.open_bytes(file) as source:
            total = source.seek(0, 2)
            layout = (False, False)
            if isinstance(config, conll.Config):
                layout = _conll_layout(source, config)
                borders = _conll_borders(source, config, layout[1], size // CHUNK)
            else:
                borders = _line_borders(source, size)
            start, line = 0, 1
            for stop, next_line in borders:
                yield Shard(next(numbers), file, start, stop, line, total, *layout)
                start, line = stop, next_line


def _line_borders(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield the byte after each ``size`` lines, and the number of the line that starts there."""
    file.seek(0)
    position, line = 0, 1
    while lengths := list(map(len, islice(file, size))):
        position, line = position + sum(lengths), line + len(lengths)
        yield position, line


def _conll_layout(file: BinaryIO, config: conll.Config) -> tuple[bool, bool]:
    """Return whether tabs separate the columns, and whether there are document marks; bytes are not decoded."""
    file.seek(0)
    row, marked = None, False
    for line, raw in enumerate(file, 1):
        if row is None or raw.startswith(b"-DOCSTART-") or line == 1:
            if _is_separator(raw, line, config):
                marked = marked or b"-DOCSTART-" in raw
            else:
                row = row or raw
        if row and marked:
            break
    return config.separator == "tab" or (config.separator == "auto" and b"\t" in (row or b"")), marked


def _is_separator(raw: bytes, line: int, config: conll.Config) -> bool:
    """Return whether a line is blank or a document mark, which are ASCII in every supported encoding."""
    return conll.is_separator((raw.removeprefix(BOM) if line == 1 else raw).decode("latin-1"), config)


def _conll_borders(file: BinaryIO, config: conll.Config, marked: bool, chunks: int) -> Iterator[tuple[int, int]]:
    """Yield the byte and the line after each number of chunks, which end with a document like those of predict."""
    file.seek(0)
    limit = conll.MAX_SENTENCES if marked else 1
    position, sentences, num_examples, num_chunks = 0, 0, 0, 0  # sentences of the document, examples of the chunk
    starts_document = in_sentence = False
    last_row_end = (0, 1)  # after the last row
    line = 1
    for raw in file:
        if _is_separator(raw, line, config):
            in_sentence = False
            starts_document = starts_document or b"-DOCSTART-" in raw
        elif not in_sentence:
            if sentences and (starts_document or sentences >= limit):
                num_examples, sentences = num_examples + sentences, 0
                if num_examples >= CHUNK:
                    num_examples, num_chunks = 0, num_chunks + 1
                    if num_chunks == chunks:
                        yield last_row_end
                        num_chunks = 0
            sentences, in_sentence, starts_document = sentences + 1, True, False
        position, line = position + len(raw), line + 1
        if in_sentence:
            last_row_end = position, line
    if position:
        yield position, line


def read(shard: Shard, name: str) -> bytes:
    """Return the bytes of a shard; the rows of a Parquet file are an Arrow stream.

    Raises:
        InputError: If the file cannot be read, or has become shorter.
    """
    if name == "arrow":
        return arrow.read_range(shard.file, shard.start, shard.stop)
    with text_files.open_bytes(shard.file) as file:
        file.seek(shard.start)
        data = file.read(shard.stop - shard.start)
    if len(data) < shard.stop - shard.start:
        raise InputError(f"{shard.file}: has become shorter since it was cut; start again when the file is complete")
    # only at the start of a file is it a byte order mark, which readers remove
    return BOM + data if shard.start and data.startswith(BOM) else data
