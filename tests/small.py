"""Small settings and models for parts that cannot be built from their defaults."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

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
