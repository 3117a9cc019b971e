"""Comparison of runs on the same file: paired tests, spread over seeds, and the sentences on which they differ most."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ner.chinese import join_words
from ner.evaluation import bootstrap
from ner.evaluation.evaluation import Evaluation, monitored
from ner.evaluation.scorer import Scorer
from ner.types import Document

MAX_SENTENCES = 50


@dataclass(frozen=True)
class Candidate:
    """A run to compare.

    Attributes:
        name: Name of its directory.
        group: Settings without the seed; runs with equal ones are a group.
        seed: Random seed.
        scorer: Counts of its predictions, with ``keep_units``.
        predicted: Its predictions.
    """

    name: str
    group: Any
    seed: int
    scorer: Scorer
    predicted: Sequence[Document]


@dataclass(frozen=True)
class RunScore:
    """Score of a run with its bootstrap interval."""

    run: str
    seed: int
    score: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class GroupScore:
    """Mean and standard deviation over runs that differ only in their seed."""

    runs: tuple[str, ...]
    mean: float
    deviation: float


@dataclass(frozen=True)
class Difference:
    """Score of the second run minus that of the first.

    Attributes:
        first, second: Names of the runs.
        difference: Difference of the scores.
        interval: Its 95 % interval by paired bootstrap: both runs are scored on the same resamples.
        p_value: Probability of a difference of at least this size, in either direction, if the runs were equally
            good, by approximate randomization (Noreen, 1989): the predictions for each unit are swapped at random.
    """

    first: str
    second: str
    difference: float
    interval: tuple[float, float]
    p_value: float


@dataclass(frozen=True)
class SentenceDifference:
    """A sentence with a different number of entity errors in two runs.

    Attributes:
        location: File and line.
        text: Words joined by spaces.
        gold: Gold entities.
        predicted: Predicted entities by run.
        errors: Missing and spurious entities by run.
    """

    location: str
    text: str
    gold: list[dict[str, Any]]
    predicted: dict[str, list[dict[str, Any]]]
    errors: dict[str, int]


@dataclass(frozen=True)
class Comparison:
    """Result of :func:`compare`.

    Attributes:
        score: Path of the compared score.
        unit, units: What was resampled and swapped, and how many there are.
        resamples: Number of resamples and of randomizations.
        runs, groups, differences: Scores of runs and of groups of seeds, and differences of all pairs.
        sentences: Sentences on which the runs differ most.
    """

    score: str
    unit: str
    units: int
    resamples: int
    runs: list[RunScore]
    groups: list[GroupScore]
    differences: list[Difference]
    sentences: list[SentenceDifference]


def compare(
    gold: Sequence[Document],
    candidates: Sequence[Candidate],
    score: str,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 1,
) -> Comparison:
    """Compare runs.

    Args:
        gold: Gold documents.
        candidates: Runs with their predictions for these documents.
        score: Path of a score, such as ``entity.micro.f1``.
        resamples: Number of resamples.
        seed: Random seed.

    Raises:
        InputError: If there is no such score.
    """
    metric = score.partition(".")[0]
    results = [monitored(candidate.scorer.result(), score, "score") for candidate in candidates]
    units = [candidate.scorer.units() for candidate in candidates]
    unit = units[0][0]
    table = _Table([[entry[metric] for entry in counts] for _, counts in units])
    scoring = candidates[0].scorer.metrics[metric].scores

    def score_of(totals: Counter[str]) -> float:
        return monitored(Evaluation(0.0, 0, 0, {metric: scoring(totals)}), score, "score")

    weights = bootstrap.resample_weights(table.size, resamples, seed)
    samples_by_run = [
        np.array([score_of(totals) for totals in table.totals(number, weights)]) for number in range(len(units))
    ]
    swaps = np.random.default_rng(seed + 1).integers(2, size=(resamples, table.size)).astype(np.float64)
    runs = [
        RunScore(candidate.name, candidate.seed, result, _interval(samples))
        for candidate, result, samples in zip(candidates, results, samples_by_run, strict=True)
    ]
    differences = []
    for first, second in combinations(range(len(candidates)), 2):
        observed = results[second] - results[first]
        swapped = [
            score_of(right) - score_of(left)
            for left, right in zip(
                table.swapped(first, second, swaps), table.swapped(second, first, swaps), strict=True
            )
        ]
        num_extreme = sum(abs(value) >= abs(observed) - 1e-12 for value in swapped)
        differences.append(
            Difference(
                candidates[first].name,
                candidates[second].name,
                observed,
                _interval(samples_by_run[second] - samples_by_run[first]),
                (num_extreme + 1) / (resamples + 1),
            )
        )
    sentences = most_different(gold, {candidate.name: candidate.predicted for candidate in candidates})
    groups = _groups(candidates, results)
    return Comparison(score, unit, table.size, resamples, runs, groups, differences, sentences)


class _Table:
    """Counts of units by run as arrays with the same columns."""

    def __init__(self, runs: Sequence[Sequence[Mapping[str, int]]]) -> None:
        self.names = sorted({name for units in runs for unit in units for name in unit})
        self.size = len(runs[0])
        self.arrays = [
            np.array([[unit.get(name, 0) for name in self.names] for unit in units], dtype=np.float64).reshape(
                self.size, len(self.names)
            )
            for units in runs
        ]

    def totals(self, run: int, weights: np.ndarray) -> list[Counter[str]]:
        """Return the summed counts of a run for each row of weights."""
        return self._counters(weights @ self.arrays[run])

    def swapped(self, run: int, other: int, swaps: np.ndarray) -> list[Counter[str]]:
        """Return the summed counts of a run in which the units with a 1 come from another run."""
        return self._counters((1 - swaps) @ self.arrays[run] + swaps @ self.arrays[other])

    def _counters(self, totals: np.ndarray) -> list[Counter[str]]:
        return [Counter(dict(zip(self.names, row, strict=True))) for row in totals.astype(np.int64).tolist()]


def _interval(samples: np.ndarray) -> tuple[float, float]:
    tail = (1 - bootstrap.LEVEL) / 2
    low, high = np.quantile(samples, [tail, 1 - tail]).tolist()
    return low, high


def _groups(candidates: Sequence[Candidate], results: Sequence[float]) -> list[GroupScore]:
    groups: list[tuple[Any, list[int]]] = []
    for number, candidate in enumerate(candidates):
        members = next((numbers for group, numbers in groups if group == candidate.group), None)
        if members is None:
            groups.append((candidate.group, [number]))
        else:
            members.append(number)
    return [
        GroupScore(
            tuple(candidates[n].name for n in numbers),
            statistics.fmean(results[n] for n in numbers),
            statistics.stdev(results[n] for n in numbers) if len(numbers) > 1 else 0.0,
        )
        for _, numbers in groups
    ]


def most_different(
    gold: Sequence[Document], predicted: Mapping[str, Sequence[Document]], limit: int = MAX_SENTENCES
) -> list[SentenceDifference]:
    """Return the sentences with the largest difference in entity errors between runs, largest first."""
    ranked: list[tuple[int, int, SentenceDifference]] = []
    aligned_examples = zip(*(_examples(documents) for documents in (gold, *predicted.values())), strict=True)
    for example, *examples in aligned_examples:
        spans = {*example.spans}
        errors = {name: len(spans ^ {*other.spans}) for name, other in zip(predicted, examples, strict=True)}
        spread = max(errors.values()) - min(errors.values())
        if spread:
            entities = {name: other.entities() for name, other in zip(predicted, examples, strict=True)}
            text = example.text if example.text is not None else join_words(example.words)[0]
            difference = SentenceDifference(example.location, text, example.entities(), entities, errors)
            ranked.append((spread, sum(errors.values()), difference))
    ranked.sort(key=lambda entry: (-entry[0], -entry[1]))  # stable: in the order of the file
    return [difference for *_, difference in ranked[:limit]]


def _examples(documents: Sequence[Document]) -> list[Any]:
    return [example for document in documents for example in document.examples]
