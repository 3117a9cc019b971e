from __future__ import annotations

import random

import pytest

from ner.errors import InputError
from ner.evaluation.reliability import reliability, thresholds
from ner.runs.calibration import Calibration, choose_threshold


def test_the_error_is_the_weighted_distance_of_probability_and_precision() -> None:
    found = reliability([(0.95, True), (0.95, False), (0.25, False), (1.0, True)])
    assert [(b.low, b.entities, b.precision) for b in found.bins] == [(0.2, 1, 0.0), (0.9, 3, pytest.approx(2 / 3))]
    assert found.error == pytest.approx(0.25 * 0.25 + 0.75 * abs(2.9 / 3 - 2 / 3))
    assert found.brier == pytest.approx((0.05**2 + 0.95**2 + 0.25**2) / 4)
    assert reliability([]).error == 0


def test_probabilities_that_are_right_have_a_small_error() -> None:
    draw = random.Random(1)
    calibrated = [(p, draw.random() < p) for p in (draw.random() for _ in range(20_000))]
    assert reliability(calibrated).error < 0.015
    assert reliability([(p**0.3, correct) for p, correct in calibrated]).error > 0.1


def calibration(predictions: list[tuple[float, bool]]) -> Calibration:
    summary = reliability(predictions)
    return Calibration(1.0, "valid", 1, 4, len(predictions), (0.0, 0.0), summary, summary, thresholds(predictions))


def test_the_lowest_threshold_with_the_precision_is_chosen() -> None:
    found = calibration([(0.9, True), (0.8, True), (0.7, False), (0.7, True), (0.2, False)])
    assert [(t.probability, t.predicted, t.correct) for t in found.thresholds] == [
        *((0.2, 5, 3), (0.7, 4, 3), (0.8, 2, 2), (0.9, 1, 1))
    ]
    for precision, threshold, recall in ((1.0, 0.8, 0.5), (0.75, 0.7, 0.75), (0.5, 0.2, 0.75)):
        chosen = choose_threshold(found, precision)
        assert chosen is not None
        assert (chosen.probability, chosen.calibrated_recall) == (threshold, recall)
    assert choose_threshold(found, None) is None


def test_a_precision_that_nothing_reaches_is_an_error() -> None:
    with pytest.raises(InputError, match=r"highest precision is 0\.5"):
        choose_threshold(calibration([(0.9, False), (0.8, True)]), 0.9)
    with pytest.raises(InputError, match="ner calibrate"):
        choose_threshold(None, 0.9)


def test_many_predictions_have_a_limited_number_of_thresholds() -> None:
    predictions = [(number / 5000, number % 2 == 0) for number in range(5000)]
    found = thresholds(predictions, 50)
    assert len(found) == 50
    assert (found[0].predicted, found[-1].predicted) == (5000, 1)
