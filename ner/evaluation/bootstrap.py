"""Bootstrap intervals of scores (Efron and Tibshirani, 1993) from integer counts of each document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ner.runtime.nested import leaves

RESAMPLES = 1000
LEVEL = 0.95
FEW_DOCUMENTS = 30
"""Number of documents below which sentences are resampled instead."""
MAX_UNITS = 20_000
"""Number of units above which neighbours are joined, so that time and memory are bounded."""

Scoring = Callable[[Counter[str]], dict[str, Any]]
"""Function from summed counts to nested scores, see :class:`ner.contracts.Metric`."""


@dataclass(frozen=True)
class Intervals:
    """Intervals of scores.

    Attributes:
        unit: ``document`` or ``sentence``.
        units: Number of units in the data.
        resamples: Number of resamples.
        seed: Random seed.
        level: Share of the resamples within an interval.
        scores: Metric -> its nested scores, with ``[low, high]`` in place of each fraction; counts are left out.
    """

    unit: str
    units: int
    resamples: int
    seed: int
    level: float
    scores: dict[str, Any]


def intervals(
    unit: str,
    counts: Sequence[Mapping[str, Counter[str]]],
    scores: Mapping[str, Scoring],
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> Intervals:
    """Return percentile intervals.

    Args:
        unit: What a unit is.
        counts: Counts of each unit by metric.
        scores: Scores of each metric.
        resamples: Number of resamples.
        seed: Random seed.
    """
    weights = resample_weights(min(len(counts), MAX_UNITS), resamples, seed)
    bounds_by_metric = {}
    for name, scoring in scores.items():
        units = join_neighbours([entry[name] for entry in counts], weights.shape[1])
        point_scores = scoring(total(units))
        paths = [path for path, value in leaves(point_scores) if isinstance(value, float)]
        samples = [[value_at(s, path) for path in paths] for s in resampled_scores(units, scoring, weights)]
        tail = (1 - LEVEL) / 2
        bounds = np.quantile(np.array(samples), [tail, 1 - tail], axis=0).T.tolist() if paths else []
        bounds_by_metric[name] = _nested(zip(paths, bounds, strict=True))
    return Intervals(unit, len(counts), resamples, seed, LEVEL, bounds_by_metric)


def resample_weights(units: int, resamples: int = RESAMPLES, seed: int = 1) -> np.ndarray:
    """Return ``(resamples, units)`` numbers of times that each unit is drawn; each row sums to ``units``."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((resamples, units))  # float64 is exact for integers and multiplied by BLAS
    for row in weights if units else ():
        row[:] = np.bincount(rng.integers(units, size=units), minlength=units)
    return weights


def resampled_scores(
    counts: Sequence[Mapping[str, int]], scoring: Scoring, weights: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Yield the scores of each resample.

    Args:
        counts: Counts of each unit.
        scoring: Function from summed counts to scores.
        weights: ``(resamples, units)``.
    """
    names = sorted({name for unit in counts for name in unit})
    table = np.array([[unit.get(name, 0) for name in names] for unit in counts], dtype=np.float64)
    for totals in (weights @ table.reshape(len(counts), len(names))).astype(np.int64).tolist():
        yield scoring(Counter(dict(zip(names, totals, strict=True))))


def value_at(scores: Mapping[str, Any], path: Sequence[str]) -> float:
    """Return the score at a path; 0 if a resample lacks the type or class."""
    value: Any = scores
    for name in path:
        if name not in value:
            return 0.0
        value = value[name]
    return float(value)


def join_neighbours(counts: Sequence[Counter[str]], units: int) -> list[Counter[str]]:
    """Return ``units`` sums of neighbouring counts."""
    if len(counts) <= units:
        return list(counts)
    bounds = np.linspace(0, len(counts), units + 1).astype(int).tolist()
    return [total(counts[start:stop]) for start, stop in pairwise(bounds)]


def total(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Return the sum of counts."""
    summed: Counter[str] = Counter()
    for unit in counts:
        summed.update(unit)
    return summed


def _nested(values: Iterable[tuple[Sequence[str], Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for path, value in values:
        section = result
        for name in path[:-1]:
            section = section.setdefault(name, {})
        section[path[-1]] = value
    return result
