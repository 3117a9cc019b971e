"""Events of a training, such as live changes: ``events.jsonl`` with a JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ner.errors import InputError
from ner.runtime import atomic

FILE = "events.jsonl"


@dataclass(frozen=True)
class Event:
    """Change during a training.

    Attributes:
        step: Number of steps before it.
        epoch: Number of finished epochs before it.
        kind: ``control`` for a request of the user; otherwise the part of the training that made the change.
        change: Change in the form of the request, such as ``batch.size=64``.
        id: Identifier of the request, so that none is applied twice.
    """

    step: int
    epoch: int
    kind: str
    change: str
    id: str = ""


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
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    events = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            texts = str(record["kind"]), str(record["change"]), str(record.get("id", ""))
            events.append(Event(int(record["step"]), int(record["epoch"]), *texts))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InputError(
                f"{path}:{number}: expected an object with step, epoch, kind and change, found {line[:60]!r}"
            ) from None
    return events
