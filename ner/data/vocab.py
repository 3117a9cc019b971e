"""Strings and their ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ner.data.store.reader import Store
from ner.data.tags import PLAIN
from ner.types import Example

PADDING = "<padding>"
UNKNOWN = "<unknown>"


class Vocab:
    """A table of strings whose ids are their positions; id 0 pads, id 1 stands for every string not in the table."""

    padding = 0
    unknown = 1

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = [PADDING, UNKNOWN, *(string for string in strings if string not in (PADDING, UNKNOWN))]
        self.ids = {string: position for position, string in enumerate(self.strings) if position != self.padding}

    @classmethod
    def from_counts(cls, counts: Counter[str], min_count: int = 1) -> Vocab:
        """Frequent strings first, ties in alphabetical order."""
        kept = [(-count, string) for string, count in counts.items() if count >= min_count]
        return cls([string for _, string in sorted(kept)])

    def __len__(self) -> int:
        return len(self.strings)

    def __contains__(self, string: str) -> bool:
        return string in self.ids

    def id(self, string: str) -> int:
        """The id of a string, or that of the unknown string."""
        return self.ids.get(string, self.unknown)

    def to_bytes(self) -> bytes:
        """JSON, one string a line."""
        return json.dumps(self.strings, ensure_ascii=False, indent=0).encode(errors="surrogatepass")

    @classmethod
    def from_bytes(cls, data: bytes) -> Vocab:
        """The reverse of :meth:`to_bytes`."""
        return cls(json.loads(data))


@dataclass
class Vocabs:
    """Raw strings of the training documents with their counts; encoders and decoders derive their tables from it.

    Attributes:
        words, characters: As they stand in the text.
        labels: Entity types.
        tags: Plain tags (parts of speech, say), where the data have those instead of entities.
        classes: Labels of whole examples.
        scheme: How the training data write tags.
    """

    words: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    scheme: str = "bio"

    @classmethod
    def learn(cls, examples: Iterable[Example], scheme: str) -> Vocabs:
        """Count everything once."""
        vocabs = cls(scheme=scheme)
        for example in examples:
            vocabs.words.update(example.words)
            vocabs.labels.update(span.label for span in example.spans)
            vocabs.classes.update(example.labels)
            if scheme == PLAIN and example.tags is not None:
                vocabs.tags.update(example.tags)
        vocabs._count_characters()
        return vocabs

    @classmethod
    def counted(cls, store: Store, scheme: str) -> Vocabs:
        """The same from a store that has counted already."""
        tags = store.tag_counts() if scheme == PLAIN else Counter[str]()
        vocabs = cls(store.word_counts(), Counter(), store.label_counts(), tags, store.class_counts(), scheme)
        vocabs._count_characters()
        return vocabs

    def _count_characters(self) -> None:
        for word, count in self.words.items():
            for character in word:
                self.characters[character] += count

    @property
    def plain(self) -> bool:
        """Whether words carry plain tags instead of entities."""
        return self.scheme == PLAIN

    def unseen(self, counts: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
        """Of counted ``labels`` (or plain ``tags``) and ``classes`` those that the training data never had."""
        found: Counter[str] = Counter()
        for kind in ("tags" if self.plain else "labels", "classes"):
            known = getattr(self, kind)
            found.update({name: count for name, count in sorted(counts[kind].items()) if name not in known})
        return dict(found)

    def to_bytes(self) -> bytes:
        """What a trained model needs of it: labels, tags and classes. Words belong to the encoders' own tables."""
        kept = {
            "scheme": self.scheme,
            "labels": dict(sorted(self.labels.items())),
            "tags": dict(sorted(self.tags.items())),
            "classes": dict(sorted(self.classes.items())),
        }
        return json.dumps(kept, ensure_ascii=False, indent=2).encode(errors="surrogatepass")

    @classmethod
    def from_bytes(cls, data: bytes) -> Vocabs:
        """The reverse of :meth:`to_bytes`."""
        kept = json.loads(data)
        return cls(
            labels=Counter(kept["labels"]),
            tags=Counter(kept["tags"]),
            classes=Counter(kept["classes"]),
            scheme=kept["scheme"],
        )
