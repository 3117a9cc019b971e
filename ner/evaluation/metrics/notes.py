"""The scoring of the experiment notes: the F1 of each batch, averaged over batches.

A tag that a batch does not hold counts as 0 for it, so with batches of one sentence rare tags look hopeless whatever
the model does; see ``docs/notes.md``. Kept to compare with those notes, never to choose a model. What is counted at
once is a batch: in training the batch of the step, in evaluation one sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.config.parts import load_component
from ner.types import Example

REQUIRES = frozenset({"tags"})
BILLION = 10**9

tag = load_component("metrics", "tag")


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """F1 of the batch in whole billionths: ``f1 <tag>``, ``weighted``, and ``batches`` to divide by."""
    found = tag.count(gold, predicted)
    if not found:
        return Counter()
    batch = tag.scores(found)
    counts = Counter({f"f1 {name}": round(value * BILLION) for name, value in batch["f1"].items()})
    counts["weighted"] = round(batch["weighted_f1"] * BILLION)
    counts["batches"] = 1
    return counts


def scores(counts: Counter[str]) -> dict[str, Any]:
    """``f1`` by tag and ``weighted_f1``, means over the batches."""
    divisor = max(1, counts["batches"]) * BILLION
    f1 = {key.removeprefix("f1 "): value / divisor for key, value in sorted(counts.items()) if key.startswith("f1 ")}
    return {"f1": f1, "weighted_f1": counts["weighted"] / divisor}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """The same as for tags, said to be means over batches."""
    found = [f"mean f1 {name}: {value:.4f}" for name, value in sorted(scores["f1"].items())]
    return [*found, f"mean f1-weighted: {scores['weighted_f1']:.4f}"]
