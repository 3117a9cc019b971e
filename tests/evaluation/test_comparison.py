from __future__ import annotations

import random

import pytest

from ner.errors import InputError
from ner.evaluation.comparison import Candidate, compare
from ner.evaluation.scorer import Scorer
from ner.types import Document, Example, Span

GOLD = [Document([Example(["w"] * 4, [Span(0, 1, "A"), Span(2, 4, "B")], line=n + 1, source="f")]) for n in range(60)]


def candidate(name: str, rate: float, seed: int, group: str = "x") -> Candidate:
    """A run that misses entities with a probability."""
    draw = random.Random(seed)
    scorer, predicted = Scorer(["entity"], keep_units=True), []
    for document in GOLD:
        (example,) = document.examples
        found = Example(example.words, [span for span in example.spans if draw.random() > rate])
        scorer.start_document()
        scorer.add([example], [found])
        predicted.append(Document([found]))
    return Candidate(name, group, seed, scorer, predicted)


@pytest.mark.slow
def test_a_clear_difference_is_significant_and_a_small_one_is_not() -> None:
    result = compare(GOLD, [candidate("a", 0.4, 1), candidate("b", 0.1, 2), candidate("c", 0.1, 3)], "entity.micro.f1")
    clear, _, small = result.differences
    assert (clear.first, clear.second) == ("a", "b")
    assert clear.difference > 0
    assert clear.interval[0] > 0
    assert clear.p_value < 0.01
    assert small.interval[0] <= 0 <= small.interval[1]
    assert small.p_value > 0.05
    assert (result.unit, result.units) == ("document", 60)


def test_a_run_equals_itself() -> None:
    result = compare(GOLD, [candidate("a", 0.2, 1), candidate("b", 0.2, 1)], "entity.micro.f1", 100)
    (difference,) = result.differences
    assert (difference.difference, difference.interval, difference.p_value) == (0, (0, 0), 1)
    assert result.sentences == []


def test_swapping_the_runs_changes_the_sign_only() -> None:
    runs = [candidate("a", 0.3, 1), candidate("b", 0.1, 2)]
    (one,), (other,) = (compare(GOLD, order, "entity.micro.f1", 200).differences for order in (runs, runs[::-1]))
    assert one.difference == -other.difference
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert one.p_value == other.p_value


def test_runs_with_equal_settings_are_a_group_of_seeds() -> None:
    runs = [candidate("a", 0.3, 1), candidate("b", 0.1, 2, "y"), candidate("c", 0.3, 3)]
    result = compare(GOLD, runs, "entity.micro.f1", 10)
    assert [group.runs for group in result.groups] == [("a", "c"), ("b",)]
    scores = [run.score for run in result.runs]
    assert result.groups[0].mean == pytest.approx((scores[0] + scores[2]) / 2)
    assert result.groups[0].deviation == pytest.approx(abs(scores[0] - scores[2]) / 2**0.5)
    assert result.groups[1].deviation == 0


def test_the_sentences_with_the_largest_difference_come_first() -> None:
    result = compare(GOLD, [candidate("a", 0.5, 1), candidate("b", 0.05, 2)], "entity.micro.f1", 10)
    spreads = [abs(sentence.errors["a"] - sentence.errors["b"]) for sentence in result.sentences]
    assert spreads == sorted(spreads, reverse=True)
    assert 0 < len(spreads) <= 50
    assert result.sentences[0].location.startswith("f:")


def test_an_unknown_score_is_an_error() -> None:
    with pytest.raises(InputError, match="no score"):
        compare(GOLD, [candidate("a", 0.5, 1), candidate("b", 0.05, 2)], "entity.median", 10)
