from __future__ import annotations

from collections import Counter

import pytest

from ner.evaluation.metrics import sentence
from ner.types import Example, Span

CITY = Span(1, 3, "city")


def example(spans: list[Span] | None = None, labels: list[str] | None = None, tags: list[str] | None = None) -> Example:
    return Example(["to", "new", "york"], spans or [], tags, labels or [])


@pytest.mark.parametrize(
    ("gold", "predicted", "spans", "labels"),
    [
        (example([CITY], ["a"]), example([CITY], ["a"]), 1, 1),
        (example([CITY], ["a"]), example([CITY], ["b"]), 1, 0),
        (example([CITY], ["a"]), example([], ["a"]), 0, 1),
        (example([], ["a"]), example([CITY], ["a"]), 0, 1),
        (example([CITY], ["a"]), example([Span(1, 3, "state")], ["a"]), 0, 1),
        (example([CITY], ["a"]), example([Span(1, 2, "city")], ["b"]), 0, 0),
        (example([CITY], ["a", "b"]), example([CITY], ["b", "a"]), 1, 1),
        (example([CITY], ["a", "b"]), example([CITY], ["a"]), 1, 0),
        (example([CITY], ["a#b"]), example([CITY], ["a", "b"]), 1, 0),
        (example([CITY]), example([CITY], ["a"]), 1, 0),
        (example([CITY], ["a"]), example([Span(1, 3, "city", 0.5)], ["a"]), 1, 1),
        (example([], ["a"], ["TO", "ADJ", "NOUN"]), example([], ["a"], ["TO", "ADJ", "VERB"]), 0, 1),
        (example([], ["a"], ["TO", "ADJ", "NOUN"]), example([], ["a"], ["TO", "ADJ", "NOUN"]), 1, 1),
        (example([], ["a"]), example([], ["a"], ["O", "O", "O"]), 1, 1),
    ],
)
def test_a_sentence_is_right_when_all_spans_and_all_labels_are(
    gold: Example, predicted: Example, spans: int, labels: int
) -> None:
    found = sentence.count([gold], [predicted])
    assert found == Counter(sentences=1, spans=spans, labels=labels, right=spans * labels)


def test_figures_are_shares_of_the_sentences() -> None:
    right, wrong = example([CITY], ["a"]), example([], ["a"])
    counts = sentence.count([right] * 4, [right, right, right, wrong])
    assert sentence.scores(counts) == {"accuracy": 0.75, "spans": 0.75, "labels": 1.0}
    assert sentence.scores(counts + sentence.count([right], [example([CITY], ["b"])]))["accuracy"] == 0.6
    assert sentence.scores(Counter()) == {"accuracy": 0, "spans": 0, "labels": 0}


def test_the_line_ends_with_the_figure_of_both() -> None:
    (line,) = sentence.lines({"accuracy": 0.5, "spans": 0.625, "labels": 0.75})
    assert line == "sentences with all spans right: 0.6250, all labels: 0.7500, both: 0.5000"


def test_one_more_and_one_fewer_sentence_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        sentence.count([example()], [])
