"""Words as ids of words, characters, shapes, bigrams and segments: the input of the embedding encoder, as arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

from ner.data.vocab import UNKNOWN, Vocab
from ner.model import segmentation
from ner.model.padding import padded
from ner.model.word_cache import WordCache
from ner.types import Example

HASH_PRIME = (1 << 31) - 1
"""Words are hashed to numbers below it, so that sums of two products do not overflow int64."""
BIGRAM_FACTORS = np.array([[1640531527, 2027808487], [1103515245, 1597463007]], dtype=np.int64)
"""Factors of the left and the right word in the two hash functions of a bigram (Carter and Wegman, 1979)."""


def word_hash(word: str) -> int:
    """Return a number from 1 to ``HASH_PRIME - 1`` that is the same in every process and version."""
    return crc32(word.encode(errors="surrogatepass")) % (HASH_PRIME - 1) + 1


UNKNOWN_HASH = word_hash(UNKNOWN)


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
        num_buckets: Number of rows of the table of bigrams; 0 if bigrams are not used.
        uses_segments: True if the positions of words in segments are used.

    Raises:
        InputError: If segments are used and the segmenter is not installed.
    """

    def __init__(
        self,
        tables: Mapping[str, Vocab],
        lowercase: bool,
        normalize_digits: bool,
        max_length: int,
        num_buckets: int = 0,
        uses_segments: bool = False,
    ) -> None:
        self.tables, self.max_length, self.num_buckets = dict(tables), max_length, num_buckets
        self.lowercase, self.normalize_digits = lowercase, normalize_digits
        self.cache = WordCache[tuple[int, int, int, list[int]]]()
        self.uses_segments = uses_segments
        if uses_segments:
            segmentation.segmenter()

    def normalize(self, word: str) -> str:
        """Return the word in the form of the vocabulary."""
        word = word.lower() if self.lowercase else word
        return re.sub(r"\d", "0", word) if self.normalize_digits else word

    def arrays(self, examples: Sequence[Example]) -> dict[str, np.ndarray]:
        """Return the arrays of :meth:`ner.model.encoders.embedding.EmbeddingEncoder.inputs`, and ``hashes (U,)``.

        ``known`` and ``bigram_ids`` are left out, because they depend on the words that training replaces.
        """
        distinct: dict[str, int] = {}
        positions = [[distinct.setdefault(word, len(distinct)) for word in example.words] for example in examples]
        words, mask = padded(positions)
        entries = self.cache.get([*distinct], lambda new: [self._ids(word) for word in new])
        by_length = np.argsort([len(characters) for *_, characters in entries], kind="stable")
        entries = [entries[number] for number in by_length.tolist()]
        num_short = len(entries) * 3 // 4
        arrays = {
            "words": np.argsort(by_length)[words],
            "mask": mask,
            "word_ids": np.array([word for word, *_ in entries], dtype=np.int64),
            "shape_ids": np.array([kind for _, kind, *_ in entries], dtype=np.int64),
            "hashes": np.array([number for _, _, number, _ in entries], dtype=np.int64),
            "characters": padded([characters for *_, characters in entries[:num_short]])[0],
            "long_characters": padded([characters for *_, characters in entries[num_short:]])[0],
            "query_lengths": np.array([example.query_length for example in examples], dtype=np.int64),
        }
        if self.uses_segments:
            arrays["segment_positions"] = padded([self._segment_positions(example) for example in examples])[0]
        return arrays

    def _segment_positions(self, example: Example) -> list[int]:
        question, text = example.words[: example.query_length], example.words[example.query_length :]
        return segmentation.positions(question) + segmentation.positions(text)

    def bigram_ids(self, arrays: Mapping[str, np.ndarray], known: np.ndarray) -> np.ndarray:
        """Return the two rows ``(S, W, 2)`` of each word and its successor in the question, or in the text.

        Args:
            arrays: Arrays of :meth:`arrays`.
            known: ``(S, W)`` false where a word is replaced by the unknown word.
        """
        words, mask, query_lengths = arrays["words"], arrays["mask"], arrays["query_lengths"]
        hashes = np.zeros((words.shape[0], words.shape[1] + 1, 1), dtype=np.int64)  # 0 where there is no word
        if len(arrays["hashes"]):
            hashes[:, :-1, 0] = np.where(mask, np.where(known, arrays["hashes"][words], UNKNOWN_HASH), 0)
        successors = hashes[:, 1:].copy()
        questions = np.flatnonzero(query_lengths)
        successors[questions, query_lengths[questions] - 1] = 0
        bigrams = hashes[:, :-1] * BIGRAM_FACTORS[0] + successors * BIGRAM_FACTORS[1]
        return bigrams % HASH_PRIME % self.num_buckets

    def _ids(self, word: str) -> tuple[int, int, int, list[int]]:
        """Return the word id, shape id, hash and character ids of a word; unknown words have the same hash."""
        tables, limit = self.tables, self.max_length
        shortened = word if len(word) <= limit else word[: limit - limit // 2] + word[-(limit // 2) :]
        normalized = self.normalize(word)
        is_unknown = "words" in tables and normalized not in tables["words"]
        return (
            tables["words"].id(normalized) if "words" in tables else 0,
            tables["shapes"].id(shape(word)) if "shapes" in tables else 0,
            UNKNOWN_HASH if is_unknown else word_hash(normalized),
            [tables["characters"].id(character) for character in shortened] if "characters" in tables else [],
        )
