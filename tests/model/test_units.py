from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner.data.tags import decode, encode
from ner.data.vocab import Vocabs
from ner.model import units
from ner.model.tokenizer import WordTokenizer
from ner.model.units import PieceUnits, WordUnits
from ner.types import Example, Span

SWALLOWED = ["\u200b", "\ufeff", "", "\x00", "\u00ad", "\ufffd"]
LABELS = ["PER", "LOC"]

anything = st.text(st.characters(exclude_categories=[]), max_size=6)
words = st.sampled_from([*SWALLOWED, "Washington", "[SEP]", "a b", "xyz", "北京"]) | anything


@pytest.fixture(scope="module")
def tokenizer(tiny_bert: str) -> WordTokenizer:
    return WordTokenizer.load(tiny_bert)


@st.composite
def sentences(draw: st.DrawFn) -> Example:
    """Words of all Unicode with BIO tags, and the spans that they mean."""
    found = draw(st.lists(words, max_size=6))
    tags = draw(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), min_size=len(found), max_size=len(found)))
    length = draw(st.integers(0, len(found)))
    return Example(
        found, spans=decode(tags), tags=tags, labels=["joy"], query_length=length, line=3, metadata={"id": 1}
    )


def test_words_as_units_change_nothing() -> None:
    examples = [Example(["a", "b"], tags=["O", "O"]), Example([])]
    assert WordUnits().split(examples) == examples
    assert WordUnits().merge(examples, examples) == examples
    assert WordUnits().asset_files() == {}


def test_the_first_piece_keeps_the_beginning_and_the_others_are_inside(tokenizer: WordTokenizer) -> None:
    example = Example(
        ["Ab", "lives", "in", "Washington"],
        spans=[Span(0, 1, "PER"), Span(3, 4, "LOC")],
        tags=["B-PER", "O", "O", "B-LOC"],
        text="Ab lives in Washington",
        offsets=[(0, 2), (3, 8), (9, 11), (12, 22)],
        query_length=3,
    )
    (found,) = PieceUnits(tokenizer).split([example])
    assert found.words == ["A", "##b", "lives", "in", "Wash", "##ing", "##ton"]
    assert found.pieces == tokenizer.tokenizer.convert_tokens_to_ids(found.words)
    assert found.tags == ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "I-LOC"]
    assert found.spans == [Span(0, 2, "PER"), Span(4, 7, "LOC")]
    assert found.query_length == 4
    assert found.text == example.text
    assert found.offsets == [(0, 2), (0, 2), (3, 8), (9, 11), (12, 22), (12, 22), (12, 22)]  # where their words stand
    assert found.line_indices is None


def test_plain_tags_stand_on_every_piece(tokenizer: WordTokenizer) -> None:
    example = Example(["Washington", "in"], tags=["B-NNP", "IN"])
    plain = PieceUnits(tokenizer, "none")
    (found,) = plain.split([example])
    assert found.tags == ["B-NNP", "B-NNP", "B-NNP", "IN"]
    assert plain.merge([example], [found]) == [example]


@pytest.mark.parametrize("word", SWALLOWED)
def test_a_swallowed_word_is_one_unknown_piece(tokenizer: WordTokenizer, word: str) -> None:
    assert tokenizer.pieces([word]) == [[]]
    example = Example(["in", word, "in"], spans=[Span(1, 2, "X")], tags=["O", "B-X", "O"])
    (found,) = PieceUnits(tokenizer).split([example])
    assert found.words == ["in", "[UNK]", "in"]
    assert found.pieces is not None
    assert found.pieces[1] == tokenizer.unknown
    assert PieceUnits(tokenizer).merge([example], [found]) == [example]


@pytest.mark.parametrize("example", [Example([]), Example([], tags=[]), Example(["in"]), Example(["Washington"] * 2)])
def test_empty_and_untagged_examples_come_back(tokenizer: WordTokenizer, example: Example) -> None:
    made = PieceUnits(tokenizer)
    (found,) = made.split([example])
    assert (found.tags is None) == (example.tags is None)
    assert made.merge([example], [found]) == [example]


@pytest.mark.slow
def test_merge_is_the_inverse_of_split_over_all_of_unicode(tokenizer: WordTokenizer) -> None:
    made = PieceUnits(tokenizer)

    @settings(max_examples=200)
    @given(st.lists(sentences(), max_size=3))
    def check(examples: list[Example]) -> None:
        split = made.split(examples)
        for example, unit in zip(examples, split, strict=True):
            assert unit.tags is not None
            assert unit.pieces is not None
            assert len(unit.words) == len(unit.pieces) == len(unit.tags) >= len(example.words)
            assert unit.spans == decode(unit.tags)
        assert made.merge(examples, split) == examples

    check()


def test_spans_of_the_pieces_decode_to_the_same_spans(tokenizer: WordTokenizer) -> None:
    made = PieceUnits(tokenizer)
    spans = [Span(0, 1, "PER"), Span(1, 3, "PER"), Span(3, 4, "LOC")]
    example = Example(["Washington", "ab", "\u200b", "xyz"], spans=spans, tags=encode(spans, 4))
    (unit,) = made.split([example])
    assert encode(unit.spans, len(unit.words)) == unit.tags


def test_a_word_takes_the_tag_of_its_first_piece(tokenizer: WordTokenizer) -> None:
    made = PieceUnits(tokenizer)
    example = Example(["Washington", "in"], tags=["O", "O"], labels=["old"])
    (unit,) = made.split([example])
    unit.tags, unit.labels = ["B-PER", "I-LOC", "O", "I-PER"], ["new"]
    (found,) = made.merge([example], [unit])
    assert found.tags == ["B-PER", "I-PER"]
    assert found.spans == [Span(0, 2, "PER")]
    assert found.labels == ["new"]
    assert example.tags == ["O", "O"]


def test_vocabularies_of_pieces_follow_from_those_of_words(tokenizer: WordTokenizer) -> None:
    examples = [
        Example(["Washington", "in", "\u200b", "in"], spans=[Span(0, 1, "LOC")], tags=["B-LOC", "O", "O", "O"]),
        Example(["xyz", "[SEP]"], tags=["O", "O"], labels=["joy"]),
    ]
    made = PieceUnits(tokenizer)
    found = made.vocabs(Vocabs.from_examples(examples, "bio"))
    assert found == Vocabs.from_examples(made.split(examples), "bio")
    assert found.words["in"] == 2
    words = Vocabs.from_examples(examples, "bio")
    assert WordUnits().vocabs(words) is words


def test_units_are_built_again_from_their_files(tokenizer: WordTokenizer) -> None:
    made = PieceUnits(tokenizer)
    again = units.build("piece", "no such model", "bio", made.asset_files())
    example = Example(["Washington", "lives", "\u200b"], tags=["B-X", "O", "O"])
    assert again.split([example]) == made.split([example])
    assert isinstance(units.build("word", None, "bio"), WordUnits)
