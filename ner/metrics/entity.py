"""Entities found: precision, recall and F1, micro, macro and by type.

A predicted entity is correct when its boundaries and its type are those of a gold one. Both sides are read as the
CoNLL evaluation script reads them (Tjong Kim Sang and De Meulder, 2003), which is what published figures use; beside it
``strict`` counts only entities that begin with ``B-``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ner import tags
from ner.types import Example, Span

_KINDS = ("gold", "predicted", "correct")


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """``<kind> <type>`` and ``strict <kind> <type>`` for the kinds gold, predicted, correct."""
    counts: Counter[str] = Counter()
    for left, right in zip(gold, predicted, strict=True):
        _add(counts, "", left.spans, right.spans)
        _add(counts, "strict ", _strict(left), _strict(right))
    return counts


def _add(counts: Counter[str], mode: str, gold: Iterable[Span], predicted: Iterable[Span]) -> None:
    wanted, found = set(gold), set(predicted)
    for kind, spans in zip(_KINDS, (wanted, found, wanted & found), strict=True):
        for span in spans:
            counts[f"{mode}{kind} {span.label}"] += 1


def _strict(example: Example) -> list[Span]:
    """Spans without those that tags open with another prefix than ``B-``; spans that tags cannot hold stay."""
    if not example.spans or example.tags is None or not all(tags.is_valid(tag) for tag in example.tags):
        return example.spans
    if all(example.tags[span.start].startswith("B-") for span in example.spans):
        return example.spans
    broken = set(tags.decode(example.tags)) - set(tags.decode(example.tags, strict=True))
    return [span for span in example.spans if span not in broken]


def scores(counts: Counter[str]) -> dict[str, Any]:
    """``micro``, ``macro``, ``by_type`` (with the integers) and ``strict`` (micro)."""
    types = sorted({key.partition(" ")[2] for key in counts if key.startswith(("gold ", "predicted "))})
    by_type: dict[str, dict[str, float]] = {}
    for label in types:
        numbers = [counts[f"{kind} {label}"] for kind in _KINDS]
        by_type[label] = {**_prf(*numbers), **dict(zip(_KINDS, numbers, strict=True))}
    mean = {
        name: sum(by_type[label][name] for label in types) / len(types) if types else 0.0
        for name in ("precision", "recall", "f1")
    }
    micro, strict = (_prf(*(_total(counts, f"{mode}{kind} ") for kind in _KINDS)) for mode in ("", "strict "))
    return {"micro": micro, "macro": mean, "by_type": by_type, "strict": strict}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """One line."""
    micro = scores["micro"]
    return [f"entity micro precision: {micro['precision']:.4f}, recall: {micro['recall']:.4f}, f1: {micro['f1']:.4f}"]


def _total(counts: Counter[str], prefix: str) -> int:
    return sum(number for key, number in counts.items() if key.startswith(prefix))


def _prf(gold: int, predicted: int, correct: int) -> dict[str, float]:
    return {
        "precision": correct / predicted if predicted else 0.0,
        "recall": correct / gold if gold else 0.0,
        "f1": 2 * correct / (gold + predicted) if gold + predicted else 0.0,
    }
