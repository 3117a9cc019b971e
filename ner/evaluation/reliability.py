"""Agreement of probabilities with the share of correct predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ner.runs.calibration import BINS, Bin, Reliability, Threshold

MAX_THRESHOLDS = 500
"""Candidates for a threshold, at most."""


def reliability(predictions: Sequence[tuple[float, bool]], bins: int = BINS) -> Reliability:
    """Return the reliability of pairs of probability and correctness; 0 without any."""
    if not predictions:
        return Reliability(0.0, 0.0, [])
    probability, correct = (np.array(column, dtype=np.float64) for column in zip(*predictions, strict=True))
    number = np.minimum((probability * bins).astype(int), bins - 1)
    found, error = [], 0.0
    for position in range(bins):
        inside = number == position
        if size := int(inside.sum()):
            mean, precision = float(probability[inside].mean()), float(correct[inside].mean())
            found.append(Bin(position / bins, (position + 1) / bins, size, mean, precision))
            error += size / len(predictions) * abs(mean - precision)
    return Reliability(float(error), float(((probability - correct) ** 2).mean()), found)


def thresholds(predictions: Iterable[tuple[float, bool]], limit: int = MAX_THRESHOLDS) -> list[Threshold]:
    """Return candidates for a threshold by rising probability, at equal distances in the number of entities."""
    ordered = sorted(predictions, reverse=True)
    found: list[Threshold] = []
    correct = 0
    for number, (probability, is_correct) in enumerate(ordered, 1):
        correct += is_correct
        if number == len(ordered) or ordered[number][0] < probability:  # ties are kept or dropped together
            found.append(Threshold(probability, number, correct))
    positions = np.linspace(0, len(found) - 1, min(limit, len(found))).round().astype(int)
    return [found[position] for position in np.unique(positions)][::-1]
