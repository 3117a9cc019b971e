"""Conversion of words to the tagging units, and back.

By default a word is a unit. With ``piece`` units each word piece of a tokenizer has its own tag: ``B-`` on the first
piece of a word becomes ``I-`` on its other pieces. After decoding, a word takes the tag of its first piece.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Protocol

from ner.data.tags import PLAIN, decode
from ner.model.tokenizer import WordTokenizer
from ner.types import Annotation, Example, Span


class Units(Protocol):
    """Reversible conversion of examples."""

    def split(self, examples: Sequence[Example]) -> list[Example]:
        """Return the examples in units."""
        ...

    def merge(self, examples: Sequence[Example], units: Sequence[Example]) -> list[Example]:
        """Return the examples in words with the spans, tags and labels of their units."""
        ...

    def asset_files(self) -> dict[str, bytes]:
        """Return the files from which the conversion can be built again."""
        ...


class WordUnits:
    """Words as units."""

    def split(self, examples: Sequence[Example]) -> list[Example]:
        """Return the examples unchanged."""
        return list(examples)

    def merge(self, examples: Sequence[Example], units: Sequence[Example]) -> list[Example]:
        """Return the units, which are words."""
        return list(units)

    def asset_files(self) -> dict[str, bytes]:
        """Return no files."""
        return {}


class PieceUnits:
    """Pieces of a tokenizer as units; a word without pieces is one unknown piece.

    Args:
        tokenizer: Tokenizer that splits words into pieces.
        scheme: Tagging scheme; ``none`` for plain tags, which are copied to every piece of a word.
    """

    def __init__(self, tokenizer: WordTokenizer, scheme: str = "bio") -> None:
        self.tokenizer = tokenizer
        self.scheme = scheme

    def split(self, examples: Sequence[Example]) -> list[Example]:
        """Return examples whose words are pieces; spans cover the pieces of their words."""
        converted = []
        for example in examples:
            pieces = [ids or [self.tokenizer.unknown] for ids in self.tokenizer.pieces(example.words)]
            starts = _starts(pieces)
            ids = [piece for word in pieces for piece in word]
            spans = [replace(span, start=starts[span.start], end=starts[span.end]) for span in example.spans]
            tags = example.tags
            if tags is not None:
                tags = [
                    tag if position == 0 or self.scheme == PLAIN else _inside(tag)
                    for tag, word in zip(tags, pieces, strict=True)
                    for position in range(len(word))
                ]
            query_length = starts[example.query_length]
            text, offsets = _located(example)
            if offsets is not None:
                offsets = [place for place, word in zip(offsets, pieces, strict=True) for _ in word]
            converted.append(
                replace(
                    example,
                    words=self.tokenizer.to_tokens(ids),
                    pieces=ids,
                    spans=spans,
                    tags=tags,
                    query_length=query_length,
                    text=text,
                    offsets=offsets,
                    line_indices=None,
                )
            )
        return converted

    def merge(self, examples: Sequence[Example], units: Sequence[Example]) -> list[Example]:
        """Return the examples in words: a word has the tag of its first piece, and spans are decoded from the tags."""
        converted = []
        for example, unit in zip(examples, units, strict=True):
            starts = _starts([ids or [self.tokenizer.unknown] for ids in self.tokenizer.pieces(example.words)])
            tags = None if unit.tags is None else [unit.tags[start] for start in starts[:-1]]
            if tags is None:  # spans without tags are extended to whole words
                spans = [_over_words(span, starts) for span in unit.spans]
            else:
                spans = [] if self.scheme == PLAIN else decode(tags)
                scores = {(span.start, span.end, span.label): span.score for span in unit.spans}
                spans = [replace(s, score=scores.get((starts[s.start], starts[s.end], s.label))) for s in spans]
            annotation = Annotation(tags, spans, unit.labels, list(unit.answers), unit.scores)
            converted.append(example.with_prediction(annotation))
        return converted

    def asset_files(self) -> dict[str, bytes]:
        """Return the files of the tokenizer."""
        return self.tokenizer.asset_files()


def _starts(pieces: Sequence[Sequence[int]]) -> list[int]:
    starts = [0]
    for word in pieces:
        starts.append(starts[-1] + len(word))
    return starts


def _located(example: Example) -> tuple[str | None, list[tuple[int, int]] | None]:
    """Return the text of an example and the offsets of its words; without a text, questions are joined by spaces."""
    if example.text is not None or not example.query_length:
        return example.text, example.offsets
    starts = [0, *accumulate(len(word) + 1 for word in example.words)]
    places = [(start, start + len(word)) for start, word in zip(starts, example.words, strict=False)]
    return " ".join(example.words), places


def _over_words(span: Span, starts: Sequence[int]) -> Span:
    """Convert a span of pieces to a span of words; ``starts`` is the first piece of each word."""
    first = bisect_right(starts, span.start) - 1
    return replace(span, start=first, end=bisect_left(starts, span.end))


def _inside(tag: str) -> str:
    return "I-" + tag[2:] if tag.startswith("B-") else tag


def build(name: str, tokenizer: str | None, scheme: str, files: dict[str, bytes] | None = None) -> Units:
    """Build the conversion.

    Args:
        name: ``word`` or ``piece``.
        tokenizer: Name of the model whose tokenizer splits words into pieces.
        scheme: Tagging scheme of the training data.
        files: Saved files, which replace the download of the tokenizer.
    """
    if name == "word":
        return WordUnits()
    if files:
        return PieceUnits(WordTokenizer.from_files(files), scheme)
    assert tokenizer is not None, "the configuration requires a tokenizer for pieces"
    return PieceUnits(WordTokenizer.load(tokenizer), scheme)
