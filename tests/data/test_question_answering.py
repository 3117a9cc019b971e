from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.chinese import CHINESE
from ner.config.base import WordRule
from ner.data.question_answering import (
    ANSWER,
    char_span,
    find_answer,
    first_answer,
    normalize_answer,
    question_example,
    token_f1,
)
from ner.data.words import split_words
from ner.types import Example, Span

CHINESE_CHARACTER = re.compile(f"[{CHINESE}]")
anything = st.text(st.characters(exclude_categories=["Cs"]))
short = st.text("ab \U0002b6ad", max_size=12)


@pytest.mark.parametrize(
    ("passage", "text", "start", "found"),
    [
        ("ab ab", "ab", 0, 0),
        ("ab ab", "ab", 3, 3),
        ("ab ab", "ab", 1, 0),
        ("ab ab", "ab", 2, 3),
        ("ab  ab", "ab", 2, 0),  # as near on both sides: the earlier one
        ("ab ab", "ab", -1, 0),
        ("x ab ab", "ab", -1, 2),
        ("x ab ab", "ab", -100, 2),
        ("ab ab", "ab", 99, 3),
        ("ab", "c", 0, None),
        ("ab", "ab ", 0, None),
        ("", "a", 0, None),
        ("\U0002b6ad ab", "ab", 3, 2),  # units of UTF-16
        ("\U0002b6ad ab", "ab", 2, 2),  # characters
        ("\U0002b6ad\U0002b6ad ab ab", "ab", 5, 3),
        ("\U0002b6ad\U0002b6ad ab ab", "ab", 8, 6),
        ("\U0002b6ad\U0002b6ad ab ab", "ab", 6, 6),  # as characters it is right, so nothing is converted
        ("aa aaaa \U0002b6ad\U0002b6ad", "aa", 4, 4),
        ("party art", "art", -1, 6),  # outside of longer words
        ("party art", "art", 1, 1),  # it stands where it is said
        ("party art", "art", 2, 6),
        ("art party", "art", 7, 0),
        ("party", "art", 0, 1),  # nowhere else
        ("art, party, art", "art", 4, 0),
        ("art party, art", "art", 9, 11),
        ("1990s 1990", "1990", -1, 6),
        ("партия арт", "арт", -1, 7),
        ("cafe\u0301 cafe", "cafe", -1, 6),
        ("北京人在北京", "北京", -1, 0),
        ("PS3和PS", "PS", -1, 4),
        ("アート", "ート", -1, 1),
    ],
)
def test_an_answer_is_found_where_it_is_said_to_stand_or_nearest(
    passage: str, text: str, start: int, found: int | None
) -> None:
    assert find_answer(passage, text, start) == found


@given(passage=short, text=st.text("ab", min_size=1, max_size=2), start=st.integers(-3, 20))
def test_what_is_found_is_the_answer_and_no_occurrence_is_overlooked(passage: str, text: str, start: int) -> None:
    places = [place for place in range(len(passage)) if passage[place:].startswith(text)]
    found = find_answer(passage, text, start)
    if not places:
        assert found is None
    elif "\U0002b6ad" not in passage or start < 0:
        spaced = f" {passage} ".replace("\U0002b6ad", " ")  # a Chinese character is no part of a longer word
        whole = [place for place in places if spaced[place:].startswith(f" {text} ")]
        nearest = [start] if start in places else whole or places
        assert found == min(nearest, key=lambda place: (abs(place - max(0, start)), place))
    else:
        assert found in places


@pytest.mark.slow
@given(passage=anything, data=st.data())
def test_offsets_in_units_of_utf16_are_understood(passage: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(passage)))
    text = passage[start:]
    if text and passage.count(text) == 1:
        units = len(passage[:start].encode("utf-16-le")) // 2
        assert find_answer(passage, text, units) == find_answer(passage, text, start) == start


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \t\u3000", []),
        ("The  U.S. Army!", ["us", "army"]),
        ("an apple, a day", ["apple", "day"]),
        ("Athena", ["athena"]),
        ("A", []),
        ("the", []),
        ("the-a", ["thea"]),  # punctuation goes before articles, as in the script of SQuAD
        ("$5 + 3", ["5", "3"]),
        ("€5", ["€5"]),
        ("‘x’ — “y”…", ["x", "y"]),
        ("光荣和ω-Force", ["光", "荣", "和", "ωforce"]),
        ("《战国无双3》（PS3）", ["战", "国", "无", "双", "3ps3"]),
        ("2008年 5月。", ["2008", "年", "5", "月"]),
        ("\U0002b6ad、a\U0002b6ad", ["\U0002b6ad", "a", "\U0002b6ad"]),
        ("cafe\u0301", ["cafe\u0301"]),
        ("don't", ["dont"]),
    ],
)
def test_tokens_by_which_answers_are_compared(text: str, tokens: list[str]) -> None:
    assert normalize_answer(text) == tokens


