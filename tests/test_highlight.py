from __future__ import annotations

import re

import pytest

from ner import highlight
from ner.chinese import join_words
from ner.highlight import PALETTE, Mark, colors, to_html
from ner.types import Document, Example, Span

HUES = {"A": "#1", "B": "#2"}


def outline(text: str, marks: list[Mark]) -> str:
    """The HTML with marks as brackets and labels behind a slash."""
    found = to_html(text, marks, HUES)
    found = re.sub('<small dir="ltr">(.*?)</small>', r"/\1", found)
    return re.sub("<mark [^>]*>", "[", found).replace("</mark>", "]")


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([], "abcdef"),
        ([Mark(0, 2, "A")], "[ab/A]cdef"),
        ([Mark(2, 4, "A"), Mark(4, 6, "B", 0.5)], "ab[cd/A][ef/B 0.500]"),
        ([Mark(0, 6, "A"), Mark(2, 4, "B")], "[ab][[cd/B]][ef/A]"),
        ([Mark(2, 5, "B"), Mark(0, 4, "A")], "[ab][[cd]/A][e/B]f"),
        ([Mark(0, 2, "B"), Mark(0, 2, "A")], "[[ab/A]/B]cdef"),
    ],
)
def test_marks_become_elements(marks: list[Mark], expected: str) -> None:
    assert outline("abcdef", marks) == expected


def test_texts_and_labels_are_escaped() -> None:
    found = to_html("<b>&", [Mark(0, 3, "<i>")], {"<i>": "#1"})
    assert "&lt;b&gt;<small" in found
    assert "&lt;i&gt;" in found
    assert "<b>" not in found
    assert found.endswith("&amp;")


def test_labels_have_different_colours_while_there_are_some() -> None:
    labels = [f"label {number}" for number in range(len(PALETTE))]
    assert sorted(colors(labels).values()) == sorted(PALETTE)
    assert set(colors([*labels, "one more"]).values()) == set(PALETTE)
    assert colors(labels[:1])[labels[0]] == colors([labels[0], labels[0]])[labels[0]]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["In", "Rome", "."], "In Rome ."),
        ([*"他在北京"], "他在北京"),
        (["用", "Python", "写"], "用 Python 写"),
        (["こ", "れ", "。"], "これ。"),
        (["한국", "사람"], "한국 사람"),
    ],
)
def test_words_are_joined_as_their_script_is_written(words: list[str], text: str) -> None:
    found, offsets = join_words(words)
    assert found == text
    assert [found[start:end] for start, end in offsets] == words


def test_notebooks_show_spans_labels_and_answers() -> None:
    tagged = Example(["In", "Rome"], [Span(1, 2, "LOC", 0.5)])
    shown = tagged._repr_html_()
    assert "In <mark" in shown
    assert "LOC 0.500" in shown
    assert 'dir="auto"' in shown
    assert "joy" in Example(["x"], labels=["joy"])._repr_html_()
    raw = Example(["In", "Rome"], [Span(1, 2, "LOC")], text="In  Rome", offsets=[(0, 2), (4, 8)])
    assert "In  <mark" in Document([tagged, raw])._repr_html_()


def test_long_documents_are_cut_with_a_notice() -> None:
    document = Document([Example(["x"])] * 203)
    assert document._repr_html_().count('dir="auto"') == 200
    assert "and 3 more" in document._repr_html_()


def test_style_sheet_contains_the_classes() -> None:
    assert all(f".{name}" in highlight.STYLE for name in ("ner-text", "ner-span", "ner-note"))
