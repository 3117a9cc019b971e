from __future__ import annotations

import sys
import unicodedata
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers, pre_tokenizers

from ner.config.base import WordRule
from ner.data.words import marks, split_words

RULES = get_args(WordRule)
anything = st.text(st.characters(exclude_categories=[]))


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("", "space", []),
        (" \t\n\u3000\u00a0", "space", []),
        ("Berlin", "space", ["Berlin"]),
        (" a  b\n", "space", ["a", "b"]),
        ("U.N. (2-1)", "space", ["U.N.", "(2-1)"]),
        ("U.N. (2-1)", "punctuation", ["U", ".", "N", ".", "(", "2", "-", "1", ")"]),
        ("don't", "punctuation", ["don", "'", "t"]),
        ("a_b", "punctuation", ["a_b"]),
        ("€5 \U0001f600", "punctuation", ["€", "5", "\U0001f600"]),
        ("北京 A", "characters", ["北", "京", "A"]),
        ("\U0002b6ad。", "characters", ["\U0002b6ad", "。"]),
        ("北京。", "punctuation", ["北京", "。"]),
        ("a\u200bb", "space", ["a\u200bb"]),
    ],
)
def test_each_rule_cuts_where_it_says(text: str, rule: WordRule, words: list[str]) -> None:
    assert split_words(text, rule)[0] == words


@pytest.mark.parametrize("rule", RULES)
@given(text=anything)
def test_offsets_give_the_words_and_nothing_but_white_space_is_left_out(text: str, rule: WordRule) -> None:
    words, offsets = split_words(text, rule)
    assert [text[start:end] for start, end in offsets] == words
    position = 0
    for start, end in offsets:
        assert not text[position:start].strip()
        assert start < end
        position = end
    assert not text[position:].strip()


@pytest.mark.parametrize("rule", RULES)
@given(text=anything)
def test_no_word_holds_white_space(text: str, rule: WordRule) -> None:
    words, _ = split_words(text, rule)
    assert not any(character.isspace() for word in words for character in word)
    if rule == "characters":
        assert all(len(word) == 1 for word in words)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_a_long_text_takes_no_longer_than_its_length_asks(rule: WordRule) -> None:
    words, _ = split_words("a" * 500_000 + "." * 500_000, rule)
    assert sum(map(len, words)) == 1_000_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("नमस्ते दुनिया!", ["नमस्ते", "दुनिया", "!"]),
        ("cafe\u0301, x", ["cafe\u0301", ",", "x"]),
        ("می\u200cخواهم.", ["می\u200cخواهم", "."]),
    ],
)
def test_marks_and_joiners_belong_to_their_word(text: str, words: list[str]) -> None:
    assert split_words(text, "punctuation")[0] == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \u3000\n", []),
        ("北京", ["北", "京"]),
        ("光荣和ω-force", ["光", "荣", "和", "ω", "-", "force"]),
        ("2008年5月,", ["2008", "年", "5", "月", ","]),
        ("《无双3》（PS3）。", ["《", "无", "双", "3", "》", "（", "PS3", "）", "。"]),
        ("U.S. don't a_b", ["U", ".", "S", ".", "don", "'", "t", "a", "_", "b"]),
        ("x\U0002b6ady", ["x", "\U0002b6ad", "y"]),
        ("㐀\uf900\U00020000\U0002fa1f", ["㐀", "\uf900", "\U00020000", "\U0002fa1f"]),
        ("かな漢字 한국", ["かな", "漢", "字", "한국"]),
        ("１２３Ａ", ["１２３Ａ"]),
        ("€5 \U0001f600\U0001f600", ["€", "5", "\U0001f600", "\U0001f600"]),
    ],
)
def test_chinese_characters_and_marks_are_words_and_other_letters_run_together(text: str, words: list[str]) -> None:
    assert split_words(text, "chinese")[0] == words


@given(
    st.text(
        st.characters(max_codepoint=127)
        | st.characters(min_codepoint=0xC0, max_codepoint=0x17F, categories=["L"])
        | st.characters(min_codepoint=0x3400, max_codepoint=0x4DBF)
        | st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
        | st.characters(min_codepoint=0x20000, max_codepoint=0x2B73F)
        | st.sampled_from("，。！？《》“”（）、：；")
    )
)
def test_chinese_words_are_those_before_the_pieces_of_bert(text: str) -> None:
    excluded = {"Cc", "Cn"}  # BERT removes control characters; its blocks omit unassigned code points between them
    if any(unicodedata.category(character) in excluded for character in text):
        text = " ".join(character for character in text if unicodedata.category(character) not in excluded)
    clean = normalizers.BertNormalizer(handle_chinese_chars=True, strip_accents=False, lowercase=False)
    expected = [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(clean.normalize_str(text))]
    assert split_words(text, "chinese")[0] == expected


@pytest.mark.slow
def test_all_marks_of_unicode_belong_to_words() -> None:
    found = {chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith("M")}
    assert {*marks()} == {*found, "\u200c", "\u200d"}
