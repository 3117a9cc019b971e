"""Conversion of words to the tagging units, and back.

By default a word is a unit. With ``piece`` units each word piece of a tokenizer has its own tag: ``B-`` on the first
piece of a word becomes ``I-`` on its other pieces. After decoding, a word takes the tag of its first piece.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, chain

from ner.data.tags import PLAIN, decode
from ner.data.vocab import Vocabs
from ner.model.piece_tokenizer import PieceTokenizer
from ner.types import Alternative, Annotation, Example, TagProbabilities


class WordUnits:
    """Words as units; base class of other reversible conversions of examples."""

    def split(self, examples: Sequence[Example]) -> list[Example]:
        """Return the examples in units."""
        return list(examples)

    def merge(self, examples: Sequence[Example], units: Sequence[Example]) -> list[Example]:
        """Return the examples in words with the spans, tags and labels of their units."""
        return list(units)

    def vocabs(self, words: Vocabs) -> Vocabs:
        """Return the vocabularies of documents in units from their vocabularies in words."""
        return words

    def asset_files(self) -> dict[str, bytes]:
        """Return the files from which :func:`build` restores the conversion."""
        return {}


class PieceUnits(WordUnits):
    """Pieces of a tokenizer as units; a word without pieces is one unknown piece.

    Args:
        tokenizer: Tokenizer that splits words into pieces.
        scheme: Tagging scheme; ``none`` for plain tags, which are copied to every piece of a word.
    """

    def __init__(self, tokenizer: PieceTokenizer, scheme: str = "bio") -> None:
        self.tokenizer = tokenizer
        self.scheme = scheme

    def _pieces(self, words: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Return the piece ids of each word, and the position of each word's first piece and of the end."""
        pieces = [ids or [self.tokenizer.unknown] for ids in self.tokenizer.pieces(words)]
        return pieces, list(accumulate(map(len, pieces), initial=0))

    def split(self, examples: Sequence[Example]) -> list[Example]:
        """Return examples whose words are pieces; spans cover the pieces of their words.

        A question without a text gets one, its words joined by spaces, from which its answers can be cut.
        """
        converted = []
        for example in examples:
            pieces, starts = self._pieces(example.words)
            ids = list(chain.from_iterable(pieces))
            tags, text, offsets = example.tags, example.text, example.offsets
            if tags is not None:
                entities = self.scheme != PLAIN
                tags = [
                    "I-" + tag[2:] if position and entities and tag.startswith("B-") else tag
                    for tag, word in zip(tags, pieces, strict=True)
                    for position in range(len(word))
                ]
            if text is None and example.query_length:
                text = " ".join(example.words)
                begins = accumulate((len(word) + 1 for word in example.words), initial=0)
                offsets = [(begin, begin + len(word)) for begin, word in zip(begins, example.words, strict=False)]
            if offsets is not None:
                offsets = [offset for offset, word in zip(offsets, pieces, strict=True) for _ in word]
            converted.append(
                replace(
                    example,
                    words=self.tokenizer.to_tokens(ids),
                    pieces=ids,
                    spans=[replace(span, start=starts[span.start], end=starts[span.end]) for span in example.spans],
                    tags=tags,
                    query_length=starts[example.query_length],
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
            _, starts = self._pieces(example.words)
            tags = None if unit.tags is None else [unit.tags[start] for start in starts[:-1]]
            if tags is None:  # spans without tags are extended to whole words
                spans = [
                    replace(span, start=bisect_right(starts, span.start) - 1, end=bisect_left(starts, span.end))
                    for span in unit.spans
                ]
            else:
                spans = [] if self.scheme == PLAIN else decode(tags)
                scores = {(span.start, span.end, span.label): span.score for span in unit.spans}
                spans = [replace(s, score=scores.get((starts[s.start], starts[s.end], s.label))) for s in spans]
            annotation = Annotation(tags, spans, unit.labels or [], list(unit.answers), unit.scores)
            if unit.probabilities is not None:
                probabilities = self._merge_probabilities(unit.probabilities, starts[:-1])
                keys = [(span.start, span.end, span.label) for span in unit.spans]
                outside_by_span = dict(zip(keys, probabilities.outside, strict=False))
                probabilities.outside = [
                    outside_by_span.get((starts[s.start], starts[s.end], s.label), 0.0) for s in spans
                ]
                annotation.probabilities = probabilities
            converted.append(example.with_prediction(annotation))
        return converted

    def _merge_probabilities(self, units: TagProbabilities, starts: Sequence[int]) -> TagProbabilities:
        """Return the probabilities of the first pieces; those of sequences and gold spans stay."""
        best = []
        for alternative in units.n_best:
            tags = [alternative.tags[start] for start in starts]
            spans = [] if self.scheme == PLAIN else decode(tags)
            best.append(Alternative(tags, spans, alternative.probability))
        tokens = [units.tokens[start] for start in starts] if units.tokens else []
        return replace(units, tokens=tokens, n_best=best)

    def vocabs(self, words: Vocabs) -> Vocabs:
        """Return the vocabularies with the counts of pieces in place of words; those of labels stay."""
        counts: Counter[str] = Counter()
        for word, ids in zip(words.words, self._pieces([*words.words])[0], strict=True):
            for piece in self.tokenizer.to_tokens(ids):
                counts[piece] += words.words[word]
        return Vocabs(counts, words.labels, words.tags, words.classes, words.scheme)

    def asset_files(self) -> dict[str, bytes]:
        """Return the files of the tokenizer."""
        return self.tokenizer.asset_files()


def build(name: str, tokenizer: str | None, scheme: str, files: dict[str, bytes] | None = None) -> WordUnits:
    """Build the conversion.

    Args:
        name: ``word`` or ``piece``.
        tokenizer: Name of the model whose tokenizer splits words into pieces.
        scheme: Tagging scheme of the training data.
        files: Saved files, which replace the download of the tokenizer.
    """
    if name == "word":
        return WordUnits()
    from ner.model.tokenizer import WordTokenizer

    if files:
        return PieceUnits(WordTokenizer.from_files(files, "unit"), scheme)
    assert tokenizer is not None, "the configuration requires a tokenizer for pieces"
    return PieceUnits(WordTokenizer.load(tokenizer), scheme)
