"""Output directory of a job: a file per shard, and a record beside it with which a later run verifies the file.

A file is written under a temporary name, flushed to disk and renamed, its record afterwards. Whatever is interrupted,
a file whose record verifies is complete; all other files are written again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from ner.errors import InputError, reason
from ner.runs.lock import held
from ner.runtime import atomic
from ner.runtime.json_files import read_json

RECORDS = "_bulk"
"""Folder of the records, the lock and the log of starts; readers of data sets ignore names with an underscore."""
ERRORS, SUMMARY = "errors.jsonl", "summary.json"
JOB, LOCK, STARTS = "job.json", "lock", "starts.jsonl"

Count = Annotated[int, Field(ge=0)]


class Tagged(NamedTuple):
    """Result of a shard: bytes of the output file, counts, and an error for each record that was left out."""

    data: bytes
    rows: int
    words: int
    errors: list[dict[str, Any]]


@dataclass(frozen=True)
class Record:
    """Record of a shard.

    Attributes:
        number: Number of the shard.
        key: SHA-256 of everything on which the output depends: bytes of the input, model, options, versions.
        sha256, bytes: Checksum and size of the output.
        rows, words: Records and words in the output.
        errors: Records of the input that could not be read: file, line, error.
    """

    number: Count
    key: str
    sha256: str
    bytes: Count
    rows: Count
    words: Count
    errors: list[dict[str, str | int]]


ADAPTER = TypeAdapter(Record)
IDENTITY = TypeAdapter(dict[str, Any])


class Output:
    """Output directory.

    Args:
        directory: The directory.
        suffix: Suffix of the files, such as ``jsonl``.
    """

    def __init__(self, directory: Path, suffix: str) -> None:
        self.directory, self.suffix = directory, suffix

    def part(self, number: int) -> Path:
        """Return the path of the output of a shard."""
        return self.directory / f"part-{number:06}.{self.suffix}"

    def record(self, number: int) -> Path:
        """Return the path of the record of a shard."""
        return self.directory / RECORDS / f"{number:06}.json"

    def verified(self, number: int, key: str) -> Record | None:
        """Return the record of a shard if the record has this key and the file has its checksum."""
        part = self.part(number)
        with suppress(InputError, OSError):
            record = read_json(self.record(number), ADAPTER)
            if record.number == number and record.key == key and part.stat().st_size == record.bytes:
                with open(part, "rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() == record.sha256:
                        return record
        return None

    def store(self, number: int, key: str, tagged: Tagged) -> Record:
        """Write the output of a shard, then its record."""
        digest = hashlib.sha256(tagged.data).hexdigest()
        record = Record(number, key, digest, len(tagged.data), tagged.rows, tagged.words, tagged.errors)
        atomic.write_bytes(self.part(number), tagged.data)
        atomic.write_bytes(self.record(number), ADAPTER.dump_json(record))
        return record

    def finish(self, shards: int) -> dict[str, Any]:
        """Write ``errors.jsonl`` and ``summary.json`` of a complete job, remove what is left of more shards, and
        return the summary.
        """
        totals = dict.fromkeys(("rows", "words", "bytes", "errors"), 0)
        digest = hashlib.sha256()
        with atomic.new_file(self.directory / ERRORS) as temporary, temporary.open("w", encoding="utf-8") as file:
            for number in range(shards):
                record = read_json(self.record(number), ADAPTER)
                digest.update(f"{record.sha256}  {self.part(number).name}\n".encode())
                for name in ("rows", "words", "bytes"):
                    totals[name] += getattr(record, name)
                totals["errors"] += len(record.errors)
                file.writelines(json.dumps(error, ensure_ascii=False) + "\n" for error in record.errors)
        for path in (*self.directory.glob("part-*.*"), *(self.directory / RECORDS).glob("[0-9]*.json")):
            digits = path.stem.removeprefix("part-")
            if digits.isdecimal() and (int(digits) >= shards or path.suffix not in (f".{self.suffix}", ".json")):
                path.unlink()
        self._remove_temporary()
        summary = {"shards": shards, **totals, "sha256": digest.hexdigest()}
        atomic.write_bytes(self.directory / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())
        return summary

    @contextmanager
    def locked(self, identity: Mapping[str, Any]) -> Iterator[None]:
        """Hold the lock of the directory inside the block; create it, and remove what killed processes left in it.

        Args:
            identity: Values that distinguish jobs.

        Raises:
            InputError: If another process holds it, or it contains the results of another job or other files.
        """
        directory, records = self.directory, self.directory / RECORDS
        try:
            entries = sorted(path.name for path in directory.iterdir()) if directory.exists() else []
        except OSError as error:
            raise InputError(f"{directory}: cannot be written: {reason(error)}") from None
        if entries and not records.is_dir():
            raise InputError(f"--output {directory}: contains other files ({entries[0]}); choose an empty directory")
        with held(records / LOCK, f"--output {directory}: {{holder}} writes to this directory; wait for its end"):
            stored = read_json(records / JOB, IDENTITY) if (records / JOB).exists() else dict(identity)
            for name, value in identity.items():
                if stored.get(name) != value:
                    raise InputError(
                        f"--output {directory}: contains the results of a job with {name} "
                        f"{_short(stored.get(name))}, not {_short(value)}; choose another directory"
                    )
            atomic.write_bytes(records / JOB, json.dumps(dict(identity)).encode())
            (directory / SUMMARY).unlink(missing_ok=True)
            self._remove_temporary()
            yield

    def _remove_temporary(self) -> None:
        """Remove the temporary files and folders of killed processes."""
        for path in (*self.directory.glob(".*.part"), *(self.directory / RECORDS).glob(".*.part")):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:100]} ... {text[-80:]}"
