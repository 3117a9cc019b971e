"""Precision, recall and F1 from counts, shared by metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

KINDS = ("gold", "predicted", "correct")
FIGURES = ("precision", "recall", "f1")


def prf(gold: int, predicted: int, correct: int) -> dict[str, float]:
    """Return precision, recall and F1; 0 instead of a division by 0."""
    return {
        "precision": correct / predicted if predicted else 0.0,
        "recall": correct / gold if gold else 0.0,
        "f1": 2 * correct / (gold + predicted) if gold + predicted else 0.0,
    }


def by_label(counts: Counter[str]) -> dict[str, dict[str, float]]:
    """Return the scores and the counts of each label from counts of ``<kind> <label>``; other counts are ignored."""
    split_keys = (key.partition(" ") for key in counts)
    labels = sorted({label for kind, space, label in split_keys if space and kind in KINDS})
    numbers = {label: [counts[f"{kind} {label}"] for kind in KINDS] for label in labels}
    return {label: {**prf(*numbers[label]), **dict(zip(KINDS, numbers[label], strict=True))} for label in labels}


def micro(labels: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the scores of the summed counts of labels."""
    return prf(*(int(sum(figures[kind] for figures in labels.values())) for kind in KINDS))


def mean(labels: Mapping[str, Mapping[str, float]], weight: str | None = None) -> dict[str, float]:
    """Return the mean scores of labels, weighted by one of their counts if it is given; zeros without labels."""
    weights = [figures[weight] if weight else 1 for figures in labels.values()]
    total = sum(weights)
    pairs = list(zip(labels.values(), weights, strict=True))
    return {name: sum(f[name] * number for f, number in pairs) / total if total else 0.0 for name in FIGURES}
