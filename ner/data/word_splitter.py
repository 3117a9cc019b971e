"""Splitting of raw text into the words of a corpus, learned from the words of its training data.

Corpora differ: some split ``don't`` into ``do`` and ``n't``, keep ``one-day`` or ``U.S.`` whole, or write every
punctuation mark apart. A splitter therefore counts how often a string occurs as one word and how often as several.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise

from pydantic import TypeAdapter

from ner.chinese import CHINESE
from ner.data.words import marks
from ner.runtime.json_files import parse_json

MIN_COUNT = 2
"""Occurrences of a shape, or of a word without a known shape, that are learned."""
MAX_ATOMS = 16
"""Atoms of a learned word, at most."""
MAX_LENGTH = 64
"""Characters of a string whose words are remembered, at most."""
MAX_CACHED = 1 << 16
"""Strings whose words are remembered."""


@dataclass(frozen=True)
class Learned:
    """Rules of a :class:`WordSplitter`.

    Attributes:
        words: Words of several atoms, such as ``St.``.
        shapes: Shapes of words, such as ``0-0-0``.
        endings: Words of their own behind a letter, such as ``n't``.
        characters: True if every character is a word.
    """

    words: list[str]
    shapes: list[str]
    endings: list[str]
    characters: bool = False


LEARNED = TypeAdapter(Learned)


@cache
def _atoms() -> re.Pattern[str]:
    """Return the pattern of an atom: a run of letters or of digits, a Chinese character, or another mark."""
    return re.compile(rf"[{CHINESE}]|(?:(?![{CHINESE}])(?:[^\W\d_]|[{marks()}]))+|\d+|\S")


def shape(string: str) -> str:
    """Return a string with ``x`` for a single letter, ``a`` for a run of letters and ``0`` for a run of digits.

    ``U.S.`` is ``x.x.``, ``said.`` is ``a.``, and ``1996-08-22`` is ``0-0-0``.
    """
    return "".join(map(_shape_of_atom, _atoms().findall(string)))


def _shape_of_atom(atom: str) -> str:
    return "0" if atom.isdigit() else atom if not atom[0].isalpha() else "x" if len(atom) == 1 else "a"


class WordSplitter:
    """Function from a text to its words and their ``(start, end)`` characters.

    White space always ends a word. Between white space, a word is the longest string that is a learned word or has a
    learned shape, or a single atom: a run of letters or of digits, a Chinese character, or another mark.

    Args:
        learned: See :meth:`learn`.
    """

    def __init__(self, learned: Learned) -> None:
        self.learned = learned
        self._words, self._shapes = frozenset(learned.words), frozenset(learned.shapes)
        endings = "|".join(map(re.escape, learned.endings))
        self._ending = re.compile(f"(?:{endings})(?!\\w)", re.IGNORECASE) if endings else None
        self._cache: dict[str, list[tuple[int, int]]] = {}

    @classmethod
    def learn(cls, sentences: Iterable[Sequence[str]]) -> WordSplitter:
        """Learn from the words of sentences."""
        word_counts: Counter[str] = Counter()
        split_counts: Counter[str] = Counter()
        for words in sentences:
            word_counts.update(words)
            for left, right in pairwise(words):
                if left and right and not (left[-1].isalnum() and right[0].isalnum()):  # letters touch no letters
                    split_counts[left + right] += 1
        if sum(count for word, count in word_counts.items() if len(word) > 1) * 100 <= word_counts.total():
            return cls(Learned([], [], [], characters=True))
        multi_atom_counts = {
            word: count for word, count in word_counts.items() if 1 < len(_atoms().findall(word)) <= MAX_ATOMS
        }
        shape_counts: Counter[str] = Counter()
        for word, count in multi_atom_counts.items():
            shape_counts[shape(word)] += count
        split_shape_counts: Counter[str] = Counter()
        for word, count in split_counts.items():
            split_shape_counts[shape(word)] += count
        # Chinese words have no shape: any two characters would be a word
        learned_shapes = {
            name
            for name, count in shape_counts.items()
            if MIN_COUNT <= count > split_shape_counts[name] and set(name) != {"x"}
        }
        words = [
            w
            for w, count in multi_atom_counts.items()
            if MIN_COUNT <= count > split_counts[w] and shape(w) not in learned_shapes
        ]
        endings = [
            w
            for w, count in multi_atom_counts.items()
            if count >= MIN_COUNT and re.fullmatch(r"[a-z]{1,2}['’][a-z]", w)
        ]
        return cls(Learned(sorted(words), sorted(learned_shapes), sorted(endings)))

    def __call__(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        """Return the words of a text and the ``(start, end)`` characters of each."""
        spans: list[tuple[int, int]] = []
        for match in re.finditer(r"\S" if self.learned.characters else r"\S+", text):
            string, start = match.group(), match.start()
            if len(string) == 1 or (string.isascii() and string.isalpha()):
                spans.append(match.span())
                continue
            word_spans = self._cache.get(string)
            if word_spans is None:
                word_spans = self._split(string)
                if len(self._cache) < MAX_CACHED and len(string) <= MAX_LENGTH:
                    self._cache[string] = word_spans
            spans += [(start + left, start + right) for left, right in word_spans]
        if len(spans) > 1 and text[slice(*spans[-1])][-2:-1].isdigit() and text[spans[-1][1] - 1] == ".":
            start, end = spans.pop()  # the full stop of a sentence and not that of an ordinal number
            spans += [(start, end - 1), (end - 1, end)]
        return [text[start:end] for start, end in spans], spans

    def _split(self, string: str) -> list[tuple[int, int]]:
        """Return the words of a string without white space."""
        atoms = [match.span() for match in _atoms().finditer(string)]
        ending = self._ending.search(string, 1) if self._ending else None
        if ending and string[ending.start() - 1].isalpha():
            left = self._split(string[: ending.start()])
            right = self._split(string[ending.end() :])
            return [*left, ending.span(), *((ending.end() + start, ending.end() + end) for start, end in right)]
        shapes = [_shape_of_atom(string[start:end]) for start, end in atoms]
        spans = []
        position = 0
        while position < len(atoms):
            start = atoms[position][0]
            stop = min(len(atoms), position + MAX_ATOMS)
            while stop > position + 1:
                if string[start : atoms[stop - 1][1]] in self._words or "".join(shapes[position:stop]) in self._shapes:
                    break
                stop -= 1
            spans.append((start, atoms[stop - 1][1]))
            position = stop
        return spans

    def to_bytes(self) -> bytes:
        """Return what was learned as JSON."""
        return json.dumps(asdict(self.learned), ensure_ascii=True, indent=0).encode()

    @classmethod
    def from_bytes(cls, data: bytes, source: object) -> WordSplitter:
        """Restore a splitter from :meth:`to_bytes`.

        Raises:
            InputError: If the data are something else.
        """
        return cls(parse_json(data, LEARNED, source))
