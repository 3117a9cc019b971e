"""Base classes of the encoders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.random import Generator
from torch import Tensor, nn

from ner.config.schema import WindowsConfig
from ner.model.tokenizer import WordTokenizer
from ner.types import AxisLabels, Document, Example


class EncoderModule(nn.Module):
    """Base of the encoders, see :class:`~ner.contracts.Encoder`; its defaults are those of an encoder without a limit.

    Attributes:
        width: ``H`` of the result.
        windows: Limits of the rows, or None.
        report: Figures of the construction, for the log.
    """

    width: int
    windows: WindowsConfig | None = None

    def __init__(self) -> None:
        super().__init__()
        self.report: dict[str, Any] = {}

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Return every example as a group of its own; the cost counts words."""
        return [(position, position + 1, len(example.words)) for position, example in enumerate(document.examples)]

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """See :class:`~ner.contracts.Encoder`."""
        raise NotImplementedError

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return no warnings: every word is read whole."""
        return Counter()

    def layers(self) -> list[nn.Module]:
        """Return the encoder as a single layer."""
        return [self]

    def asset_files(self) -> dict[str, bytes]:
        """Return no files."""
        return {}

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return no labels: no tensor depends on the training data."""
        return {}


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


class PieceEncoder(EncoderModule):
    """Base of encoders with a tokenizer; a :class:`~ner.model.decoder.GenerativeDecoder` requires one.

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
