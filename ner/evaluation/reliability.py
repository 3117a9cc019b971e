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
    bin_numbers = np.minimum((probability * bins).astype(int), bins - 1)
    nonempty_bins, error = [], 0.0
    for position in range(bins):
        in_bin = bin_numbers == position
        if size := int(in_bin.sum()):
            mean, precision = float(probability[in_bin].mean()), float(correct[in_bin].mean())
            nonempty_bins.append(Bin(position / bins, (position + 1) / bins, size, mean, precision))
            error += size / len(predictions) * abs(mean - precision)
    return Reliability(float(error), float(((probability - correct) ** 2).mean()), nonempty_bins)


def thresholds(predictions: Iterable[tuple[float, bool]], limit: int = MAX_THRESHOLDS) -> list[Threshold]:
    """Return candidates for a threshold by rising probability, at equal distances in the number of entities."""
    ordered = sorted(predictions, reverse=True)
    candidates: list[Threshold] = []
    correct = 0
    for number, (probability, is_correct) in enumerate(ordered, 1):
        correct += is_correct
        if number == len(ordered) or ordered[number][0] < probability:  # ties are kept or dropped together
            candidates.append(Threshold(probability, number, correct))
    positions = np.linspace(0, len(candidates) - 1, min(limit, len(candidates))).round().astype(int)
    return [candidates[position] for position in np.unique(positions)][::-1]
