"""Objects that several test files build: small models, settings, documents, CRFs."""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from torch import Tensor

from ner.config.parts import validate
from ner.config.schema import RunConfig
from ner.data import tasks
from ner.data.tags import encode
from ner.model import model
from ner.model.kernels.chain import Chain
from ner.model.model import Model
from ner.runtime.device import set_seed
from ner.runtime.distributed import ProcessGroup
from ner.training import loader
from ner.training.corpus import check_targets, count_vocabs
from ner.training.state import State, initial_state
from ner.types import Document, Example, Span

CPU = torch.device("cpu")
ABOUT = {"data": {"train": "abc"}, "threads": 1}
NAMES = ("Ann", "Bob", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal")


def documents(count: int = 64) -> list[Document]:
    """Sentences of different lengths, some words seen once."""
    found = []
    for number in range(count):
        words = [NAMES[number % 8], "of", f"Rare{number}", *["far"] * (number % 7), "."]
        spans = [Span(0, 1, "PER"), Span(2, 3, "LOC")]
        found.append(Document([Example(words, spans=spans, tags=encode(spans, len(words)), source="t", line=number)]))
    return found


def settings(bert: str | None = None, **options: Any) -> RunConfig:
    """Dropout, word dropout, buckets, accumulation over two passes."""
    encoder: dict[str, Any] = {"name": "embedding", "dimension": 6, "dropout": 0.2, "word_dropout": 0.2}
    if bert:
        encoder = {"name": "transformer", "model": bert, "word_dropout": 0.2}
    raw: dict[str, Any] = {
        "data": {"train": "a", "valid": "b"},
        "encoder": encoder,
        "context": None if bert else {"name": "bilstm", "hidden_size": 4, "dropout": 0.3},
        "batch": {"size": 8, "micro_size": 4, "prefetch": 0},
        "training": {
            "epochs": 5,
            "learning_rate": 0.01,
            "schedule": "linear",
            "warmup_ratio": 0.1,
            "keep_epoch": "last",
        },
    }
    for path, value in options.items():
        section = raw
        *above, key = path.split("__")
        for name in above:
            section = section.setdefault(name, {})
        section[key] = value
    return validate(RunConfig, raw)


def build(config: RunConfig, learned: Sequence[Document]) -> Model:
    """Check documents and build a model for them, as a run does."""
    tasks.check_gold(config.decoder.name, learned, config.data.train)
    built = model.build(config, count_vocabs(learned))
    check_targets(built, learned, config.data.train)
    return built


def fresh(
    config: RunConfig,
    learned: list[Document] | None = None,
    process_group: ProcessGroup | None = None,
    shard: bool = False,
) -> tuple[State, loader.TrainLoader]:
    set_seed(config.seed)
    model = build(config, documents())
    if shard and process_group is not None:
        process_group.fully_shard(model.encoder, model.encoder.layers(), CPU)
    data = loader.TrainLoader(model, learned or documents(), config.batch, config.seed, process_group)
    return initial_state(model, config.training, config.batch, config.metrics, CPU), data


def digest(state: State) -> str:
    """Of the weights, the optimizer's memory and the history."""
    found = hashlib.sha256()
    for name, tensor in sorted(state.model.state_dict().items()):
        found.update(name.encode() + tensor.numpy().tobytes())
    for parameter in state.model.parameters():
        for key, value in sorted(state.optimizer.state.get(parameter, {}).items()):
            found.update(key.encode() + value.numpy().tobytes())
    if state.averaged_weights is not None:
        found.update(b"".join(t.numpy().tobytes() for _, t in sorted(state.averaged_weights.weights.items())))
    rows = [(row.epoch, row.step, row.sentences, row.learning_rates, row.evaluations) for row in state.history]
    found.update(repr(rows).encode())
    return found.hexdigest()


def random_chain(k: int, constrained: bool = False, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> Chain:
    scores = [torch.randn(k, dtype=dtype), torch.randn(k, k, dtype=dtype), torch.randn(k, dtype=dtype)]
    allowed: list[Tensor | None] = [None, None, None]
    if constrained:
        allowed = [torch.rand_like(score) > 0.4 for score in scores]
        for mask in allowed:  # tag 0 may always follow itself, so there is always a path
            assert mask is not None
            mask.view(-1)[0] = True
    return Chain(*(score * scale for score in scores), *allowed)


def random_mask(lengths: list[int], holes: bool = False) -> Tensor:
    mask = torch.arange(max(lengths, default=0)) < torch.tensor(lengths)[:, None]
    return mask & (torch.rand(mask.shape) > 0.3) if holes else mask


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
            "shape_dimension": 2,
        },
        ("encoders", "transformer"): {"model": bert, "pooling": "mean"},
        ("encoders", "concat"): {
            "transformer": {"model": bert},
            "letters": {"name": "embedding", "dimension": 0, "characters": {"kind": "lstm", "width": 4}},
        },
        ("context", "bilstm"): {"hidden_size": 4},
        ("decoders", "unilm"): {"max_target_seq_length": 6, "beam_size": 2},
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


def sentences(count: int = 5) -> list[Document]:
    """Two documents of as many sentences, with everything that is counted."""
    tags = ["B-PER", "O", "I-PER"]
    return [
        Document(
            [Example([f"w{i}", "und", "é"], [Span(0, 1, "PER"), Span(0, 3, "ORG")], tags, ["x"]) for i in range(count)],
            id=name,
        )
        for name in ("0", "b")
    ]


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".part")]
