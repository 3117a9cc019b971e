"""Tagging schemes: conversion between spans and tags, and transitions between tags.

Sources: Ramshaw and Marcus (1995) for IOB1; Tjong Kim Sang and Veenstra (1999) for IOB2, called BIO here; Ratinov and
Roth (2009) for BILOU, of which BIOES and BMES are renamings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import chain, pairwise, starmap
from typing import NamedTuple

import numpy as np

from ner.data.notices import Notice
from ner.errors import InputError
from ner.types import Example, RawTags, Span

OUTSIDE = "O"
PLAIN = "none"
MIXED = "mixed"
"""Scheme of a file with both plain tags and tags of a scheme, which is refused at the first plain one."""
MODES = ("conlleval", "strict", "discard")
"""Rules by which entities are read from tags that are invalid in their scheme, see :func:`read_as`."""


class Scheme(NamedTuple):
    """Prefixes of the first, inner, last and only word; ``closed`` if the last word has a prefix of its own."""

    first: str
    inner: str
    last: str
    single: str
    closed: bool = False

    @property
    def prefixes(self) -> frozenset[str]:
        """All prefixes."""
        return frozenset(self[:4])


SCHEMES = {
    "bio": Scheme("B", "I", "I", "B"),
    "iob1": Scheme("I", "I", "I", "I"),  # plus B on an entity that touches one of its own label
    "io": Scheme("I", "I", "I", "I"),
    "bioes": Scheme("B", "I", "E", "S", closed=True),
    "bmes": Scheme("B", "M", "E", "S", closed=True),
    "bilou": Scheme("B", "I", "L", "U", closed=True),
}

_STARTS = frozenset("BSU")
_STOPS = frozenset("ESLU")
PREFIXES = frozenset("BIMESLU")


@lru_cache(4096)
def split(tag: str) -> tuple[str, str]:
    """Split ``B-PER`` into ``B`` and ``PER``, and ``O`` into ``O`` and an empty label. Labels may contain hyphens."""
    prefix, _, label = tag.partition("-")
    return prefix, label


def is_valid(tag: str) -> bool:
    """Return whether a tag is ``O`` or a known prefix, a hyphen and a label."""
    prefix, label = split(tag)
    return tag == OUTSIDE or (prefix in PREFIXES and bool(label))


def check_tag(tag: str, scheme: str, hint: str) -> None:
    """Raise an InputError with a hint if a file in a scheme cannot contain a tag; plain tags are arbitrary."""
    if scheme == PLAIN or tag == OUTSIDE:
        return
    allowed = SCHEMES[scheme].prefixes | {"B"} if scheme in SCHEMES else PREFIXES  # B for IOB1
    if not is_valid(tag) or split(tag)[0] not in allowed:
        known = ", ".join(f"{prefix}-X" for prefix in sorted(allowed))
        raise InputError(f"expected O or one of {known}, found '{tag}'; {hint}")


def normalize(tags: list[str], scheme: str) -> tuple[list[Span], list[str], RawTags | None]:
    """Return the spans of tags in a scheme, the tags in BIO, and the tags as they are if BIO hides that they are wrong.

    Plain tags have no spans and are unchanged.
    """
    if scheme == PLAIN:
        return [], tags, None
    spans = decode(tags)
    if scheme == "bio" or scheme not in SCHEMES:  # a plain tag in a file with prefixes is an error of its own row
        return spans, tags, None
    raw = RawTags(tags, scheme) if spans and invalid_transitions(tags, scheme) else None
    return spans, encode(spans, len(tags)), raw


def annotate(example: Example, tags: list[str], scheme: str, one_word_per_line: bool = False) -> None:
    """Set the spans and tags of an example from tags in a scheme, and note those that do not follow the scheme.

    BIO tags are kept as read, so they are not noted.

    Args:
        example: Example with its words and its place.
        tags: Valid tags of the words.
        scheme: Tagging scheme of the file.
        one_word_per_line: True if every word has a line of its own.
    """
    example.spans, example.tags, example.raw_tags = normalize(tags, scheme)
    if scheme in ("bio", PLAIN, MIXED) or not example.spans:  # of a mixed file, a later tag is refused
        return
    found = [(span.start, span.end, span.label) for span in example.spans]
    kept = well_formed(tags, found, scheme)
    if len(kept) == len(found):
        return
    for start, end, label in found:
        if (start, end, label) not in kept:
            line = example.line + start * one_word_per_line
            before = tags[start - 1] if start else "the start of the sentence"
            own = " ".join(tags[start:end])[:60]
            example.warnings.append(Notice.PREFIX_REPAIRED)
            example.repairs.append(f"{example.source}:{line}: '{example.words[start]}' {own} after {before}")


def check_and_annotate(example: Example, tags: list[str], scheme: str, location: str) -> None:
    """Check the tags of an example, then set its spans and tags, see :func:`annotate`.

    Raises:
        InputError: If their number differs from that of the words, or if a tag is outside the scheme.
    """
    if len(tags) != len(example.words):
        raise InputError(f"{location}: expected a tag for each of {len(example.words)} words, found {len(tags)} tags")
    try:
        for tag in tags:
            check_tag(tag, scheme, "set data.format.scheme=none for plain tags")
    except InputError as error:
        raise InputError(f"{location}: {error}") from None
    annotate(example, tags, scheme)


def entities(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return ``(start, end, label)`` of each entity of a tag sequence in any scheme, as conlleval reads them.

    An entity begins at a prefix for first words, and at any prefix after ``O``, after a last word or another label.

    Args:
        tags: Valid tags, see :func:`is_valid`.
    """
    found: list[tuple[int, int, str]] = []
    start = 0
    label: str | None = None  # no entity is open
    for position, tag in enumerate(tags):
        if tag == OUTSIDE:
            if label is not None:
                found.append((start, position, label))
                label = None
            continue
        prefix, this = split(tag)
        if label is not None and (this != label or prefix in _STARTS):
            found.append((start, position, label))
            label = None
        if label is None:
            start, label = position, this
        if prefix in _STOPS:
            found.append((start, position + 1, label))
            label = None
    if label is not None:
        found.append((start, len(tags), label))
    return found


