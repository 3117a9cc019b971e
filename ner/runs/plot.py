"""What people look at after a run: the history of its epochs as a table and as a picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.runs import fonts
from ner.runs.events import Event
from ner.runtime import text_files
from ner.types import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase
    from matplotlib.lines import Line2D

RATE = "learning_rate."
"""Columns of history.csv that hold the rate of a group of parameters begin like this."""
SUMMARY = {
    "avg_train_loss": "train.loss",
    "avg_val_loss": "valid.loss",
    "accuracy": "valid.tag.accuracy",
    "precision": "valid.entity.micro.precision",
    "recall": "valid.entity.micro.recall",
    "f1": "valid.entity.micro.f1",
    "weighted_f1": "valid.tag.weighted_f1",
}
"""Columns that sum up an epoch, and the figure that each of them repeats: older runs have only that one."""
MARK = "★"
LISTED = 12
"""Tags and events that a picture names at most."""
CURVES = 8
"""Learning rates that a picture names at most."""
FEW = 30
"""Up to so many epochs each one is a dot."""
STYLES = ("-", "--", ":", "-.")
COLOURS = (*(f"C{number}" for number in range(10)), "black", "gold")
GRAY = "0.55"
KINDS = (
    ("tag.f1.", "", "tag"),
    ("entity.by_type.", ".f1", "type"),
    ("accuracy.by_label.", ".f1", "class"),
    ("answer.kinds.", ".f1", "kind of answer"),
)
"""Where the F1 of single labels stands in history.csv, before and behind the label, and what such a label is."""


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a ``history.csv``: an epoch each; what an epoch does not have is left out.

    Raises:
        InputError: If there is no such file, or something in it is no number.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [_numbers(row, f"{path}:{number}") for number, row in enumerate(csv.DictReader(file), 2)]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason}; is this a run directory?") from None


def _numbers(row: Mapping[str, Any], place: str) -> dict[str, float]:
    found = {}
    for key, value in row.items():
        if not value:
            continue
        try:
            found[key] = float(value)
        except (TypeError, ValueError):  # TypeError: more cells than columns come as a list
            raise InputError(f"{place}: expected a number in column {key}, found {value!r}") from None
    return found


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV file of rows; each column stands where its name first appears.

    Raises:
        InputError: If it cannot be written.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    text_files.write_bytes(path, text.getvalue().encode())


def write_history_markdown(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """The table of :func:`history_table` as a file.

    Raises:
        InputError: If it cannot be written.
    """
    text_files.write_bytes(path, history_table(rows).encode())


def history_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The epochs as a Markdown table: losses, scores on valid, learning rates, batch size, the best marked.

    Args:
        rows: Of ``history.csv``; other columns are left out, a figure that is missing leaves its cell empty.
    """
    rates = list(dict.fromkeys(key for row in rows for key in row if key.startswith(RATE)))
    header = ["epoch", *SUMMARY, *rates, "batch_size", "best"]
    table = []
    for row in rows:
        cells = {"epoch": _whole(row.get("epoch")), "batch_size": _whole(row.get("batch_size"))}
        cells |= {column: _figure(_first(row, column, old)) for column, old in SUMMARY.items()}
        cells |= {rate: _figure(row.get(rate), ".3g") for rate in rates}
        cells["best"] = MARK if row.get("best") else ""
        table.append(cells)
    return markdown_table(header, table)


