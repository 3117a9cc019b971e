from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.evaluation.metrics import notes
from ner.types import Example

sklearn = pytest.importorskip("sklearn.metrics")

NAMES = ["O", "B-X", "I-X"]
batches = st.lists(
    st.lists(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=5), max_size=3), max_size=6
)


def sides(batch: list[list[tuple[str, str]]]) -> tuple[list[Example], list[Example]]:
    gold, predicted = (
        [Example(["w"] * len(row), tags=[pair[side] for pair in row]) for row in batch] for side in (0, 1)
    )
    return gold, predicted


@pytest.mark.slow
@given(batches)
def test_scores_are_the_means_over_batches_as_the_notes_took_them(made: list[list[list[tuple[str, str]]]]) -> None:
    total: Counter[str] = Counter()
    means: dict[str, float] = Counter()
    weighted, used = 0.0, 0
    for batch in made:
        total.update(notes.count(*sides(batch)))
        gold, predicted = ([pair[side] for row in batch for pair in row] for side in (0, 1))
        if not gold:
            continue
        used += 1
        weighted += sklearn.f1_score(gold, predicted, average="weighted", zero_division=0)
        labels = sorted({*gold, *predicted})
        for label, f1 in zip(
            labels, sklearn.f1_score(gold, predicted, labels=labels, average=None, zero_division=0), strict=True
        ):
            means[label] += f1
    scores = notes.scores(total)
    assert scores["weighted_f1"] == pytest.approx(weighted / max(1, used), abs=1e-8)
    assert scores["f1"] == pytest.approx({label: f1 / used for label, f1 in sorted(means.items())}, abs=1e-8)


@pytest.mark.slow
@given(batches)
def test_counts_are_integers_that_do_not_depend_on_the_order(made: list[list[list[tuple[str, str]]]]) -> None:
    found = []
    for order in (made, made[::-1]):
        total: Counter[str] = Counter()
        for batch in order:
            total.update(notes.count(*sides(batch)))
        found.append(total)
    assert found[0] == found[1]
    assert all(type(number) is int for number in found[0].values())


def test_a_tag_that_a_batch_lacks_counts_as_zero() -> None:
    total: Counter[str] = Counter()
    total.update(notes.count(*sides([[("B-X", "B-X")]])))
    total.update(notes.count(*sides([[("O", "O")]])))
    scores = notes.scores(total)
    assert scores == {"f1": {"B-X": 0.5, "O": 0.5}, "weighted_f1": 1}
    assert notes.lines(scores) == ["mean f1 B-X: 0.5000", "mean f1 O: 0.5000", "mean f1-weighted: 1.0000"]


@pytest.mark.parametrize("examples", [[], [Example([])], [Example(["a"])]])
def test_without_tags_everything_is_zero(examples: list[Example]) -> None:
    assert notes.count(examples, examples) == Counter()
    assert notes.scores(Counter()) == {"f1": {}, "weighted_f1": 0}