def decode(tags: Sequence[str]) -> list[Span]:
    """Return the spans of a sequence of valid tags, see :func:`entities`."""
    return [Span(start, end, label) for start, end, label in entities(tags)]


@lru_cache(1 << 16)
def may_follow(previous: str, following: str, scheme: str) -> bool:
    """Return whether a tag may follow another in a scheme; ``O`` stands for the start and the end of a sentence."""
    if scheme == PLAIN:
        return True
    table = SCHEMES[scheme]
    opening = {table.first, table.inner}
    continuing = {table.inner, table.last} - {table.single}
    before, label = split(previous)
    prefix, this = split(following)
    if following != OUTSIDE and prefix not in table.prefixes:  # B separates entities that touch, in IOB1
        return scheme in ("iob1", "io") and prefix == "B" and label == this
    if prefix in continuing:
        return before in opening and label == this
    return not (table.closed and before in opening)


def invalid_transitions(tags: Sequence[str], scheme: str) -> int:
    """Return the number of pairs of neighbouring tags that a scheme forbids, with ``O`` before and after the tags."""
    return sum(not may_follow(a, b, scheme) for a, b in pairwise(chain((OUTSIDE,), tags, (OUTSIDE,))))


def discard(tags: Sequence[str], scheme: str) -> list[str]:
    """Return the tags with ``O`` in place of each tag that may not follow the one before (Palen-Michel et al., 2021).

    In schemes that mark the last word, all tags of an entity without its end are replaced.
    """
    kept: list[str] = []
    for tag in (*tags, OUTSIDE):
        if not may_follow(kept[-1] if kept else OUTSIDE, tag, scheme):
            last = len(kept) - 1
            while SCHEMES[scheme].closed and last >= 0 and not may_follow(kept[last], OUTSIDE, scheme):
                kept[last] = OUTSIDE
                last -= 1
            if not may_follow(kept[-1] if kept else OUTSIDE, tag, scheme):
                tag = OUTSIDE
        kept.append(tag)
    return kept[:-1]


def read_as(example: Example, mode: str) -> list[Span]:
    """Return the spans of an example in a reading mode; they differ from its spans only if its tags are invalid.

    Spans that tags cannot represent, such as the inner of nested ones, are kept.

    Args:
        example: A gold or predicted example.
        mode: ``conlleval``: the rules of the shared task, see :func:`entities`. ``strict``: entities with all the
            prefixes of the scheme, see :func:`well_formed`. ``discard``: entities after :func:`discard`.
    """
    names, scheme = example.raw_tags or RawTags(example.tags or [], "bio")
    if mode == "conlleval" or not example.spans or not all(map(is_valid, names)):
        return example.spans
    if not invalid_transitions(names, scheme):
        return example.spans
    found = entities(names)
    kept = well_formed(names, found, scheme) if mode == "strict" else entities(discard(names, scheme))
    others = [span for span in example.spans if (span.start, span.end, span.label) not in found]
    scores = {span: span for span in example.spans}  # with their probabilities
    return sorted([*others, *(scores.get(span, span) for span in starmap(Span, kept))])


