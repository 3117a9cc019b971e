from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_support
from seqeval.scheme import IOB2

from ner.data.tags import SCHEMES, decode, encode
from ner.evaluation.metrics import entity
from ner.types import Example, Span

TAGS = ["O", "B-X", "I-X", "B-Y", "I-Y", "B-Z-1", "I-Z-1"]


def example(tags: str | list[str]) -> Example:
    found = tags.split() if isinstance(tags, str) else tags
    return Example(["w"] * len(found), spans=decode(found), tags=found)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Example], list[Example]]:
    """Gold and predicted examples with any tags, valid as a sequence or not."""
    sizes = draw(st.lists(st.integers(0, 6), max_size=6))
    rows = [st.lists(st.sampled_from(TAGS), min_size=size, max_size=size) for size in sizes]
    gold = [example(draw(row)) for row in rows]
    return gold, [left if draw(st.booleans()) else example(draw(row)) for left, row in zip(gold, rows, strict=True)]


def floats(value: Any) -> Iterator[float]:
    for below in value.values():
        if isinstance(below, dict):
            yield from floats(below)
        else:
            yield below


def names(scores: dict[str, float]) -> list[float]:
    return [scores[name] for name in ("precision", "recall", "f1")]


def seqeval(gold: list[Example], predicted: list[Example], average: str | None, strict: bool = False) -> Any:
    function = strict_support if strict else precision_recall_fscore_support
    options: dict[str, Any] = {"scheme": IOB2} if strict else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = function(
            [one.tags for one in gold], [one.tags for one in predicted], average=average, zero_division=0, **options
        )
    return found


@pytest.mark.slow
@given(pairs())
def test_micro_macro_and_types_agree_with_seqeval(case: tuple[list[Example], list[Example]]) -> None:
    gold, predicted = case
    scores = entity.scores(entity.count(gold, predicted))
    if not scores["by_type"]:  # seqeval gives what it calls undefined
        assert names(scores["micro"]) == names(scores["macro"]) == [0, 0, 0]
        return
    assert names(scores["micro"]) == pytest.approx(seqeval(gold, predicted, "micro")[:3])
    assert names(scores["macro"]) == pytest.approx(seqeval(gold, predicted, "macro")[:3])
    precision, recall, f1, support = seqeval(gold, predicted, None)
    assert [found["precision"] for found in scores["by_type"].values()] == pytest.approx(list(precision))
    assert [found["recall"] for found in scores["by_type"].values()] == pytest.approx(list(recall))
    assert [found["f1"] for found in scores["by_type"].values()] == pytest.approx(list(f1))
    assert [found["gold"] for found in scores["by_type"].values()] == list(support)
    assert list(scores["by_type"]) == sorted(scores["by_type"])


@pytest.mark.slow
@given(pairs())
def test_strict_scores_agree_with_strict_seqeval(case: tuple[list[Example], list[Example]]) -> None:
    gold, predicted = case
    strict = entity.scores(entity.count(gold, predicted))["strict"]
    if not any(tag.startswith("B-") for one in (*gold, *predicted) for tag in one.tags or ()):
        assert names(strict) == [0, 0, 0]
        return
    assert names(strict) == pytest.approx(seqeval(gold, predicted, "micro", strict=True)[:3])


@pytest.mark.slow
@given(pairs(), st.lists(st.integers(0, 6), max_size=3))
def test_counts_add_up_over_any_split(case: tuple[list[Example], list[Example]], cuts: list[int]) -> None:
    gold, predicted = case
    bounds = sorted({0, len(gold), *(cut for cut in cuts if cut < len(gold))})
    total: Counter[str] = Counter()
    for start, stop in pairwise(bounds):
        total.update(entity.count(gold[start:stop], predicted[start:stop]))
    assert total == entity.count(gold, predicted)


@pytest.mark.slow
@given(pairs())
def test_scores_are_numbers_from_0_to_1_and_gold_against_itself_is_perfect(
    case: tuple[list[Example], list[Example]],
) -> None:
    gold, predicted = case
    scores = entity.scores(entity.count(gold, predicted))
    for name in ("micro", "macro", "strict"):
        assert all(0 <= value <= 1 for value in scores[name].values())
    assert all(math.isfinite(value) for value in floats(scores))
    if any(one.spans for one in gold):
        assert names(entity.scores(entity.count(gold, gold))["micro"]) == [1, 1, 1]


@pytest.mark.parametrize("examples", [[], [Example([])], [example("O O")], [Example(["a"])]])
def test_without_entities_everything_is_zero(examples: list[Example]) -> None:
    scores = entity.scores(entity.count(examples, examples))
    zeros = {"precision": 0, "recall": 0, "f1": 0}
    assert scores == {"micro": zeros, "macro": zeros, "by_type": {}, "strict": zeros}


