"""Entity scores: precision, recall and F1, micro, macro and by type.

A predicted entity is correct if its boundaries and its type equal those of a gold entity. Tags are read as the CoNLL
evaluation script reads them (Tjong Kim Sang and De Meulder, 2003), as in published results. ``strict`` counts only
entities whose prefixes are those of the scheme, in BIO a ``B-`` followed by ``I-``. The scheme of gold tags is that of
their file, the scheme of predicted tags that of the decoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from operator import attrgetter, itemgetter
from typing import Any

from ner.data import tags
from ner.evaluation.metrics._prf import KINDS, by_label, mean, micro
from ner.types import Example, Span

REQUIRES = frozenset({"tags"})


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count the entities of examples.

    Returns:
        ``<kind> <type>`` and ``strict <kind> <type>`` for the kinds gold, predicted and correct, and ``sentences``.

    Raises:
        ValueError: If the numbers of examples differ.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"expected as many predicted examples as gold ones ({len(gold)}), found {len(predicted)}")
    entities, strict = (
        [[(n, s.start, s.end, s.label) for n, e in enumerate(side) for s in read(e)] for side in (gold, predicted)]
        for read in (attrgetter("spans"), _strict)
    )
    return _count(len(gold), entities, strict)


def count_tags(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str = "auto") -> Counter[str]:
    """Count the entities of lists of tags, one list per sentence, in any scheme. See :func:`count`.

    Args:
        gold: Gold tags.
        predicted: Predicted tags.
        scheme: Scheme of the strict counts, a key of :data:`ner.data.tags.SCHEMES`, or ``auto`` for that of the gold
            tags.

    Raises:
        ValueError: If the numbers of sentences or tags differ, or a tag is invalid.
    """
    lengths = [list(map(len, side)) for side in (gold, predicted)]
    for number, (left, right) in enumerate(zip_longest(*lengths)) if lengths[0] != lengths[1] else ():
        if left != right:
            raise ValueError(f"sentence {number}: expected as many gold tags as predicted ones")
    rows = [list(chain.from_iterable((*row, tags.OUTSIDE) for row in side)) for side in (gold, predicted)]
    for tag in {*rows[0], *rows[1]}:
        if not tags.is_valid(tag):
            raise ValueError(f"expected O or a prefix, a hyphen and a label, found the tag '{tag}'")
    entities = [tags.entities(row) for row in rows]
    if scheme == "auto":
        scheme = "bio"
        if not all(tag[0] in "BIO" for tag in {*rows[0]}) or any(
            rows[0][start][0] != "B" for start, _, _ in entities[0]
        ):
            detector = tags.SchemeDetector()
            detector.add(rows[0])
            scheme = detector.scheme
    strict = [tags.well_formed(row, side, scheme) for row, side in zip(rows, entities, strict=True)]
    return _count(len(gold), entities, strict)


def _count(
    sentences: int, entities: Sequence[Sequence[tuple[Any, ...]]], strict: Sequence[Sequence[tuple[Any, ...]]]
) -> Counter[str]:
    """Count gold and predicted entities, which are tuples of their position and type, and those that are equal."""
    counts = Counter({"sentences": sentences})
    sets = [set(side) for side in entities]
    for mode in ("", "strict "):
        if mode and list(map(len, strict)) != list(map(len, entities)):  # otherwise the sets are the same
            sets = [set(side) for side in strict]
        for kind, found in zip(KINDS, (*sets, sets[0] & sets[1]), strict=True):
            if found:
                for label, number in Counter(map(itemgetter(-1), found)).items():
                    counts[f"{mode}{kind} {label}"] = number
    return counts


def _strict(example: Example) -> list[Span]:
    """Return the spans in the reading mode ``strict``."""
    if example.raw_tags is None and (
        not example.tags or all(example.tags[span.start].startswith("B-") for span in example.spans)
    ):
        return example.spans  # faster than the next line
    return tags.read_as(example, "strict")


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return ``micro``, ``macro``, ``by_type`` (with the counts) and ``strict`` (micro)."""
    types = by_label(counts)
    strict = Counter({key.removeprefix("strict "): n for key, n in counts.items() if key.startswith("strict ")})
    return {"micro": micro(types), "macro": mean(types), "by_type": types, "strict": micro(by_label(strict))}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line with the micro scores."""
    figures = ", ".join(f"{name}: {scores['micro'][name]:.4f}" for name in ("precision", "recall", "f1"))
    return [f"entity micro {figures}"]