@pytest.mark.slow
@given(text=st.text(string.printable) | st.lists(st.sampled_from(["the", "An", "a", "b", " ", "-", "'s"])).map("".join))
def test_in_ascii_they_are_those_of_squad(text: str) -> None:
    """A second way to the same: word by word instead of with a pattern."""
    kept = "".join(character for character in text.lower() if character.isalnum() or character.isspace())
    assert normalize_answer(text) == [word for word in kept.split() if word not in ("a", "an", "the")]


@given(text=anything)
def test_tokens_hold_neither_white_space_nor_marks_nor_articles(text: str) -> None:
    tokens = normalize_answer(text)
    assert all(tokens)
    for token in tokens:
        assert not any(c.isspace() or c in string.punctuation or unicodedata.category(c)[0] == "P" for c in token)
        assert token not in ("a", "an", "the") or CHINESE_CHARACTER.search(text)


@pytest.mark.parametrize(
    ("left", "right", "value"),
    [
        ("", "", 1),
        ("a", "", 0),
        ("", "a", 0),
        ("x", "x", 1),
        ("x y", "y x", 1),
        ("x", "y", 0),
        ("x x", "x", 2 / 3),
        ("x y z", "y", 1 / 2),
        ("x y", "y z w", 2 / 5),
    ],
)
def test_f1_of_tokens(left: str, right: str, value: float) -> None:
    assert token_f1(left.split(), right.split()) == pytest.approx(value)


@pytest.mark.slow
@given(st.lists(st.sampled_from("xyz"), min_size=1), st.lists(st.sampled_from("xyz"), min_size=1))
def test_f1_is_the_harmonic_mean_of_precision_and_recall(left: list[str], right: list[str]) -> None:
    rest = Counter(right)
    common = 0
    for token in left:
        common += rest[token] > 0
        rest[token] -= 1
    precision, recall = common / len(left), common / len(right)
    expected = 2 * precision * recall / (precision + recall) if common else 0
    assert token_f1(left, right) == pytest.approx(expected)
    assert token_f1(left, right) == token_f1(right, left)


@pytest.mark.parametrize(
    ("answers", "labels", "said"),
    [
        ([], [], ""),
        ([], ["span"], ""),
        (["Rome", "Paris"], ["span"], "Rome"),
        (["Rome"], [], "Rome"),
        (["Rome"], ["unknown"], ""),
        (["unknown"], ["unknown"], ""),
        (["unknown"], [], ""),
        (["unknown"], ["span"], "unknown"),
        (["yes"], ["yes"], "yes"),
    ],
)
def test_the_best_answer(answers: list[str], labels: list[str], said: str) -> None:
    assert first_answer(Example([], answers=answers, labels=labels)) == said


# questions with their passage

RULES = get_args(WordRule)
texts = st.text(st.characters(exclude_categories=[])) | st.text("a b-京\U0002b6ad\U0001f600\u0301\n", max_size=20)


@pytest.mark.slow
@given(turns=st.lists(texts, max_size=4), passage=texts, rule=st.sampled_from(RULES))
def test_the_words_of_the_question_come_first_and_offsets_give_all_of_them(
    turns: list[str], passage: str, rule: WordRule
) -> None:
    example = question_example(turns, passage, rule)
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


@pytest.mark.slow
@given(question=texts, passage=texts, rule=st.sampled_from(RULES), data=st.data())
def test_the_characters_of_words_mark_just_these_words(
    question: str, passage: str, rule: WordRule, data: st.DataObject
) -> None:
    example = question_example([question], passage, rule)
    assert example.offsets is not None
    count = len(example.words) - example.query_length
    if not count:
        assert char_span(example, 0, len(passage)) is None
        return
    first = data.draw(st.integers(0, count - 1)) + example.query_length
    last = data.draw(st.integers(first, len(example.words) - 1))
    start, end = example.offsets[first][0], example.offsets[last][1]
    span = char_span(example, start, end)
    assert span == Span(first, last + 1, ANSWER)
    assert example.text_of(span) == passage[start:end]


@pytest.mark.slow
@given(question=texts, passage=texts, rule=st.sampled_from(RULES), data=st.data())
def test_marked_are_the_words_that_the_characters_touch(
    question: str, passage: str, rule: WordRule, data: st.DataObject
) -> None:
    example = question_example([question], passage, rule)
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
        assert char_span(example, start, end) == expected


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
    example = question_example(["\U0002b6ad?", "Bo"], "\U0002b6ad在Bo。 x", rule)
    span = char_span(example, start, end)
    assert (example.text_of(span) if span else None) == surface
