"""Answers to questions: exact match and F1 of tokens, the best over the gold answers of each question.

Tokens are those of :func:`ner.data.question_answering.normalize_answer`. To say that there is no answer (``unknown``,
or nothing) is right where that is gold, as in SQuAD 2.0 and CoQA; gold of nothing but articles and punctuation has no
tokens and counts alike. Two evaluation scripts differ on purpose:

- CoQA's leaves out one person's answer after the other where several people answered and takes the mean of the best
  over the rest, so that models and people are measured alike; our best over all is never lower.
- CMRC2018's takes as common tokens the longest row of them that both answers share, ours those that both hold, in any
  order; so ours is never lower on the same tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.data.question_answering import ANSWER_TYPES, UNKNOWN, first_answer, normalize_answer, token_f1
from ner.types import Example

REQUIRES = frozenset({"answers"})
BILLION = 10**9

COLUMNS = {"accuracy": "exact", "f1": "f1"}
_FIGURES = ("exact", "f1", "turns")


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """``exact``, ``f1`` (in whole billionths) and ``turns`` of each kind; questions without a gold answer do not count.

    The kind is that of the gold answer, ``other`` where it has none because it does not occur in the passage.
    """
    counts: Counter[str] = Counter()
    for left, right in zip(gold, predicted, strict=True):
        wanted = _wanted(left)
        if not wanted:
            continue
        kind = left.labels[0] if left.labels and left.labels[0] in ANSWER_TYPES else "other"
        found = _tokens(first_answer(right))
        counts[f"exact {kind}"] += found in wanted
        counts[f"f1 {kind}"] += round(max(token_f1(found, answer) for answer in wanted) * BILLION)
        counts[f"turns {kind}"] += 1
    return counts


def _wanted(example: Example) -> list[list[str]]:
    """Tokens of each gold answer, none of an answer that there is none; empty for a question without any gold."""
    if not example.answers:
        return [[]] if example.labels[:1] == [UNKNOWN] else []
    answers = [answer for answer in example.answers if normalize_answer(answer)]  # a mere article is no answer
    return [_tokens(answer) for answer in answers] or [[]]


def _tokens(answer: str) -> list[str]:
    tokens = normalize_answer(answer)
    return [] if tokens == [UNKNOWN] else tokens


def scores(counts: Counter[str]) -> dict[str, Any]:
    """``exact`` and ``f1`` over all ``turns``, and the same below ``kinds`` for each kind of gold answer."""
    present = [kind for kind in (*ANSWER_TYPES, "other") if counts[f"turns {kind}"]]
    kinds = {kind: _means(*(counts[f"{figure} {kind}"] for figure in _FIGURES)) for kind in present}
    return {**_means(*(sum(counts[f"{figure} {kind}"] for kind in present) for figure in _FIGURES)), "kinds": kinds}


def _means(exact: int, total: int, turns: int) -> dict[str, float]:
    divisor = max(1, turns)
    return {"exact": exact / divisor, "f1": total / (divisor * BILLION), "turns": turns}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """One line a kind of answer, then all."""
    found = [_line(f"answer {kind}", value) for kind, value in scores["kinds"].items()]
    return [*found, _line("answer", scores)]


def _line(name: str, value: Mapping[str, Any]) -> str:
    return f"{name} exact: {value['exact']:.4f}, f1: {value['f1']:.4f} ({value['turns']} turns)"
