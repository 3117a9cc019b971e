from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.evaluation.metrics import tag
from ner.types import Example

sklearn = pytest.importorskip("sklearn.metrics")

NAMES = ["O", "B-X", "I-X", "gold O", "a b"]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Example], list[Example]]:
    sizes = draw(st.lists(st.integers(0, 6), max_size=6))
    tags = st.sampled_from(NAMES)
    made = [draw(st.lists(st.tuples(tags, tags), min_size=size, max_size=size)) for size in sizes]
    sides = [[Example(["w"] * len(row), tags=[pair[side] for pair in row]) for row in made] for side in (0, 1)]
    return sides[0], sides[1]


@pytest.mark.slow
@given(pairs())
def test_f1_and_accuracy_agree_with_sklearn(case: tuple[list[Example], list[Example]]) -> None:
    gold, predicted = ([name for example in side for name in example.tags or ()] for side in case)
    scores = tag.scores(tag.count(*case))
    if not gold:
        assert scores == {"f1": {}, "weighted_f1": 0, "accuracy": 0}
        return
    labels = sorted({*gold, *predicted})
    f1 = sklearn.f1_score(gold, predicted, labels=labels, average=None, zero_division=0)
    assert list(scores["f1"]) == labels
    assert list(scores["f1"].values()) == pytest.approx(list(f1))
    weighted = sklearn.f1_score(gold, predicted, average="weighted", zero_division=0)
    assert scores["weighted_f1"] == pytest.approx(weighted)
    assert scores["accuracy"] == pytest.approx(sklearn.accuracy_score(gold, predicted))


@pytest.mark.slow
@given(pairs(), st.integers(0, 6))
def test_counts_add_up_over_any_split(case: tuple[list[Example], list[Example]], cut: int) -> None:
    gold, predicted = case
    total = Counter(tag.count(gold[:cut], predicted[:cut]))
    total.update(tag.count(gold[cut:], predicted[cut:]))
    assert total == tag.count(gold, predicted)


@pytest.mark.parametrize("examples", [[], [Example([])], [Example([], tags=[])], [Example(["a"])]])
def test_without_tags_everything_is_zero(examples: list[Example]) -> None:
    assert tag.scores(tag.count(examples, examples)) == {"f1": {}, "weighted_f1": 0, "accuracy": 0}


def test_words_without_a_gold_tag_do_not_count() -> None:
    gold = [Example(["a"], tags=["O"]), Example(["b"])]
    predicted = [Example(["a"], tags=["O"]), Example(["b"], tags=["B-X"])]
    assert tag.scores(tag.count(gold, predicted)) == {"f1": {"O": 1}, "weighted_f1": 1, "accuracy": 1}


def test_tags_and_predictions_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        tag.count([Example(["a"], tags=["O"])], [Example(["a"], tags=["O", "O"])])


def test_the_log_has_a_line_for_each_tag_then_their_mean() -> None:
    counts = tag.count([Example(["a", "b"], tags=["O", "B-X"])], [Example(["a", "b"], tags=["O", "O"])])
    assert tag.lines(tag.scores(counts)) == ["f1 B-X: 0.0000", "f1 O: 0.6667", "f1-weighted: 0.3333"]
