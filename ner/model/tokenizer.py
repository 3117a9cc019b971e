"""Word-by-word access to the tokenizer of a pretrained model."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ner.chinese import CHINESE
from ner.errors import InputError
from ner.model import pretrained
from ner.model.piece_tokenizer import PieceTokenizer

_BETWEEN_CHINESE = re.compile(rf"(?<=[{CHINESE}])\s+(?=[{CHINESE}])")


class WordTokenizer(PieceTokenizer):
    """A transformers tokenizer that is applied to one word at a time, so that the word of each piece is known.

    Fast tokenizers split pre-tokenized words independently too, so the pieces are the same as with
    ``is_split_into_words``; tokenizers without ``word_ids`` work as well.
    """

    def __init__(self, tokenizer: Any) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        with_special = self._encode(["a"], True)[0]
        word_pieces = self._encode(["a"], False)[0]
        start = next((i for i in range(len(with_special)) if with_special[i : i + len(word_pieces)] == word_pieces), 0)
        self.prefix = with_special[:start]
        self.suffix = with_special[start + len(word_pieces) :]
        # With the options of _encode, because a change of them fails while another thread uses the tokenizer.
        options = {"is_split_into_words": True, "split_special_tokens": True, "verbose": False}
        pair = list(tokenizer(["a"], ["a"], **options)["input_ids"])
        begin, end = len(self.prefix) + len(word_pieces), len(pair) - len(word_pieces) - len(self.suffix)
        has_pairs = pair[:begin] == [*self.prefix, *word_pieces] and pair[end:] == [*word_pieces, *self.suffix]
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

    def to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the strings of pieces in the vocabulary."""
        return self.tokenizer.convert_ids_to_tokens(list(ids))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of pieces; an uncased vocabulary returns lower case."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=True)
        return _BETWEEN_CHINESE.sub("", text).strip().removeprefix("##")

    def _batch(self, words: list[list[str]], special: bool) -> list[list[int]]:
        encoded = self.tokenizer(
            words,
            is_split_into_words=True,
            add_special_tokens=special,
            split_special_tokens=True,  # "[SEP]" in a text is five characters, not a special piece
            return_attention_mask=False,
            verbose=False,
        )
        return [list(ids) for ids in encoded["input_ids"]]
