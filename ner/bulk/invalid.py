"""Search for the invalid records of a shard by bisection, so that one of them does not stop the others."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ner.bulk.shards import Shard
from ner.config.base import ComponentConfig
from ner.data.formats import arrow, conll
from ner.errors import InputError


class TextRecords:
    """Lines with the blank lines before them, or sentences with the separators before them.

    Attributes:
        lines: Number of the first line of each record.
    """

    def __init__(self, data: bytes, first: int, config: ComponentConfig) -> None:
        self.parts: list[bytes] = []
        self.lines: list[int] = []
        record, start, in_sentence = b"", first, False  # a row of a sentence follows its other rows
        for line, line_bytes in enumerate(io.BytesIO(data), first):
            if isinstance(config, conll.Config):
                is_record = not conll.is_separator(line_bytes.decode("latin-1"), config)
            else:
                is_record = config.name == "text" or bool(line_bytes.strip())
            if is_record and in_sentence:
                self.parts[-1] += line_bytes
                continue
            record = record + line_bytes if record else line_bytes
            start = line if record == line_bytes else start
            if is_record:
                self.parts.append(record)
                self.lines.append(start)
                record = b""
            in_sentence = is_record and config.name == "conll"
        if record and self.parts:
            self.parts[-1] += record

    def take(self, numbers: Sequence[int]) -> bytes:
        """Return the bytes of some records."""
        return b"".join(self.parts[number] for number in numbers)


class RowRecords:
    """Rows of an Arrow stream.

    Attributes:
        lines: Number of each row.
    """

    def __init__(self, data: bytes, first: int) -> None:
        self.data = data
        self.lines = range(first, first + arrow.count_stream_rows(data))

    def take(self, numbers: Sequence[int]) -> bytes:
        """Return a stream of some rows."""
        return arrow.take_rows(self.data, numbers) if numbers else b""


def without_invalid(
    data: bytes,
    shard: Shard,
    path: Path,
    config: ComponentConfig,
    read: Callable[[bytes], Iterable[Any]],
) -> tuple[bytes, list[dict[str, Any]]]:
    """Return the bytes of the records that can be read, and an error with file and line for each of the others.

    Args:
        data: Bytes of the shard.
        shard: Its place.
        path: Path that messages of ``read`` contain.
        config: Options of the format.
        read: Function that reads bytes.
    """
    records: RowRecords | TextRecords
    records = RowRecords(data, shard.line) if config.name == "arrow" else TextRecords(data, shard.line, config)
    errors: dict[int, dict[str, Any]] = {}

    def search(numbers: Sequence[int]) -> None:
        try:
            deque(read(records.take(numbers)), maxlen=0)
        except InputError as error:
            if len(numbers) > 1:
                middle = len(numbers) // 2
                search(numbers[:middle])
                search(numbers[middle:])
                return
            message, line = str(error), records.lines[numbers[0]]
            if match := re.match(re.escape(str(path)) + r":([0-9]+): ", message):
                message, line = message[match.end() :], line + int(match[1]) - 1
            errors[numbers[0]] = {"file": shard.file, "line": line, "error": message.replace(str(path), shard.file)}

    numbers = range(len(records.lines))
    search(numbers)
    return records.take([number for number in numbers if number not in errors]), list(errors.values())
