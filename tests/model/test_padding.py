from __future__ import annotations

import pytest

from ner.model.padding import padded


@pytest.mark.parametrize(
    ("rows", "min_length", "table"),
    [
        ([], 0, []),
        ([[]], 0, [[]]),
        ([[], []], 1, [[-1], [-1]]),
        ([[3], [], [1, -1]], 1, [[3, -1], [-1, -1], [1, -1]]),
    ],
)
def test_rows_are_filled_with_padding_that_the_mask_excludes(
    rows: list[list[int]], min_length: int, table: list[list[int]]
) -> None:
    found, mask = padded(rows, -1, min_length)
    assert found.tolist() == table
    assert mask.sum(1).tolist() == list(map(len, rows))
    assert mask.shape == found.shape
