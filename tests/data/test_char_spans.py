from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner.data.char_spans import CharSpan, in_characters, in_unit, set_spans
from ner.data.formats import jsonl
from ner.data.words import split_words
from ner.errors import InputError
from ner.types import Example, Span

ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.slow
@settings(max_examples=60)
@given(text=ANYTHING, data=st.data(), unit=st.sampled_from(["characters", "utf16", "bytes"]))
def test_positions_in_any_unit_come_back_and_recorded_words_find_the_unit(
    text: str, data: st.DataObject, unit: Any
) -> None:
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    (position,) = in_unit(text, [(start, end)], unit)
    assert in_characters(text, [CharSpan(*position, "X")], unit, "a:1") == [CharSpan(start, end, "X")]
    with suppress(InputError):  # the same words at the positions of another unit
        (found,) = in_characters(text, [CharSpan(*position, "X", text[start:end])], "auto", "a:1")
        assert text[found.start : found.end].split() == text[start:end].split()


def test_the_spans_that_overlap_longer_ones_are_listed_in_order() -> None:
    words, offsets = split_words("a b c d", "space")
    example = Example(words, text="a b c d", offsets=offsets)
    spans = [CharSpan(start, start + 1, label) for start, label in ((6, "W"), (0, "X"), (4, "Y"), (2, "Z"))]
    set_spans(example, [*spans, CharSpan(0, 7, "ALL")], jsonl.Config(on_overlap="longest"), "f:1")
    assert example.spans == [Span(0, 4, "ALL")]
    assert [repair.split()[1] for repair in example.repairs] == ["X", "Z", "Y", "W"]
