from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.model.windows import best_row_per_word, cut, pack


@st.composite
def texts(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Lengths of words that fit into the capacity, the capacity, and an overlap below it."""
    capacity = draw(st.integers(1, 12))
    lengths = draw(st.lists(st.integers(1, capacity), max_size=40))
    return lengths, capacity, draw(st.integers(0, capacity - 1))


@pytest.mark.parametrize(
    ("lengths", "capacity", "limit", "groups"),
    [
        ([], 5, None, []),
        ([3], 5, None, [(0, 1)]),
        ([9], 5, None, [(0, 1)]),
        ([2, 3, 1], 5, None, [(0, 2), (2, 3)]),
        ([9, 1, 9], 5, None, [(0, 1), (1, 2), (2, 3)]),
        ([0, 0, 0], 5, None, [(0, 3)]),
        ([1, 1, 1], 5, 2, [(0, 2), (2, 3)]),
        ([1, 1, 1], 5, 1, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_short_examples_share_a_row(
    lengths: list[int], capacity: int, limit: int | None, groups: list[tuple[int, int]]
) -> None:
    assert pack(lengths, capacity, limit) == groups


@given(st.lists(st.integers(0, 9)), st.integers(1, 12), st.none() | st.integers(1, 4))
def test_packing_loses_nothing_and_fills_rows(lengths: list[int], capacity: int, limit: int | None) -> None:
    groups = pack(lengths, capacity, limit)
    assert [position for start, stop in groups for position in range(start, stop)] == list(range(len(lengths)))
    for start, stop in groups:
        assert sum(lengths[start:stop]) <= capacity or stop - start == 1
        assert limit is None or stop - start <= limit
    for (start, stop), (_, after) in pairwise(groups):
        assert after > stop
        assert sum(lengths[start : stop + 1]) > capacity or stop - start == limit


@pytest.mark.parametrize(
    ("lengths", "capacity", "overlap", "rows"),
    [
        ([], 4, 1, []),
        ([4], 4, 1, [(0, 1)]),
        ([1, 1, 1, 1], 4, 3, [(0, 4)]),
        ([1, 1, 1, 1, 1], 4, 0, [(0, 4), (4, 5)]),
        ([1, 1, 1, 1, 1], 4, 2, [(0, 4), (2, 5)]),
        ([1, 1, 1, 1, 1], 4, 3, [(0, 4), (1, 5)]),
        ([4, 4, 4], 4, 3, [(0, 1), (1, 2), (2, 3)]),
        ([3, 1, 4, 1], 4, 1, [(0, 2), (2, 3), (3, 4)]),
        ([2, 2, 2], 4, 3, [(0, 2), (1, 3)]),
    ],
)
def test_long_examples_are_cut_into_overlapping_rows(
    lengths: list[int], capacity: int, overlap: int, rows: list[tuple[int, int]]
) -> None:
    assert cut(lengths, capacity, overlap) == rows


@pytest.mark.slow
@given(texts())
def test_cut_rows_fit_cover_every_word_and_always_move_on(text: tuple[list[int], int, int]) -> None:
    lengths, capacity, overlap = text
    rows = cut(lengths, capacity, overlap)
    assert {word for start, stop in rows for word in range(start, stop)} == set(range(len(lengths)))
    assert all(sum(lengths[start:stop]) <= capacity for start, stop in rows)
    for (start, stop), (next_start, next_stop) in pairwise(rows):
        assert start < next_start <= stop < next_stop
        assert sum(lengths[next_start:stop]) <= overlap
    assert rows == [(0, len(lengths))] or sum(lengths) > capacity or not lengths


@pytest.mark.slow
@given(texts())
def test_rows_are_as_full_and_overlap_as_much_as_they_may(text: tuple[list[int], int, int]) -> None:
    lengths, capacity, overlap = text
    for (start, stop), (next_start, _) in pairwise(cut(lengths, capacity, overlap)):
        assert sum(lengths[start : stop + 1]) > capacity
        if next_start > start + 1:  # one word more would be too much for the overlap, or leave no room to move on
            repeated = sum(lengths[next_start - 1 : stop])
            assert repeated > overlap or repeated + lengths[stop] > capacity


@pytest.mark.slow
@given(texts())
def test_each_word_is_read_where_it_has_most_context(text: tuple[list[int], int, int]) -> None:
    lengths, capacity, overlap = text
    rows = cut(lengths, capacity, overlap) or [(0, 0)]
    found = best_row_per_word(lengths, rows)
    assert len(found) == len(lengths)

    def context(word: int, row: int) -> int:
        start, stop = rows[row]
        return min(sum(lengths[start:word]), sum(lengths[word + 1 : stop])) if start <= word < stop else -1

    for word, owner in enumerate(found):
        contexts = [context(word, row) for row in range(len(rows))]
        assert contexts[owner] >= 0
        assert owner == contexts.index(max(contexts))
    assert found == sorted(found)
