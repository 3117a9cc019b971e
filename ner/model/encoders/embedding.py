"""Word embeddings, characters, word shapes, bigrams and segments: an encoder without a pretrained transformer.

Characters and shapes are computed once per distinct word of a batch. References: Ma and Hovy (2016) for the character
CNN, Lample et al. (2016) for the character LSTM and for training the unknown vector on singletons, Collobert et al.
(2011) for shapes, Serrà and Karatzoglou (2017) for embeddings that are sums of hashed rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.random import Generator
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import ConfigSection, EncoderConfig
from ner.config.schema import WindowsConfig
from ner.contracts import Encoder
from ner.data import word_vectors
from ner.data.vocab import Vocab, Vocabs
from ner.errors import InputError
from ner.model import segmentation
from ner.model.lstm import BidirectionalLSTM, is_recorded
from ner.model.words import WordInputs, shape
from ner.types import AxisLabels, DistinctWords, Encoding, Example


class CharacterConfig(ConfigSection):
    """Character-based word vectors."""

    kind: Literal["cnn", "lstm", "none"] = "none"
    """Convolution with max-pooling (cnn), last states of both directions (lstm), or none."""
    dimension: int = Field(30, ge=1)
    """Size of the character vectors."""
    width: int = Field(50, ge=1)
    """Size of the resulting word vector."""
    kernel_size: int = Field(3, ge=1)
    """Number of characters in a convolution window."""
    max_length: int = Field(40, ge=2)
    """Maximum number of characters; the middle of a longer word is dropped."""

    @model_validator(mode="after")
    def _two_directions(self) -> CharacterConfig:
        if self.kind == "lstm" and self.width % 2:
            raise ValueError(f"characters.width must be even for the two directions of an lstm, found {self.width}")
        return self


class BigramConfig(ConfigSection):
    """Bigram embeddings: a vector for each pair of adjacent words, which are characters if ``data.word_split`` is
    ``characters``. They are Bloom embeddings: the sum of two rows of a table that are chosen by hashing.
    """

    dimension: int = Field(0, ge=0)
    """Size of the bigram vectors; 0 for none."""
    buckets: int = Field(1 << 16, ge=1, le=1 << 30)
    """Number of rows of the table. More rows separate more bigrams, and take more memory."""


class Config(EncoderConfig):
    """Word embeddings, with optional vectors of characters, word shapes, bigrams and segment positions."""

    name: Literal["embedding"] = "embedding"
    """Name of the file in ner/model/encoders."""
    dimension: int = Field(100, ge=0)
    """Size of the word vectors; 0 for none."""
    init_std: float | None = None
    """Standard deviation of new word vectors; null for 1/sqrt(dimension)."""
    lowercase: bool = True
    """Lowercase words before the lookup; characters and shape keep their case."""
    normalize_digits: bool = True
    """Replace every digit by 0 before the lookup."""
    min_count: int = Field(1, ge=1)
    """Minimum number of occurrences in the training data; rarer words are unknown."""
    singleton_unk_rate: float = Field(0.5, ge=0, le=1)
    """Probability that training replaces a word with a single occurrence by the unknown word, whose vector is thereby
    trained, also in bigrams."""
    word_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability that training replaces any word by the unknown word, also in bigrams; characters and shape are
    kept."""
    vectors: str | None = None
    """Pretrained vectors: GloVe or word2vec text, or .npz with a .vocab.txt of the same name."""
    freeze: bool = False
    """Exclude the pretrained vectors from training."""
    characters: CharacterConfig = CharacterConfig()
    """Character-based word vectors."""
    shape_dimension: int = Field(0, ge=0)
    """Size of the word-shape vectors (Xxx, dd-dd, XX); 0 for none."""
    bigrams: BigramConfig = BigramConfig()
    """Bigram embeddings."""
    segmentation_dimension: int = Field(0, ge=0)
    """Size of the vectors of segment positions; 0 for none. A character of Chinese text is at the beginning, in the
    middle or at the end of a word that the segmenter jieba finds, or a word of its own. Requires the extra
    ``chinese``."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the output."""

    @model_validator(mode="after")
    def _something(self) -> Config:
        sizes = (self.dimension, self.shape_dimension, self.bigrams.dimension, self.segmentation_dimension)
        if not any(sizes) and self.characters.kind == "none":
            raise ValueError(
                "encoder embedding needs dimension, characters.kind, shape_dimension, bigrams.dimension or "
                "segmentation_dimension; set one of them"
            )
        return self


