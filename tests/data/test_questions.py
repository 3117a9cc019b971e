from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.data.questions import ANSWER, ask, mark
from ner.data.words import WordRule, split_words
from ner.types import Span

RULES = get_args(WordRule)
texts = st.text(st.characters(exclude_categories=[])) | st.text("a b-京\U0002b6ad\U0001f600\u0301\n", max_size=20)


@given(turns=st.lists(texts, max_size=4), passage=texts, rule=st.sampled_from(RULES))
def test_the_words_of_the_question_come_first_and_offsets_give_all_of_them(
    turns: list[str], passage: str, rule: WordRule
) -> None:
    example = ask(turns, passage, rule)
    query = [word for turn in turns for word in split_words(turn, rule)[0]]
    words, offsets = split_words(passage, rule)
    assert example.words == query + words
    assert example.query_length == len(query)
    assert example.text is not None
    assert example.offsets is not None
    assert [example.text[start:end] for start, end in example.offsets] == example.words
    assert example.offsets[len(query) :] == offsets
    assert example.text.startswith(passage)
    # a turn stands on a line of its own behind the passage
    assert all(start > len(passage) for start, _ in example.offsets[: len(query)])
    assert example.text[len(passage) :] == "".join(f"\n{turn}" for turn in turns)


@given(question=texts, passage=texts, rule=st.sampled_from(RULES), data=st.data())
def test_the_characters_of_words_mark_just_these_words(
    question: str, passage: str, rule: WordRule, data: st.DataObject
) -> None:
    example = ask([question], passage, rule)
    assert example.offsets is not None
    count = len(example.words) - example.query_length
    if not count:
        assert mark(example, 0, len(passage)) is None
        return
    first = data.draw(st.integers(0, count - 1)) + example.query_length
    last = data.draw(st.integers(first, len(example.words) - 1))
    start, end = example.offsets[first][0], example.offsets[last][1]
    span = mark(example, start, end)
    assert span == Span(first, last + 1, ANSWER)
    assert example.surface(span) == passage[start:end]


@given(question=texts, passage=texts, rule=st.sampled_from(RULES), data=st.data())
def test_marked_are_the_words_that_the_characters_touch(
    question: str, passage: str, rule: WordRule, data: st.DataObject
) -> None:
    example = ask([question], passage, rule)
    start = data.draw(st.integers(0, len(passage)))
    end = data.draw(st.integers(start, len(passage)))
    assert example.offsets is not None
    touched = [
        position
        for position, (begin, stop) in enumerate(example.offsets)
        if position >= example.query_length and max(begin, start) < min(stop, end)
    ]
    expected = Span(touched[0], touched[-1] + 1, ANSWER) if touched else None
    if start < end:
        assert mark(example, start, end) == expected


@pytest.mark.parametrize(
    ("rule", "start", "end", "surface"),
    [
        ("space", 0, 1, "\U0002b6ad在Bo。"),
        ("punctuation", 2, 4, "\U0002b6ad在Bo"),
        ("punctuation", 4, 5, "。"),
        ("characters", 2, 3, "B"),
        ("chinese", 2, 3, "Bo"),
        ("chinese", 0, 1, "\U0002b6ad"),
        ("chinese", 1, 4, "在Bo"),
        ("chinese", 5, 6, None),
        ("space", 5, 6, None),
        ("space", 6, 99, "x"),
    ],
)
def test_a_character_above_ffff_is_one_character(rule: WordRule, start: int, end: int, surface: str | None) -> None:
    example = ask(["\U0002b6ad?", "Bo"], "\U0002b6ad在Bo。 x", rule)
    span = mark(example, start, end)
    assert (example.surface(span) if span else None) == surface
