"""A sample of the experiment on memory."""

from __future__ import annotations

import sys

import pytest

from tests.reliability import memory


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_word_is_annotated_in_bounded_memory() -> None:
    assert "MB at the peak" in memory.bounded("bilstm_crf", "word", 100)


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_above_the_limit_is_noticed() -> None:
    with pytest.raises(AssertionError, match="at most 0 expected"):
        memory.bounded("bilstm_crf", "words", 0)
