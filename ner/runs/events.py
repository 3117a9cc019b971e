"""What happened to a training besides learning: a file with a line for each event."""

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
    """A change while a run trained.

    Attributes:
        step: Steps made before it.
        epoch: Epochs finished before it.
        kind: ``control`` for what somebody asked for; otherwise what the training did by itself.
        change: In the words in which it was asked for: ``batch.size=64``.
        id: Of the request, so that none is met twice.
    """

    step: int
    epoch: int
    kind: str
    change: str
    id: str = ""


def write(run: Path, events: Iterable[Event]) -> None:
    """Keep the events of a run where a later start finds them, also one from an older checkpoint.

    Raises:
        InputError: If the file cannot be written.
    """
    lines = [json.dumps(asdict(event), ensure_ascii=False) + "\n" for event in events]
    atomic.write_bytes(run / FILE, "".join(lines).encode())


def read(run: Path) -> list[Event]:
    """The events of a run; none if it has no such file.

    Raises:
        InputError: If a line is no event.
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
            found = json.loads(line)
            what = str(found["kind"]), str(found["change"]), str(found.get("id", ""))
            events.append(Event(int(found["step"]), int(found["epoch"]), *what))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InputError(
                f"{path}:{number}: expected an object with step, epoch, kind and change, found {line[:60]!r}"
            ) from None
    return events
