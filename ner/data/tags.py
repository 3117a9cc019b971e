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
        allowed_tags = ", ".join(f"{prefix}-X" for prefix in sorted(allowed))
        raise InputError(f"expected O or one of {allowed_tags}, found '{tag}'; {hint}")


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
    spans = [(span.start, span.end, span.label) for span in example.spans]
    valid_spans = well_formed(tags, spans, scheme)
    if len(valid_spans) == len(spans):
        return
    for start, end, label in spans:
        if (start, end, label) not in valid_spans:
            line = example.line + start * one_word_per_line
            previous_tag = tags[start - 1] if start else "the start of the sentence"
            span_tags = " ".join(tags[start:end])[:60]
            example.warnings.append(Notice.PREFIX_REPAIRED)
            example.repairs.append(
                f"{example.source}:{line}: '{example.words[start]}' {span_tags} after {previous_tag}"
            )


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
    spans: list[tuple[int, int, str]] = []
    start = 0
    label: str | None = None  # no entity is open
    for position, tag in enumerate(tags):
        if tag == OUTSIDE:
            if label is not None:
                spans.append((start, position, label))
                label = None
            continue
        prefix, tag_label = split(tag)
        if label is not None and (tag_label != label or prefix in _STARTS):
            spans.append((start, position, label))
            label = None
        if label is None:
            start, label = position, tag_label
        if prefix in _STOPS:
            spans.append((start, position + 1, label))
            label = None
    if label is not None:
        spans.append((start, len(tags), label))
    return spans


def decode(tags: Sequence[str]) -> list[Span]:
    """Return the spans of a sequence of valid tags, see :func:`entities`."""
    return [Span(start, end, label) for start, end, label in entities(tags)]


@lru_cache(1 << 16)
def may_follow(previous: str, following: str, scheme: str) -> bool:
    """Return whether a tag may follow another in a scheme; ``O`` stands for the start and the end of a sentence."""
    if scheme == PLAIN:
        return True
    table = SCHEMES[scheme]
    opening_prefixes = {table.first, table.inner}
    continuing_prefixes = {table.inner, table.last} - {table.single}
    previous_prefix, previous_label = split(previous)
    following_prefix, following_label = split(following)
    if following != OUTSIDE and following_prefix not in table.prefixes:  # B separates entities that touch, in IOB1
        return scheme in ("iob1", "io") and following_prefix == "B" and previous_label == following_label
    if following_prefix in continuing_prefixes:
        return previous_prefix in opening_prefixes and previous_label == following_label
    return not (table.closed and previous_prefix in opening_prefixes)


def invalid_transitions(tags: Sequence[str], scheme: str) -> int:
    """Return the number of pairs of neighbouring tags that a scheme forbids, with ``O`` before and after the tags."""
    return sum(not may_follow(a, b, scheme) for a, b in pairwise(chain((OUTSIDE,), tags, (OUTSIDE,))))


def discard(tags: Sequence[str], scheme: str) -> list[str]:
    """Return the tags with ``O`` in place of each tag that may not follow the one before (Palen-Michel et al., 2021).

    In schemes that mark the last word, all tags of an entity without its end are replaced.
    """
    valid_tags: list[str] = []
    for tag in (*tags, OUTSIDE):
        if not may_follow(valid_tags[-1] if valid_tags else OUTSIDE, tag, scheme):
            last = len(valid_tags) - 1
            while SCHEMES[scheme].closed and last >= 0 and not may_follow(valid_tags[last], OUTSIDE, scheme):
                valid_tags[last] = OUTSIDE
                last -= 1
            if not may_follow(valid_tags[-1] if valid_tags else OUTSIDE, tag, scheme):
                tag = OUTSIDE
        valid_tags.append(tag)
    return valid_tags[:-1]


