"""Results of trainings as they were recorded by ``measure.py``, and their figures as text."""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def load(folder: Path = ROOT / "results") -> dict[str, dict[str, Any]]:
    """Read the results of trainings, by name."""
    results = {path.stem: json.loads(path.read_bytes()) for path in folder.glob("*.json")}
    results = {name: result for name, result in results.items() if "command" in result}
    return dict(sorted(results.items(), key=lambda item: (title_of(item[1]), item[1]["seed"])))


def title_of(result: dict[str, Any]) -> str:
    """Return the configuration and the overrides other than data and seed."""
    words = shlex.split(result["command"])
    changed = [
        word
        for word in words
        if "=" in word and not word.startswith(("data.", "seed=", "encoder.vectors=", "training.log_every="))
    ]
    return " ".join([result["config"], *changed])


KNOWN_BY = ("answer", "sentence", "accuracy", "entity")
"""The first of these metrics that a result contains determines its table."""


def kind_of(result: dict[str, Any]) -> str:
    """Return the metric that determines the table of a result."""
    scored = result.get("test") or result["valid"]
    return next(name for name in KNOWN_BY if name in scored)


def minutes_of(result: dict[str, Any]) -> float:
    """Return the processor time if it was recorded, otherwise the time of the command."""
    seconds: float = result.get("processor_seconds", result["seconds"])
    return seconds / 60


def at(result: dict[str, Any], path: str) -> float | None:
    """Return the value at a dotted path, or None."""
    value: Any = result
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def percent(figures: list[float | None]) -> str:
    """Return the mean as a percentage, or an empty string if a figure is missing."""
    known = [figure for figure in figures if figure is not None]
    return f"{100 * sum(known) / len(known):.2f}" if figures and len(known) == len(figures) else ""


def mean_and_deviation(figures: list[float | None]) -> str:
    """Return the mean and the sample standard deviation as percentages, or an empty string if a figure is missing."""
    known = [figure for figure in figures if figure is not None]
    if len(known) < len(figures):
        return ""
    return f"{100 * statistics.mean(known):.2f} ± {100 * statistics.stdev(known):.2f}"


def spread(figures: list[float]) -> str:
    """Return the mean, and the range if there are several figures."""
    mean = sum(figures) / len(figures)
    return f"{mean:.3f}" if len(figures) == 1 else f"{mean:.3f} ({min(figures):.3f} to {max(figures):.3f})"


def between(text: str, name: str, content: str) -> str:
    """Return the text with the content between two marks replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    assert begin in text, f"no mark {name}"
    assert end in text, f"no mark of the end of {name}"
    head, _, rest = text.partition(begin)
    return f"{head}{begin}{content}\n{end}{rest.partition(end)[2]}"


def filled(path: Path, makers: dict[str, Callable[[Any], str]], source: Path) -> str:
    """Return a document with its tables replaced by those of the JSON files in ``source``."""
    text = path.read_text(encoding="utf-8")
    for name, make in makers.items():
        kept = source / f"{name}.json"
        if kept.is_file():
            text = between(text, name, make(json.loads(kept.read_bytes())))
    return text
