from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ner.config.parts import ConfigError, parse_component
from ner.config.schema import WindowsConfig
from ner.data.vocab import Vocab, Vocabs
from ner.model.encoders.embedding import CharacterConfig, CharacterVectors, Config, EmbeddingEncoder, build
from ner.model.segmentation import BEGIN, END, NAMES, SINGLE
from ner.model.words import shape
from ner.types import DistinctWords, Example

SENTENCES = [["The", "Bank", "of", "England", "21"], ["the", "bank", "99"]]


def encoder(**options: object) -> EmbeddingEncoder:
    examples = [Example(words) for words in SENTENCES]
    return build(Config(**{"dimension": 4, **options}), Vocabs.from_examples(examples, "bio"), WindowsConfig()).eval()


def vectors(part: EmbeddingEncoder, *words: str) -> torch.Tensor:
    return part(part.inputs([[Example(list(words))]])).words[0]


def test_case_and_digits_are_folded_when_words_are_looked_up() -> None:
    found = vectors(encoder(), "BANK", "bank", "37", "21")
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[2], found[3])
    found = vectors(encoder(lowercase=False, normalize_digits=False), "Bank", "bank", "37", "21")
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[2], found[3])


def test_words_that_training_never_had_share_the_unknown_vector() -> None:
    part = encoder()
    found = vectors(part, "Paris", "Rome")
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], part.words.weight[Vocab.unknown])


def test_rare_words_are_unknown_from_the_start_with_min_count() -> None:
    part = encoder(min_count=2)
    assert "bank" in part.tables["words"]
    assert "england" not in part.tables["words"]


def test_training_reads_some_words_seen_once_as_unknown_and_the_generator_decides() -> None:
    part = encoder(singleton_unk_rate=0.5)
    example = Example(["the", "England"] * 200)

    def known(seed: int) -> torch.Tensor:
        return part.inputs([[example]], [np.random.default_rng(seed)])["known"][0]

    assert known(1)[::2].all()  # seen twice
    assert 60 < known(1)[1::2].sum() < 140
    assert torch.equal(known(1), known(1))
    assert not torch.equal(known(1), known(2))
    assert part.inputs([[example]])["known"].all()


@pytest.mark.parametrize("kind", ["cnn", "lstm"])
def test_characters_tell_words_apart_that_the_table_does_not_know(kind: str) -> None:
    part = encoder(dimension=0, characters=CharacterConfig(kind=kind, dimension=3, width=6))
    found = vectors(part, "the", "eht", "the", "t", "")
    assert found.shape == (5, 6)
    assert torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], found[1])
    assert (found[4] == 0).all()
    longer = vectors(part, "the", "theeeeeeeeee")
    torch.testing.assert_close(longer[0], found[0])


def test_of_a_very_long_word_both_ends_are_read() -> None:
    part = encoder(dimension=0, characters=CharacterConfig(kind="cnn", dimension=3, width=6, max_length=4))
    found = vectors(part, "the" + "n" * 100_000 + "nk", "thnk")
    torch.testing.assert_close(found[0], found[1])


def test_a_bigram_is_a_word_with_its_successor() -> None:
    part = encoder(dimension=0, bigrams={"dimension": 4, "buckets": 1000})
    found = vectors(part, "the", "bank", "England", "the", "bank")
    assert found.shape == (5, 4)
    torch.testing.assert_close(found[0], found[3])
    assert not torch.allclose(found[1], found[4])  # before another word, and at the end
    both = part(part.inputs([[Example(["bank"])], [Example(["the", "bank", "of"])]])).words
    torch.testing.assert_close(both[0, 0], found[4])  # padding is no successor
    assert torch.equal(both[0, 1:], torch.zeros(2, 4))


def test_the_last_word_of_a_question_has_no_successor() -> None:
    part = encoder(dimension=0, bigrams={"dimension": 4})
    question, text = Example(["the", "bank"]), Example(["bank", "of"])
    both = Example(["the", "bank", "bank", "of"], query_length=2)
    ids = part.inputs([[question], [text], [both]])["bigram_ids"]
    assert torch.equal(ids[2], torch.cat([ids[0, :2], ids[1, :2]]))


def test_words_without_a_table_are_replaced_in_bigrams() -> None:
    part = encoder(dimension=0, word_dropout=0.9, bigrams={"dimension": 4})
    example = Example(["the", "bank"] * 50)
    known = part.inputs([[example]], [np.random.default_rng(0)])["known"][0]
    assert 2 < known.sum() < 25


def test_rows_of_bigrams_are_named_by_the_form_of_their_words() -> None:
    options = {"dimension": 0, "bigrams": {"dimension": 4, "buckets": 9}}
    rows = [encoder(**options, **more).axis_labels()["bigrams.weight"] for more in ({}, {"lowercase": False}, {})]
    assert rows[0] == rows[2]
    assert not {*rows[0][0]} & {*rows[1][0]}
    assert len({*rows[0][0]}) == 9