def read_as(example: Example, mode: str) -> list[Span]:
    """Return the spans of an example in a reading mode; they differ from its spans only if its tags are invalid.

    Spans that tags cannot represent, such as the inner of nested ones, are kept.

    Args:
        example: A gold or predicted example.
        mode: ``conlleval``: the rules of the shared task, see :func:`entities`. ``strict``: entities with all the
            prefixes of the scheme, see :func:`well_formed`. ``discard``: entities after :func:`discard`.
    """
    tag_names, scheme = example.raw_tags or RawTags(example.tags or [], "bio")
    if mode == "conlleval" or not example.spans or not all(map(is_valid, tag_names)):
        return example.spans
    if not invalid_transitions(tag_names, scheme):
        return example.spans
    tag_spans = entities(tag_names)
    valid_spans = (
        well_formed(tag_names, tag_spans, scheme) if mode == "strict" else entities(discard(tag_names, scheme))
    )
    unrepresentable = [span for span in example.spans if (span.start, span.end, span.label) not in tag_spans]
    scored_spans = {span: span for span in example.spans}  # with their probabilities
    return sorted([*unrepresentable, *(scored_spans.get(span, span) for span in starmap(Span, valid_spans))])


def well_formed(tags: Sequence[str], spans: Iterable[tuple[int, int, str]], scheme: str) -> list[tuple[int, int, str]]:
    """Return those of the entities of tags whose prefixes a scheme requires, such as ``B I`` but not ``I I`` in BIO.

    Args:
        tags: Valid tags.
        spans: Result of :func:`entities` for the same tags.
        scheme: A key of :data:`SCHEMES`; its prefixes are the only ones of the tags.
    """
    if scheme == "bio":
        return [span for span in spans if tags[span[0]].startswith("B-")]
    first, inner, last, single = SCHEMES[scheme][:4]
    valid_spans, previous_span = [], (0, 0, "")
    for span in spans:
        start, end, label = span
        required_prefixes = single if end - start == 1 else first + inner * (end - start - 2) + last
        if scheme == "iob1" and previous_span[1:] == (start, label):
            required_prefixes = "B" + required_prefixes[1:]
        if "".join([tag[0] for tag in tags[start:end]]) == required_prefixes:
            valid_spans.append(span)
        previous_span = span
    return valid_spans


def encode(spans: Iterable[Span], length: int, scheme: str = "bio") -> list[str]:
    """Return the tags of a sequence of ``length`` words; overlapping spans are reduced first, see :func:`flatten`."""
    table = SCHEMES[scheme]
    tags = [OUTSIDE] * length
    previous_span: Span | None = None
    for span in flatten(spans):
        if span.end - span.start == 1:
            tags[span.start] = f"{table.single}-{span.label}"
        else:
            tags[span.start : span.end] = [f"{table.inner}-{span.label}"] * (span.end - span.start)
            tags[span.start] = f"{table.first}-{span.label}"
            tags[span.end - 1] = f"{table.last}-{span.label}"
        if scheme == "iob1" and previous_span and previous_span.end == span.start and previous_span.label == span.label:
            tags[span.start] = f"B-{span.label}"
        previous_span = span
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
    non_overlapping: list[Span] = []
    for span in sorted(ordered, key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or other.end <= span.start for other in non_overlapping):
            non_overlapping.append(span)
    return sorted(non_overlapping)


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
        opening_counts = Counter[str]()  # first words of entities by prefix
        for (previous_tag, tag), occurrences in self.transitions.items():
            if tag != OUTSIDE and split(previous_tag)[1] != split(tag)[1]:
                opening_counts[split(tag)[0]] += occurrences
        return "iob1" if opening_counts["I"] > opening_counts["B"] else "bio"


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
        previous_tags, next_same_label, next_other_label = (
            [kind if kind == OUTSIDE else f"{kind}-{x}" for kind in kinds] for x in "xxy"
        )
        equal, unequal = (
            np.array(
                [[may_follow(previous_tag, name, self.scheme) for name in next_tags] for previous_tag in previous_tags]
            )
            for next_tags in (next_same_label, next_other_label)
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
        both_inside = inside[:, :, None] & inside[:, None, :-1]  # both tags are of the label
        is_continuation = both_inside & ~np.isin(prefixes, [*_STOPS])[:, None] & ~np.isin(prefixes[:-1], [*_STARTS])
        return inside[:, None, :-1] & ~is_continuation, is_continuation[:, :-1]
