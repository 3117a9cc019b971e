from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.data.word_splitter import WordSplitter, shape
from ner.errors import InputError

TEXTS = """\
Ada 's one-day trip to the U.S. cost $ 1,000.50 , said Mr. Hill .
They did n't leave St. Louis on 1996-08-22 ; they 're late .
Bo 's two-week visit ( to St. Ives ) did n't end .
Mr. Hill won 6-4 6-3 in the U.S. on 1996-08-23 , by 2,000.5 points .
He won 7-5 , and the U.K. lost . They 're here ."""
SENTENCES = [line.split() for line in TEXTS.splitlines() * 2]


def test_words_are_those_of_the_corpus() -> None:
    split = WordSplitter.learn(SENTENCES)
    text = "Obama's three-day trip (to St. Ives, U.K.) wasn't on 2024-01-31; they're 8-6 up at $3,000.25, said Mr. X."
    expected = (
        "Obama 's three-day trip ( to St. Ives , U.K. ) was n't on 2024-01-31 ; "
        "they 're 8-6 up at $ 3,000.25 , said Mr. X ."
    )
    words, offsets = split(text)
    assert " ".join(words) == expected
    assert [text[start:end] for start, end in offsets] == words


def test_a_sentence_ends_with_a_full_stop_even_behind_a_number() -> None:
    split = WordSplitter.learn([["1.", "Ada"], ["2.", "Bo"], ["3.", "Cy"], ["in", "1996", "."]])
    assert split("1. Ada")[0] == ["1.", "Ada"]
    assert split("born in 1996.")[0] == ["born", "in", "1996", "."]


def test_words_of_a_corpus_of_characters_are_characters() -> None:
    split = WordSplitter.learn([list("我在北京NBA2024"), list("他在上海。")])
    assert split("去 北京NBA")[0] == list("去北京NBA")


def test_chinese_words_are_the_longest_known_ones() -> None:
    split = WordSplitter.learn([["我", "在", "北京", "大学"], ["北京", "欢迎", "你"], ["大学", "欢迎", "我"]])
    assert split("我在北京欢迎你")[0] == ["我", "在", "北京", "欢迎", "你"]


def test_a_corpus_with_apostrophes_inside_words_keeps_them() -> None:
    split = WordSplitter.learn([["he", "didn't", "go", "."], ["we", "don't", "know", "O'Brien", "."]] * 2)
    assert split("They can't.")[0] == ["They", "can't", "."]


@pytest.mark.parametrize(
    ("text", "expected"), [("St.", "a."), ("U.S.", "x.x."), ("1996-08-22", "0-0-0"), ("$5m", "$0x"), ("", "")]
)
def test_shapes(text: str, expected: str) -> None:
    assert shape(text) == expected


@pytest.mark.slow
@given(st.text(max_size=60))
def test_offsets_are_exact_and_nothing_but_white_space_is_left_out(text: str) -> None:
    for split in (WordSplitter.learn(SENTENCES), WordSplitter.learn([list("我在北京")])):
        words, offsets = split(text)
        assert [text[start:end] for start, end in offsets] == words
        position = 0
        for start, end in offsets:
            assert position <= start < end
            assert not text[position:start].strip()
            position = end
        assert not text[position:].strip()
        assert (words, offsets) == split(text)  # from the cache


def test_a_saved_splitter_is_the_same() -> None:
    split = WordSplitter.learn(SENTENCES)
    again = WordSplitter.from_bytes(split.to_bytes(), "words.json")
    assert again.learned == split.learned
    with pytest.raises(InputError, match=r"words\.json: "):
        WordSplitter.from_bytes(b'{"words": [1]}', "words.json")


@pytest.mark.slow
def test_long_strings_take_linear_time() -> None:
    split = WordSplitter.learn(SENTENCES)
    noise = "".join(random.Random(1).choices(string.punctuation + "a1", k=50_000))
    assert split(noise)[1][-1][1] == len(noise)
