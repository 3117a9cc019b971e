from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.evaluation.metrics import accuracy
from ner.runs.history import score_columns
from ner.types import Example

sklearn = pytest.importorskip("sklearn.metrics")

NAMES = ["good", "bad", "gold bad", "", "a b"]


def texts(labels: list[list[str]]) -> list[Example]:
    return [Example(["w"], labels=list(own)) for own in labels]


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=12))
def test_figures_of_one_class_agree_with_sklearn(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = [left for left, _ in pairs], [right for _, right in pairs]
    scores = accuracy.scores(accuracy.count(texts([[x] for x in gold]), texts([[x] for x in predicted])))
    assert scores["accuracy"] == pytest.approx(sklearn.accuracy_score(gold, predicted))
    for average in ("macro", "micro", "weighted"):
        theirs = sklearn.precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)
        assert list(scores[average].values()) == pytest.approx(list(theirs[:3])), average
    labels = sorted({*gold, *predicted})
    theirs = sklearn.precision_recall_fscore_support(gold, predicted, labels=labels, average=None, zero_division=0)
    assert list(scores["by_label"]) == labels
    for label, *figures in zip(labels, *theirs, strict=True):
        own = scores["by_label"][label]
        assert [own["precision"], own["recall"], own["f1"], own["gold"]] == pytest.approx(figures)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES))), min_size=1, max_size=8))
def test_figures_of_several_classes_agree_with_sklearn(pairs: list[tuple[set[str], set[str]]]) -> None:
    gold, predicted = [sorted(left) for left, _ in pairs], [sorted(right) for _, right in pairs]
    scores = accuracy.scores(accuracy.count(texts(gold), texts(predicted)))
    labels = sorted({label for side in (*gold, *predicted) for label in side})
    assert list(scores["by_label"]) == labels
    assert scores["accuracy"] == pytest.approx(sum(a == b for a, b in zip(gold, predicted, strict=True)) / len(gold))
    if len(labels) < 2:
        return  # a table of one column is a single class to sklearn
    tables = [[[int(label in own) for label in labels] for own in side] for side in (gold, predicted)]
    assert scores["accuracy"] == pytest.approx(sklearn.accuracy_score(*tables))
    for average in ("macro", "micro", "weighted"):
        theirs = sklearn.precision_recall_fscore_support(*tables, average=average, zero_division=0)
        assert list(scores[average].values()) == pytest.approx(list(theirs[:3])), average


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES))), max_size=8), st.integers(0, 8)
)
def test_counts_add_up_over_any_split(pairs: list[tuple[set[str], set[str]]], cut: int) -> None:
    gold, predicted = texts([sorted(left) for left, _ in pairs]), texts([sorted(right) for _, right in pairs])
    total = Counter(accuracy.count(gold[:cut], predicted[:cut]))
    total.update(accuracy.count(gold[cut:], predicted[cut:]))
    assert total == accuracy.count(gold, predicted)
    assert all(isinstance(number, int) for number in total.values())


def test_a_text_without_classes_is_an_answer_like_others() -> None:
    scores = accuracy.scores(accuracy.count(texts([[], [], ["a"]]), texts([[], ["a"], ["a"]])))
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["by_label"]["a"] == {
        **{"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3)},
        **{"gold": 1, "predicted": 2, "correct": 1},
    }


def test_the_order_of_classes_is_no_matter() -> None:
    assert accuracy.scores(accuracy.count(texts([["a", "b"]]), texts([["b", "a"]])))["accuracy"] == 1


def test_a_line_for_each_class_and_the_most_telling_one_last() -> None:
    gold, predicted = texts([["a"], ["a"], ["b"]]), texts([["a"], ["b"], ["b"]])
    assert accuracy.lines(accuracy.scores(accuracy.count(gold, predicted))) == [
        "class a precision: 1.0000, recall: 0.5000, f1: 0.6667",
        "class b precision: 0.5000, recall: 1.0000, f1: 0.6667",
        "accuracy: 0.6667, f1-macro: 0.6667, f1-weighted: 0.6667",
    ]


def test_columns_of_the_history_are_figures_that_there_are() -> None:
    scores = accuracy.scores(accuracy.count(texts([["a"], ["b"]]), texts([["a"], ["a"]])))
    found = {}
    for column, path in score_columns(["accuracy"]).items():
        value = {"accuracy": scores}
        for name in path.split("."):
            value = value[name]
        found[column] = value
    assert found == pytest.approx(
        {"accuracy": 0.5, "precision": 0.25, "recall": 0.5, "f1": 1 / 3, "weighted_f1": 1 / 3}
    )
