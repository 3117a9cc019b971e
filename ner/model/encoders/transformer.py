"""BERT and its family: pieces in, one vector per word out.

Alignment is label-aware: each word is read at its first piece, its last, or as the mean of all, so the decoder sees
words only. A word that the tokenizer swallows is given the unknown piece, so it has a vector and gets a label. Long
examples are cut into overlapping rows and each word is read where it has most context; short ones may share a row.
The words of a question stand in every row of its passage and are read as their mean over the rows.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import ComponentConfig
from ner.config.schema import WindowsConfig
from ner.data.notices import Notice
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.model import pretrained
from ner.model.pretrained import WordTokenizer
from ner.model.rows import Layout, Room, Rows, skipped_words
from ner.model.windows import pack
from ner.types import Axes, Document, Encoding, Example

ROWS_AT_ONCE = 32
"""Rows of one forward pass outside training, so that a text of any length fits; on a GPU eight times as many."""
WHOLE_MASKS = {"bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"}
"""Models that take a mask ``(B, 1, 1, T)`` as it is. Of one ``(B, T)`` transformers asks whether it is true everywhere,
for which a GPU has to be waited for."""


class Config(ComponentConfig):
    """A pretrained encoder of the BERT family."""

    name: Literal["transformer"] = "transformer"
    """File of ner/model/encoders."""
    model: str
    """A directory, all-MiniLM-L6-v2 (bundled with the extra minilm), or a name on the hub."""
    pooling: Literal["first", "last", "mean"] = "first"
    """Which pieces of a word make its vector."""
    freeze: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Layers from the bottom, the embeddings being the first, that keep their weights."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Of the result."""
    word_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the words whose pieces training reads as unknown."""
    attention_dropout: float | None = Field(None, ge=0, lt=1)
    """Of the attention weights, null for the model's own; 0 lets CPUs use the fused kernel, which saves a quarter."""


def build(
    config: Config, vocabs: Vocabs, windows: WindowsConfig, files: Mapping[str, bytes] | None = None
) -> TransformerEncoder:
    """Pretrained weights by name, or from the files of a saved encoder the same shape with weights still to be loaded.

    Raises:
        InputError: If the model is found nowhere, or reads fewer pieces than ``windows.max_length``.
    """
    if files is None:
        model = pretrained.load_encoder(config.model, config.attention_dropout)
        tokenizer = WordTokenizer.load(config.model)
    else:
        with tempfile.TemporaryDirectory() as folder:
            pretrained.write_files(folder, dict(files))
            shape = pretrained.load("AutoConfig", folder)
            model = pretrained.empty_model(shape)
            tokenizer = WordTokenizer.load(folder)
    return TransformerEncoder(config, model, tokenizer, windows)


class Source(NamedTuple):
    """An example in a single row, for a decoder that goes on behind it.

    Attributes:
        pieces: Of the row, special ones included.
        words: For each piece the word of the text, or of the passage behind a question; -1 for others.
        unread: Words of the passage that the row has no room for, the last ones.
        skipped: Words of the question that it has no room for, the first ones.
    """

    pieces: list[int]
    words: list[int]
    unread: int
    skipped: int


