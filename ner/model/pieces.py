"""Words as pieces of a tokenizer in rows of limited length: the input of the transformer encoder, as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np

from ner.data.notices import Notice
from ner.errors import InputError
from ner.model.windows import RowBuilder, RowLayout, WindowLimits, pack
from ner.types import Document, Example

if TYPE_CHECKING:
    from numpy.random import Generator

    from ner.config.schema import WindowsConfig
    from ner.model.piece_tokenizer import PieceTokenizer

Pooling = Literal["first", "last", "mean"]


class PieceInputs:
    """Conversion of examples to the arrays of the transformer encoder.

    Args:
        tokenizer: Splits words into pieces.
        row_length: Pieces of a row, special ones included.
        windows: Section ``windows`` of the configuration.
        pooling: Pieces of a word that are read: its first, its last, or all.
        segments: True if the encoder distinguishes question and passage.
        word_dropout: Probability that training replaces the pieces of a word by the unknown piece.

    Raises:
        InputError: If a row has no place for a word.
    """

    def __init__(
        self,
        tokenizer: PieceTokenizer,
        row_length: int,
        windows: WindowsConfig,
        pooling: Pooling,
        segments: bool = False,
        word_dropout: float = 0.0,
    ) -> None:
        self.tokenizer, self.row_length, self.scope, self.pooling = tokenizer, row_length, windows.scope, pooling
        self.segments, self.word_dropout = segments, word_dropout
        self.capacity = row_length - len(tokenizer.prefix) - len(tokenizer.suffix)
        if self.capacity < 1:
            raise InputError(f"a row of {row_length} pieces has no place for a word")
        max_query = max(0, min(windows.max_query_length, (self.capacity - len(tokenizer.pair_separator)) // 2))
        self.limits = WindowLimits(tokenizer, self.capacity, max_query, windows.overlap_of)

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return the number of words without pieces, of shortened words, and of question words that are not read."""
        counts: Counter[str] = Counter()
        for example in document.examples:
            pieces = [] if example.pieces is not None else self.tokenizer.pieces(example.words)
            counts[Notice.NO_PIECES] += sum(not ids for ids in pieces)
            if example.query_length:
                layout = self.layout(example)
                counts[Notice.QUESTION_CUT] += layout.skipped
                counts[Notice.WORD_CUT] += layout.shortened
            else:
                counts[Notice.WORD_CUT] += sum(len(ids) > self.capacity for ids in pieces)
        return +counts

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Return sentences one by one or packed into rows; the cost counts pieces, with special ones and overlaps."""
        if len(document.examples) > 1:  # tokenize the new words of a document in one call
            self.tokenizer.pieces([w for e in document.examples if e.pieces is None for w in e.words])
        if any(example.query_length for example in document.examples):
            costs = [self.layout(example).cost for example in document.examples]
            return [(position, position + 1, cost) for position, cost in enumerate(costs)]
        lengths = [self.pieces(example)[1] for example in document.examples]
        sizes = [sum(words) for words in lengths]
        if self.scope == "document":
            groups = pack(sizes, self.capacity, limit)
        else:
            groups = [(position, position + 1) for position in range(len(sizes))]
        num_special = len(self.tokenizer.prefix) + len(self.tokenizer.suffix)
        planned_groups = []
        for start, stop in groups:
            cost = sum(sizes[start:stop]) + num_special
            if cost > self.row_length:  # a single long example
                cost = self.limits.layout(lengths[start], 0).cost
            planned_groups.append((start, stop, cost))
        return planned_groups

    def arrays(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the arrays of a batch, see :class:`ner.model.encoders.transformer.TransformerEncoder`."""
        examples = [example for group in groups for example in group]
        randomness = iter(generators if generators and self.word_dropout else ())
        example_rows: list[list[int]] = []
        rows = RowBuilder(self.limits)
        # A question shares no row, even if another encoder has planned the groups.
        row_groups = ([[e] for e in group] if any(e.query_length for e in group) else [group] for group in groups)
        for group in chain.from_iterable(row_groups):
            words: list[list[int]] = []
            for example in group:
                words += self.pieces(example, next(randomness, None))[0]
            query_length = group[0].query_length if len(group) == 1 else 0
            row_numbers = rows.add(words, query_length)
            if len(group) == 1:
                example_rows.append(row_numbers)
        pieces, piece_mask = rows.padded()
        longest = pieces.shape[1]
        lengths = np.array([len(example.words) for example in examples], dtype=np.int64)
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        word_pieces, pieces_per_word = rows.word_piece_index(self.pooling, longest)
        counts = np.zeros(mask.size, dtype=np.int64)  # pieces of each word, 0 for padding
        counts[mask.ravel()] = pieces_per_word
        arrays = {
            "pieces": pieces,
            "piece_mask": piece_mask,
            "word_pieces": word_pieces,
            "word_starts": np.cumsum(counts) - counts,
            "mask": mask,
            "query_lengths": np.array([example.query_length for example in examples], dtype=np.int64),
        }
        if example_rows and len(example_rows) == len(examples):
            arrays["rows"] = np.array([row for row_numbers in example_rows for row in row_numbers], dtype=np.int64)
            arrays["row_starts"] = np.cumsum([0, *(len(row_numbers) for row_numbers in example_rows)], dtype=np.int64)[
                :-1
            ]
        if self.segments and any(rows.passages):
            passage_starts = np.array(rows.passages, dtype=np.int64)[:, None]
            arrays["segments"] = piece_mask & (np.arange(longest) >= passage_starts) & (passage_starts > 0)
        return arrays

    def layout(self, example: Example) -> RowLayout:
        """Return the rows of an example."""
        return self.limits.layout(self.pieces(example)[1], example.query_length)

    def pieces(self, example: Example, generator: Generator | None = None) -> tuple[list[list[int]], list[int]]:
        """Return 1 to ``capacity`` piece ids of each word, and their number; a generator may replace words."""
        unknown = self.tokenizer.unknown
        if example.pieces is not None:
            self.tokenizer.check_ids(example.pieces)
            pieces = [[piece] for piece in example.pieces]
        else:
            pieces = self.tokenizer.pieces(example.words)
        sizes = list(map(len, pieces))
        if sizes and not 0 < min(sizes) <= max(sizes) <= self.capacity:
            pieces = [ids[: self.capacity] or [unknown] for ids in pieces]
            sizes = list(map(len, pieces))
        if generator is not None and self.word_dropout:
            dropped = (generator.random(len(pieces)) < self.word_dropout).tolist()
            pieces = [[unknown] * len(ids) if drop else ids for ids, drop in zip(pieces, dropped, strict=True)]
        return pieces, sizes
