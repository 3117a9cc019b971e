"""Checks of how the tokenizer of a pretrained encoder reads the words of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ner.config.schema import RunConfig
from ner.data.findings import SHOWN, Finding
from ner.errors import printable
from ner.model import pretrained
from ner.model.tokenizer import WordTokenizer
from ner.types import Document

HUGE = 100_000
"""Lengths above are no limit; transformers uses 1e30."""


def check_tokenizers(
    config: RunConfig, vocabulary: Counter[str], documents: Mapping[str, Iterable[Document]]
) -> list[Finding]:
    """Return words without a piece, words with the unknown piece, and the share of sentences that need windows.

    Args:
        config: Configuration of the run; nothing is returned without a pretrained encoder.
        vocabulary: Counts of all words.
        documents: Documents by split.

    Raises:
        InputError: If a pretrained model is not found.
    """
    encoders = (config.encoder, *config.encoder.members.values())
    names = dict.fromkeys(encoder.pretrained_model for encoder in encoders if encoder.pretrained_model)
    findings: list[Finding] = []
    for name in names:
        tokenizer = WordTokenizer.load(name)
        words = list(vocabulary)
        pieces = dict(zip(words, tokenizer.pieces(words), strict=True))
        dropped = {word for word, ids in pieces.items() if not ids}
        unknown = {word for word, ids in pieces.items() if tokenizer.unknown in ids}
        for kind, affected, description, advice in (
            (
                "dropped-words",
                dropped,
                "no piece and are read as the unknown piece",
                "Remove such words from the data.",
            ),
            (
                "unknown-pieces",
                unknown,
                "the unknown piece",
                "Choose a model whose vocabulary covers the script, or normalize these characters.",
            ),
        ):
            if affected:
                count = sum(vocabulary[word] for word in affected)
                frequent = sorted(affected, key=lambda word: (-vocabulary[word], word))[:SHOWN]
                locations = _locations(documents, affected)
                evidence = tuple(f"'{printable(word[:60])}'" for word in frequent)
                share = count / vocabulary.total()
                message = f"{name}: {count} words ({share:.2%}, {len(affected)} different ones) have {description}"
                findings.append(Finding(kind, "warning", message, advice, count, locations, evidence))
        model_config = pretrained.load_model_config(name)
        limits = [getattr(model_config, "max_position_embeddings", HUGE), tokenizer.tokenizer.model_max_length]
        limit = config.windows.max_length or min(limits)
        if limit < HUGE:
            capacity = limit - len(tokenizer.prefix) - len(tokenizer.suffix)
            sizes = {word: len(ids) or 1 for word, ids in pieces.items()}
            findings += _windows(name, documents, sizes, capacity)
    return findings


def _locations(documents: Mapping[str, Iterable[Document]], words: set[str]) -> tuple[str, ...]:
    locations: list[str] = []
    for example in (
        example
        for split_documents in documents.values()
        for document in split_documents
        for example in document.examples
    ):
        if not words.isdisjoint(example.words):
            locations.append(example.location)
            if len(locations) == SHOWN:
                break
    return tuple(locations)


def _windows(
    name: str, documents: Mapping[str, Iterable[Document]], sizes: Mapping[str, int], capacity: int
) -> Iterable[Finding]:
    """Yield the share of sentences that are longer than a window, by split."""
    for split, split_documents in documents.items():
        lengths = [sum(map(sizes.__getitem__, e.words)) for document in split_documents for e in document.examples]
        long = sum(length > capacity for length in lengths)
        if long:
            yield Finding(
                "windows",
                "info",
                f"{split}: {long} sentences ({long / len(lengths):.1%}) need several windows of {capacity} pieces of "
                f"{name}; the longest has {max(lengths)} pieces",
                count=long,
            )
