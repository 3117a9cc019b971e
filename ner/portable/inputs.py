"""Inputs of the exported graph: arrays by name, from examples in units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ner.data.vocab import Vocab
from ner.model import length_groups
from ner.model.piece_tokenizer import PieceTokenizer
from ner.model.pieces import PieceInputs
from ner.model.words import WordInputs
from ner.portable.description import PieceEncoder, Pieces, WordEncoder
from ner.types import Document, Example

Arrays = dict[str, np.ndarray]


class GraphInput(Protocol):
    """Conversion of one encoder."""

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Return groups of consecutive examples as ``(start, stop, cost)``."""
        ...

    def arrays(self, groups: Sequence[Sequence[Example]]) -> Arrays:
        """Return the arrays of a batch, among them ``mask (S, W)``."""
        ...

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return how much of a document is not read, by reason."""
        ...


class Tokenizer(PieceTokenizer):
    """A ``tokenizer.json`` without transformers.

    Args:
        data: Content of the file.
        pieces: Special pieces.
    """

    def __init__(self, data: bytes, pieces: Pieces) -> None:
        import tokenizers

        super().__init__()
        self.tokenizer = tokenizers.Tokenizer.from_buffer(data)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True  # "[SEP]" in a text is five characters, not a special piece
        self.prefix, self.suffix, self.pair_separator = pieces.prefix, pieces.suffix, pieces.pair_separator
        self.padding, self.unknown, self.size = pieces.padding, pieces.unknown, pieces.size
        self.check_ids([*self.prefix, *self.suffix, *self.pair_separator, self.padding, self.unknown])

    def to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the strings of pieces in the vocabulary."""
        return [self.tokenizer.id_to_token(id) or "" for id in ids]

    def _batch(self, words: list[list[str]], special: bool) -> list[list[int]]:
        encoded = self.tokenizer.encode_batch(words, is_pretokenized=True, add_special_tokens=special)
        return [encoding.ids for encoding in encoded]


@dataclass(frozen=True)
class _Windows:
    """Windows of an encoder, as in :class:`ner.config.schema.WindowsConfig`; exported decoders have no questions."""

    scope: str
    overlap: int
    max_query_length: int = 1

    def overlap_of(self, capacity: int) -> int:
        """Return the number of shared pieces."""
        return min(self.overlap, capacity - 1)


class WordGraphInput:
    """Words, characters, shapes, bigrams and segments.

    Tables have at least one row and one column, which graphs require.
    """

    def __init__(self, encoder: WordEncoder, files: Mapping[str, bytes]) -> None:
        tables: dict[str, Vocab] = {
            name: Vocab.from_bytes(files[f"{name}.json"], f"encoder/{name}.json") for name in encoder.tables
        }
        self.words = WordInputs(
            tables,
            encoder.lowercase,
            encoder.normalize_digits,
            encoder.max_length,
            encoder.num_buckets,
            encoder.uses_segments,
        )

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Return every example as a group."""
        return [(position, position + 1, len(example.words)) for position, example in enumerate(document.examples)]

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return nothing: all words are read."""
        return Counter()

    def arrays(self, groups: Sequence[Sequence[Example]]) -> Arrays:
        """See :meth:`ner.model.words.WordInputs.arrays`."""
        examples = [example for group in groups for example in group]
        arrays = self.words.arrays(examples)
        if self.words.num_buckets:
            arrays["bigram_ids"] = self.words.bigram_ids(arrays, arrays["mask"])
        del arrays["query_lengths"], arrays["hashes"]
        short_words, long_words = (np.pad(arrays[key], ((0, 0), (0, not arrays[key].shape[1]))) for key in _TABLES)
        if not len(short_words):  # a single distinct word, or none
            short_words = np.zeros((1, 1), dtype=np.int64)
            arrays["words"] = arrays["words"] + 1
            for name in ("word_ids", "shape_ids"):
                arrays[name] = np.pad(arrays[name], (1, 0))
        if not len(long_words):
            long_words = np.zeros((1, 1), dtype=np.int64)
            for name in ("word_ids", "shape_ids"):
                arrays[name] = np.pad(arrays[name], (0, 1))
        return {**arrays, "characters": short_words, "long_characters": long_words}