class TransformerEncoder(nn.Module):
    """See the file.

    ``inputs`` holds ``pieces (B, T)`` and ``piece_mask (B, T)``, with questions ``segments (B, T)``, 0 on the question
    and 1 on the passage; ``word_pieces (M,)``, positions in the flattened pieces, with ``word_starts (S * W,)``, where
    each word's list begins; ``rows (R,)`` with ``row_starts (S,)``, the same for the rows of each example;
    ``mask (S, W)``.
    """

    def __init__(self, config: Config, model: Any, tokenizer: WordTokenizer, windows: WindowsConfig) -> None:
        super().__init__()
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self.width: int = model.config.hidden_size
        self.windows = windows
        self.dropout = nn.Dropout(config.dropout)
        positions = _positions(model, tokenizer)
        usual = min(positions, getattr(tokenizer.tokenizer, "model_max_length", positions))
        if windows.max_length is not None and windows.max_length > positions:
            raise InputError(
                f"config.windows.max_length: {windows.max_length}, but {config.model} reads {positions} pieces at most"
            )
        self.positions, self.row_length = positions, windows.max_length or usual
        self.capacity = self.row_length - len(tokenizer.prefix) - len(tokenizer.suffix)
        max_query = max(0, min(windows.max_query_length, (self.capacity - len(tokenizer.middle)) // 2))
        self.room = Room(tokenizer, self.capacity, max_query, windows.step_back)
        self.segments = (getattr(model.config, "type_vocab_size", None) or 0) > 1
        self.takes_whole_masks = (
            model.config.model_type in WHOLE_MASKS and getattr(model.config, "_attn_implementation", "") == "sdpa"
        )
        layers = self.layers()
        for layer in layers if config.freeze == "all" else layers[: config.freeze]:
            layer.requires_grad_(False)
        self.frozen = config.freeze == "all"
        pooler = getattr(model, "pooler", None)
        if pooler is not None:
            pooler.requires_grad_(False)  # nobody reads it

    def layers(self) -> list[nn.Module]:
        """Embeddings first, then the layers of the encoder."""
        stack = next((part for part in self.model.modules() if isinstance(part, nn.ModuleList)), None)
        embeddings = getattr(self.model, "embeddings", None)
        found = [embeddings] if embeddings is not None else [self.model.get_input_embeddings()]
        return [*found, *(stack or [])]

    def files(self) -> dict[str, bytes]:
        """Shape of the model and files of the tokenizer; the weights are the model's own business."""
        with tempfile.TemporaryDirectory() as folder:
            self.model.config.save_pretrained(folder)
            return {"config.json": (Path(folder) / "config.json").read_bytes(), **self.tokenizer.files()}

    def axes(self) -> dict[str, Axes]:
        """Pieces are those of the model, whatever is learned."""
        return {}

    def coverage(self, document: Document) -> Counter[str]:
        """Words without a piece of their own, and words longer than a window."""
        found: Counter[str] = Counter()
        for example in document.examples:
            pieces = [] if example.pieces is not None else self.tokenizer.pieces(example.words)
            found[Notice.NO_PIECES] += sum(not ids for ids in pieces)
            if example.query_length:
                layout = self._layout(example)
                found[Notice.QUESTION_CUT] += layout.skipped
                found[Notice.WORD_CUT] += layout.shortened
            else:
                found[Notice.WORD_CUT] += sum(len(ids) > self.capacity for ids in pieces)
        return +found

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Sentences one by one or packed into rows; the cost counts pieces, special ones and overlaps included."""
        if len(document.examples) > 1:  # new words of a document go through the tokenizer together
            self.tokenizer.pieces([w for e in document.examples if e.pieces is None for w in e.words])
        if any(example.query_length for example in document.examples):
            costs = [self._layout(example).cost for example in document.examples]
            return [(position, position + 1, cost) for position, cost in enumerate(costs)]
        lengths = [self._pieces(example)[1] for example in document.examples]
        sums = [sum(words) for words in lengths]
        if self.windows.unit == "document":
            groups = pack(sums, self.capacity, limit)
        else:
            groups = [(position, position + 1) for position in range(len(sums))]
        marks = len(self.tokenizer.prefix) + len(self.tokenizer.suffix)
        planned = []
        for start, stop in groups:
            cost = sum(sums[start:stop])
            rows = 1
            if cost > self.capacity:
                cuts = self.room.cut(lengths[start])
                rows, cost = len(cuts), sum(sum(lengths[start][begin:end]) for begin, end in cuts)
            planned.append((start, stop, cost + rows * marks))
        return planned

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """See the class."""
        examples = [example for group in groups for example in group]
        randomness = iter(generators or ())
        example_rows: list[list[int]] = []
        rows = Rows(self.room)
        for group in self._apart(groups):
            words: list[list[int]] = []
            for example in group:
                pieces_of_words, _ = self._pieces(example)
                if generators is not None and self.config.word_dropout:
                    pieces_of_words = self._drop(pieces_of_words, next(randomness))
                words += pieces_of_words
            query_length = group[0].query_length if len(group) == 1 else 0
            used = rows.add_question(words, query_length) if query_length else rows.add(words)
            if len(group) == 1:
                example_rows.append(used)
        pieces, piece_mask = rows.padded()
        longest = pieces.shape[1]
        lengths = np.array([len(example.words) for example in examples], dtype=np.int64)
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        word_pieces, count = rows.reads(self.config.pooling, longest)
        counts = np.zeros(mask.size, dtype=np.int64)  # pieces that each word is read from, none for padding
        counts[mask.ravel()] = count
        tensors = {
            "pieces": torch.from_numpy(pieces),
            "piece_mask": torch.from_numpy(piece_mask),
            "word_pieces": torch.from_numpy(word_pieces),
            "word_starts": torch.from_numpy(np.cumsum(counts) - counts),
            "mask": torch.from_numpy(mask),
            "query_lengths": torch.tensor([example.query_length for example in examples], dtype=torch.long),
        }
        if example_rows and len(example_rows) == len(examples):
            starts = np.cumsum([0, *(len(used) for used in example_rows)])[:-1]
            tensors["rows"] = torch.tensor([row for used in example_rows for row in used], dtype=torch.long)
            tensors["row_starts"] = torch.tensor(starts, dtype=torch.long)
        if self.segments and any(rows.passages):
            begin = np.array(rows.passages, dtype=np.int64)[:, None]
            tensors["segments"] = torch.from_numpy(piece_mask & (np.arange(longest) >= begin) & (begin > 0))
        return tensors

    def _apart(self, groups: Sequence[Sequence[Example]]) -> Iterator[Sequence[Example]]:
        """The groups; a question shares its rows with nothing, whoever has planned them."""
        for group in groups:
            if any(example.query_length for example in group):
                yield from ([example] for example in group)
            else:
                yield group

    def _layout(self, example: Example) -> Layout:
        return self.room.lay_out(self._pieces(example)[1], example.query_length)

    def source(self, example: Example, limit: int, generator: Generator | None = None) -> Source:
        """An example in a row of at most ``limit`` pieces: the question, if it is one, and words that fit behind it.

        Args:
            example: Its question is read as in :meth:`inputs`.
            limit: Special pieces included.
            generator: The randomness of augmentation; None when not training.
        """
        words, sizes = self._pieces(example)
        if generator is not None and self.config.word_dropout:
            words = self._drop(words, generator)
        tokens, query = self.tokenizer, example.query_length
        row = [*tokens.prefix]
        room = limit - len(tokens.prefix) - len(tokens.suffix)
        skipped = 0
        if query:
            skipped = skipped_words(sizes[:query], min(self.room.max_query, (room - len(tokens.middle)) // 2))
            row += [*chain.from_iterable(words[skipped:query]), *tokens.middle]
            room = limit - len(row) - len(tokens.suffix)
        ends = np.cumsum(sizes[query:])
        read = int(np.searchsorted(ends, room, side="right"))
        places = [-1] * len(row)
        for word in range(query, query + read):
            row += words[word]
            places += [word] * sizes[word]
        row += tokens.suffix
        return Source(row, [*places, *[-1] * len(tokens.suffix)], len(ends) - read, skipped)

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoding:
        """``(S, W, width)``; ``summary`` is the vector of the first special piece, averaged over an example's rows."""
        mask = inputs["mask"]
        hidden = self._encode(inputs["pieces"], inputs["piece_mask"], inputs.get("segments"))  # (B, T, H)
        flat = hidden.reshape(-1, hidden.shape[-1])
        words = F.embedding_bag(inputs["word_pieces"], flat, inputs["word_starts"], mode="mean")
        words = self.dropout(words.view(*mask.shape, self.width))
        summary = None
        if "rows" in inputs:
            summary = F.embedding_bag(inputs["rows"], hidden[:, 0], inputs["row_starts"], mode="mean")
        query = torch.arange(mask.shape[1], device=mask.device) < inputs["query_lengths"].unsqueeze(1)
        return Encoding(words, mask, summary, query)

    def _encode(self, pieces: Tensor, mask: Tensor, segments: Tensor | None) -> Tensor:
        step = len(pieces) if self.training else ROWS_AT_ONCE * (8 if pieces.is_cuda else 1)
        found = []
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            for start in range(0, len(pieces), max(1, step)):
                part = slice(start, start + step)
                more = {} if segments is None else {"token_type_ids": segments[part].long()}
                seen = mask[part, None, None] if self.takes_whole_masks and mask.is_cuda else mask[part].long()
                result = self.model(input_ids=pieces[part], attention_mask=seen, **more)
                found.append(result.last_hidden_state)
        if not found:
            return torch.zeros((0, 0, self.width), device=pieces.device)
        return found[0] if len(found) == 1 else torch.cat(found)

    def _pieces(self, example: Example) -> tuple[list[list[int]], list[int]]:
        """Piece ids of each word, at least one and at most a window full, and how many there are."""
        if example.pieces is not None:
            return [[piece] for piece in example.pieces], [1] * len(example.pieces)
        found = self.tokenizer.pieces(example.words)
        sizes = list(map(len, found))
        if sizes and not 0 < min(sizes) <= max(sizes) <= self.capacity:
            found = [ids[: self.capacity] or [self.tokenizer.unknown] for ids in found]
            sizes = list(map(len, found))
        return found, sizes

    def _drop(self, words: list[list[int]], generator: Generator) -> list[list[int]]:
        """Some words with unknown pieces in place of their own, as many as they have."""
        dropped = (generator.random(len(words)) < self.config.word_dropout).tolist()
        return [[self.tokenizer.unknown] * len(ids) if drop else ids for ids, drop in zip(words, dropped, strict=True)]


def _positions(model: Any, tokenizer: WordTokenizer) -> int:
    """Pieces that the table of positions has room for; RoBERTa's begins behind the padding id."""
    size = getattr(model.config, "max_position_embeddings", None) or 1_000_000
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return size - (0 if padding is None else padding + 1)