def well_formed(tags: Sequence[str], found: Iterable[tuple[int, int, str]], scheme: str) -> list[tuple[int, int, str]]:
    """Return those of the entities of tags whose prefixes a scheme requires, such as ``B I`` but not ``I I`` in BIO.

    Args:
        tags: Valid tags.
        found: Result of :func:`entities` for the same tags.
        scheme: A key of :data:`SCHEMES`; its prefixes are the only ones of the tags.
    """
    if scheme == "bio":
        return [entity for entity in found if tags[entity[0]].startswith("B-")]
    first, inner, last, single = SCHEMES[scheme][:4]
    kept, before = [], (0, 0, "")
    for entity in found:
        start, end, label = entity
        wanted = single if end - start == 1 else first + inner * (end - start - 2) + last
        if scheme == "iob1" and before[1:] == (start, label):
            wanted = "B" + wanted[1:]
        if "".join([tag[0] for tag in tags[start:end]]) == wanted:
            kept.append(entity)
        before = entity
    return kept


def encode(spans: Iterable[Span], length: int, scheme: str = "bio") -> list[str]:
    """Return the tags of a sequence of ``length`` words; overlapping spans are reduced first, see :func:`flatten`."""
    table = SCHEMES[scheme]
    tags = [OUTSIDE] * length
    before: Span | None = None
    for span in flatten(spans):
        if span.end - span.start == 1:
            tags[span.start] = f"{table.single}-{span.label}"
        else:
            tags[span.start : span.end] = [f"{table.inner}-{span.label}"] * (span.end - span.start)
            tags[span.start] = f"{table.first}-{span.label}"
            tags[span.end - 1] = f"{table.last}-{span.label}"
        if scheme == "iob1" and before and before.end == span.start and before.label == span.label:
            tags[span.start] = f"B-{span.label}"
        before = span
    return tags


def tags_in_scheme(example: Example, scheme: str) -> list[str]:
    """Return the tags of an example in the scheme of its file; BIO and plain tags are unchanged.

    IO cannot separate entities of one label that touch, so the second one begins with ``B-``, as in IOB1.
    """
    if example.tags is not None and scheme in ("bio", PLAIN):
        return example.tags
    return encode(example.spans, len(example.words), "iob1" if scheme == "io" else scheme)


def flatten(spans: Iterable[Span]) -> list[Span]:
    """Return non-overlapping spans by position. Among overlapping ones, the longest is kept, then the first."""
    ordered = sorted(spans)
    if all(left.end <= right.start for left, right in pairwise(ordered)):
        return ordered
    kept: list[Span] = []
    for span in sorted(ordered, key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)


class SchemeDetector:
    """Detector of the tagging scheme of a file, in one pass and constant memory.

    Tags without a known prefix are plain tags (parts of speech). Mixed with ``O`` or prefixed tags they are errors.

    Attributes:
        transitions: Number of occurrences of each pair of a tag and its successor; ``O`` precedes a sentence.
    """

    def __init__(self) -> None:
        self.transitions: Counter[tuple[str, str]] = Counter()

    def add(self, tags: Sequence[str]) -> None:
        """Add the tags of a sentence."""
        self.transitions.update(pairwise([OUTSIDE, *tags]))

    @property
    def scheme(self) -> str:
        """The scheme; :data:`PLAIN`, or :data:`MIXED` for plain and prefixed tags or ``O``."""
        names = {tag for _, tag in self.transitions}
        prefixes = {split(tag)[0] for tag in names if is_valid(tag)}
        if not all(map(is_valid, names)):
            return MIXED if prefixes else PLAIN
        if prefixes & {"L", "U"}:
            return "bilou"
        if "M" in prefixes:
            return "bmes"
        if prefixes & {"E", "S"}:
            return "bioes"
        if prefixes - {OUTSIDE} == {"I"}:
            return "io"
        opened = Counter[str]()  # first words of entities by prefix
        for (before, tag), occurrences in self.transitions.items():
            if tag != OUTSIDE and split(before)[1] != split(tag)[1]:
                opened[split(tag)[0]] += occurrences
        return "iob1" if opened["I"] > opened["B"] else "bio"