def test_segment_positions_are_the_same_for_all_characters_at_the_same_place_of_a_segment() -> None:
    part = encoder(dimension=0, segmentation_dimension=4)
    found = vectors(part, *"去清华大学和北京")
    assert found.shape == (8, 4)
    single, begin, middle, end = found[0], found[1], found[2], found[4]
    assert len({tuple(vector.tolist()) for vector in (single, begin, middle, end)}) == 4
    assert torch.equal(found, torch.stack([single, begin, middle, middle, end, single, begin, end]))


def test_padding_has_no_segment_position() -> None:
    part = encoder(dimension=0, segmentation_dimension=4)
    inputs = part.inputs([[Example(["去"])], [Example([*"北京"])], [Example([])]])
    assert inputs["segment_positions"].tolist() == [[SINGLE, 0], [BEGIN, END], [0, 0]]
    assert torch.equal(part(inputs).words[0, 1], torch.zeros(4))


def test_a_question_and_its_text_are_segmented_apart() -> None:
    part = encoder(dimension=0, segmentation_dimension=4)
    examples = [Example([*"北京"]), Example([*"北京"], query_length=1)]
    rows = part.inputs([examples])["segment_positions"].tolist()
    assert rows == [[BEGIN, END], [SINGLE, SINGLE]]


def test_segment_positions_are_names_of_rows() -> None:
    part = encoder(segmentation_dimension=4)
    assert part.axis_labels()["segmentation.weight"] == (NAMES, None)


def test_bigrams_of_words_that_training_replaces_are_those_of_the_unknown_word() -> None:
    part = encoder(word_dropout=0.5, bigrams={"dimension": 4})
    example = Example(["the", "the"] * 50)
    inputs = part.inputs([[example]], [np.random.default_rng(0)])
    known = inputs["known"][0]
    assert 20 < known.sum() < 80
    pairs = torch.stack([known, torch.cat([known[1:], known.new_ones(1)])]).T[:-1]
    by_pair = {tuple(pair.tolist()): set() for pair in pairs}
    for pair, ids in zip(pairs, inputs["bigram_ids"][0], strict=False):
        by_pair[tuple(pair.tolist())].add(tuple(ids.tolist()))
    assert [len(ids) for ids in by_pair.values()] == [1] * 4
    assert len(set.union(*by_pair.values())) == 4
    expected = part.inputs([[Example(["Paris", "Rome", "the"])]])["bigram_ids"][0]
    assert by_pair[False, False] == {tuple(expected[0].tolist())}
    assert by_pair[False, True] == {tuple(expected[1].tolist())}


def test_ids_of_bigrams_are_the_same_in_every_version() -> None:
    part = encoder(dimension=0, bigrams={"dimension": 4})
    ids = part.inputs([[Example(["北", "京", "\ud800"])]])["bigram_ids"]
    assert ids.tolist() == [[[8908, 25690], [12794, 37175], [60420, 54285]]]


def test_hardly_any_bigrams_share_both_rows() -> None:
    part = encoder(dimension=0, bigrams={"dimension": 1})
    generator = np.random.default_rng(0)
    words = [str(number) for number in generator.integers(100, 999, 50_000)]
    part.words_to_ids.normalize_digits = False
    ids = part.inputs([[Example(words)]])["bigram_ids"][0, :-1]
    num_bigrams = len(set(pairwise(words)))
    assert num_bigrams > 45_000
    assert len(ids.unique(dim=0)) > 0.9999 * num_bigrams
    for column in ids.T:  # as by random choice
        num_used = len(column.unique())
        assert num_used / (1 << 16) == pytest.approx(1 - np.exp(-num_bigrams / (1 << 16)), abs=0.01)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", ""),
        ("Berlin", "Xx"),
        ("BERLIN", "X"),
        ("U.N.", "X.X."),
        ("2-1", "d-d"),
        ("1996-08-22", "d-d-d"),
        ("iPhone4", "xXxd"),
        ("北京", "c"),
        ("a-b-c-d-e-f-g", "x-x-x-x-x-"),
    ],
)
def test_a_shape_names_kinds_of_characters_once(word: str, expected: str) -> None:
    assert shape(word) == expected


