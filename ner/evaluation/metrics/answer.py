"""Question answering: exact match and token F1, the maximum over the gold answers of each question.

Tokens are those of :func:`ner.data.question_answering.normalize_answer`. Unanswerable questions are correct if the
prediction is ``unknown`` or empty, as in SQuAD 2.0 and CoQA. Gold answers without tokens count as unanswerable.

Two evaluation scripts differ, and this metric is never lower than either on the same tokens:

- CoQA's script averages over leaving out each annotator, so that models and annotators are comparable.
- CMRC2018's script computes F1 from the longest common substring of tokens instead of the common tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ner.data.question_answering import ANSWER_TYPES, UNKNOWN, answer_type, first_answer, normalize_answer, token_f1
from ner.types import Example

REQUIRES = frozenset({"answers"})
BILLION = 10**9

_FIGURES = ("exact", "f1", "turns")


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Sum ``exact``, ``f1`` (in units of 1e-9) and ``turns`` by answer type; skip questions without a gold answer.

    The type is ``other`` if the gold answer has none because it does not occur in the passage.
    """
    counts: Counter[str] = Counter()
    for gold_example, prediction in zip(gold, predicted, strict=True):
        # not only articles and punctuation
        answers = [answer for answer in gold_example.answers if normalize_answer(answer)]
        if not gold_example.answers and answer_type(gold_example) != UNKNOWN:
            continue
        gold_tokens = [_tokens(answer) for answer in answers] or [[]]  # no tokens if unanswerable
        kind = answer_type(gold_example) or "other"
        predicted_tokens = _tokens(first_answer(prediction))
        counts[f"exact {kind}"] += predicted_tokens in gold_tokens
        counts[f"f1 {kind}"] += round(max(token_f1(predicted_tokens, answer) for answer in gold_tokens) * BILLION)
        counts[f"turns {kind}"] += 1
    return counts


def _tokens(answer: str) -> list[str]:
    tokens = normalize_answer(answer)
    return [] if tokens == [UNKNOWN] else tokens


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return ``exact``, ``f1`` and ``turns``, and under ``kinds`` the same by type of the gold answer."""
    present = [kind for kind in (*ANSWER_TYPES, "other") if counts[f"turns {kind}"]]
    kinds = {kind: _means(*(counts[f"{figure} {kind}"] for figure in _FIGURES)) for kind in present}
    return {**_means(*(sum(counts[f"{figure} {kind}"] for kind in present) for figure in _FIGURES)), "kinds": kinds}


def _means(exact_sum: int, f1_sum: int, turns: int) -> dict[str, float]:
    divisor = max(1, turns)
    return {"exact": exact_sum / divisor, "f1": f1_sum / (divisor * BILLION), "turns": turns}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line per answer type, then the line for all."""
    kind_lines = [_line(f"answer {kind}", value) for kind, value in scores["kinds"].items()]
    return [*kind_lines, _line("answer", scores)]


def _line(name: str, value: Mapping[str, Any]) -> str:
    return f"{name} exact: {value['exact']:.4f}, f1: {value['f1']:.4f} ({value['turns']} turns)"
