from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.errors import InputError
from ner.model.segmentation import BEGIN, END, MIDDLE, SINGLE, positions, segmenter


def test_characters_are_at_the_positions_of_their_segment() -> None:
    assert segmenter().cut("我在清华大学") == ["我", "在", "清华大学"]
    assert positions([*"我在清华大学"]) == [SINGLE, SINGLE, BEGIN, MIDDLE, MIDDLE, END]


def test_a_unit_may_be_longer_than_a_character() -> None:
    assert positions(["我在", "清华", "大学", "清华大学", "iPhone"])[1:] == [BEGIN, END, SINGLE, SINGLE]


@given(st.lists(st.text(st.characters(exclude_categories=()), min_size=1), max_size=20))
def test_segments_divide_any_text(units: list[str]) -> None:
    found = positions(units)
    assert len(found) == len(units)
    if units:
        assert found[0] in (BEGIN, SINGLE)
        assert found[-1] in (END, SINGLE)


@pytest.fixture
def without_rjieba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "rjieba", None)
    segmenter.cache_clear()
    yield
    segmenter.cache_clear()


@pytest.mark.usefixtures("without_rjieba")
def test_a_missing_segmenter_is_reported_with_the_package_to_install() -> None:
    with pytest.raises(InputError, match="^encoder.segmentation_dimension: rjieba is not installed; pip install 'r"):
        segmenter()
