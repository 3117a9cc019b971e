from __future__ import annotations

import pytest

from ner.chinese import join_words
from ner.types import Example, Span


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([*"在北京，2026年"], "在北京，2026年"),
        (["iPhone", "手", "机", "iPad", "Pro"], "iPhone 手机 iPad Pro"),
        (["北京", "大学", "在", "北", "京"], "北京 大学 在北京"),
        (["a", "b", "I", "x"], "a b I x"),
        ([], ""),
    ],
)
def test_characters_of_chinese_text_are_not_separated(words: list[str], text: str) -> None:
    assert join_words(words) == text


def test_a_chinese_example_is_shown_as_a_text() -> None:
    example = Example([*"我在北京"], spans=[Span(2, 4, "LOC")])
    assert repr(example) == "<Example '我在北京': 北京/LOC>"
    assert example.entities()[0]["text"] == "北京"
