"""Words to the units that are tagged, and back.

Usually a word is the unit. With pieces as units every word piece of a tokenizer gets a tag of its own: ``B-`` on the
first piece of an entity becomes ``I-`` on those that follow, and afterwards a word takes the tag of its first piece.
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
    """A reversible change of an example."""

    def split(self, examples: Sequence[Example]) -> list[Example]:
        """The examples in units."""
        ...

    def merge(self, examples: Sequence[Example], units: Sequence[Example]) -> list[Example]:
        """The examples in words with the spans, tags and labels of their units."""
        ...

    def asset_files(self) -> dict[str, bytes]:
        """What must be saved to build it again."""
        ...


class WordUnits:
    """Words as they are."""

    def split(self, examples: Sequence[Example]) -> list[Example]:
        """Nothing changes."""
        return list(examples)

    def merge(self, examples: Sequence[Example], units: Sequence[Example]) -> list[Example]:
        """The units are the words."""
        return list(units)

    def asset_files(self) -> dict[str, bytes]:
        """Nothing to save."""
        return {}


class PieceUnits:
    """The pieces of a tokenizer; a word that it swallows is one unknown piece.

    Args:
        tokenizer: Splits words into pieces.
        scheme: ``none`` when the tags are plain: then every piece carries its word's tag.
    """

    def __init__(self, tokenizer: WordTokenizer, scheme: str = "bio") -> None:
        self.tokenizer = tokenizer
        self.scheme = scheme

    def split(self, examples: Sequence[Example]) -> list[Example]:
        """Examples whose words are pieces; spans cover the pieces of their words."""
        found = []
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
            found.append(
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
        return found

    def merge(self, examples: Sequence[Example], units: Sequence[Example]) -> list[Example]:
        """A word takes the tag of its first piece; spans follow from the tags."""
        found = []
        for example, unit in zip(examples, units, strict=True):
            starts = _starts([ids or [self.tokenizer.unknown] for ids in self.tokenizer.pieces(example.words)])
            tags = None if unit.tags is None else [unit.tags[start] for start in starts[:-1]]
            if tags is None:  # spans that do not come from tags reach over the words that they touch
                spans = [_over_words(span, starts) for span in unit.spans]
            else:
                spans = [] if self.scheme == PLAIN else decode(tags)
                scores = {(span.start, span.end, span.label): span.score for span in unit.spans}
                spans = [replace(s, score=scores.get((starts[s.start], starts[s.end], s.label))) for s in spans]
            said = Annotation(tags, spans, unit.labels, list(unit.answers), unit.scores)
            found.append(example.with_prediction(said))
        return found

    def asset_files(self) -> dict[str, bytes]:
        """The tokenizer's files."""
        return self.tokenizer.asset_files()


def _starts(pieces: Sequence[Sequence[int]]) -> list[int]:
    starts = [0]
    for word in pieces:
        starts.append(starts[-1] + len(word))
    return starts


def _located(example: Example) -> tuple[str | None, list[tuple[int, int]] | None]:
    """The text of an example and where its words stand in it; pieces stand where their words do."""
    if example.text is not None or not example.query_length:
        return example.text, example.offsets
    starts = [0, *accumulate(len(word) + 1 for word in example.words)]
    places = [(start, start + len(word)) for start, word in zip(starts, example.words, strict=False)]
    return " ".join(example.words), places


def _over_words(span: Span, starts: Sequence[int]) -> Span:
    """A span of pieces as one of the words that they belong to; ``starts`` has the first piece of each word."""
    first = bisect_right(starts, span.start) - 1
    return replace(span, start=first, end=bisect_left(starts, span.end))


def _inside(tag: str) -> str:
    return "I-" + tag[2:] if tag.startswith("B-") else tag


def build(name: str, tokenizer: str | None, scheme: str, files: dict[str, bytes] | None = None) -> Units:
    """Units by name.

    Args:
        name: ``word`` or ``piece``.
        tokenizer: Name of the model whose tokenizer splits words, for pieces.
        scheme: Of the training data.
        files: Saved files; nothing is fetched when they are given.
    """
    if name == "word":
        return WordUnits()
    if files:
        return PieceUnits(WordTokenizer.from_files(files), scheme)
    assert tokenizer is not None, "the configuration refuses pieces without a tokenizer"
    return PieceUnits(WordTokenizer.load(tokenizer), scheme)