@pytest.mark.parametrize(
    ("gold", "predicted", "numbers", "strict"),
    [
        ("B-X I-X", "B-X I-X", (1, 1, 1), (1, 1, 1)),
        ("B-X I-X", "B-X O", (1, 1, 0), (1, 1, 0)),
        ("B-X I-X", "B-Y I-Y", (1, 1, 0), (1, 1, 0)),
        ("B-X I-X", "I-X I-X", (1, 1, 1), (1, 0, 0)),
        ("B-X B-X", "B-X I-X", (2, 1, 0), (2, 1, 0)),
        ("O O", "B-X O", (0, 1, 0), (0, 1, 0)),
        ("B-X I-Y", "B-X O", (2, 1, 1), (1, 1, 1)),
    ],
)
def test_an_entity_is_right_with_its_boundaries_and_its_type(
    gold: str, predicted: str, numbers: tuple[int, int, int], strict: tuple[int, int, int]
) -> None:
    counts = entity.count([example(gold)], [example(predicted)])
    for prefix, wanted in (("", numbers), ("strict ", strict)):
        kinds = [f"{prefix}{kind} " for kind in ("gold", "predicted", "correct")]
        found = tuple(sum(n for key, n in counts.items() if key.startswith(kind)) for kind in kinds)
        assert found == wanted


def test_spans_that_tags_cannot_hold_count_in_both_ways() -> None:
    spans = [Span(0, 3, "X"), Span(1, 2, "Y")]
    nested = Example(["w"] * 3, spans=spans, tags=["B-X", "I-X", "I-X"])
    scores = entity.scores(entity.count([nested], [example("B-X I-X I-X")]))
    assert scores["micro"] == scores["strict"]
    assert scores["micro"]["recall"] == 0.5


def test_broken_spans_beside_spans_that_tags_cannot_hold_are_not_strict() -> None:
    spans = [Span(0, 3, "X"), Span(1, 2, "Y")]
    broken = Example(["w"] * 3, spans=spans, tags=["I-X", "I-X", "I-X"])
    assert entity.count([broken], [broken])["strict gold Y"] == 1
    assert entity.count([broken], [broken])["strict gold X"] == 0


def test_untagged_examples_are_scored_by_their_spans() -> None:
    one = Example(["a"], spans=[Span(0, 1, "X", 0.5)])
    other = Example(["a"], spans=[Span(0, 1, "X", 0.7)])
    assert entity.scores(entity.count([one], [other]))["strict"]["f1"] == 1


def test_types_keep_their_integers() -> None:
    by_type = entity.scores(entity.count([example("B-X B-Y")], [example("B-X B-X")]))["by_type"]
    assert by_type["X"] == {"precision": 0.5, "recall": 1, "f1": 2 / 3, "gold": 1, "predicted": 2, "correct": 1}
    assert by_type["Y"] == {"precision": 0, "recall": 0, "f1": 0, "gold": 1, "predicted": 0, "correct": 0}


def test_gold_and_predictions_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="as many predicted examples"):
        entity.count([example("O")], [])


def test_the_log_has_one_line() -> None:
    (line,) = entity.lines(entity.scores(entity.count([example("B-X B-Y")], [example("B-X O")])))
    assert line == "entity micro precision: 1.0000, recall: 0.5000, f1: 0.6667"


ANY_TAG = st.sampled_from(["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "M-Y", "L-X", "U-Y"])


@pytest.mark.slow
@given(st.lists(st.lists(st.tuples(ANY_TAG, ANY_TAG), max_size=8), max_size=6))
def test_counts_from_tags_are_those_from_spans(rows: list[list[tuple[str, str]]]) -> None:
    gold, predicted = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
    sides = [[Example(["w"] * len(tags), spans=decode(tags), tags=tags) for tags in side] for side in (gold, predicted)]
    assert entity.count_tags(gold, predicted, "bio") == entity.count(*sides)


def test_tags_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="sentence 1: expected as many predicted tags as gold ones .2., found 1"):
        entity.count_tags([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="expected as many predicted sentences as gold ones .2., found 1"):
        entity.count_tags([["O"], ["O"]], [["O"]])
    with pytest.raises(ValueError, match="found the tag 'NN'"):
        entity.count_tags([["NN"]], [["O"]])


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_valid_gold_tags_are_right_in_every_scheme(scheme: str) -> None:
    spans = [Span(0, 1, "X"), Span(1, 4, "X"), Span(4, 5, "Y-Z"), Span(6, 8, "X")]
    gold = [encode(spans if scheme != "io" else spans[1:], 9, scheme)]
    for counts in (entity.count_tags(gold, gold), entity.count_tags(gold, gold, scheme)):
        found = entity.scores(counts)
        assert found["micro"] == found["strict"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
        assert sum(counts[f"strict correct {label}"] for label in ("X", "Y-Z")) == (3 if scheme == "io" else 4)
