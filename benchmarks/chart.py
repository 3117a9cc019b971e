"""Draw test F1 against tagging speed and training time: ``python benchmarks/chart.py``.

Scores, processor minutes and speeds are read from ``results/benchmarks``; each system tags with its fastest batch size,
and all use one thread. The picture is ``docs/speed.png``. The command fails if one of our models does not
dominate every peer in both panels, with a higher score at a higher speed and in less time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "benchmarks"
BLUE, GRAY = "#0072B2", "0.4"


LABELS = {
    "above": ((0, 9), "center", "bottom"),
    "below": ((0, -11), "center", "top"),
    "left": ((-10, 0), "right", "center"),
    "right": ((10, 0), "left", "center"),
}
"""Offset in points and alignment of a name by its side."""


class System(NamedTuple):
    """A system of the chart.

    Attributes:
        name: Label of its points.
        model: Its row of ``models.extra.json``.
        benchmark: File with its speed.
        speeds: Start of the names of its measurements; the fastest one counts.
        side: Side of its points on which its name stands.
        ours: True for this project.
    """

    name: str
    model: str
    benchmark: str
    speeds: str
    side: str
    ours: bool = False


class Point(NamedTuple):
    """A system with its position in both panels."""

    system: System
    f1: float
    words_per_second: float
    minutes: float


SYSTEMS = (
    System("bilstm_crf", "this project, conll2003/bilstm_crf", "bilstm_tagging", "this project", "right", ours=True),
    System("minilm_fast", "this project, conll2003/minilm_fast", "encoder_tagging", "minilm_fast", "below", ours=True),
    System("minilm_crf", "this project, conll2003/minilm_crf", "encoder_tagging", "this project", "above", ours=True),
    System("spaCy, tok2vec", "spaCy, blank tok2vec NER", "bilstm_tagging", "spaCy", "below"),
    System("Flair, BiLSTM-CRF", "Flair SequenceTagger, one-hot words, 12 epochs", "bilstm_tagging", "Flair", "below"),
    System(
        "transformers, MiniLM", "Hugging Face Trainer, bundled encoder, 3 epochs", "encoder_tagging", "pipeline", "left"
    ),
)


def read(name: str) -> Any:
    """Return a file of results."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def position(system: System) -> Point:
    """Return score, speed in float32 and minutes of a system."""
    models = {model: (float(f1), float(minutes)) for model, _, f1, minutes in read("models.extra")["rows"]}
    if system.model not in models:
        raise SystemExit(f"models.extra.json: no row '{system.model}'; run benchmarks/trained.py")
    f1, minutes = models[system.model]
    speeds = [
        measured["words_per_second"]
        for case in read(system.benchmark)["cases"]
        for name, measured in case["systems"].items()
        if name.startswith(system.speeds) and "precision" not in name and "int8" not in name
    ]
    if not speeds:
        raise SystemExit(f"{system.benchmark}.json: no row '{system.speeds}'; run the benchmark again")
    return Point(system, f1, max(speeds), minutes)


def not_dominated(points: Sequence[Point]) -> list[str]:
    """Return a line for each peer and panel without a better model of ours."""
    found = []
    for peer in (point for point in points if not point.system.ours):
        better = [point for point in points if point.system.ours and point.f1 >= peer.f1]
        if not any(point.words_per_second >= peer.words_per_second for point in better):
            found.append(f"{peer.system.name}: tagging {peer.words_per_second:,.0f} words/s at {peer.f1} F1")
        if not any(point.minutes <= peer.minutes for point in better):
            found.append(f"{peer.system.name}: trained in {peer.minutes} minutes to {peer.f1} F1")
    return found


def draw(axes: Axes, points: Sequence[tuple[System, float, float]], unit: str) -> None:
    """Draw a panel: systems with their position and score."""
    for system, place, f1 in points:
        color = BLUE if system.ours else GRAY
        offset, horizontal, vertical = LABELS[system.side]
        axes.scatter([place], [f1], s=80 if system.ours else 55, color=color, marker="o" if system.ours else "s")
        axes.annotate(
            f"{system.name}\n{f1:.1f} F1, {place:,.0f}{unit}",
            xy=(place, f1),
            xytext=offset,
            textcoords="offset points",
            ha=horizontal,
            va=vertical,
            color=color,
            fontsize=8.5,
            fontweight="bold" if system.ours else "normal",
        )
    axes.set_xscale("log")
    places = [place for _, place, _ in points]
    axes.set_xlim(min(places) / 10, max(places) * 10)
    axes.set_ylim(70, 96)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)


def main() -> int:
    """Draw both panels; return 1 if a peer is not dominated."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    points = [position(system) for system in SYSTEMS]
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw(left, [(point.system, point.words_per_second, point.f1) for point in points], "/s")
    draw(right, [(point.system, point.minutes, point.f1) for point in points], " min")
    left.set_xlabel("words tagged per second (one CPU thread, float32)")
    right.set_xlabel("processor minutes of training (one CPU thread)")
    left.set_ylabel("test entity F1")
    figure.suptitle("CoNLL-2003, the same training data and machine", fontsize=11)
    figure.savefig(ROOT / "docs" / "speed.png", dpi=150)
    lines = not_dominated(points)
    print(*(f"not dominated: {line}" for line in lines), sep="\n", end="\n" * bool(lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
