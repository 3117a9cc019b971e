from __future__ import annotations

from pathlib import Path

import pytest

from ner.errors import InputError
from ner.runs import events
from ner.runs.events import Event


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    assert events.read(tmp_path) == []
    written = [Event(120, 3, "control", "batch.size=64", "a-1"), Event(130, 3, "skip", "Köln: NaN\nand more")]
    events.write(tmp_path, written)
    assert events.read(tmp_path) == written
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("line", ["{", "[1]", '{"step": 1}', '{"step": "x", "epoch": 1, "kind": "", "change": ""}'])
def test_a_line_that_is_no_event_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "events.jsonl").write_text(f"{line}\n")
    with pytest.raises(InputError, match="events.jsonl:1: "):
        events.read(tmp_path)
