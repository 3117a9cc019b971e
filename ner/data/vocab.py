"""Vocabularies: strings with their ids, and counts of the strings in training documents."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ner.data.tags import PLAIN, SCHEMES
from ner.errors import InputError
from ner.types import Example

PADDING = "<padding>"
UNKNOWN = "<unknown>"


class Vocab:
    """A table of strings whose ids are their positions; id 0 is padding, id 1 is the id of every unknown string."""

    padding = 0
    unknown = 1

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = [PADDING, UNKNOWN, *(string for string in strings if string not in (PADDING, UNKNOWN))]
        self.ids = {string: position for position, string in enumerate(self.strings) if position != self.padding}

    @classmethod
    def from_counts(cls, counts: Counter[str], min_count: int = 1) -> Vocab:
        """Build the table of the strings that occur at least ``min_count`` times, by frequency, then alphabetically."""
        entries = [(-count, string) for string, count in counts.items() if count >= min_count]
        return cls([string for _, string in sorted(entries)])

    def __len__(self) -> int:
        return len(self.strings)

    def __contains__(self, string: str) -> bool:
        return string in self.ids

    def id(self, string: str) -> int:
        """Return the id of a string, or the id of unknown strings."""
        return self.ids.get(string, self.unknown)

    def to_bytes(self) -> bytes:
        """Return the table as JSON, one string per line."""
        return json.dumps(self.strings, ensure_ascii=False, indent=0).encode(errors="surrogatepass")

    @classmethod
    def from_bytes(cls, data: bytes, source: object) -> Vocab:
        """Load a table from :meth:`to_bytes`; ``source`` is its file.

        Raises:
            InputError: If the data are something else.
        """
        try:
            strings = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{source}: not JSON ({error})") from None
        if not isinstance(strings, list) or not all(isinstance(string, str) for string in strings):
            raise InputError(f"{source}: expected a list of strings")
        if strings[:2] != [PADDING, UNKNOWN] or len(set(strings)) < len(strings):
            raise InputError(f"{source}: expected different strings, {PADDING} and {UNKNOWN} first")
        return cls(strings)


@dataclass
class Vocabs:
    """Counts of the raw strings in training documents; encoders and decoders derive their tables from them.

    Attributes:
        words: Words, unchanged.
        labels: Entity types.
        tags: Plain tags, such as parts of speech, if the data have those instead of entities.
        classes: Labels of whole examples.
        scheme: Tagging scheme of the training data.
        splits_words: True if a word splitter was learned from the words of the training data.
    """

    words: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    scheme: str = "bio"
    splits_words: bool = False

    @classmethod
    def from_examples(cls, examples: Iterable[Example], scheme: str) -> Vocabs:
        """Count the strings of examples."""
        vocabs = cls(scheme=scheme)
        for example in examples:
            vocabs.add(example)
        return vocabs

    def add(self, example: Example) -> None:
        """Count the strings of an example."""
        self.words.update(example.words)
        if example.spans:  # an update without strings takes a microsecond, too
            self.labels.update([span.label for span in example.spans])
        if example.labels:
            self.classes.update(example.labels)
        if example.tags and self.plain:
            self.tags.update(example.tags)

    @property
    def characters(self) -> Counter[str]:
        """Counts of the characters of the words."""
        characters: Counter[str] = Counter()
        for word, count in self.words.items():
            for character in word:
                characters[character] += count
        return characters

    @property
    def plain(self) -> bool:
        """True if words have plain tags instead of entities."""
        return self.scheme == PLAIN

    def to_bytes(self) -> bytes:
        """Return labels, tags and classes as JSON; the words of a trained model are in its encoder's tables."""
        counts = {kind: dict(sorted(getattr(self, kind).items())) for kind in ("labels", "tags", "classes")}
        values = {"scheme": self.scheme, **counts, **({"splits_words": True} if self.splits_words else {})}
        return json.dumps(values, ensure_ascii=False, indent=2).encode(errors="surrogatepass")

    @classmethod
    def from_bytes(cls, data: bytes) -> Vocabs:
        """Load vocabularies from :meth:`to_bytes`.

        Raises:
            ValueError: If the data are something else.
        """
        values = json.loads(data)
        if not isinstance(values, dict) or values.get("scheme") not in (*SCHEMES, PLAIN):
            raise ValueError(f"expected a scheme ({', '.join((*SCHEMES, PLAIN))})")
        kinds = [values.get(kind) for kind in ("labels", "tags", "classes")]
        for counts in kinds:
            if not isinstance(counts, dict) or not all(type(count) is int for count in counts.values()):
                raise ValueError("expected labels, tags and classes with their counts")
        labels, tags, classes = (Counter[str](counts) for counts in kinds)
        splits_words = values.get("splits_words", False)  # absent in runs of versions without word splitters
        if not isinstance(splits_words, bool):
            raise ValueError("expected true or false as splits_words")
        return cls(Counter(), labels, tags, classes, values["scheme"], splits_words)
