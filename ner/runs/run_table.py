"""Runs side by side: a row for each run, means over seeds, and their tables."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from ner.runs.directory import folder_for
from ner.runs.record import Run, read_run

Format = Literal["table", "markdown", "csv", "json"]
FORMATS: tuple[Format, ...] = ("table", "markdown", "csv", "json")


@dataclass(frozen=True)
class RunRow:
    """Row of a run.

    Attributes:
        run: Path of its directory.
        recipe: Name of its configuration file; empty if the run has not recorded it.
        data: Training file.
        epochs: Number of epochs so far.
        score: Path of the score that selects the epoch.
        valid, test: That score of the kept epoch; None if it is not available.
        seconds: Duration; None if the run is unfinished.
        changes: Overrides of the configuration, by key.
    """

    run: str
    recipe: str
    data: str
    epochs: int
    score: str
    valid: float | None
    test: float | None
    seconds: float | None
    changes: Mapping[str, str]

    def cells(self) -> dict[str, Any]:
        """Return the row as plain values."""
        changes = " ".join(f"{key}={value}" for key, value in self.changes.items())
        return {**vars(self), "changes": changes}


def read_row(directory: Path) -> RunRow:
    """Return the row of a run directory.

    Raises:
        InputError: If a file of the run cannot be read.
    """
    run = read_run(directory)
    recipe, changes = _command(str(run.metrics.get("command", "")))
    path = str(run.section("training").get("monitor", ""))
    seconds = run.metrics.get("seconds")
    return RunRow(
        run=str(directory),
        recipe=recipe,
        data=str(run.section("data").get("train", "")),
        epochs=len(run.history),
        score=path,
        valid=_score(run.metrics.get("valid"), path) if run.metrics else _best(run, path),
        test=_score(run.metrics.get("test"), path),
        seconds=None if seconds is None else round(float(seconds), 1),
        changes=changes,
    )


def _command(command: str) -> tuple[str, dict[str, str]]:
    """Return the recipe and the overrides of the command that started a run."""
    api_call = re.match(r"ner\.train\('([^']+)'", command)
    if api_call:
        return api_call[1], {}
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if "--config" not in words[:-1]:
        return "", {}
    config = words[words.index("--config") + 1]
    recipe = folder_for(config).relative_to("runs").as_posix()
    options = {number + 1 for number, word in enumerate(words) if word in ("--config", "--init", "--plugin", "--run")}
    pairs = [word.partition("=") for number, word in enumerate(words) if "=" in word and number not in options]
    return recipe, {key: value for key, _, value in pairs if not key.startswith("-")}


def _score(scores: Any, path: str) -> float | None:
    for key in path.split("."):
        scores = scores.get(key) if isinstance(scores, Mapping) else None
    return float(scores) if isinstance(scores, (int, float)) else None


def _best(run: Run, path: str) -> float | None:
    """Return the validation score of the last epoch that was the best one."""
    column = "avg_val_loss" if path == "loss" else f"valid.{path}"
    best = [row[column] for row in run.history if row.get("best") and column in row]
    return best[-1] if best else None


def means(rows: Sequence[RunRow]) -> list[dict[str, Any]]:
    """Return means and standard deviations over runs that differ in the seed only.

    Returns:
        A row per recipe and changes. The deviation is that of a sample; it is None for a single run.
    """
    groups: dict[tuple[str, ...], list[RunRow]] = {}
    for row in rows:
        changes = " ".join(f"{key}={value}" for key, value in row.changes.items() if key != "seed")
        groups.setdefault((row.recipe, changes, row.score), []).append(row)
    table = []
    for (recipe, changes, score), members in groups.items():
        cells: dict[str, Any] = {"recipe": recipe, "changes": changes, "score": score, "runs": len(members)}
        for name in ("valid", "test", "seconds"):
            values = [value for row in members if (value := getattr(row, name)) is not None]
            cells[name] = fmean(values) if values else None
            cells[f"{name}_sd"] = stdev(values) if len(values) > 1 else None
        table.append(cells)
    return table


def render(rows: Sequence[Mapping[str, Any]], output_format: Format = "table") -> str:
    """Return rows with the same keys as text."""
    if output_format == "json":
        return json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n"
    columns = list(rows[0]) if rows else []
    if output_format == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([columns, *(["" if row[key] is None else row[key] for key in columns] for row in rows)])
        return text.getvalue()
    cells = [columns, *([_cell(key, row[key]) for key in columns] for row in rows)]
    if output_format == "markdown":
        escaped = [[cell.replace("|", "\\|") for cell in line] for line in cells]
        escaped.insert(1, ["---"] * len(columns))
        return "".join(f"| {' | '.join(line)} |\n" for line in escaped)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _cell(column: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if column.startswith("seconds") else f"{value:.4f}"
    return " ".join(str(value).split())
