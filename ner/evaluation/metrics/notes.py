"""Mean of the F1 of batches, as in the experiment notes: the batches of training steps, or single sentences.

A tag that does not occur in a batch has F1 0 there, so the score of rare tags is low for every model. This metric only
allows comparison with the notes, see ``docs/notes.md``; it is unsuitable for model selection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.evaluation.metrics import tag
from ner.types import Example

REQUIRES = frozenset({"tags"})
BILLION = 10**9


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Sum the F1 of the batch in units of 1e-9: ``f1 <tag>`` and ``weighted``; and count ``batches``."""
    tag_counts = tag.count(gold, predicted)
    if not tag_counts:
        return Counter()
    batch_scores = tag.scores(tag_counts)
    counts = Counter({f"f1 {name}": round(value * BILLION) for name, value in batch_scores["f1"].items()})
    counts["weighted"] = round(batch_scores["weighted_f1"] * BILLION)
    counts["batches"] = 1
    return counts


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return ``f1`` by tag and ``weighted_f1`` as means over batches."""
    divisor = max(1, counts["batches"]) * BILLION
    f1 = {key.removeprefix("f1 "): value / divisor for key, value in sorted(counts.items()) if key.startswith("f1 ")}
    return {"f1": f1, "weighted_f1": counts["weighted"] / divisor}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return the lines of the metric ``tag``, with ``mean`` in front."""
    tag_lines = [f"mean f1 {name}: {value:.4f}" for name, value in sorted(scores["f1"].items())]
    return [*tag_lines, f"mean f1-weighted: {scores['weighted_f1']:.4f}"]
