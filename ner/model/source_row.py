"""The source of a generated answer: an example as a single row of pieces."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import NamedTuple

from numpy.random import Generator

from ner.model.pieces import PieceInputs
from ner.model.windows import skipped_words
from ner.types import Example


class SourceRow(NamedTuple):
    """A row of pieces.

    Attributes:
        pieces: Pieces of the row, special ones included.
        words: Word of each piece that belongs to the text, or to the passage of a question; -1 for other pieces.
        unread: Number of the passage's last words that exceed the row.
        skipped: Number of the question's first words that exceed the row.
    """

    pieces: list[int]
    words: list[int]
    unread: int
    skipped: int


def source_row(input_maker: PieceInputs, example: Example, limit: int, generator: Generator | None = None) -> SourceRow:
    """Return the row of an example: the question, if there is one, then as many words as fit in ``limit`` pieces.

    Args:
        input_maker: Splits words into pieces.
        example: Text, or question with its passage.
        limit: Maximum number of pieces, special ones included.
        generator: Randomness of augmentation; None outside training.
    """
    words, sizes = input_maker.pieces(example, generator)
    tokenizer, query_length = input_maker.tokenizer, example.query_length
    row_pieces = [*tokenizer.prefix]
    capacity = limit - len(tokenizer.prefix) - len(tokenizer.suffix)
    skipped = 0
    if query_length:
        max_query = min(input_maker.limits.max_query, (capacity - len(tokenizer.pair_separator)) // 2)
        skipped = skipped_words(sizes[:query_length], max_query)
        row_pieces += [*chain.from_iterable(words[skipped:query_length]), *tokenizer.pair_separator]
        capacity = limit - len(row_pieces) - len(tokenizer.suffix)
    num_words = sum(end <= capacity for end in accumulate(sizes[query_length:]))
    words_of_pieces = [-1] * len(row_pieces)
    for word in range(query_length, query_length + num_words):
        row_pieces += words[word]
        words_of_pieces += [word] * sizes[word]
    words_of_pieces += [-1] * len(tokenizer.suffix)
    num_unread = len(words) - query_length - num_words
    return SourceRow([*row_pieces, *tokenizer.suffix], words_of_pieces, num_unread, skipped)