def markdown_table(header: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """A Markdown table of pairs (column, text), so that no text can slip into another column.

    Raises:
        KeyError: If a row has a column that the header lacks.
    """
    lines = [[_cell(column) for column in header], ["---"] * len(header)]
    for row in rows:
        unknown = set(row) - set(header)
        if unknown:
            raise KeyError(f"no such column: {', '.join(sorted(unknown))}")
        lines.append([_cell(row.get(column, "")) for column in header])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _first(row: Mapping[str, Any], *columns: str) -> Any:
    return next((row[column] for column in columns if row.get(column) is not None), None)


def _figure(value: Any, form: str = ".4f") -> str:
    return "" if value is None or value == "" else f"{float(value):{form}}"


def _whole(value: Any) -> str:
    return _figure(value, ".0f")


def plot_history(
    history: Sequence[Mapping[str, float]],
    path: Path,
    title: str,
    score: str = "entity.micro.f1",
    events: Sequence[Event] = (),
) -> None:
    """A picture of the epochs: loss, score, learning rates and the scores of single tags; the kept epoch marked.

    Args:
        history: As :func:`read_history` gives it.
        path: Of the picture; the extension says its kind.
        title: Above the picture.
        score: Path of the score, as in ``training.monitor``; where a run lacks it, one that it has.
        events: Numbered marks, listed below.

    Raises:
        InputError: If matplotlib is not installed, there is no epoch yet, or the picture cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("ner plot needs matplotlib; pip install 'ner-crf[plot]'") from None

    if not history:
        raise InputError(f"{path}: nothing to draw: the run has not finished an epoch")
    listed = _listed(history, events)
    above, below = 6.4, 0.15 * len(listed) + 0.15
    figure = Figure(figsize=(11, above + below if listed else above), layout="constrained")
    upper: FigureBase = figure
    if listed:
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[above, below])[:, 0]
        text = "\n".join(f"{number}:  {text}" for number, text in listed)
        lower.text(0.04, 0.98, text, fontsize=8, va="top", parse_math=False)
    panels = upper.subplots(2, 2)
    (losses, scores), (rates, tags) = panels
    for axes in panels.flat:
        _draw_frame(axes, history, events)
    for axes, lines in (
        (losses, _draw_losses(losses, history)),
        (scores, _draw_scores(scores, history, score)),
    ):
        _number(axes, history, events)
        _draw_legend(axes, lines | _draw_kept(axes, history))
    lines = _draw_rates(rates, history)
    _draw_kept(rates, history)
    _draw_legend(rates, lines, "inside" if len(lines) < 4 else "below")
    lines = _draw_tags(tags, history)
    _draw_kept(tags, history)
    _draw_legend(tags, lines, "beside")
    figure.suptitle(title, fontsize=11, parse_math=False)
    _make_readable(figure)
    _save(figure, path)


def _make_readable(figure: Figure) -> None:
    """Fonts that have the characters of all texts; where there are none, code points and a line that says so."""
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    names, missing = fonts.covering("".join(text.get_text() for text in texts))
    for text in texts:
        text.set_fontfamily(names)
        if missing:
            text.set_text(fonts.spelled(text.get_text(), missing))
    if missing:
        note = f"No font here has {len(missing)} of the characters; their code points stand for them."
        figure.supxlabel(note, fontsize=8, color=GRAY)


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:  # ValueError: an extension that matplotlib does not know
        raise InputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _curve(history: Sequence[Mapping[str, float]], *columns: str) -> tuple[list[float], list[float]]:
    """Epochs and figures of a column, or where an epoch lacks it of the next one; only what is finite."""
    points = [(row["epoch"], _first(row, *columns)) for row in history]
    points = [(epoch, value) for epoch, value in points if value is not None and math.isfinite(value)]
    return [epoch for epoch, _ in points], [value for _, value in points]


def _marker(history: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {"marker": "o" if len(history) <= FEW else None, "markersize": 3, "linewidth": 1.3}


def _draw_losses(axes: Axes, history: Sequence[Mapping[str, float]]) -> dict[str, Line2D]:
    lines = {}
    lowest = 0.0
    for label, column, colour in (("train", "avg_train_loss", GRAY), ("valid", "avg_val_loss", "tab:blue")):
        epochs, values = _curve(history, column, SUMMARY[column])
        if values:
            (lines[label],) = axes.plot(epochs, values, color=colour, **_marker(history))
            lowest = min(lowest, *values)
    axes.set_title("loss", fontsize=10)
    if not lines:
        _note(axes, "no loss")
    elif lowest == 0:
        axes.set_ylim(bottom=0)
    return lines


def _draw_scores(axes: Axes, history: Sequence[Mapping[str, float]], score: str) -> dict[str, Line2D]:
    known = (score, "entity.micro.f1", "tag.weighted_f1", "accuracy.accuracy", "answer.f1")
    path = next((name for name in known if _has(history, name)), None)
    lines = {}
    drawn = []
    for split, colour in (("train", GRAY), ("valid", "tab:blue")):
        epochs, values = _curve(history, f"{split}.{path}") if path else _curve(history, *["f1"] * (split == "valid"))
        if values:
            (lines[split],) = axes.plot(epochs, values, color=colour, **_marker(history))
            drawn += values
    axes.set_title(path or "f1", fontsize=10)
    if not lines:
        _note(axes, "no score")
    _limit_scores(axes, drawn)
    return lines


def _note(axes: Axes, text: str) -> None:
    """Instead of curves."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=GRAY, fontsize=9)
    axes.set_yticks([])


def _has(history: Sequence[Mapping[str, float]], score: str) -> bool:
    return any(f"{split}.{score}" in row for row in history for split in ("train", "valid"))


def _limit_scores(axes: Axes, values: Sequence[float]) -> None:
    """Room around scores, but nothing far below 0 or above 1, where none can be."""
    if values and min(values) >= 0 and max(values) <= 1:
        margin = max(0.05, 0.08 * (max(values) - min(values)))
        axes.set_ylim(max(-0.01, min(values) - margin), min(1.01, max(values) + margin))


def _draw_rates(axes: Axes, history: Sequence[Mapping[str, float]]) -> dict[str, Line2D]:
    """Groups with equal rates are one line.

    The scale is logarithmic if the peaks of two groups are far apart. The end of a schedule, where rates fall to
    nothing, says nothing about that.
    """
    groups: dict[tuple[tuple[float, ...], tuple[float, ...]], list[str]] = {}
    for column in dict.fromkeys(key for row in history for key in row if key.startswith(RATE)):
        epochs, values = _curve(history, column)
        if values:
            groups.setdefault((tuple(epochs), tuple(values)), []).append(column.removeprefix(RATE))
    curves = sorted(groups.items(), key=lambda item: -max(item[0][1]))
    named = _spread(len(curves), CURVES)
    lines = {}
    for position, (curve, names) in enumerate(curves):
        (line,) = axes.plot(*curve, color=f"C{position % 10}", **_marker(history))
        if position in named:
            lines[_shortened(", ".join(names), 44)] = line
    axes.set_title("learning rate" if len(curves) <= CURVES else f"learning rate ({len(curves)} groups)", fontsize=10)
    peaks = [max(values) for (_, values), _ in curves if max(values) > 0]
    if not curves:
        _note(axes, "no learning rates")
    elif peaks and max(peaks) > 20 * min(peaks):
        axes.set_yscale("log")
        axes.set_ylim(min(peaks) / 100, max(peaks) * 2)
    elif peaks:
        axes.set_ylim(0, max(peaks) * 1.1)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
        axes.yaxis.get_offset_text().set_fontsize(8)
    _draw_batch_sizes(axes, history)
    return lines


def _spread(count: int, chosen: int) -> set[int]:
    """At most so many positions of ``range(count)``, evenly, the first and the last among them."""
    if count <= chosen:
        return set(range(count))
    return {round(number * (count - 1) / (chosen - 1)) for number in range(chosen)}


def _draw_batch_sizes(axes: Axes, history: Sequence[Mapping[str, float]]) -> None:
    """The size of each epoch's batches on a scale of its own, if it changes."""
    epochs, sizes = _curve(history, "batch_size")
    if len(set(sizes)) < 2:
        return
    right = axes.twinx()
    right.plot(epochs, sizes, drawstyle="steps-mid", color=GRAY, linestyle="--", linewidth=1)
    right.set_ylim(0, max(sizes) * 1.15)
    right.set_ylabel("batch size (dashed)", fontsize=8)
    right.tick_params(labelsize=8)


def _draw_tags(axes: Axes, history: Sequence[Mapping[str, float]]) -> dict[str, Line2D]:
    """F1 of each tag, of the lowest ones if there are many; where a run counts no tags, of each type or class."""
    found, what = _tag_columns(history)
    curves = {tag: _curve(history, column) for tag, column in found.items()}
    curves = {tag: curve for tag, curve in curves.items() if curve[1]}
    lowest = sorted(curves, key=lambda tag: curves[tag][1][-1])[:LISTED]
    shown = sorted(lowest, key=lambda tag: -curves[tag][1][-1])  # as the lines end, so that the legend reads along
    colours, styles = _looks(shown)
    lines = {}
    for tag in shown:
        (lines[tag],) = axes.plot(*curves[tag], color=colours[tag], linestyle=styles[tag], **_marker(history))
    axes.set_title(f"{what}, {len(shown)} lowest of {len(curves)}" if len(shown) < len(curves) else what, fontsize=10)
    if not curves:
        _note(axes, "no scores of single tags")
    _limit_scores(axes, [value for tag in shown for value in curves[tag][1]])
    return lines


def _tag_columns(history: Sequence[Mapping[str, float]]) -> tuple[dict[str, str], str]:
    """Columns by tag, and what they are."""
    columns = dict.fromkeys(key for row in history for key in row)
    for split in ("valid", "train"):
        for prefix, suffix, name in KINDS:
            start = f"{split}.{prefix}"
            found = [column for column in columns if column.startswith(start) and column.endswith(suffix)]
            if found:
                return {column[len(start) : len(column) - len(suffix)]: column for column in found}, (
                    f"{split} F1 by {name}"
                )
    return {}, "F1 by tag, class or kind"


def _looks(tags: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Colour and line of each tag: a colour for each type, a line for each prefix."""
    parts = {tag: tag.partition("-")[::2] if tag[1:2] == "-" else ("", tag) for tag in tags}
    types = sorted({type_ for _, type_ in parts.values()})
    prefixes = sorted({prefix for prefix, _ in parts.values() if prefix})
    colours = {tag: COLOURS[types.index(type_) % len(COLOURS)] for tag, (_, type_) in parts.items()}
    styles = {
        tag: STYLES[prefixes.index(prefix) % len(STYLES)] if prefix else "-" for tag, (prefix, _) in parts.items()
    }
    return colours, styles


def _draw_frame(axes: Axes, history: Sequence[Mapping[str, float]], events: Sequence[Event]) -> None:
    """What all panels share: the axis of the epochs, and the events as vertical lines."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(*_span(history, events))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    for position in _positions(history, events):
        axes.axvline(position, color="tab:purple", linewidth=0.7, alpha=0.5, zorder=1)


def _draw_kept(axes: Axes, history: Sequence[Mapping[str, float]]) -> dict[str, Line2D]:
    kept = [row["epoch"] for row in history if row.get("best")]
    if not kept:
        return {}
    return {f"kept: epoch {kept[-1]:.0f}": axes.axvline(kept[-1], color="tab:red", linewidth=1, ls=":", zorder=1)}


def _number(axes: Axes, history: Sequence[Mapping[str, float]], events: Sequence[Event]) -> None:
    """The numbers of the events above a panel."""
    left, right = _span(history, events)
    for text, position in _clusters(_positions(history, events), 0.1 * (right - left)):
        axes.annotate(
            text,
            (position, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color="tab:purple",
        )
    if events:
        axes.set_title(axes.get_title(), fontsize=10, pad=13)


def _draw_legend(axes: Axes, lines: Mapping[str, Line2D], place: str = "inside") -> None:
    if not lines:
        return
    places: dict[str, dict[str, Any]] = {
        "inside": {"loc": "best"},
        "beside": {"loc": "upper left", "bbox_to_anchor": (1.0, 1.02)},
        "below": {"loc": "upper left", "bbox_to_anchor": (-0.04, -0.2), "ncols": 2},
    }
    legend = axes.legend(list(lines.values()), [""] * len(lines), fontsize=8, framealpha=0.85, **places[place])
    for text, label in zip(legend.get_texts(), lines, strict=True):
        text.set_parse_math(False)  # tags such as $ and _ are meant as they stand
        text.set_text(label)


def _span(history: Sequence[Mapping[str, float]], events: Sequence[Event]) -> tuple[float, float]:
    """From which to which epoch a panel reaches."""
    found = [row["epoch"] for row in history] + _positions(history, events)
    margin = max(0.04 * (max(found) - min(found)), 0.25 if max(found) > min(found) else 0.5)
    return min(found) - margin, max(found) + margin


def _positions(history: Sequence[Mapping[str, float]], events: Sequence[Event]) -> list[float]:
    """Where events stand between the epochs, as fractions: an epoch's number stands at its last step."""
    ends = [(0.0, 0.0), *((row["step"], row["epoch"]) for row in history if "step" in row)]
    found = []
    for event in events:
        after = next((position for position, (step, _) in enumerate(ends) if step >= event.step), None)
        if len(ends) == 1 or after is None:  # no steps known, or later than the last epoch that was written
            found.append(min(float(event.epoch), history[-1]["epoch"] + 1))
        elif after == 0:
            found.append(0.0)
        else:
            (step, epoch), (next_step, next_epoch) = ends[after - 1], ends[after]
            found.append(epoch + (next_epoch - epoch) * (event.step - step) / (next_step - step))
    return found


def _clusters(positions: Sequence[float], distance: float) -> list[tuple[str, float]]:
    """The numbers of events, those that stand close together as one text, and where it stands.

    That is at the first of them, so that no two texts are nearer than the distance.
    """
    ordered = sorted(range(len(positions)), key=lambda number: positions[number])
    clusters: list[list[int]] = []
    for number in ordered:
        if clusters and positions[number] - positions[clusters[-1][0]] < distance:
            clusters[-1].append(number)
        else:
            clusters.append([number])
    found = []
    for cluster in clusters:
        first, last = min(cluster) + 1, max(cluster) + 1
        found.append((str(first) if first == last else f"{first}–{last}", positions[cluster[0]]))
    return found


def _listed(history: Sequence[Mapping[str, float]], events: Sequence[Event]) -> list[tuple[str, str]]:
    """Number and text of the events that are named."""
    positions = _positions(history, events)
    shown = [
        (str(number), _shortened(f"epoch {position:.2f}, step {event.step}, {event.kind}: {event.change}", 150))
        for number, (event, position) in enumerate(zip(events, positions, strict=True), 1)
    ]
    if len(shown) > LISTED:
        shown = [*shown[: LISTED - 1], (f"{LISTED}–{len(events)}", "see events.jsonl")]
    return shown


def _shortened(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
