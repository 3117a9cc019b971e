from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.evaluation.matching import match
from ner.evaluation.metrics import partial
from ner.types import Example, Span

LABELS = st.sampled_from("AB")
SPANS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 4), LABELS).map(lambda t: Span(t[0], t[0] + t[1], t[2])), max_size=6
)


@pytest.mark.parametrize(
    ("gold", "predicted", "errors"),
    [
        ([(0, 2, "A")], [(0, 2, "A")], ["correct"]),
        ([(0, 2, "A")], [(0, 2, "B")], ["type"]),
        ([(0, 2, "A")], [(0, 1, "A")], ["boundary"]),
        ([(0, 2, "A")], [(1, 3, "B")], ["type_and_boundary"]),
        ([(0, 2, "A")], [], ["missing"]),
        ([], [(0, 2, "A")], ["spurious"]),
        ([(0, 2, "A")], [(2, 3, "A")], ["missing", "spurious"]),
        ([(0, 4, "A")], [(0, 1, "A"), (1, 4, "B")], ["boundary", "spurious"]),  # the same type before a long overlap
        ([(0, 1, "A"), (1, 4, "A")], [(0, 4, "A")], ["missing", "boundary"]),  # the longer overlap
        ([(0, 2, "A"), (0, 2, "B")], [(0, 2, "B"), (0, 2, "A")], ["correct", "correct"]),
    ],
)
def test_each_kind_of_error_is_recognised(gold: list, predicted: list, errors: list[str]) -> None:
    assert [pair.error for pair in match(*([Span(*span) for span in side] for side in (gold, predicted)))] == errors


@pytest.mark.slow
@given(SPANS, SPANS)
def test_every_entity_is_in_one_pair_and_sides_are_symmetric(gold: list[Span], predicted: list[Span]) -> None:
    pairs = match(gold, predicted)
    for side, spans in ((0, gold), (1, predicted)):
        assert sorted(pair[side] for pair in pairs if pair[side]) == sorted(set(spans))
    assert sum(pair.error == "correct" for pair in pairs) == len(set(gold) & set(predicted))
    sides = [Example([], gold)], [Example([], predicted)]
    one, other = partial.scores(partial.count(*sides)), partial.scores(partial.count(*sides[::-1]))
    for rule in partial.RULES:
        assert 0 <= one["exact"]["f1"] <= one[rule]["f1"] <= 1
        assert one[rule]["precision"] == other[rule]["recall"]
    assert one["boundary"]["f1"] <= one["partial"]["f1"]


def test_the_worked_example_of_the_documentation() -> None:
    gold = [Span(0, 2, "PER"), Span(4, 7, "ORG"), Span(8, 9, "LOC"), Span(11, 12, "MISC")]
    predicted = [Span(0, 2, "PER"), Span(4, 6, "ORG"), Span(8, 9, "ORG"), Span(14, 15, "LOC")]
    found = partial.scores(partial.count([Example([], gold)], [Example([], predicted)]))
    assert {rule: found[rule]["f1"] for rule in partial.RULES} == {
        "exact": 0.25,
        "boundary": 0.5,
        "partial": 0.625,
        "type": 0.5,
    }
    assert found["errors"] == {
        **{"correct": 1, "type": 1, "boundary": 1, "type_and_boundary": 0, "missing": 1, "spurious": 1}
    }
