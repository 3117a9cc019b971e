from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.data import batching
from ner.data.batching import (
    GROUP_DTYPE,
    cut_batches,
    epoch_batches,
    epoch_order,
    group_documents,
    sorted_batches,
)
from ner.types import Document, Example

UNITS = ["sentences", "words", "pieces"]

groups_of_any_size = st.lists(
    st.tuples(st.just(0), st.just(0), st.integers(1, 4), st.integers(0, 30), st.integers(0, 20), st.just(0)),
    max_size=30,
).map(lambda rows: np.array(rows, GROUP_DTYPE))


def table(rows: Iterable[tuple[int, int, int, int]]) -> np.ndarray:
    """Groups of a single document: start, stop, cost and words of each."""
    return np.array([(0, *row, 0) for row in rows], GROUP_DTYPE)


def listed(batches: list[np.ndarray]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def size_of(groups: np.ndarray, batch: Sequence[int], unit: str) -> int:
    """Sentences, or words or pieces with their padding."""
    chosen = groups[list(batch)]
    if unit == "sentences":
        return int((chosen["stop"] - chosen["start"]).sum())
    return len(chosen) * int(chosen["cost" if unit == "pieces" else "words"].max())


def in_pairs(document: Document, limit: int | None) -> list[tuple[int, int, int]]:
    """A hand-written planner: two examples a group, or fewer where the limit says so."""
    step = min(2, limit or 2)
    stops = range(0, len(document.examples), step)
    return [(start, min(start + step, len(document.examples)), 7) for start in stops]


def test_groups_know_their_document_and_their_words() -> None:
    documents = [Document([Example(["a"] * size) for size in (1, 2, 3)]), Document([]), Document([Example([])])]
    assert group_documents(documents, in_pairs).tolist() == [
        (0, 0, 2, 7, 3, 0),
        (0, 2, 3, 7, 3, 2),
        (2, 0, 1, 7, 0, 3),
    ]
    assert len(group_documents([], in_pairs)) == 0


def test_no_group_holds_more_sentences_than_the_limit() -> None:
    def sentences(groups: np.ndarray) -> list[int]:
        return (groups["stop"] - groups["start"]).tolist()

    documents = [Document([Example(["a"])] * 3)]
    assert sentences(group_documents(documents, in_pairs, 1)) == [1, 1, 1]
    assert sentences(group_documents(documents, in_pairs, 2)) == [2, 1]
    assert sentences(group_documents(documents, in_pairs)) == [2, 1]


@pytest.mark.slow
@given(groups_of_any_size, st.integers(0, 3), st.integers(0, 3))
def test_an_order_is_a_function_of_seed_and_epoch(groups: np.ndarray, seed: int, epoch: int) -> None:
    found = epoch_order(groups, seed, epoch)
    assert sorted(found.tolist()) == list(range(len(groups)))
    assert (epoch_order(groups.copy(), seed, epoch) == found).all()


def test_seeds_and_epochs_give_other_orders() -> None:
    groups = table((position, position + 1, 1, 1) for position in range(100))
    found = {tuple(epoch_order(groups, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(found) == 9


def test_an_order_is_sorted_by_cost_within_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "SORT_POOL_SIZE", 10)
    groups = table((position, position + 1, position * 7 % 25, 1) for position in range(25))
    costs = groups["cost"][epoch_order(groups, 1, 1)].tolist()
    for start in (0, 10, 20):
        assert costs[start : start + 10] == sorted(costs[start : start + 10])
    assert costs != sorted(costs)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
@given(groups=groups_of_any_size, size=st.integers(1, 40), seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_every_group_stands_in_one_batch_of_an_epoch_and_sizes_are_respected(
    unit: batching.Measure, groups: np.ndarray, size: int, seed: int, epoch: int
) -> None:
    for batches in (epoch_batches(groups, unit, size, seed, epoch), sorted_batches(groups, unit, size)):
        assert Counter(position for batch in batches for position in batch) == Counter(range(len(groups)))
        assert all(map(len, batches))
        for batch in batches:
            assert size_of(groups, batch, unit) <= size or len(batch) == 1
    again = epoch_batches(groups, unit, size, seed, epoch)
    assert listed(epoch_batches(groups, unit, size, seed, epoch)) == listed(again)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
@given(groups=groups_of_any_size, size=st.integers(1, 40))
def test_batches_follow_the_order_and_are_as_large_as_they_may_be(
    unit: batching.Measure, groups: np.ndarray, size: int
) -> None:
    ordered = list(range(len(groups)))[::-1]
    batches = listed(cut_batches(groups, np.array(ordered, dtype=np.int64), unit, size))
    assert [position for batch in batches for position in batch] == ordered
    for batch, after in pairwise(batches):
        assert size_of(groups, [*batch, after[0]], unit) > size


@pytest.mark.parametrize("unit", UNITS)
def test_a_group_that_is_too_large_is_a_batch_by_itself(unit: batching.Measure) -> None:
    small, large = (0, 1, 1, 1), (0, 9, 9, 9)
    groups = table([small, large, small, small])
    assert listed(cut_batches(groups, np.arange(4), unit, 4)) == [[0], [1], [2, 3]]


def test_padding_counts() -> None:
    groups = table((0, 1, cost, cost) for cost in (1, 1, 1, 4))
    assert listed(cut_batches(groups, np.arange(4), "words", 8)) == [[0, 1, 2], [3]]
    assert listed(cut_batches(groups, np.arange(4), "sentences", 8)) == [[0, 1, 2, 3]]


def test_the_longest_comes_first_in_evaluation() -> None:
    costs = [3, 9, 1, 5]
    groups = table((start, start + 1, cost, cost) for start, cost in enumerate(costs))
    assert listed(sorted_batches(groups, "sentences", 2)) == [[1, 3], [0, 2]]


def test_batches_of_an_epoch_do_not_come_by_length() -> None:
    groups = table((position, position + 1, position, position) for position in range(200))
    lengths = [groups["cost"][batch[0]] for batch in epoch_batches(groups, "sentences", 4, 1, 1)]
    assert lengths != sorted(lengths)
