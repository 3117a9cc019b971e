"""Picture of a run: loss, score, learning rates and the F1 of single labels over the epochs, drawn by matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ner.errors import InputError, not_installed
from ner.runs.directory import HISTORY
from ner.runs.events import Event
from ner.runs.history import LEARNING_RATE, SCORES
from ner.runtime import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History = Sequence[Mapping[str, float]]

CJK_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC", "Arial Unicode MS"),
)
"""Fallbacks for characters that the first font lacks: labels are in the language of the data."""
MAX_LISTED = 12
"""Number of labels and of events that a picture lists at most."""
MAX_RATES = 8
"""Number of learning rates that the legend lists at most."""
LINE_STYLES = ("-", "--", ":", "-.")
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D00")
"""Colors that readers with a color vision deficiency can tell apart (Okabe and Ito, 2008; yellow is darkened)."""
BLUE, VERMILION = COLORS[:2]
GRAY = "0.45"
LABEL_SCORES = {
    "tag": ("tag.f1.", ""),
    "type": ("entity.by_type.", ".f1"),
    "class": ("accuracy.by_label.", ".f1"),
    "answer type": ("answer.kinds.", ".f1"),
}
"""Prefix and suffix of the columns that hold the F1 of single labels, by the kind of label."""


def plot_history(
    history: History, path: Path, title: str, score: str = "entity.micro.f1", events: Sequence[Event] = ()
) -> None:
    """Draw loss, score, learning rates and the F1 of single labels over the epochs, and name the best epoch.

    Lines are labelled at their ends, and the picture is legible at a width of 800 pixels.

    Args:
        history: Epochs as returned by :func:`~ner.runs.history.read_history`.
        path: Picture to write; its extension selects the format.
        title: Text above the picture.
        score: Path of the score as in ``training.monitor``; replaced by another score if the run lacks it.
        events: Changes during the training, drawn as vertical lines and listed below.

    Raises:
        InputError: If matplotlib is not installed, there is no epoch yet, or the picture cannot be written.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.font_manager import fontManager
    except ImportError:
        raise InputError(not_installed("matplotlib")) from None
    if not history:
        raise InputError(f"{path}: nothing to draw: {HISTORY} contains no finished epoch")
    installed = {font.name for font in fontManager.ttflist}
    family = [*matplotlib.rcParams["font.family"], *(name for name in CJK_FONTS if name in installed)]
    settings: dict[Any, Any] = {"font.family": family, "font.size": 8, "axes.titlesize": 10, "text.parse_math": False}
    positions = _positions(history, events)
    lines = [
        " ".join(f"epoch {position:.2f}, step {event.step}, {event.kind}: {event.change}".split())[:150]
        for position, event in zip(positions, events, strict=True)
    ]
    if len(lines) > MAX_LISTED:
        lines[MAX_LISTED - 1 :] = [f"{len(lines) - MAX_LISTED + 1} more in events.jsonl"]
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(8, 5.6 + 0.15 * len(lines)), layout="constrained")
        losses, scores, rates, labels = panels = list(figure.subplots(2, 2).flat)
        _draw_splits(losses, history, "loss", "avg_train_loss", "avg_val_loss")
        score = _existing_score(history, score)
        _draw_splits(scores, history, score, f"train.{score}", f"valid.{score}")
        _draw_learning_rates(rates, history)
        _draw_labels(labels, history)
        for axes in panels:
            _draw_epochs(axes, history, positions, at_top=axes in (losses, rates))  # where these curves are low
            _label_ends(axes)
        figure.suptitle(title, fontsize=11)
        figure.supxlabel("\n".join(lines), x=0.04, ha="left", fontsize=7)
        with atomic.new_file(path) as temporary:
            try:
                figure.savefig(temporary, dpi=150, format=path.suffix[1:] or "png")
            except ValueError as error:  # an extension that matplotlib does not support
                raise InputError(f"{path}: cannot be written: {error}") from None


def _positions(history: History, events: Sequence[Event]) -> list[float]:
    """Return the position of each event between the epochs as a fraction; an epoch ends at its number."""
    steps = [0.0, *(row.get("step", 0.0) for row in history)]
    epochs = [0.0, *(row["epoch"] for row in history)]
    inside = np.interp([event.step for event in events], steps, epochs)
    return [
        float(event.epoch if event.step > steps[-1] else position)
        for event, position in zip(events, inside, strict=True)
    ]


def _existing_score(history: History, score: str) -> str:
    """Return a path of a score that the history contains, the given one if possible."""
    columns = {column for row in history for column in row}
    candidates = (score, *SCORES["f1"], *SCORES["weighted_f1"], *SCORES["accuracy"])
    return next((path for path in candidates if {f"train.{path}", f"valid.{path}"} & columns), score)


def _draw(axes: Axes, history: History, column: str, label: str, **style: Any) -> list[float]:
    """Draw the finite values of a column over the epochs, and return them."""
    points = [(row["epoch"], row[column]) for row in history if math.isfinite(row.get(column, math.nan))]
    if points:
        marker = "o" if len(points) <= 30 else None
        axes.plot(*zip(*points, strict=True), marker=marker, markersize=3, linewidth=1.3, label=label, **style)
    return [value for _, value in points]


