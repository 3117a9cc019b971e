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
    for gold_example, prediction in zip(gold, predicted, strict=True):
        if gold_example.tags is None or prediction.tags is None:
            continue
        for (gold_tag, predicted_tag), number in Counter(zip(gold_example.tags, prediction.tags, strict=True)).items():
            counts[f"gold {gold_tag}"] += number
            counts[f"predicted {predicted_tag}"] += number
            if gold_tag == predicted_tag:
                counts[f"correct {gold_tag}"] += number
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
    tag_lines = [f"f1 {tag}: {value:.4f}" for tag, value in sorted(scores["f1"].items())]
    return [*tag_lines, f"f1-weighted: {scores['weighted_f1']:.4f}"]