def test_pretrained_vectors_are_used_reported_and_kept_when_frozen(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("bank 1 2 3 4\nparis 5 6 7 8\n", encoding="utf-8")
    part = encoder(vectors=str(path), freeze=True)
    assert vectors(part, "Bank", "Paris").tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert not part.words.weight.requires_grad
    assert part.report == {"vectors": 2, "words with a vector": 2 / 8, "distinct words with a vector": 2 / 8}


def test_words_with_a_pretrained_vector_are_known_however_rare(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("england 1 2 3 4\nparis 5 6 7 8\n", encoding="utf-8")
    part = encoder(vectors=str(path), freeze=True, min_count=2)
    assert vectors(part, "England", "Paris").tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_an_encoder_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs dimension, characters.kind, shape_dimension, bigrams.dimension or"):
        encoder(dimension=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": -1}, "config.dimension"),
        ({"dropout": 1.0}, "config.dropout"),
        ({"singleton_unk_rate": 1.5}, "config.singleton_unk_rate"),
        ({"min_count": 0}, "config.min_count"),
        ({"shape_dimension": -1}, "config.shape_dimension"),
        ({"bigrams": {"buckets": 0}}, "config.bigrams.buckets"),
        ({"segmentation_dimension": -1}, "config.segmentation_dimension"),
        ({"characters": {"kind": "cnn", "kernel_size": 0}}, "config.characters.kernel_size"),
        ({"characters": {"kind": "cnn", "max_length": 1}}, "config.characters.max_length"),
        ({"characters": {"kind": "lstm", "width": 15}}, "width must be even for the two directions of an lstm"),
        ({"dimension": 0}, "needs dimension, characters.kind, shape_dimension, bigrams.dimension or"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_component("encoders", {"name": "embedding", **options})


@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["cnn", "lstm"])
def test_any_kernel_reads_words_shorter_than_itself(kind: str, kernel: int) -> None:
    network = encoder(dimension=0, characters={"kind": kind, "dimension": 3, "width": 6, "kernel_size": kernel})
    found = vectors(network, "t", "the", "")
    assert found.shape == (3, 6)
    torch.testing.assert_close(found[:1], vectors(network, "t"))


def test_the_width_is_the_sum_of_words_characters_and_shape() -> None:
    whole = encoder(dimension=4, shape_dimension=3, characters={"kind": "cnn", "width": 5})
    assert whole.width == 12
    found = vectors(whole, "England", "Scotland", "scotland")
    assert torch.equal(found[1, 9:], found[0, 9:])  # shapes are alike
    assert not torch.equal(found[1, 9:], found[2, 9:])


def test_dropout_of_a_word_seen_once_does_not_depend_on_its_neighbours() -> None:
    network = encoder()
    first, second = Example(["England", "of", "21"] * 20), Example(["of"] * 7)
    alone = network.inputs([[first]], [np.random.default_rng(3)])["known"][0]
    beside = network.inputs([[second], [first]], [np.random.default_rng(1), np.random.default_rng(3)])["known"][1]
    assert torch.equal(alone, beside)


def test_vectors_that_may_move_do_and_frozen_ones_do_not(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("bank 1 2 3 4\n", encoding="utf-8")
    for freeze in (False, True):
        network = encoder(vectors=str(path), freeze=freeze, shape_dimension=2)
        network(network.inputs([[Example(["bank"])]])).words.sum().backward()
        assert (network.words.weight.grad is None) == freeze
        assert network.shapes.weight.grad is not None


def test_word_dropout_reads_any_word_as_unknown_and_keeps_its_characters() -> None:
    counts = Counter({"a": 5, "b": 5})
    part = build(Config(dimension=4, word_dropout=0.5), Vocabs(words=counts), WindowsConfig())
    group = [Example(["a", "b"] * 50)]
    found = [part.inputs([group], [np.random.default_rng(seed)])["known"] for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert 25 < int(found[0].sum()) < 75
    assert part.inputs([group])["known"].all()


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
def test_characters_are_convolved_as_by_torch(kernel_size: int) -> None:
    torch.manual_seed(0)
    part = CharacterVectors(CharacterConfig(kind="cnn", kernel_size=kernel_size, dimension=4, width=6), 9)
    characters = torch.tensor([[3, 4, 5, 6, 7], [8, 3, 0, 0, 0], [0, 0, 0, 0, 0]])
    expected = part.convolution(part.table(characters).transpose(1, 2))[..., :5]
    expected = torch.stack([expected[0].amax(1), expected[1, :, :2].amax(1), torch.zeros(6)])
    found = part(characters)
    torch.testing.assert_close(found, expected)
    parameters = [*part.parameters()]
    gradients = torch.autograd.grad(found.square().sum(), parameters)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected.square().sum(), parameters))
    assert part(characters[:, :0]).tolist() == torch.zeros(3, 6).tolist()


@pytest.mark.parametrize("kind", ["cnn", "none"])
def test_inference_computes_distinct_words(kind: str) -> None:
    part = encoder(characters={"kind": kind}, shape_dimension=3)
    inputs = part.inputs([[Example(words) for words in (*SENTENCES, ["Paris"], [])]])
    expected = part(inputs)
    assert expected.distinct is None
    with torch.inference_mode():
        found = part(inputs)
    assert isinstance(found.distinct, DistinctWords)
    assert len(found.distinct.vectors) == len({word for words in (*SENTENCES, ["Paris"]) for word in words})
    torch.testing.assert_close(found.words, expected.words)
    assert found.words is found.words


@pytest.mark.parametrize("options", [{"bigrams": {"dimension": 2}}, {"segmentation_dimension": 2}])
def test_vectors_that_depend_on_other_words_are_not_distinct(options: dict[str, object]) -> None:
    part = encoder(**options)
    with torch.inference_mode():
        assert part(part.inputs([[Example(SENTENCES[0])]])).distinct is None


def test_replaced_words_are_not_distinct() -> None:
    part = encoder()
    inputs = part.inputs([[Example(SENTENCES[0])]])
    inputs["known"][0, 1] = False
    with torch.inference_mode():
        found = part(inputs)
    assert found.distinct is None
    assert torch.equal(found.words[0, 1], part.words.weight[Vocab.unknown])
