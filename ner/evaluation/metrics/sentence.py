"""Semantic frame accuracy: sentences with all spans, their types and all labels (intents) correct.

Sentences whose labels are None are not scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.types import Example

REQUIRES = frozenset({"tags", "labels"})


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count ``sentences``, and those with all ``spans``, all ``labels``, and both (``right``) correct."""
    counts: Counter[str] = Counter()
    for left, right in zip(gold, predicted, strict=True):
        if left.labels is None:
            continue
        is_plain = not (left.spans or right.spans) and None not in (left.tags, right.tags)  # tags without entities
        spans_correct = left.tags == right.tags if is_plain else set(left.spans) == set(right.spans)
        labels_correct = set(left.labels) == set(right.labels or ())
        counts.update(
            {
                "sentences": 1,
                "spans": spans_correct,
                "labels": labels_correct,
                "right": spans_correct and labels_correct,
            }
        )
    return counts


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return the fractions of sentences: ``accuracy`` (all correct), ``spans`` and ``labels``."""
    sentences = max(1, counts["sentences"])
    keys = {"accuracy": "right", "spans": "spans", "labels": "labels"}
    return {name: counts[key] / sentences for name, key in keys.items()}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line."""
    spans, labels = scores["spans"], scores["labels"]
    return [f"sentences with all spans right: {spans:.4f}, all labels: {labels:.4f}, both: {scores['accuracy']:.4f}"]
