"""Word-by-word access to the tokenizer of a pretrained model."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ner.data.words import CHINESE
from ner.errors import InputError
from ner.model import pretrained
from ner.model.word_cache import WordCache

_BETWEEN_CHINESE = re.compile(rf"(?<=[{CHINESE}])\s+(?=[{CHINESE}])")


class WordTokenizer:
    """A transformers tokenizer that is applied to one word at a time, so that the word of each piece is known.

    Fast tokenizers split pre-tokenized words independently too, so the pieces are the same as with
    ``is_split_into_words``; tokenizers without ``word_ids`` work as well. Pieces are cached per word.

    Attributes:
        prefix, suffix: Special pieces before and after a text.
        pair_separator: Special pieces between two texts.
        padding, unknown: Ids of these pieces.
        size: Number of embeddings of the encoder that reads the pieces, or None.
        cache: Piece ids by word.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.size: int | None = None
        self.cache = WordCache[list[int]]()
        with_special = self._encode(["a"], True)[0]
        word = self._encode(["a"], False)[0]
        start = next((i for i in range(len(with_special)) if with_special[i : i + len(word)] == word), 0)
        self.prefix = with_special[:start]
        self.suffix = with_special[start + len(word) :]
        # With the options of _encode, because a change of them fails while another thread uses the tokenizer.
        options = {"is_split_into_words": True, "split_special_tokens": True, "verbose": False}
        pair = list(tokenizer(["a"], ["a"], **options)["input_ids"])
        begin, end = len(self.prefix) + len(word), len(pair) - len(word) - len(self.suffix)
        has_pairs = pair[:begin] == [*self.prefix, *word] and pair[end:] == [*word, *self.suffix]
        self.pair_separator = pair[begin:end] if has_pairs else self.suffix
        self.padding: int = tokenizer.pad_token_id or 0
        unknown = tokenizer.unk_token_id
        self.unknown: int = unknown if unknown is not None else self.padding

    @classmethod
    def load(cls, name: str) -> WordTokenizer:
        """Load the tokenizer of a model by name, see :func:`ner.model.pretrained.resolve`.

        Raises:
            InputError: If the name is not found, or the model has no vocabulary.
        """
        tokenizer = pretrained.load("AutoTokenizer", name, add_prefix_space=True)
        if len(tokenizer) <= len(set(tokenizer.all_special_ids)):  # transformers then creates an empty vocabulary
            raise InputError(f"{name}: found no vocabulary of a tokenizer; add tokenizer.json or vocab.txt")
        return cls(tokenizer)

    @classmethod
    def from_files(cls, files: dict[str, bytes], folder: str = "encoder") -> WordTokenizer:
        """Load the tokenizer from the result of :meth:`asset_files`; ``folder`` is that of the run, for messages."""
        with pretrained.unpacked(files, folder) as directory:
            return cls.load(directory)

    def asset_files(self) -> dict[str, bytes]:
        """Return the files of the tokenizer by name."""
        with tempfile.TemporaryDirectory() as folder:
            self.tokenizer.save_pretrained(folder)
            return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}

    def pieces(self, words: Sequence[str]) -> list[list[int]]:
        """Return the piece ids of each word; the list is empty for a word such as a zero-width space."""
        return self.cache.get(words, partial(self._encode, special=False))

    def to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the strings of pieces in the vocabulary."""
        return self.tokenizer.convert_ids_to_tokens(list(ids))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of pieces; an uncased vocabulary returns lower case."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=True)
        return _BETWEEN_CHINESE.sub("", text).strip().removeprefix("##")

    def _encode(self, words: Sequence[str], special: bool) -> list[list[int]]:
        clean = [[word if word.isascii() else word.encode("utf-8", "replace").decode()] for word in words]
        try:
            encoded = self.tokenizer(
                clean,
                is_split_into_words=True,
                add_special_tokens=special,
                split_special_tokens=True,  # "[SEP]" in a text is five characters, not a special piece
                return_attention_mask=False,
                verbose=False,
            )
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # tokenizers raise Exception, and PanicException, which is no Exception
            reason = pretrained.first_line(error)
            raise InputError(
                f"the tokenizer cannot split words into pieces ({reason}); copy its files again"
            ) from error
        pieces = [list(ids) for ids in encoded["input_ids"]]
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
