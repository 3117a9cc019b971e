"""Entities found: precision, recall and F1, micro, macro and by type.

A predicted entity is correct when its boundaries and its type are those of a gold one. Both sides are read as the
CoNLL evaluation script reads them (Tjong Kim Sang and De Meulder, 2003), which is what published figures use; beside it
``strict`` counts only entities that begin with ``B-``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ner.data import tags
from ner.types import Example, Span

REQUIRES = frozenset({"tags"})
COLUMNS = {"precision": "micro.precision", "recall": "micro.recall", "f1": "micro.f1"}
_KINDS = ("gold", "predicted", "correct")


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """``<kind> <type>`` and ``strict <kind> <type>`` for the kinds gold, predicted, correct; and ``sentences``, as
    sentences without any entity are scored too.
    """
    counts = Counter({"sentences": len(gold)})
    for left, right in zip(gold, predicted, strict=True):
        _add(counts, "", left.spans, right.spans)
        _add(counts, "strict ", _strict(left), _strict(right))
    return counts


def count_tags(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Counter[str]:
    """The same counts from tags alone, in any scheme: a million words take a fraction of a second.

    Args:
        gold: Tags of each sentence.
        predicted: As many for each sentence.

    Raises:
        ValueError: If a sentence has more tags on one side, or a tag has no known prefix.
    """
    lengths = np.fromiter(map(len, gold), np.int64, len(gold))
    others = np.fromiter(map(len, predicted), np.int64, len(predicted))
    if len(lengths) != len(others) or (lengths != others).any():
        pairs = zip(lengths.tolist(), others.tolist(), strict=False)
        wrong = next(
            (number for number, (left, right) in enumerate(pairs) if left != right), min(len(gold), len(predicted))
        )
        raise ValueError(f"sentence {wrong}: expected as many gold tags as predicted ones")
    starts = np.zeros(lengths.sum() + 1, dtype=bool)
    starts[np.cumsum(lengths)] = True
    starts[0] = True
    flat = [list(chain.from_iterable(side)) for side in (gold, predicted)]
    names = sorted({*flat[0], *flat[1]})
    unknown = next((name for name in names if not tags.is_valid(name)), None)
    if unknown is not None:
        raise ValueError(f"expected O or a prefix, a hyphen and a label, found the tag '{unknown}'")
    table = _Table(names)
    counts = Counter({"sentences": len(gold)})
    for mode, strict in (("", False), ("strict ", True)):
        sides = [table.spans(side, starts, strict) for side in flat]
        both = np.intersect1d(sides[0], sides[1], assume_unique=True)
        for kind, spans in zip(_KINDS, (*sides, both), strict=True):
            for label, number in enumerate(np.bincount(spans % len(table.labels), minlength=len(table.labels))):
                if number:
                    counts[f"{mode}{kind} {table.labels[label]}"] = int(number)
    return counts


class _Table:
    """What :func:`ner.data.tags.decode` does at each pair of neighbouring tags, asked of it once per pair."""

    def __init__(self, names: Sequence[str]) -> None:
        self.ids = {name: number for number, name in enumerate(names)}
        self.labels = sorted({tags.split(name)[1] for name in names} - {""}) or [""]
        self.label = np.array([self.labels.index(tags.split(name)[1]) if name != tags.OUTSIDE else 0 for name in names])
        self.inside = np.array([name != tags.OUTSIDE for name in names], dtype=bool)
        self.opens = np.array([name.startswith("B") for name in names], dtype=bool)
        goes_on = [[len(tags.decode([a, b])) == 1 and tags.OUTSIDE not in (a, b) for b in names] for a in names]
        self.goes_on = np.array(goes_on, dtype=bool)

    def spans(self, flat: Sequence[str], starts: np.ndarray, strict: bool) -> np.ndarray:
        """One integer per span of start, length and label; all tags in a row, ``starts`` true where sentences begin."""
        ids = np.fromiter(map(self.ids.__getitem__, flat), np.int64, len(flat))
        if not len(ids):
            return ids
        joined = np.zeros(len(ids) + 1, dtype=bool)  # whether a word goes on with the span of the one before it
        joined[1:-1] = self.goes_on[ids[:-1], ids[1:]]
        joined &= ~starts
        inside = self.inside[ids]
        begins = np.flatnonzero(inside & ~joined[:-1])
        ends = np.flatnonzero(inside & ~joined[1:]) + 1
        if strict:
            fine = self.opens[ids[begins]]
            begins, ends = begins[fine], ends[fine]
        return (begins * (len(ids) + 1) + ends - begins) * len(self.labels) + self.label[ids[begins]]


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
