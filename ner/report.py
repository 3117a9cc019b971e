"""What people look at after a run."""

from __future__ import annotations

import csv
from pathlib import Path

from ner.types import InputError


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a ``history.csv``: an epoch each.

    Raises:
        InputError: If there is no such file.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; is this a run directory?") from None


def plot_history(history: list[dict[str, float]], path: Path, title: str, score: str = "entity.micro.f1") -> None:
    """A picture of loss and score over the epochs, the kept epoch marked.

    Args:
        history: As :func:`read_history` gives it.
        path: Of the picture; the extension says its kind.
        title: Above the picture.
        score: Path of the score, as in ``training.monitor``.

    Raises:
        InputError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("ner plot needs matplotlib; pip install 'ner-crf[plot]'") from None

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    kept = [row["epoch"] for row in history if row["best"]][-1]
    for split, colour in (("train", "tab:gray"), ("valid", "tab:blue")):
        for axes, name in ((left, f"{split}.loss"), (right, f"{split}.{score}")):
            if all(name in row for row in history):
                axes.plot(epochs, [row[name] for row in history], marker="o", markersize=3, color=colour, label=split)
    for axes, label in ((left, "loss per word"), (right, score)):
        axes.axvline(kept, color="tab:red", linewidth=1, linestyle=":", label=f"kept: epoch {kept:.0f}")
        axes.set_xlabel("epoch")
        axes.set_title(label, fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    left.set_ylim(bottom=0)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=120)
