"""Chinese text: characters as words, one piece for each of them, and runs of Latin letters beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from ner.config.base import WordRule
from ner.config.schema import WindowsConfig
from ner.data.vocab import Vocabs
from ner.data.words import split_words
from ner.errors import InputError
from ner.model.encoders import transformer
from ner.model.tokenizer import WordTokenizer
from ner.types import Example

NAME = "hfl/chinese-bert-wwm-ext"
REVISION = "0123456789abcdef0123456789abcdef01234567"
CHARACTERS = "北京大学的书店在上海，。！《》"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, "iphone", "##s", "12", "##3", "b", "##c", "p"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the hub that holds a small model under the name and with the files of the large one."""
    root = tmp_path_factory.mktemp("hub")
    folder = root / f"models--{NAME.replace('/', '--')}"
    snapshot = folder / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    shape = transformers.BertConfig(
        vocab_size=len(PIECES),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        directionality="bidi",
        pooler_type="first_token_transform",
    )
    model = transformers.BertForMaskedLM(shape)  # as on the hub: with a head, and without a pooler
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file(weights, snapshot / "model.safetensors", {"format": "pt"})  # a copy that the hub has converted
    (snapshot / "pytorch_model.bin").write_bytes(b"never read")
    config = {**shape.to_dict(), "architectures": ["BertForMaskedLM"]}
    (snapshot / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (snapshot / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    (snapshot / "tokenizer_config.json").write_text('{"init_inputs": []}')
    (snapshot / "added_tokens.json").write_text("{}")
    return root


@pytest.fixture
def cached(hub: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name, which the cache answers for."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(hub), raising=False)
    return NAME


@pytest.mark.slow
def test_the_chinese_encoder_loads_by_its_name(cached: str, hub: Path) -> None:
    config = transformer.Config(model=cached)
    part = transformer.build(config, Vocabs(), WindowsConfig()).eval()
    text = "北京大学iPhones在123，"
    words, _ = split_words(text, "chinese")
    assert words == ["北", "京", "大", "学", "iPhones", "在", "123", "，"]
    assert part(part.inputs([[Example(words)]])).words.shape == (1, 8, 16)
    weights = load_file(next(hub.rglob("model.safetensors")))
    kept = part.model.state_dict()["encoder.layer.1.output.dense.weight"]
    torch.testing.assert_close(kept, weights["bert.encoder.layer.1.output.dense.weight"])


def test_pickled_weights_are_never_read(cached: str, hub: Path) -> None:
    weights = next(hub.rglob("model.safetensors"))
    aside = weights.rename(weights.with_suffix(".aside"))
    try:
        for name in (cached, str(weights.parent)):
            with pytest.raises(InputError, match=r"has only pickled weights .* save them as model.safetensors"):
                transformer.build(transformer.Config(model=name), Vocabs(), WindowsConfig())
    finally:
        aside.rename(weights)


@pytest.fixture(scope="module")
def tokenizer(hub: Path) -> WordTokenizer:
    return WordTokenizer.load(str(next((hub / f"models--{NAME.replace('/', '--')}" / "snapshots").iterdir())))


@pytest.mark.parametrize("rule", ["characters", "chinese"])
def test_a_chinese_character_is_one_piece(tokenizer: WordTokenizer, rule: WordRule) -> None:
    words, _ = split_words(CHARACTERS, rule)
    assert words == list(CHARACTERS)
    assert [tokenizer.to_tokens(ids) for ids in tokenizer.pieces(words)] == [[character] for character in CHARACTERS]


def test_latin_runs_and_digits_stay_aligned(tokenizer: WordTokenizer) -> None:
    text = "京iPhones 123在BCp书"
    words, offsets = split_words(text, "chinese")
    assert words == ["京", "iPhones", "123", "在", "BCp", "书"]
    assert [text[start:end] for start, end in offsets] == words
    found = [tokenizer.to_tokens(ids) for ids in tokenizer.pieces(words)]
    assert found == [["京"], ["iphone", "##s"], ["12", "##3"], ["在"], ["[UNK]"], ["书"]]


@settings(max_examples=100)
@given(st.text(alphabet=[*CHARACTERS, *"abciphones123 ,.-", "é", "龘", "𫚭"], max_size=20))
def test_words_one_by_one_have_the_pieces_of_the_whole_text(tokenizer: WordTokenizer, text: str) -> None:
    words, _ = split_words(text, "chinese")
    pieces = [piece for ids in tokenizer.pieces(words) for piece in ids]
    assert pieces == tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]
