"""Draw test F1 against tagging speed for the trained models of the benchmarks: ``python benchmarks/chart.py``.

Both axes are read from ``results/benchmarks``: the speed of each system at its fastest batch size, one thread, and the
score of its model. The picture is ``docs/speed.png``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "benchmarks"
BLUE, GRAY = "#0072B2", "0.4"


class Point(NamedTuple):
    """A system of the chart.

    Attributes:
        name: Label of the point.
        model: Row of ``models.extra.json`` that holds its score.
        benchmark: File with its speed.
        systems: Start of the names of its measurements; the fastest one counts.
        ours: True for this project.
    """

    name: str
    model: str
    benchmark: str
    systems: str
    ours: bool = False


POINTS = (
    Point("ner-crf, BiLSTM-CRF", "this project, BiLSTM-CRF", "bilstm_tagging", "this project", ours=True),
    Point("spaCy, tok2vec", "spaCy, blank tok2vec NER", "bilstm_tagging", "spaCy"),
    Point("Flair, BiLSTM-CRF", "Flair SequenceTagger, one-hot words, 12 epochs", "bilstm_tagging", "Flair"),
    Point(
        "ner-crf, MiniLM-BiLSTM-CRF",
        "this project, bundled encoder, BiLSTM, CRF",
        "encoder_tagging",
        "this project",
        True,
    ),
    Point("Hugging Face, MiniLM", "Hugging Face Trainer, bundled encoder, 3 epochs", "encoder_tagging", "pipeline"),
)


def position(point: Point) -> tuple[float, float]:
    """Return words per second and the test F1 of a point; speeds in reduced precision are left out."""
    rows = json.loads((RESULTS / "models.extra.json").read_text(encoding="utf-8"))["rows"]
    score = next(float(f1) for model, f1, _ in rows if model == point.model)
    cases = json.loads((RESULTS / f"{point.benchmark}.json").read_text(encoding="utf-8"))["cases"]
    speeds = [
        system["words_per_second"]
        for case in cases
        for name, system in case["systems"].items()
        if name.startswith(point.systems) and "precision" not in name
    ]
    return max(speeds), score


def main() -> int:
    """Draw the chart."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for point in POINTS:
        speed, score = position(point)
        color = BLUE if point.ours else GRAY
        axes.scatter([speed], [score], s=90 if point.ours else 60, color=color, marker="o" if point.ours else "s")
        axes.annotate(
            f"{point.name}\n{score:.1f} F1, {speed:,.0f} words/s",
            xy=(speed, score),
            xytext=(0, 10 if point.ours else -12),
            textcoords="offset points",
            ha="center",
            va="bottom" if point.ours else "top",
            color=color,
            fontsize=9,
            fontweight="bold" if point.ours else "normal",
        )
    axes.set_xscale("log")
    axes.set_xlim(1500, 160_000)
    axes.set_ylim(70, 96)
    axes.set_xlabel("words tagged per second (one CPU thread, float32)")
    axes.set_ylabel("test entity F1")
    axes.set_title("CoNLL-2003, the same training data and machine", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)
    figure.savefig(ROOT / "docs" / "speed.png", dpi=150)
    return 0


if __name__ == "__main__":
    sys.exit(main())
