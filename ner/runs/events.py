"""Events of a training, such as live changes: ``events.jsonl`` with a JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, TypeAdapter

from ner.errors import InputError
from ner.runtime import atomic, json_files

FILE = "events.jsonl"
Count = Annotated[int, Field(ge=0, lt=1 << 53)]
"""Number of steps, epochs or sentences."""
MAX_EVENTS = 10_000
"""Events of a run, at most."""


class Change(NamedTuple):
    """A changed setting, such as ``batch.size=64``, or a requested action, such as ``save=now``."""

    key: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Change:
        """Return the change of a text ``key=value``; the value is empty without an equals sign."""
        key, _, value = text.partition("=")
        return cls(key, value)


@dataclass(frozen=True)
class Event:
    """Change during a training.

    Attributes:
        step: Number of steps before it.
        epoch: Number of finished epochs before it.
        kind: ``control`` for a request of the user; otherwise the part of the training that made the change.
        change: For ``control`` and ``auto`` a :class:`Change`, such as ``batch.size=64``; otherwise a description.
        id: Identifier of the request, so that none is applied twice.
    """

    step: Count
    epoch: Count
    kind: str
    change: str
    id: str = ""


EVENT = TypeAdapter(Event)


def write(run: Path, events: Iterable[Event]) -> None:
    """Write the events of a run, which a later start reads even from an older checkpoint.

    Raises:
        InputError: If the file cannot be written.
    """
    lines = [json.dumps(asdict(event), ensure_ascii=False) + "\n" for event in events]
    atomic.write_bytes(run / FILE, "".join(lines).encode())


def read(run: Path) -> list[Event]:
    """Read the events of a run; empty if it has no such file.

    Raises:
        InputError: If the file cannot be read, or a line is not an event.
    """
    path = run / FILE
    if not path.exists():
        return []
    lines = json_files.read_bytes(path).splitlines()
    if len(lines) > MAX_EVENTS:
        raise InputError(f"{path}: more than {MAX_EVENTS:,} lines, which no training writes")
    return [json_files.parse_json(line, EVENT, f"{path}:{number}") for number, line in enumerate(lines, 1)]
