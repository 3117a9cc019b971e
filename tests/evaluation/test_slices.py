from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from ner.config.base import SliceName
from ner.errors import InputError
from ner.evaluation.bootstrap import total
from ner.evaluation.evaluator import slices_of
from ner.evaluation.metrics import entity
from ner.evaluation.slices import Slices
from ner.types import Document, Example, Span
from tests.builders import settings

TRAINING = [
    Document([Example(["Paris", "Hilton", "in", "Paris"], [Span(0, 2, "PER"), Span(3, 4, "LOC")])]),
    Document([Example(["Paris", "won"], [Span(0, 1, "PER")])]),
]


def test_slices_count_entities_by_their_value_and_add_up() -> None:
    names = get_args(SliceName)
    slices = Slices(names, TRAINING)
    words = ["Paris", "Hilton", "met", "IBM", "and", "paris"]
    gold = Example(words, [Span(0, 2, "PER"), Span(3, 4, "ORG"), Span(5, 6, "LOC")])
    predicted = Example(words, [Span(0, 1, "LOC"), Span(3, 4, "ORG")])
    scores = slices.scores(slices.count([gold], [predicted]))
    figures = {
        (name, value): (f["gold"], f["predicted"], f["correct"])
        for name, values in scores.items()
        for value, f in values.items()
    }
    assert figures == {
        ("entity_length", "1"): (2, 2, 1),
        ("entity_length", "2"): (1, 0, 0),
        ("sentence_length", "6 to 10"): (3, 2, 1),
        ("seen_mention", "seen"): (1, 1, 0),
        ("seen_mention", "unseen"): (2, 1, 1),
        ("ambiguous_mention", "one type"): (1, 0, 0),
        ("ambiguous_mention", "several types"): (0, 1, 0),
        ("ambiguous_mention", "unseen"): (2, 1, 1),
        ("casing", "Title"): (1, 1, 0),
        ("casing", "UPPER"): (1, 1, 1),
        ("casing", "lower"): (1, 0, 0),
    }
    whole = total([entity.count([gold], [predicted])])
    for values in scores.values():
        assert sum(f["gold"] for f in values.values()) == sum(whole[f"gold {t}"] for t in ("PER", "ORG", "LOC"))


def test_values_are_in_their_natural_order() -> None:
    slices = Slices(["sentence_length"])
    counts = total(slices.count([e], [e]) for e in (Example(["w"] * n, [Span(0, 1, "X")]) for n in (50, 1, 30, 7, 15)))
    assert list(slices.scores(counts)["sentence_length"]) == ["1 to 5", "6 to 10", "11 to 20", "21 to 40", "41 or more"]


def test_the_configuration_or_the_command_names_the_slices(tmp_path: Path) -> None:
    train = tmp_path / "train.conll"
    train.write_text("Paris B-LOC\n")
    assert slices_of(settings()) is None
    config = settings(data__train=str(train), slices=["casing", "seen_mention"])
    for names, expected in (
        (None, ["seen_mention", "casing"]),
        (["casing"], ["casing"]),
        (["all"], get_args(SliceName)),
    ):
        slices = slices_of(config, names)
        assert slices is not None
        assert [*slices.functions] == [*expected]
    with pytest.raises(InputError, match="expected one of"):
        slices_of(config, ["color"])
