"""Small settings and models for parts that cannot be built from their defaults."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import tokenizers
import transformers


def make_bert(folder: Path, cased: bool = True, **options: Any) -> str:
    """A directory that ``AutoModel`` and ``AutoTokenizer`` can read: two layers, random weights, known pieces."""
    letters = [*string.ascii_letters, *string.digits, *".,-!?'", *"中国北京人"]
    words = ["the", "in", "Berlin", "berlin", "Wash", "##ing", "##ton", "lives"]
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *words,
        *letters,
        *(f"##{letter}" for letter in letters),
    ]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)) + "\n", encoding="utf-8")
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"), do_lower_case=not cased)
    tokenizer.save_pretrained(folder)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        **options,
    }
    transformers.BertModel(transformers.BertConfig(**settings)).save_pretrained(folder)
    return str(folder)


def settings_of(folder: str, name: str, bert: str) -> dict[str, Any]:
    """The smallest configuration of a part; empty where the defaults can be built."""
    return {
        ("encoders", "embedding"): {
            "dimension": 6,
            "characters": {"kind": "cnn", "dimension": 3, "width": 4},
            "shape": 2,
        },
        ("encoders", "transformer"): {"model": bert, "pooling": "mean"},
        ("encoders", "concat"): {
            "transformer": {"model": bert},
            "letters": {"name": "embedding", "dimension": 0, "characters": {"kind": "lstm", "width": 4}},
        },
        ("context", "bilstm"): {"hidden": 4},
        ("decoders", "generator"): {"max_target_seq_length": 6, "beam_size": 2},
        ("context", "rtransformer"): {"layers": 1, "heads": 2, "window": 3},
    }.get((folder, name), {})


def make_bpe(folder: Path) -> str:
    """A tiny RoBERTa with a byte-level tokenizer whose first word of a text has no space before it by default."""
    text = ["Berlin is big . Paris lives in London Berlin berliner"] * 3
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), special, strict=True))
    settings = {"tokenizer_class": "RobertaTokenizer", "cls_token": "<s>", "sep_token": "</s>", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    shape = transformers.RobertaConfig(
        vocab_size=320,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=66,
        pad_token_id=1,
    )
    transformers.RobertaModel(shape).save_pretrained(folder)
    return str(folder)


def make_unigram(folder: Path) -> str:
    """A tiny BERT with a tokenizer of the SentencePiece kind: a mark before each word, no unknown letters inside."""
    pieces = ["▁", "▁Berlin", "▁lives", "▁in", "Wash", "ing", "ton", *string.ascii_letters, *"."]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = [(piece, 0.0) for piece in special] + [(piece, -float(10 - len(piece))) for piece in pieces]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id=3))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), special, strict=True))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", **names)
    return _with_bert(folder, fast)


def make_word_level(folder: Path) -> str:
    """A tiny BERT with a table of whole words, neither marks nor padding, and an unknown word."""
    words = {word: number for number, word in enumerate(["[UNK]", "Berlin", "lives", "in", "a"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return _with_bert(folder, transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]"))


def _with_bert(folder: Path, tokenizer: Any) -> str:
    tokenizer.save_pretrained(folder)
    shape = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    transformers.BertModel(shape).save_pretrained(folder)
    return str(folder)
