"""Interface of tokenizers that split single words into pieces."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial

from ner.errors import InputError
from ner.model.word_cache import WordCache


class PieceTokenizer(ABC):
    """A tokenizer that is applied to one word at a time, so that the word of each piece is known.

    Pieces are cached per word.

    Attributes:
        prefix, suffix: Special pieces before and after a text.
        pair_separator: Special pieces between two texts.
        padding, unknown: Ids of these pieces.
        size: Number of embeddings of the encoder that reads the pieces, or None.
        cache: Piece ids by word.
    """

    prefix: list[int]
    suffix: list[int]
    pair_separator: list[int]
    padding: int
    unknown: int
    size: int | None = None

    def __init__(self) -> None:
        self.cache = WordCache[list[int]]()

    @abstractmethod
    def to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the strings of pieces in the vocabulary."""

    @abstractmethod
    def _batch(self, words: list[list[str]], special: bool) -> list[list[int]]:
        """Return the piece ids of each pre-tokenized text, with special pieces if ``special`` is true."""

    def asset_files(self) -> dict[str, bytes]:
        """Return the files of the tokenizer by name."""
        raise NotImplementedError

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """Return the piece ids of each word; the list is empty for a word such as a zero-width space."""
        return self.cache.get(words, partial(self._encode, special=False))

    def _encode(self, words: Sequence[str], special: bool) -> list[list[int]]:
        clean = [[word if word.isascii() else word.encode("utf-8", "replace").decode()] for word in words]
        try:
            pieces = self._batch(clean, special)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # tokenizers raise Exception, and PanicException, which is no Exception
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"the tokenizer cannot split words into pieces ({reason}); copy its files again"
            ) from error
        for ids in pieces:
            self.check_ids(ids)
        return pieces

    def check_ids(self, ids: Sequence[int]) -> None:
        """Raise an InputError if an encoder has no embedding for a piece."""
        if self.size is not None and ids and max(ids) >= self.size:
            raise InputError(
                f"the tokenizer has a piece with id {max(ids)}, but the encoder has {self.size} embeddings; "
                "they belong to different models"
            )
