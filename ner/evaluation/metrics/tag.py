"""Tag scores: F1 of each tag, their mean weighted by gold frequency, and accuracy.

The frequent ``O`` dominates these scores. They are reported in addition to the entity scores because the experiment
notes report them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.evaluation.metrics._prf import by_label, mean
from ner.types import Example

REQUIRES = frozenset({"tags"})


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count ``gold <tag>``, ``predicted <tag>`` and ``correct <tag>`` of words with a gold tag."""
    counts: Counter[str] = Counter()
    for left, right in zip(gold, predicted, strict=True):
        if left.tags is None or right.tags is None:
            continue
        for (wanted, found), number in Counter(zip(left.tags, right.tags, strict=True)).items():
            counts[f"gold {wanted}"] += number
            counts[f"predicted {found}"] += number
            if wanted == found:
                counts[f"correct {wanted}"] += number
    return counts


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return ``f1`` by tag, ``weighted_f1`` and ``accuracy``."""
    tags = by_label(counts)
    words = sum(figures["gold"] for figures in tags.values())
    return {
        "f1": {tag: figures["f1"] for tag, figures in tags.items()},
        "weighted_f1": mean(tags, weight="gold")["f1"],
        "accuracy": sum(figures["correct"] for figures in tags.values()) / words if words else 0.0,
    }


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line per tag, sorted, then the weighted mean."""
    found = [f"f1 {tag}: {value:.4f}" for tag, value in sorted(scores["f1"].items())]
    return [*found, f"f1-weighted: {scores['weighted_f1']:.4f}"]