def _draw_epochs(axes: Axes, history: History, positions: Sequence[float], at_top: bool) -> None:
    """Draw the parts that all panels share: the axis of the epochs, the events, and the best epoch."""
    from matplotlib.ticker import MaxNLocator

    if not axes.lines:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color=GRAY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.25)
    for position in positions:
        axes.axvline(position, color="tab:purple", linewidth=0.7, alpha=0.5, zorder=1)
    best = max((row["epoch"] for row in history if row.get("best")), default=None)
    if best is not None:
        axes.axvline(best, color=VERMILION, linewidth=1, linestyle=":", zorder=1)
        label_on_left = best > (history[0]["epoch"] + history[-1]["epoch"]) / 2
        axes.annotate(
            f"best: epoch {best:.0f}",
            xy=(best, float(at_top)),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if label_on_left else 3, -9 if at_top else 4),
            textcoords="offset points",
            ha="right" if label_on_left else "left",
            color=VERMILION,
            fontsize=7,
        )


def _label_ends(axes: Axes) -> None:
    """Write the label of each line at its right end, at a distance from the other labels."""
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_child") and line.get_label()]
    if not lines:
        return
    to_axes = axes.transAxes.inverted()
    last_points = np.array([np.asarray(line.get_xydata())[-1] for line in lines])
    ends = np.asarray(to_axes.transform(axes.transData.transform(last_points))).tolist()
    order = sorted(range(len(lines)), key=lambda number: ends[number][1])
    distance = min(0.075, 1.06 / len(lines))
    heights = [ends[number][1] for number in order]
    for position in range(1, len(heights)):
        heights[position] = max(heights[position], heights[position - 1] + distance)
    if heights[-1] > 1.03:  # move the labels at the top down
        heights[-1] = 1.03
        for position in reversed(range(len(heights) - 1)):
            heights[position] = min(heights[position], heights[position + 1] - distance)
    for number, height in zip(order, heights, strict=True):
        line, (x, y) = lines[number], ends[number]
        style: dict[str, Any] = {"color": line.get_color(), "transform": axes.transAxes, "clip_on": False}
        axes.plot([x, 1.02], [y, height], linewidth=0.5, alpha=0.6, **style)
        axes.text(1.03, height, str(line.get_label()), va="center", fontsize=7, **style)


def _draw_splits(axes: Axes, history: History, title: str, train: str, valid: str) -> None:
    """Draw a column of the training data and the same one of the validation data."""
    axes.set_title(title)
    _draw(axes, history, train, "train", color=GRAY)
    _draw(axes, history, valid, "valid", color=BLUE)


def _draw_learning_rates(axes: Axes, history: History) -> None:
    """Draw the learning rates, equal ones as a single line, and the batch size if it changes."""
    groups: dict[tuple[float | None, ...], list[str]] = {}
    for column in dict.fromkeys(key for row in history for key in row if key.startswith(LEARNING_RATE)):
        groups.setdefault(tuple(row.get(column) for row in history), []).append(column)
    curves = sorted(groups.values(), key=lambda columns: -max(row.get(columns[0], 0.0) for row in history))
    axes.set_title("learning rate" if len(curves) <= MAX_RATES else f"learning rate ({len(curves)} groups)")
    peaks = []
    for number, columns in enumerate(curves):
        names = textwrap.shorten(", ".join(name.removeprefix(LEARNING_RATE) for name in columns), 44, placeholder="…")
        label = "" if number % math.ceil(len(curves) / MAX_RATES) else names
        peaks.append(max(_draw(axes, history, columns[0], label, color=COLORS[number % len(COLORS)]), default=0.0))
    if peaks and max(peaks) > 20 * min(peaks) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")  # the default writes powers of ten as math text
        axes.set_ylim(min(peaks) / 100, max(peaks) * 2)  # leaves out the end of a schedule, where the rate reaches 0
    if len({row["batch_size"] for row in history if "batch_size" in row}) > 1:
        size_axes = axes.twinx()
        sizes = _draw(size_axes, history, "batch_size", "", color=GRAY, linestyle="--", drawstyle="steps-mid")
        size_axes.set_ylim(0, 1.15 * max(sizes))
        size_axes.set_ylabel("batch size (dashed)")


def _draw_labels(axes: Axes, history: History) -> None:
    """Draw the lowest F1 scores of single labels: a color for each type, a line style for each prefix of a tag."""
    columns = list(dict.fromkeys(column for row in history for column in row))
    by_label: dict[str, str] = {}
    for split, (kind, (prefix, suffix)) in product(("valid", "train"), LABEL_SCORES.items()):
        start = f"{split}.{prefix}"
        columns_of_kind = [column for column in columns if column.startswith(start) and column.endswith(suffix)]
        if columns_of_kind:
            selection = f", {MAX_LISTED} lowest of {len(columns_of_kind)}" if len(columns_of_kind) > MAX_LISTED else ""
            axes.set_title(f"{split} F1 by {kind}{selection}")
            by_label = {column.removeprefix(start).removesuffix(suffix): column for column in columns_of_kind}
            break
    last = {label: next(row[name] for row in reversed(history) if name in row) for label, name in by_label.items()}
    labels = sorted(last, key=lambda label: -last[label])[-MAX_LISTED:]  # the legend follows the ends of the lines
    split_tags = {label: (label[:1], label[2:]) if label[1:2] == "-" else ("", label) for label in labels}
    prefixes, types = (sorted({tag[part] for tag in split_tags.values()} - {""}) for part in (0, 1))
    for label, (prefix, type_) in split_tags.items():
        style = LINE_STYLES[prefixes.index(prefix) % len(LINE_STYLES) if prefix else 0]
        color = COLORS[types.index(type_) % len(COLORS) if type_ else 0]
        _draw(axes, history, by_label[label], label, color=color, linestyle=style)
