"""Entity scores: precision, recall and F1, micro, macro and by type.

A predicted entity is correct if its boundaries and its type equal those of a gold entity. Tags are read as the CoNLL
evaluation script reads them (Tjong Kim Sang and De Meulder, 2003), as in published results. ``strict`` counts only
entities that begin with ``B-``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from operator import itemgetter
from typing import Any

from ner.data import tags
from ner.types import Example, Span

REQUIRES = frozenset({"tags"})
_KINDS = ("gold", "predicted", "correct")

_Entities = Sequence[tuple[Any, ...]]


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count the entities of examples.

    Returns:
        ``<kind> <type>`` and ``strict <kind> <type>`` for the kinds gold, predicted and correct, and ``sentences``.

    Raises:
        ValueError: If the numbers of examples differ.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"expected as many predicted examples as gold ones ({len(gold)}), found {len(predicted)}")
    sides = [[(n, s.start, s.end, s.label) for n, e in enumerate(side) for s in e.spans] for side in (gold, predicted)]
    strict = [
        [(n, s.start, s.end, s.label) for n, e in enumerate(side) for s in _strict(e)] for side in (gold, predicted)
    ]
    return _count(len(gold), sides, strict)


def count_tags(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Counter[str]:
    """Count the entities of lists of tags, one list per sentence, in any scheme. See :func:`count`.

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
    sides = [tags.entities(row) for row in rows]
    strict = [
        [entity for entity in side if row[entity[0]].startswith("B-")] for side, row in zip(sides, rows, strict=True)
    ]
    return _count(len(gold), sides, strict)


def _count(sentences: int, sides: Sequence[_Entities], strict: Sequence[_Entities]) -> Counter[str]:
    """Count gold and predicted entities, which are tuples of their position and type, and those that are equal."""
    counts = Counter({"sentences": sentences})
    sets = [set(side) for side in sides]
    for mode in ("", "strict "):
        if mode and any(len(some) < len(side) for some, side in zip(strict, sides, strict=True)):
            sets = [set(side) for side in strict]
        for kind, entities in zip(_KINDS, (*sets, sets[0] & sets[1]), strict=True):
            if entities:
                for label, number in Counter(map(itemgetter(-1), entities)).items():
                    counts[f"{mode}{kind} {label}"] = number
    return counts


def _strict(example: Example) -> list[Span]:
    """Return the spans without those that the tags begin with another prefix than ``B-``.

    Spans that tags cannot represent, such as the inner of nested ones, are kept.
    """
    names = example.tags
    if not names or all(names[span.start].startswith("B-") for span in example.spans):
        return example.spans
    if not all(map(tags.is_valid, names)):
        return example.spans
    broken = set(tags.decode(names)) - set(tags.decode(names, strict=True))
    return [span for span in example.spans if span not in broken]


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return ``micro``, ``macro``, ``by_type`` (with the counts) and ``strict`` (micro)."""
    types = sorted({key.partition(" ")[2] for key in counts if key.startswith(("gold ", "predicted "))})
    by_type: dict[str, dict[str, float]] = {}
    for label in types:
        numbers = [counts[f"{kind} {label}"] for kind in _KINDS]
        by_type[label] = {**_prf(*numbers), **dict(zip(_KINDS, numbers, strict=True))}
    macro = {
        name: sum(by_type[label][name] for label in types) / len(types) if types else 0.0
        for name in ("precision", "recall", "f1")
    }
    micro, strict = (
        _prf(*(sum(number for key, number in counts.items() if key.startswith(f"{mode}{kind} ")) for kind in _KINDS))
        for mode in ("", "strict ")
    )
    return {"micro": micro, "macro": macro, "by_type": by_type, "strict": strict}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line with the micro scores."""
    micro = scores["micro"]
    return [f"entity micro precision: {micro['precision']:.4f}, recall: {micro['recall']:.4f}, f1: {micro['f1']:.4f}"]


def _prf(gold: int, predicted: int, correct: int) -> dict[str, float]:
    return {
        "precision": correct / predicted if predicted else 0.0,
        "recall": correct / gold if gold else 0.0,
        "f1": 2 * correct / (gold + predicted) if gold + predicted else 0.0,
    }