def build(
    config: Config, vocabs: Vocabs, windows: WindowsConfig, files: Mapping[str, bytes] | None = None
) -> EmbeddingEncoder:
    """Build the encoder from the training words, or from the files of a saved encoder; ``windows`` is ignored."""
    if files is not None:
        sizes = {"words": config.dimension, "shapes": config.shape_dimension}
        sizes["characters"] = config.characters.kind != "none"
        expected = {f"{name}.json" for name, size in sizes.items() if size}
        for name in sorted(expected ^ files.keys()):
            difference = "found none" if name in expected else "expected no such file"
            raise InputError(f"encoder/{name}: {difference}; the vocabularies do not belong to config.encoder")
        saved = {name.removesuffix(".json"): Vocab.from_bytes(files[name], f"encoder/{name}") for name in files}
        return EmbeddingEncoder(config, saved, frozenset())
    normalize = word_inputs(config, {}).normalize
    normalized = Counter[str]()
    shapes = Counter[str]()
    for word, count in vocabs.words.items():
        normalized[normalize(word)] += count
        shapes[shape(word)] += count
    singletons = frozenset(word for word, count in normalized.items() if count == 1)
    tables = {}
    pretrained_vectors: tuple[list[str], np.ndarray] | None = None
    if config.dimension:
        if config.vectors:
            pretrained_vectors = word_vectors.load(config.vectors, config.dimension)
            for word in map(normalize, pretrained_vectors[0]):  # all of them belong to the vocabulary
                normalized[word] = max(normalized[word], config.min_count)
        tables["words"] = Vocab.from_counts(normalized, config.min_count)
    if config.characters.kind != "none":
        tables["characters"] = Vocab.from_counts(vocabs.characters)
    if config.shape_dimension:
        tables["shapes"] = Vocab.from_counts(shapes)
    encoder = EmbeddingEncoder(config, tables, singletons)
    if pretrained_vectors is not None:
        encoder.use_vectors(*pretrained_vectors, word_counts=vocabs.words)
    return encoder


def word_inputs(config: Config, tables: Mapping[str, Vocab]) -> WordInputs:
    """Return the conversion of words to ids."""
    num_buckets = config.bigrams.buckets if config.bigrams.dimension else 0
    return WordInputs(
        tables,
        config.lowercase,
        config.normalize_digits,
        config.characters.max_length,
        num_buckets,
        config.segmentation_dimension > 0,
    )


