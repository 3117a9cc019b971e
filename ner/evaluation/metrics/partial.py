"""Scores of entities with partial credit, as in MUC (Chinchor and Sundheim, 1993) and SemEval-2013 (task 9).

Gold and predicted entities are paired one to one, see :func:`ner.evaluation.matching.match`. Each pair counts 1, 0.5 or
0 under each of these rules:

===========  ==========================================  =============================
rule         1                                           0.5
===========  ==========================================  =============================
exact        equal boundaries and type                   -
boundary     equal boundaries                            -
partial      equal boundaries                            overlap
type         overlap and equal type                      -
===========  ==========================================  =============================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.evaluation.matching import match
from ner.types import Example

REQUIRES = frozenset({"tags"})
RULES = ("exact", "boundary", "partial", "type")
CREDITS = {
    "correct": (2, 2, 2, 2),
    "type": (0, 2, 2, 0),
    "boundary": (0, 0, 1, 2),
    "type_and_boundary": (0, 0, 1, 0),
    "missing": (0, 0, 0, 0),
    "spurious": (0, 0, 0, 0),
}
"""Kind of error -> credit under each rule, in halves."""


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count ``gold`` and ``predicted`` entities, ``halves <rule>``, ``error <kind>``, and ``sentences``."""
    counts = Counter({"sentences": len(gold)})
    for gold_example, prediction in zip(gold, predicted, strict=True):
        for pair in match(gold_example.spans, prediction.spans) if gold_example.spans or prediction.spans else ():
            error = pair.error
            counts["gold"] += pair.gold is not None
            counts["predicted"] += pair.predicted is not None
            counts[f"error {error}"] += 1
            for rule, credit in zip(RULES, CREDITS[error], strict=True):
                counts[f"halves {rule}"] += credit
    return +counts  # without zeros


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return precision, recall and F1 by rule, and under ``errors`` the number of pairs of each kind."""
    gold, predicted = counts["gold"], counts["predicted"]
    scores_by_rule: dict[str, Any] = {}
    for rule in RULES:
        credit = counts[f"halves {rule}"] / 2
        scores_by_rule[rule] = {
            "precision": credit / predicted if predicted else 0.0,
            "recall": credit / gold if gold else 0.0,
            "f1": 2 * credit / (gold + predicted) if gold + predicted else 0.0,
        }
    return {**scores_by_rule, "errors": {error: counts[f"error {error}"] for error in CREDITS}}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line with the F1 by rule."""
    return ["entity f1 by match " + ", ".join(f"{rule}: {scores[rule]['f1']:.4f}" for rule in RULES)]
