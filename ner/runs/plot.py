"""Picture of a run: loss, score, learning rates and the F1 of single labels over the epochs (matplotlib)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.runs.events import Event
from ner.runs.history import LEARNING_RATE
from ner.types import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History = Sequence[Mapping[str, float]]
Curve = tuple[list[float], list[float]]

CJK_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB"),
    *("Heiti TC", "Arial Unicode MS"),
)
"""Fonts for the characters that the first font lacks; labels are in the language of the data."""
MAX_LABELS = 12
"""Number of labels and of events that a picture lists at most."""
MAX_RATES = 8
"""Number of learning rates that the legend lists at most."""
LINE_STYLES = ("-", "--", ":", "-.")
GRAY = "0.55"
LABEL_SCORES = {
    "tag": ("tag.f1.", ""),
    "type": ("entity.by_type.", ".f1"),
    "class": ("accuracy.by_label.", ".f1"),
    "kind of answer": ("answer.kinds.", ".f1"),
}
"""Prefix and suffix of the columns that hold the F1 of a single label, by the kind of label."""


def plot_history(
    history: History, path: Path, title: str, score: str = "entity.micro.f1", events: Sequence[Event] = ()
) -> None:
    """Draw loss, score, learning rates and the F1 of single labels over the epochs, and mark the best epoch.

    Args:
        history: Epochs as returned by :func:`~ner.runs.history.read_history`.
        path: Picture to write; its extension selects the format.
        title: Text above the picture.
        score: Path of the score as in ``training.monitor``; another score of the run if it lacks this one.
        events: Changes during the training, drawn as vertical lines and listed below.

    Raises:
        InputError: If matplotlib is not installed, there is no epoch yet, or the picture cannot be written.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.font_manager import fontManager
    except ImportError:
        raise InputError("ner plot requires matplotlib; pip install 'ner-crf[plot]'") from None
    if not history:
        raise InputError(f"{path}: nothing to draw: the run has not finished an epoch")
    fallbacks = [name for name in CJK_FONTS if name in {font.name for font in fontManager.ttflist}]
    settings = {"font.family": [*matplotlib.rcParams["font.family"], *fallbacks], "font.size": 8}
    with matplotlib.rc_context({**settings, "axes.titlesize": 10, "text.parse_math": False}):
        listed = [_event_line(position, event) for position, event in zip(_positions(history, events), events)]
        if len(listed) > MAX_LABELS:
            listed = [*listed[: MAX_LABELS - 1], f"{len(listed) - MAX_LABELS + 1} more in events.jsonl"]
        figure = Figure(figsize=(11, 6.4 + 0.15 * len(listed)), layout="constrained")
        panels = figure.subplots(2, 2)
        for axes in panels.flat:
            _draw_epochs(axes, history, events)
        _draw_losses(panels[0, 0], history)
        _draw_scores(panels[0, 1], history, score)
        _draw_learning_rates(panels[1, 0], history)
        _draw_labels(panels[1, 1], history)
        figure.suptitle(title, fontsize=11)
        figure.supxlabel("\n".join(listed), x=0.04, ha="left", fontsize=8)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=120)
        except (OSError, ValueError) as error:  # ValueError: matplotlib does not support the extension
            raise InputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _event_line(position: float, event: Event) -> str:
    line = " ".join(f"epoch {position:.2f}, step {event.step}, {event.kind}: {event.change}".split())
    return line if len(line) <= 150 else f"{line[:149]}…"


def _positions(history: History, events: Sequence[Event]) -> list[float]:
    """Return the epoch of each event as a fraction, from its step; the number of an epoch marks its last step."""
    import numpy as np

    steps, epochs = [row.get("step", 0) for row in history], [row["epoch"] for row in history]
    after = [event.step if steps[-1] else np.interp(event.epoch, [0, *epochs], [0, *steps]) for event in events]
    if not steps[-1]:
        return [min(float(event.epoch), epochs[-1]) for event in events]
    return [float(position) for position in np.interp(after, [0, *steps], [0, *epochs])]


def _curve(history: History, column: str) -> Curve:
    """Return the epochs that have a finite value in a column, and these values."""
    points = [(row["epoch"], row[column]) for row in history if math.isfinite(row.get(column, math.nan))]
    return [epoch for epoch, _ in points], [value for _, value in points]


def _draw_epochs(axes: Axes, history: History, events: Sequence[Event]) -> None:
    """Draw what all panels share: the axis of the epochs, the events and the best epoch."""
    from matplotlib.ticker import MaxNLocator

    first, last = history[0]["epoch"], history[-1]["epoch"]
    axes.set_xlim(min(first, *(positions := [last, *_positions(history, events)])) - 0.25, max(positions) + 0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.25)
    for position in positions[1:]:
        axes.axvline(position, color="tab:purple", linewidth=0.7, alpha=0.5, zorder=1)
    best = [row["epoch"] for row in history if row.get("best")]
    if best:
        axes.axvline(best[-1], color="tab:red", linewidth=1, linestyle=":", zorder=1, label=f"best: epoch {best[-1]:.0f}")


def _draw_curve(axes: Axes, curve: Curve, label: str, **style: Any) -> bool:
    """Draw a curve unless it is empty; return whether it was drawn."""
    if curve[0]:
        marker = "o" if len(curve[0]) <= 30 else None
        axes.plot(*curve, marker=marker, markersize=3, linewidth=1.3, **style).pop().set_label(label)
    return bool(curve[0])


def _draw_splits(axes: Axes, history: History, title: str, train: str, valid: str) -> None:
    """Draw a column of the training data and one of the validation data."""
    axes.set_title(title)
    drawn = [
        _draw_curve(axes, _curve(history, train), "train", color=GRAY),
        _draw_curve(axes, _curve(history, valid), "valid", color="tab:blue"),
    ]
    if any(drawn):
        axes.legend()


def _draw_losses(axes: Axes, history: History) -> None:
    _draw_splits(axes, history, "loss", "avg_train_loss", "avg_val_loss")


def _draw_scores(axes: Axes, history: History, score: str) -> None:
    candidates = (score, "entity.micro.f1", "tag.weighted_f1", "accuracy.accuracy", "answer.f1")
    columns = {column for row in history for column in row}
    score = next((path for path in candidates if {f"train.{path}", f"valid.{path}"} & columns), "f1")
    _draw_splits(axes, history, score, f"train.{score}", f"valid.{score}" if score != "f1" else "f1")


