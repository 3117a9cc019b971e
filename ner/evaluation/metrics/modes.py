"""Micro scores of entities under each reading mode, and the number of transitions between tags that are invalid.

Scorers of this field differ in how they read tags that are invalid in their scheme, such as ``O I-PER`` in BIO, and
agree on valid ones. The modes are those of :func:`ner.data.tags.read_as`:

- ``conlleval`` repairs: an entity starts at any tag that continues none (Tjong Kim Sang and De Meulder, 2003).
- ``strict`` counts only entities with all prefixes of the scheme, like strict seqeval.
- ``discard`` replaces each invalid tag by ``O``, like SeqScore (Palen-Michel et al., 2021).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.data.tags import MODES, RawTags, invalid_transitions, is_valid, read_as
from ner.evaluation.metrics._prf import KINDS, prf
from ner.types import Example

REQUIRES = frozenset({"tags"})
SIDES = ("gold", "predicted")


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count ``<kind> <mode>`` for the kinds gold, predicted and correct, ``invalid <side>``, and ``sentences``."""
    counts = Counter({"sentences": len(gold)})
    for pair in zip(gold, predicted, strict=True):
        invalid = [_invalid(example) for example in pair]
        for side, number in zip(SIDES, invalid, strict=True):
            counts[f"invalid {side}"] += number
        for mode in MODES:
            left, right = ({*(read_as(e, mode) if bad else e.spans)} for e, bad in zip(pair, invalid, strict=True))
            for kind, number in zip(KINDS, (len(left), len(right), len(left & right)), strict=True):
                counts[f"{kind} {mode}"] += number
    return +counts  # without zeros


def _invalid(example: Example) -> int:
    names, scheme = example.raw_tags or RawTags(example.tags or [], "bio")
    if not example.spans or not all(map(is_valid, names)):
        return 0
    return invalid_transitions(names, scheme)


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return micro scores by mode, and under ``invalid`` the invalid transitions of gold and predicted tags."""
    modes: dict[str, Any] = {mode: prf(*(counts[f"{kind} {mode}"] for kind in KINDS)) for mode in MODES}
    return {**modes, "invalid": {side: counts[f"invalid {side}"] for side in SIDES}}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line with the F1 under each mode."""
    scores_by_mode = ", ".join(f"{mode}: {scores[mode]['f1']:.4f}" for mode in MODES)
    invalid = ", ".join(f"{side} {scores['invalid'][side]}" for side in SIDES)
    return [f"entity f1 by mode {scores_by_mode}; invalid transitions: {invalid}"]
