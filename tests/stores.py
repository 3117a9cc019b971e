"""Documents for stores, and what must not be left beside one."""

from __future__ import annotations

from pathlib import Path

from ner.types import Document, Example, Span


def sentences(count: int = 5) -> list[Document]:
    """Two documents of as many sentences, with everything that is counted."""
    tags = ["B-PER", "O", "I-PER"]
    return [
        Document(
            [Example([f"w{i}", "und", "é"], [Span(0, 1, "PER"), Span(0, 3, "ORG")], tags, ["x"]) for i in range(count)],
            id=name,
        )
        for name in ("0", "b")
    ]


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".part")]