class TagSet:
    """The tags of a decoder in a fixed order, with their ids.

    Args:
        labels: Entity types, or the tags themselves if ``scheme`` is ``none``.
        scheme: A key of :data:`SCHEMES`, or ``none`` for plain tags.
    """

    def __init__(self, labels: Collection[str], scheme: str) -> None:
        self.scheme = scheme
        self.labels = sorted(labels)
        if scheme == PLAIN:
            self.names = self.labels
        else:
            prefixes = sorted(SCHEMES[scheme].prefixes)
            self.names = [OUTSIDE, *(f"{prefix}-{label}" for label in self.labels for prefix in prefixes)]
        self.ids = {name: position for position, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def targets(self, example: Example, unknown: int) -> list[int]:
        """Return the tag id of each word; ``unknown`` for tags outside the set and for untagged examples."""
        if example.tags is None:
            return [unknown] * len(example.words)
        plain = self.scheme == PLAIN
        if not plain and not example.spans:
            return [self.ids[OUTSIDE]] * len(example.words)
        tags = example.tags if plain else encode(example.spans, len(example.words), self.scheme)
        return [self.ids.get(tag, unknown) for tag in tags]

    def decode_ids(self, ids: Sequence[int]) -> tuple[list[str], list[Span], RawTags | None]:
        """Return the BIO or plain tags, the spans, and the tags themselves if they are invalid outside BIO.

        Ill-formed BIO tags are not repaired.
        """
        tags = [self.names[position] for position in ids]
        if self.scheme == PLAIN or not any(ids):  # the id of O is 0
            return tags, [], None
        spans, tags, raw_tags = normalize(tags, self.scheme)
        return tags, spans, raw_tags

    def allowed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return masks ``(K,)`` of the tags that may come first, ``(K, K)`` of previous and next, ``(K,)`` last."""
        size = len(self.names)
        if self.scheme == PLAIN:
            return np.ones(size, bool), np.ones((size, size), bool), np.ones(size, bool)
        first = np.array([may_follow(OUTSIDE, name, self.scheme) for name in self.names])
        last = np.array([may_follow(name, OUTSIDE, self.scheme) for name in self.names])
        prefixes, labels = self._split_names()
        kinds, positions = np.unique(prefixes, return_inverse=True)
        # two tags follow each other depending on their prefixes, and on whether their labels are equal
        befores, same, others = ([kind if kind == OUTSIDE else f"{kind}-{x}" for kind in kinds] for x in "xxy")
        equal, unequal = (
            np.array([[may_follow(before, name, self.scheme) for name in names] for before in befores])
            for names in (same, others)
        )
        rows = positions[:, None]
        return first, np.where(labels[:, None] == labels, equal[rows, positions], unequal[rows, positions]), last

    def _split_names(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the prefix of each name, and the position of its label, -1 for ``O``."""
        prefixes = sorted(SCHEMES[self.scheme].prefixes)
        labels = np.arange(len(self.labels)).repeat(len(prefixes))
        return np.array([OUTSIDE, *prefixes * len(self.labels)]), np.array([-1, *labels])

    def is_possible(self, ids: Sequence[int]) -> bool:
        """Return whether :meth:`allowed` permits a sequence of tags."""
        names = [self.names[position] for position in ids]
        return self.scheme == PLAIN or not invalid_transitions(names, self.scheme)

    def span_masks(self) -> tuple[np.ndarray, np.ndarray]:
        """Return masks of the tag pairs with which :func:`decode` begins a span, and with which it continues one.

        Returns:
            ``(N, K + 1, K)`` label, previous tag and next tag of beginnings; the additional last previous tag is the
            start of a sentence. ``(N, K, K)`` the same of continuations.
        """
        prefixes, labels = (np.append(values, values[:1]) for values in self._split_names())  # the start is like O
        inside = np.arange(len(self.labels))[:, None] == labels  # (N, K + 1)
        within = inside[:, :, None] & inside[:, None, :-1]  # both tags are of the label
        on = within & ~np.isin(prefixes, [*_STOPS])[:, None] & ~np.isin(prefixes[:-1], [*_STARTS])
        return inside[:, None, :-1] & ~on, on[:, :-1]
