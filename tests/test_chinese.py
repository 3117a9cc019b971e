from __future__ import annotations

import pytest

from ner.chinese import join_words
from ner.types import Example, Span


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([*"在北京，2026年"], "在北京，2026年"),
        (["iPhone", "手", "机", "iPad", "Pro"], "iPhone 手机 iPad Pro"),
        (["北京", "大学", "在", "北", "京"], "北京大学在北京"),
        ([*"他在WTO工作，"], "他在WTO工作，"),
        (["I", "have", "a", "6", "中", "文"], "I have a 6 中文"),
        (["a", "b", "I", "x"], "a b I x"),
        (["한국", "사람"], "한국 사람"),
        ([], ""),
    ],
)
def test_characters_of_chinese_text_are_not_separated(words: list[str], text: str) -> None:
    found, offsets = join_words(words)
    assert found == text
    assert [found[start:end] for start, end in offsets] == words


def test_a_chinese_example_is_shown_as_a_text() -> None:
    example = Example([*"我在北京"], spans=[Span(2, 4, "LOC")])
    assert repr(example) == "<Example '我在北京': 北京/LOC>"
    assert example.entities()[0]["text"] == "北京"
    assert Example([*"他在WTO工作"]).text_of(Span(2, 5, "ORG")) == "WTO"
