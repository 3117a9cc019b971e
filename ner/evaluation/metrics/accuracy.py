"""Text classification: accuracy of whole texts, and precision, recall and F1 of the classes.

An empty set of classes is a valid gold answer. Texts whose labels are None are not scored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.evaluation.metrics._prf import KINDS, by_label, mean, micro
from ner.types import Example

REQUIRES = frozenset({"labels"})


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count ``texts``, ``exact`` matches, and ``<kind> <class>`` for the kinds gold, predicted and correct."""
    counts: Counter[str] = Counter()
    for gold_example, prediction in zip(gold, predicted, strict=True):
        if gold_example.labels is None:
            continue
        gold_labels, predicted_labels = set(gold_example.labels), set(prediction.labels or ())
        counts["texts"] += 1
        counts["exact"] += gold_labels == predicted_labels
        for kind, labels in zip(KINDS, (gold_labels, predicted_labels, gold_labels & predicted_labels), strict=True):
            for label in labels:
                counts[f"{kind} {label}"] += 1
    return counts


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return ``accuracy``, ``macro``, ``micro`` and ``weighted`` (by gold frequency) means, and ``by_label``.

    The means are over gold and predicted classes. ``by_label`` contains the counts too.
    """
    labels = by_label(counts)
    return {
        "accuracy": counts["exact"] / counts["texts"] if counts["texts"] else 0.0,
        "macro": mean(labels),
        "micro": micro(labels),
        "weighted": mean(labels, weight="gold"),
        "by_label": labels,
    }


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line per class, sorted, then one with accuracy and mean F1."""
    class_lines = [
        f"class {label} precision: {f['precision']:.4f}, recall: {f['recall']:.4f}, f1: {f['f1']:.4f}"
        for label, f in sorted(scores["by_label"].items())
    ]
    macro, weighted = scores["macro"]["f1"], scores["weighted"]["f1"]
    return [*class_lines, f"accuracy: {scores['accuracy']:.4f}, f1-macro: {macro:.4f}, f1-weighted: {weighted:.4f}"]
