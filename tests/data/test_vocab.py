from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.data.vocab import PADDING, UNKNOWN, Vocab, Vocabs
from ner.types import Example, Span

anything = st.text(st.characters(exclude_categories=[]))  # half surrogate pairs too: JSON can hold them


def test_padding_and_unknown_come_first() -> None:
    vocab = Vocab(["b", "a"])
    assert vocab.strings == [PADDING, UNKNOWN, "b", "a"]
    assert (vocab.padding, vocab.unknown) == (0, 1)
    assert [vocab.id(string) for string in ("b", "a", "c", "")] == [2, 3, 1, 1]
    assert len(vocab) == 4
    assert "a" in vocab
    assert "c" not in vocab


@pytest.mark.parametrize("word", [PADDING, UNKNOWN, "c"])
def test_no_word_of_a_text_is_padding(word: str) -> None:
    assert Vocab(["a", word]).id(word) != Vocab.padding
    assert Vocab(["a"]).id(word) == Vocab.unknown


@pytest.mark.parametrize(
    ("counts", "min_count", "strings"),
    [
        ({}, 1, []),
        ({"b": 2, "a": 2, "c": 3}, 1, ["c", "a", "b"]),
        ({"b": 2, "a": 1}, 2, ["b"]),
        ({"b": 2, "a": 1}, 3, []),
        ({"": 1}, 1, [""]),
    ],
)
def test_frequent_strings_come_first_and_rare_ones_are_left_out(
    counts: dict[str, int], min_count: int, strings: list[str]
) -> None:
    assert Vocab.from_counts(Counter(counts), min_count).strings[2:] == strings


@pytest.mark.slow
@given(st.dictionaries(anything, st.integers(1, 5)))
def test_a_vocabulary_survives_being_saved(counts: dict[str, int]) -> None:
    vocab = Vocab.from_counts(Counter(counts))
    again = Vocab.from_bytes(vocab.to_bytes(), "words.json")
    assert again.strings == vocab.strings
    assert again.ids == vocab.ids


@given(st.dictionaries(anything, st.integers(1, 5)))
def test_each_string_has_an_id_of_its_own(counts: dict[str, int]) -> None:
    vocab = Vocab.from_counts(Counter(counts))
    ids = [vocab.id(string) for string in counts if string not in (PADDING, UNKNOWN)]
    assert sorted(ids) == list(range(2, 2 + len(ids)))


def examples() -> list[Example]:
    return [
        Example(["Ada", "saw", "Ada"], spans=[Span(0, 1, "PER")], tags=["B-PER", "O", "O"], labels=["joy"]),
        Example(["é"], spans=[Span(0, 1, "X")]),
        Example([]),
    ]


def test_everything_is_counted_once() -> None:
    vocabs = Vocabs.from_examples(examples(), "bio")
    assert vocabs.words == {"Ada": 2, "saw": 1, "é": 1}
    assert vocabs.characters == {"A": 2, "d": 2, "a": 3, "s": 1, "w": 1, "é": 1}
    assert vocabs.labels == {"PER": 1, "X": 1}
    assert vocabs.classes == {"joy": 1}
    assert vocabs.tags == {}
    assert not vocabs.plain


def test_plain_tags_are_counted_instead_of_labels() -> None:
    vocabs = Vocabs.from_examples([Example(["a", "b"], tags=["NN", "NN"]), Example(["c"])], "none")
    assert vocabs.tags == {"NN": 2}
    assert vocabs.labels == {}
    assert vocabs.plain


@pytest.mark.slow
@given(st.dictionaries(anything, st.integers(1, 5)), st.sampled_from(["bio", "none"]))
def test_saved_labels_are_read_back_and_words_stay_behind(counts: dict[str, int], scheme: str) -> None:
    found = Counter(counts)
    vocabs = Vocabs(words=Counter("ab"), labels=found, tags=found, classes=found, scheme=scheme)
    again = Vocabs.from_bytes(vocabs.to_bytes())
    assert again == Vocabs(labels=found, tags=found, classes=found, scheme=scheme)


def test_saved_labels_do_not_depend_on_the_order_of_the_examples() -> None:
    forward, backward = examples(), examples()[::-1]
    assert Vocabs.from_examples(forward, "bio").to_bytes() == Vocabs.from_examples(backward, "bio").to_bytes()
