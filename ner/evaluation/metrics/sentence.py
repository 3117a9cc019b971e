"""Sentences in which everything is right: every span with its type, and every label of the whole.

The strictest figure of joint models: a request is answered well only if intent and all slots are understood. One whose
intent nobody knows does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.data.notices import Notice
from ner.types import Example

REQUIRES = frozenset({"tags", "labels"})


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """``sentences``, and of these how many have all ``spans``, all ``labels``, and both ``right``."""
    counts: Counter[str] = Counter()
    for left, right in zip(gold, predicted, strict=True):
        if Notice.UNLABELLED in left.warnings:
            continue
        spans, labels = _same_spans(left, right), set(left.labels) == set(right.labels)
        counts.update({"sentences": 1, "spans": spans, "labels": labels, "right": spans and labels})
    return counts


def _same_spans(left: Example, right: Example) -> bool:
    """Spans and types are equal; plain tags, which make no spans, are compared one by one."""
    if left.spans or right.spans or left.tags is None or right.tags is None:
        return set(left.spans) == set(right.spans)
    return left.tags == right.tags


def scores(counts: Counter[str]) -> dict[str, Any]:
    """``accuracy``: the share of sentences with everything right; ``spans`` and ``labels``: of either alone."""
    sentences = max(1, counts["sentences"])
    return {
        "accuracy": counts["right"] / sentences,
        "spans": counts["spans"] / sentences,
        "labels": counts["labels"] / sentences,
    }


def lines(scores: Mapping[str, Any]) -> list[str]:
    """One line."""
    spans, labels = scores["spans"], scores["labels"]
    return [f"sentences with all spans right: {spans:.4f}, all labels: {labels:.4f}, both: {scores['accuracy']:.4f}"]
