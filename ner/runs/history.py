"""History of a run: the epochs of ``history.csv``, and their summary as a Markdown table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ner.errors import InputError
from ner.runtime import atomic
from ner.runtime.json_files import read_bytes

LEARNING_RATE = "learning_rate."
"""Prefix of the columns that hold the learning rate of a parameter group."""
SCORES = {
    "accuracy": ("tag.accuracy", "accuracy.accuracy", "answer.exact"),
    "precision": ("entity.micro.precision", "accuracy.macro.precision"),
    "recall": ("entity.micro.recall", "accuracy.macro.recall"),
    "f1": ("entity.micro.f1", "accuracy.macro.f1", "answer.f1"),
    "weighted_f1": ("tag.weighted_f1", "accuracy.weighted.f1"),
}
"""Columns that repeat a score under a short name, and the paths of the scores that they can repeat."""
SUMMARY = ("avg_train_loss", "avg_val_loss", *SCORES)
"""Columns of the Markdown table, besides epoch, learning rates and batch size."""
BEST_MARK = "★"


def score_columns(metrics: Iterable[str]) -> dict[str, str]:
    """Return the path of the score for each column of :data:`SCORES`; the first matching metric is used."""
    metrics = list(metrics)
    candidates = {
        column: [path for metric in metrics for path in paths if path.startswith(f"{metric}.")]
        for column, paths in SCORES.items()
    }
    return {column: paths[0] for column, paths in candidates.items() if paths}


def read_history(path: Path) -> list[dict[str, float]]:
    """Read ``history.csv``: a mapping for each epoch, without its empty cells.

    Raises:
        InputError: If the file cannot be read, or a cell is not a number.
    """
    if not path.is_file():
        raise InputError(f"{path}: cannot be read: no such file; is this a run directory?")
    rows = []
    try:
        text = io.StringIO(read_bytes(path).decode(), newline="")
        for number, row in enumerate(csv.DictReader(text), 2):
            rows.append({key: _number(value, key, f"{path}:{number}") for key, value in row.items() if value})
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    return rows


def _number(value: Any, column: str, location: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):  # TypeError: csv collects the cells beyond the last column in a list
        raise InputError(f"{location}: expected a number in column {column}, found {value!r}") from None


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a CSV file, with the columns in the order of their first appearance.

    Raises:
        InputError: If the file cannot be written.
    """
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    # Python before 3.13 writes a carriage return without the quotes that it needs to be read
    quotes: dict[str, Any] = {"quoting": csv.QUOTE_NONNUMERIC} if any("\r" in column for column in columns) else {}
    writer = csv.DictWriter(text, columns, lineterminator="\n", **quotes)
    writer.writeheader()
    writer.writerows(rows)
    atomic.write_bytes(path, text.getvalue().encode())


def history_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the epochs as a Markdown table: losses, validation scores, learning rates, batch size and best epochs.

    Args:
        rows: Rows of ``history.csv``. A missing value leaves its cell empty.
    """
    rates = list(dict.fromkeys(key for row in rows for key in row if key.startswith(LEARNING_RATE)))
    formats = {"epoch": ".0f", **dict.fromkeys(SUMMARY, ".4f"), **dict.fromkeys(rates, ".3g"), "batch_size": ".0f"}
    table = [
        {key: f"{float(row[key]):{spec}}" for key, spec in formats.items() if row.get(key) not in (None, "")}
        | {"best": BEST_MARK if row.get("best") else ""}
        for row in rows
    ]
    return markdown_table([*formats, "best"], table)


def markdown_table(header: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """Return a Markdown table whose rows map columns to cell texts.

    Raises:
        KeyError: If a row has a column that the header lacks.
    """
    lines = [[_escape(column) for column in header], ["---"] * len(header)]
    for row in rows:
        if unknown := set(row) - set(header):
            raise KeyError(f"no such column: {', '.join(sorted(unknown))}")
        lines.append([_escape(row.get(column, "")) for column in header])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
