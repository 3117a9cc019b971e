"""Tables of figures without a peer, as ``render.py`` shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"


def keep(name: str, title: str, command: str, note: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write ``<name>.extra.json`` and print the rows."""
    kept = {"title": title, "command": command, "note": note, "columns": columns, "rows": rows}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.extra.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(*rows, sep="\n")
