"""Checks of metrics."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from ner.conformance.component import Check, Component, document, expect
from ner.data import tasks
from ner.types import Example


def _gold() -> list[Example]:
    examples = document().examples
    for example in examples:
        example.answers = ["in Berlin"]
    return examples


def _empty() -> list[Example]:
    return [Example(example.words, tags=["O"] * len(example.words)) for example in _gold()]


def _numbers(value: Any) -> list[float]:
    return [number for nested in value.values() for number in _numbers(nested)] if isinstance(value, dict) else [value]


def declarations(component: Component) -> None:
    """Declare the outputs that the gold data must contain."""
    required = component.module.REQUIRES
    expect(isinstance(required, frozenset) and required, f"expected a frozenset REQUIRES, found {required!r}")
    expect(required <= {*tasks.OUTPUTS}, f"expected outputs of {sorted(tasks.OUTPUTS)}, found {sorted(required)}")


def integer_counts(component: Component) -> None:
    """Return positive integers as counts, which add up over processes."""
    counts = component.module.count(_gold(), _gold())
    expect(counts, "expected counts, found none")
    expect(all(type(n) is int and n > 0 for n in counts.values()), f"expected positive integers, found {counts}")


def positive_perfect_score(component: Component) -> None:
    """Return a score above 0 for gold as predictions, and only finite scores."""
    metric = component.module
    numbers = _numbers(metric.scores(metric.count(_gold(), _gold())))
    expect(all(map(math.isfinite, numbers)), "expected finite scores")
    expect(max(numbers) > 0, "expected a score above 0")


def finite_empty_scores(component: Component) -> None:
    """Return other scores for empty predictions, and finite scores without any counts."""
    metric = component.module
    perfect, empty = (metric.scores(metric.count(_gold(), predicted)) for predicted in (_gold(), _empty()))
    expect(perfect != empty, "expected other scores than those of perfect predictions")
    numbers = _numbers(metric.scores(Counter()))
    expect(all(map(math.isfinite, numbers)), "expected finite scores of empty counts")


def text_lines(component: Component) -> None:
    """Describe scores in lines of text."""
    metric = component.module
    counts: Counter[str]
    for counts in (metric.count(_gold(), _gold()), Counter()):
        lines = metric.lines(metric.scores(counts))
        expect(all(isinstance(line, str) for line in lines), f"expected text, found {lines!r}")


CHECKS: tuple[Check, ...] = (declarations, integer_counts, positive_perfect_score, finite_empty_scores, text_lines)
