from __future__ import annotations

import pytest

from ner.data.tags import decode
from ner.errors import InputError
from ner.evaluation.metrics import entity
from ner.evaluation.seqeval_check import SeqevalCheck
from ner.types import Example, Span


def example(tags: str) -> Example:
    return Example(tags.split(), decode(tags.split()), tags.split())


def checked(gold: Example, predicted: Example) -> tuple[SeqevalCheck, dict[str, dict[str, float]]]:
    check = SeqevalCheck()
    check.add([gold], [predicted])
    return check, entity.scores(entity.count([gold], [predicted]))


def test_equal_scores_pass_and_different_ones_are_an_error() -> None:
    check, scores = checked(example("B-X I-X O"), example("B-X O O"))
    assert "passed" in check.compare(scores)
    scores["micro"]["recall"] += 0.25
    with pytest.raises(InputError, match=r"recall: 0.25 and 0\.0\)"):
        check.compare(scores)


@pytest.mark.parametrize(
    "gold",
    [
        Example(["a", "b"], [Span(0, 2, "X"), Span(1, 2, "X")], ["B-X", "I-X"]),
        Example(["a", "b"], [], ["NN", "DT"]),
        Example(["a", "b"], [Span(0, 1, "X")]),
    ],
)
def test_entities_that_tags_cannot_represent_are_not_compared(gold: Example) -> None:
    check, scores = checked(gold, example("B-X O"))
    assert "skipped: 1 sentence with" in check.compare(scores)


def test_sentences_without_entities_are_not_compared() -> None:
    check, scores = checked(example("O O"), example("O O"))
    assert "skipped" in check.compare(scores)
