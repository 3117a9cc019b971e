"""Base class of encoders that read word pieces."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.random import Generator

from ner.contracts import Encoder
from ner.model.tokenizer import WordTokenizer
from ner.types import Example


class Source(NamedTuple):
    """An example as a single row of pieces, followed by generated pieces.

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


class PieceEncoder(Encoder):
    """Base of encoders with a tokenizer; a :class:`~ner.contracts.GenerativeDecoder` requires one.

    Attributes:
        config: Its section of the configuration, with the name of the model.
        model: The pretrained model of transformers.
        tokenizer: Its tokenizer.
        positions: Maximum number of pieces that the model can read.
        row_length: Pieces of a row, special ones included.
    """

    config: Any
    model: Any
    tokenizer: WordTokenizer
    positions: int
    row_length: int

    def source(self, example: Example, limit: int, generator: Generator | None = None) -> Source:
        """Return an example as a single row: the question, if there is one, and as many words as fit.

        Args:
            example: The example.
            limit: Maximum number of pieces, special ones included.
            generator: Randomness of augmentation; None outside training.
        """
        raise NotImplementedError
