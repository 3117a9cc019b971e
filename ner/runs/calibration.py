"""Calibration of a run: the temperature of its probabilities, and thresholds for a required precision."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as checked

from ner.errors import InputError
from ner.runtime import atomic, manifest
from ner.runtime.json_files import parse_json, read_bytes

FILE = "calibration.json"
BINS = 10


@checked(frozen=True)
class Bin:
    """Predicted entities whose probabilities are in one interval.

    Attributes:
        low, high: Ends of the interval.
        entities: Number of predicted entities.
        probability: Their mean probability.
        precision: Share of correct ones.
    """

    low: float
    high: float
    entities: int
    probability: float
    precision: float


@checked(frozen=True)
class Reliability:
    """Agreement of the probabilities of predicted entities with the share of correct ones.

    Attributes:
        error: Expected calibration error (Naeini et al., 2015): mean difference between probability and precision of
            the bins, weighted by their entities.
        brier: Mean squared difference between probability and correctness.
        bins: Bins of equal width, without empty ones.
    """

    error: float
    brier: float
    bins: list[Bin]


@checked(frozen=True)
class Threshold:
    """Result on the calibration data of keeping the predicted entities whose probability reaches a value.

    Attributes:
        probability: The value.
        predicted, correct: Number of entities that reach it, and of correct ones among them.
    """

    probability: float
    predicted: int
    correct: int


@dataclass(frozen=True)
class ChosenThreshold:
    """Probability from which entities are kept.

    Attributes:
        min_precision: Required precision.
        probability: The threshold.
        calibrated_precision, calibrated_recall: Result on the calibration data.
    """

    min_precision: float
    probability: float
    calibrated_precision: float
    calibrated_recall: float


@checked(frozen=True)
class Calibration:
    """Temperature of the probabilities of a model, fitted to data.

    Attributes:
        temperature: Divisor of all scores.
        data: Description of the data: ``valid``, or a file.
        sentences: Number of sentences that were used.
        gold, predicted: Number of their entities.
        log_likelihood: Mean log-likelihood of the gold tags of a sentence, before and after.
        before, after: Reliability with temperature 1 and with the fitted one.
        thresholds: Candidates for a threshold, by rising probability.
    """

    temperature: float
    data: str
    sentences: int
    gold: int
    predicted: int
    log_likelihood: tuple[float, float]
    before: Reliability
    after: Reliability
    thresholds: list[Threshold]

    def choose_threshold(self, min_precision: float) -> ChosenThreshold:
        """Return the lowest threshold that reached a precision on the calibration data.

        Raises:
            InputError: If none did.
        """
        for candidate in self.thresholds:
            if candidate.correct >= min_precision * candidate.predicted:
                precision = candidate.correct / candidate.predicted
                return ChosenThreshold(min_precision, candidate.probability, precision, candidate.correct / self.gold)
        best = max((t.correct / t.predicted for t in self.thresholds), default=0.0)
        raise InputError(
            f"--min-precision {min_precision:g}: no threshold reaches it on the calibration data ({self.data}); the "
            f"highest precision is {best:.4f}"
        )

    def to_bytes(self) -> bytes:
        """Return the calibration as JSON."""
        return json.dumps(ADAPTER.dump_python(self, mode="json"), indent=1).encode()


ADAPTER = TypeAdapter(Calibration)


def read(path: Path) -> Calibration:
    """Read the calibration of a run.

    Raises:
        InputError: If the file is damaged or the temperature is not between 0.01 and 100.
    """
    calibration = parse_json(read_bytes(path), ADAPTER, path)
    if not 0.01 <= calibration.temperature <= 100:
        raise InputError(f"{path}: expected a temperature between 0.01 and 100, found {calibration.temperature}")
    return calibration


def write(directory: Path, calibration: Calibration) -> None:
    """Write the calibration of a run and list it in the manifest."""
    names = manifest.verify(directory)
    atomic.write_bytes(directory / FILE, calibration.to_bytes())
    manifest.write_manifest(directory, {*names, FILE})


def choose_threshold(calibration: Calibration | None, min_precision: float | None) -> ChosenThreshold | None:
    """Return the threshold for a precision; None without a precision.

    Raises:
        InputError: If there is no calibration, or no threshold reaches the precision.
    """
    if min_precision is None:
        return None
    if calibration is None:
        raise InputError(
            f"--min-precision: the run has no {FILE}, because it was trained without validation data or by another "
            "version; run ner calibrate --run DIR --data FILE first"
        )
    return calibration.choose_threshold(min_precision)