class CharacterVectors(nn.Module):
    """Vectors of words from their characters."""

    def __init__(self, config: CharacterConfig, num_characters: int) -> None:
        super().__init__()
        self.table = nn.Embedding(num_characters, config.dimension, padding_idx=Vocab.padding)
        self.kind, self.kernel_size = config.kind, config.kernel_size
        if config.kind == "cnn":
            self.convolution = nn.Conv1d(
                config.dimension, config.width, config.kernel_size, padding=config.kernel_size // 2
            )
        else:
            self.lstm = BidirectionalLSTM(config.dimension, config.width // 2)

    def forward(self, characters: Tensor) -> Tensor:
        """Return ``(U, width)`` for character ids ``(U, C)``, independent of padding."""
        mask = characters != Vocab.padding
        vectors = self.table(characters)  # (U, C, dimension)
        if self.kind == "cnn":
            features = self._convolve(vectors)
            features = features.masked_fill(~mask.unsqueeze(2), torch.finfo(features.dtype).min)
            features = features.max(1).values if characters.shape[1] else features.sum(1)
            return torch.where(mask.any(1, keepdim=True), features, 0.0)
        states = self.lstm(vectors, mask)  # (U, C, width)
        half = states.shape[-1] // 2
        last_positions = (mask.sum(1) - 1).clamp(min=0)  # the last state of each direction has read the whole word
        last = states[torch.arange(states.shape[0], device=states.device), last_positions]
        return torch.cat([last[:, :half], states[:, 0, half:]], dim=1) * mask.any(1, keepdim=True)

    def _convolve(self, vectors: Tensor) -> Tensor:
        """Apply the convolution to ``(U, C, dimension)`` as one matrix product, which CPUs compute faster."""
        padded = F.pad(vectors, (0, 0, self.kernel_size // 2, self.kernel_size // 2))
        windows = torch.cat([padded[:, start : start + vectors.shape[1]] for start in range(self.kernel_size)], dim=2)
        weight = self.convolution.weight.transpose(1, 2).flatten(1)
        return F.linear(windows, weight, self.convolution.bias)  # (U, C, width)


class EmbeddingEncoder(Encoder):
    """Encoder of words by embeddings, characters, shapes, bigrams and segments.

    The tensors of :meth:`inputs`:

    - ``words (S, W)``: positions in the list of the batch's distinct words, sorted by length;
    - ``word_ids (U,)``, ``shape_ids (U,)``: ids of the distinct words;
    - ``characters (u, C)``, ``long_characters (u, C)``: characters of the shortest three quarters of the distinct words
      and of the others, so that a long word does not pad all others;
    - ``known (S, W)``: false where a word is replaced by the unknown word; ``mask (S, W)`` and ``query_lengths (S,)``;
    - ``bigram_ids (S, W, 2)``: the rows of each word with its successor, if bigrams are used;
    - ``segment_positions (S, W)``: see :mod:`ner.model.segmentation`, if segments are used.
    """

    inference_pieces = 4096  # the context layer decides

    def __init__(self, config: Config, tables: Mapping[str, Vocab], singletons: frozenset[str]) -> None:
        super().__init__()
        self.config, self.tables = config, dict(tables)
        self.width = 0
        self.is_singleton = np.zeros(len(tables["words"]) if "words" in tables else 1, dtype=bool)  # by word id
        if "words" in tables:
            self.is_singleton[[tables["words"].id(word) for word in singletons if word in tables["words"]]] = True
            self.words = nn.Embedding(len(tables["words"]), config.dimension, padding_idx=Vocab.padding)
            bound = 3**0.5 * (config.dimension**-0.5 if config.init_std is None else config.init_std)
            nn.init.uniform_(self.words.weight, -bound, bound)
            nn.init.zeros_(self.words.weight.data[Vocab.padding])
            self.words.weight.requires_grad_(not config.freeze)
            self.width += config.dimension
        if "characters" in tables:
            self.characters = CharacterVectors(config.characters, len(tables["characters"]))
            self.width += config.characters.width
        if "shapes" in tables:
            self.shapes = nn.Embedding(len(tables["shapes"]), config.shape_dimension, padding_idx=Vocab.padding)
            self.width += config.shape_dimension
        if config.bigrams.dimension:
            self.bigrams = nn.Embedding(config.bigrams.buckets, config.bigrams.dimension)
            nn.init.normal_(self.bigrams.weight, std=config.bigrams.dimension**-0.5)
            self.width += config.bigrams.dimension
        if config.segmentation_dimension:
            size = (len(segmentation.NAMES), config.segmentation_dimension)
            self.segmentation = nn.Embedding(*size, padding_idx=segmentation.PADDING)
            self.width += config.segmentation_dimension
        self.dropout = nn.Dropout(config.dropout)
        self.words_to_ids = word_inputs(config, tables)

    def use_vectors(self, words: Sequence[str], matrix: np.ndarray, word_counts: Counter[str]) -> None:
        """Initialize words from pretrained vectors; ``report`` contains their coverage of ``word_counts``."""
        table, normalize = self.tables["words"], self.words_to_ids.normalize
        vectors = {normalize(word): row for row, word in reversed(list(enumerate(words)))}
        for word, row in vectors.items():
            if word in table:
                self.words.weight.data[table.id(word)] = torch.from_numpy(matrix[row])
        num_covered = sum(count for word, count in word_counts.items() if normalize(word) in vectors)
        num_distinct_covered = sum(normalize(word) in vectors for word in word_counts)
        self.report = {
            "vectors": len(words),
            "words with a vector": num_covered / max(1, word_counts.total()),
            "distinct words with a vector": num_distinct_covered / max(1, len(word_counts)),
        }

    def asset_files(self) -> dict[str, bytes]:
        """Return the vocabularies."""
        return {f"{name}.json": table.to_bytes() for name, table in self.tables.items()}

    def axis_labels(self) -> dict[str, AxisLabels]:
        """See :class:`~ner.contracts.Encoder`."""
        names = {"words": "words", "characters": "characters.table", "shapes": "shapes"}
        labels: dict[str, AxisLabels] = {
            f"{names[key]}.weight": (table.strings, None) for key, table in self.tables.items()
        }
        if self.config.bigrams.dimension:  # the row of a bigram depends on the form in which its words are hashed
            config = self.config
            form = f"{config.lowercase} {config.normalize_digits} {config.bigrams.buckets}"
            labels["bigrams.weight"] = ([f"{form} {row}" for row in range(config.bigrams.buckets)], None)
        if self.config.segmentation_dimension:
            labels["segmentation.weight"] = (segmentation.NAMES, None)
        return labels

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """Return the tensors of a batch, see the class."""
        examples = [example for group in groups for example in group]
        arrays = self.words_to_ids.arrays(examples)
        words = arrays["words"]
        keep_word = np.ones(words.shape, dtype=bool)
        if generators is not None and ("words" in self.tables or self.words_to_ids.num_buckets):
            is_singleton = self.is_singleton[arrays["word_ids"]][words] & arrays["mask"]
            rows = range(len(examples)) if self.config.word_dropout else np.flatnonzero(is_singleton.any(1)).tolist()
            for row in rows:
                generator, length = generators[row], len(examples[row].words)
                dropped = is_singleton[row, :length] & (generator.random(length) < self.config.singleton_unk_rate)
                if self.config.word_dropout:
                    dropped |= generator.random(length) < self.config.word_dropout
                keep_word[row, :length] = ~dropped
        arrays["known"] = keep_word
        if self.words_to_ids.num_buckets:
            arrays["bigram_ids"] = self.words_to_ids.bigram_ids(arrays, keep_word)
        del arrays["hashes"]
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoding:
        """Return words ``(S, W, width)``."""
        words, mask = inputs["words"], inputs["mask"]
        if not len(inputs["word_ids"]):
            empty = torch.zeros((*words.shape, self.width), device=words.device)
            return Encoding(empty, mask, question_mask=torch.zeros_like(mask))
        question_mask = torch.arange(words.shape[1], device=words.device) < inputs["query_lengths"].unsqueeze(1)
        if self._shares_vectors(inputs):
            return Encoding(self._distinct_words(inputs), mask, question_mask=question_mask)
        vectors = self.dropout(self._vectors(inputs)) * mask.unsqueeze(-1)
        return Encoding(vectors, mask, question_mask=question_mask)

    def _shares_vectors(self, inputs: Mapping[str, Tensor]) -> bool:
        """Return whether the vector of a word is the same at each of its positions, and is computed without gradient
        on a CPU.
        """
        known = inputs["known"]
        if known.device.type != "cpu" or torch.is_grad_enabled() or is_recorded():
            return False
        varies = self.dropout.training or self.config.bigrams.dimension or self.config.segmentation_dimension
        return not varies and bool(known.all())

    def _distinct_words(self, inputs: Mapping[str, Tensor]) -> DistinctWords:
        """Return the vectors of the distinct words, if none of them is replaced."""
        features = [self.words(inputs["word_ids"])] if "words" in self.tables else []
        return DistinctWords(torch.cat([*features, *self._spelling(inputs)], dim=-1), inputs["words"])

    def _vectors(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the vectors ``(S, W, width)`` of all words, before dropout; those at padding are undefined."""
        words, features = inputs["words"], []
        if "words" in self.tables:
            ids = torch.where(inputs["known"], inputs["word_ids"][words], Vocab.unknown)
            features.append(self.words(ids))
        features += [vectors[words] for vectors in self._spelling(inputs)]
        if self.config.bigrams.dimension:
            features.append(self.bigrams(inputs["bigram_ids"]).sum(2))
        if self.config.segmentation_dimension:
            features.append(self.segmentation(inputs["segment_positions"]))
        return torch.cat(features, dim=-1)

    def _spelling(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the character and shape vectors ``(U, size)`` of the distinct words, as far as they are used."""
        features = []
        if "characters" in self.tables:
            tables = [inputs["characters"], inputs["long_characters"]]
            features.append(torch.cat([self.characters(table) for table in tables if len(table)]))
        if "shapes" in self.tables:
            features.append(self.shapes(inputs["shape_ids"]))
        return features