_TABLES = ("characters", "long_characters")


class PieceGraphInput(PieceInputs):
    """Rows of pieces, and the positions that words are read from."""

    def __init__(self, encoder: PieceEncoder, files: Mapping[str, bytes]) -> None:
        tokenizer = Tokenizer(files["tokenizer.json"], encoder.pieces)
        windows: Any = _Windows(encoder.scope, encoder.overlap)
        super().__init__(tokenizer, encoder.row_length, windows, encoder.pooling)

    def arrays(self, groups: Sequence[Sequence[Example]], generators: Any = None) -> Arrays:
        """Return the arrays of the graph, see :func:`graph_arrays`."""
        return graph_arrays(super().arrays(groups), self.pooling)


def graph_arrays(arrays: Arrays, pooling: str) -> Arrays:
    """Return the arrays of the graph from those of :class:`ner.model.pieces.PieceInputs`.

    ``word_pieces (M,)`` are the positions of the words' pieces in the flattened ``(B, T)``, and ``positions (S, W)``
    the element of each word in them. With ``pooling=mean``, ``piece_words (M,)``, the word of each piece, and
    ``piece_weights (M,)``, 1 divided by the number of pieces of the word, replace ``positions``. The rows of the
    examples have the same form: ``rows (R,)``, ``row_examples (R,)`` and ``row_weights (R,)``.
    """
    mask = arrays["mask"]
    graph = {name: arrays[name] for name in ("pieces", "piece_mask", "mask", "word_pieces")}
    if pooling == "mean":
        words = _bag_ids(arrays["word_starts"], len(arrays["word_pieces"]))
        graph |= {"piece_words": words, "piece_weights": _weights(words, mask.size)}
    else:
        graph["positions"] = np.zeros(mask.shape, dtype=np.int64)
        graph["positions"][mask] = np.arange(len(arrays["word_pieces"]))
    if "rows" in arrays:
        examples = _bag_ids(arrays["row_starts"], len(arrays["rows"]))
        graph |= {"rows": arrays["rows"], "row_examples": examples, "row_weights": _weights(examples, len(mask))}
    return graph


def context_arrays(mask: np.ndarray, num_short: int | None = None) -> Arrays:
    """Return the division of sentences into short and long ones, which a context layer reads separately.

    Args:
        mask: ``(S, W)`` true on words, which come first in each row; at least one column.
        num_short: Number of short sentences; by default the fastest one, see :mod:`ner.model.length_groups`.

    Returns:
        ``short_sentences (s, w)`` and ``long_sentences (l, W)``: positions of words and of padding in the flattened
        mask; and ``state_positions (S, W)``: the position of each word in the concatenation of the flattened two. A
        group without sentences contains one element, which no word refers to.
    """
    lengths = mask.sum(1)
    order = np.argsort(lengths, kind="stable")
    if num_short is None:
        num_short = length_groups.num_short(np.maximum(lengths[order], 1))
    arrays: Arrays = {}
    state_positions = np.zeros(mask.shape, dtype=np.int64)
    start = 0
    for name, rows in (("short_sentences", order[:num_short]), ("long_sentences", order[num_short:])):
        columns = np.arange(lengths[rows].max(initial=1))
        arrays[name] = rows[:, None] * mask.shape[1] + columns if len(rows) else np.zeros((1, 1), dtype=np.int64)
        state_positions[rows[:, None], columns] = start + np.arange(arrays[name].size).reshape(-1, len(columns))
        start += arrays[name].size
    return {**arrays, "state_positions": state_positions}


def _bag_ids(starts: np.ndarray, size: int) -> np.ndarray:
    """Return the number of the bag of each of ``size`` elements; empty bags start where the next one does."""
    return np.searchsorted(starts, np.arange(size), side="right").astype(np.int64) - 1


def _weights(bag_ids: np.ndarray, num_bags: int) -> np.ndarray:
    """Return 1 divided by the size of the bag of each element."""
    return (1 / np.bincount(bag_ids, minlength=num_bags)[bag_ids]).astype(np.float32)
