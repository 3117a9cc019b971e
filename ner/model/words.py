"""Words as ids of words, characters and shapes: the input of the embedding encoder, as arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ner.data.vocab import Vocab
from ner.model.padding import padded
from ner.model.word_cache import WordCache
from ner.types import Example


def shape(word: str) -> str:
    """Return the character classes of a word without repetitions: ``Xx`` for ``Berlin``, ``d-d`` for ``12-1``."""
    classes = ""
    for character in word:
        if character.isupper():
            kind = "X"
        elif character.islower():
            kind = "x"
        elif character.isdigit():
            kind = "d"
        else:
            kind = "c" if character.isalpha() else character
        if not classes.endswith(kind):
            classes += kind
    return classes[:10]


class WordInputs:
    """Conversion of examples to the arrays of the embedding encoder.

    Args:
        tables: Vocabularies ``words``, ``characters`` and ``shapes``; missing ones are not used.
        lowercase, normalize_digits: Form in which words are looked up.
        max_length: Maximum number of characters; the middle of a longer word is dropped.
    """

    def __init__(self, tables: Mapping[str, Vocab], lowercase: bool, normalize_digits: bool, max_length: int) -> None:
        self.tables, self.max_length = dict(tables), max_length
        self.lowercase, self.normalize_digits = lowercase, normalize_digits
        self.cache = WordCache[tuple[int, int, list[int]]]()

    def normalize(self, word: str) -> str:
        """Return the word in the form of the vocabulary."""
        word = word.lower() if self.lowercase else word
        return re.sub(r"\d", "0", word) if self.normalize_digits else word

    def arrays(self, examples: Sequence[Example]) -> dict[str, np.ndarray]:
        """Return the arrays of :meth:`ner.model.encoders.embedding.EmbeddingEncoder.inputs` without ``known``."""
        distinct: dict[str, int] = {}
        positions = [[distinct.setdefault(word, len(distinct)) for word in example.words] for example in examples]
        words, mask = padded(positions)
        entries = self.cache.get([*distinct], lambda new: [self._ids(word) for word in new])
        by_length = np.argsort([len(characters) for _, _, characters in entries], kind="stable")
        entries = [entries[number] for number in by_length.tolist()]
        num_short = len(entries) * 3 // 4
        return {
            "words": np.argsort(by_length)[words],
            "mask": mask,
            "word_ids": np.array([word for word, _, _ in entries], dtype=np.int64),
            "shape_ids": np.array([kind for _, kind, _ in entries], dtype=np.int64),
            "characters": padded([characters for _, _, characters in entries[:num_short]])[0],
            "long_characters": padded([characters for _, _, characters in entries[num_short:]])[0],
            "query_lengths": np.array([example.query_length for example in examples], dtype=np.int64),
        }

    def _ids(self, word: str) -> tuple[int, int, list[int]]:
        """Return the word id, shape id and character ids of a word."""
        tables, limit = self.tables, self.max_length
        shortened = word if len(word) <= limit else word[: limit - limit // 2] + word[-(limit // 2) :]
        return (
            tables["words"].id(self.normalize(word)) if "words" in tables else 0,
            tables["shapes"].id(shape(word)) if "shapes" in tables else 0,
            [tables["characters"].id(character) for character in shortened] if "characters" in tables else [],
        )
