"""Entity scores: precision, recall and F1, micro, macro and by type.

A predicted entity is correct if its boundaries and its type equal those of a gold entity. Tags are read as the CoNLL
evaluation script reads them (Tjong Kim Sang and De Meulder, 2003), as in published results. ``strict`` counts only
entities that begin with ``B-``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

from ner.data import tags
from ner.types import Example

REQUIRES = frozenset({"tags"})
COLUMNS = {"precision": "micro.precision", "recall": "micro.recall", "f1": "micro.f1"}
_KINDS = ("gold", "predicted", "correct")

_Entities = list[tuple[int, int, str]]
"""Start, end and type of the entities of a sentence."""


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count the entities of examples.

    Returns:
        ``<kind> <type>`` and ``strict <kind> <type>`` for the kinds gold, predicted and correct, and ``sentences``.
    """
    names: list[str] = []
    for left, right in zip(gold, predicted, strict=True):
        if left.spans or right.spans:
            _add(names, _entities(left), left.tags, _entities(right), right.tags)
    return Counter({"sentences": len(gold), **Counter(names)})


def _entities(example: Example) -> _Entities:
    return [(span.start, span.end, span.label) for span in example.spans]


def count_tags(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Counter[str]:
    """Count the entities of lists of tags, one list per sentence, in any scheme. See :func:`count`.

    Raises:
        ValueError: If the numbers of sentences or tags differ, or a tag is invalid.
    """
    for number, (left, right) in enumerate(zip_longest(gold, predicted, fillvalue=None)):
        if left is None or right is None or len(left) != len(right):
            raise ValueError(f"sentence {number}: expected as many gold tags as predicted ones")
    for tag in {*chain.from_iterable(gold), *chain.from_iterable(predicted)}:
        if not tags.is_valid(tag):
            raise ValueError(f"expected O or a prefix, a hyphen and a label, found the tag '{tag}'")
    names: list[str] = []
    for left, right in zip(gold, predicted, strict=True):
        wanted = tags.entities(left)
        found = wanted if left == right else tags.entities(right)
        if wanted or found:
            _add(names, wanted, left, found, right)
    return Counter({"sentences": len(gold), **Counter(names)})


def _add(
    names: list[str],
    gold: _Entities,
    gold_tags: Sequence[str] | None,
    predicted: _Entities,
    predicted_tags: Sequence[str] | None,
) -> None:
    """Add ``<kind> <type>`` of each entity of a sentence to the names that are counted."""
    for mode, wanted, found in (
        ("", set(gold), set(predicted)),
        ("strict ", set(_strict(gold, gold_tags)), set(_strict(predicted, predicted_tags))),
    ):
        for kind, entities in zip(_KINDS, (wanted, found, wanted & found), strict=True):
            names += [f"{mode}{kind} {label}" for _, _, label in entities]


def _strict(entities: _Entities, names: Sequence[str] | None) -> _Entities:
    """Return the entities without those that the tags begin with another prefix than ``B-``.

    Entities that tags cannot represent, such as the inner of nested ones, are kept.
    """
    if names is None or all(names[start].startswith("B-") for start, _, _ in entities):
        return entities
    if not all(map(tags.is_valid, names)):
        return entities
    broken = {entity for entity in tags.entities(names) if not names[entity[0]].startswith("B")}
    return [entity for entity in entities if entity not in broken]


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
