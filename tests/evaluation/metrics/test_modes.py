from __future__ import annotations

import random

import pytest

from ner.data import tags
from ner.evaluation.metrics import entity, modes
from ner.types import Example, Span

SCHEMES = ("bio", "bioes", "bmes", "bilou", "iob1")


def read(row: str, scheme: str = "bio") -> Example:
    names = row.split()
    spans, bio, raw = tags.normalize(names, scheme)
    return Example(["w"] * len(names), spans, bio, raw_tags=raw)


@pytest.mark.parametrize(
    ("scheme", "row", "invalid", "conlleval", "strict", "discard"),
    [
        ("bio", "B-A I-A O", 0, [(0, 2, "A")], [(0, 2, "A")], [(0, 2, "A")]),
        ("bio", "O I-A I-A", 1, [(1, 3, "A")], [], []),
        ("bio", "B-A I-B", 1, [(0, 1, "A"), (1, 2, "B")], [(0, 1, "A")], [(0, 1, "A")]),
        ("bioes", "B-A I-A O", 1, [(0, 2, "A")], [], []),
        ("bioes", "S-A I-A E-A", 1, [(0, 1, "A"), (1, 3, "A")], [(0, 1, "A")], [(0, 1, "A")]),
        ("bioes", "B-A B-A E-A", 1, [(0, 1, "A"), (1, 3, "A")], [(1, 3, "A")], [(1, 3, "A")]),
        ("bilou", "B-A L-B", 1, [(0, 1, "A"), (1, 2, "B")], [], []),
        ("iob1", "I-A B-A", 0, [(0, 1, "A"), (1, 2, "A")], [(0, 1, "A"), (1, 2, "A")], [(0, 1, "A"), (1, 2, "A")]),
        ("iob1", "O B-A I-A", 1, [(1, 3, "A")], [], [(2, 3, "A")]),
    ],
)
def test_the_modes_differ_on_invalid_tags_only(
    scheme: str, row: str, invalid: int, conlleval: list, strict: list, discard: list
) -> None:
    example = read(row, scheme)
    for mode, expected in (("conlleval", conlleval), ("strict", strict), ("discard", discard)):
        assert tags.read_as(example, mode) == [Span(*span) for span in expected]
    counts = modes.count([example], [read("O " * len(example.words))])
    assert modes.scores(counts)["invalid"] == {"gold": invalid, "predicted": 0}
    assert [counts[f"gold {mode}"] for mode in tags.MODES] == [len(conlleval), len(strict), len(discard)]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_properties_of_random_sequences(scheme: str) -> None:
    draw = random.Random(scheme)
    names = ["O", *(f"{prefix}-{label}" for prefix in tags.SCHEMES[scheme].prefixes for label in "AB")]
    for _ in range(500):
        row = [draw.choice(names) for _ in range(draw.randrange(1, 7))]
        kept = tags.discard(row, scheme)
        assert tags.invalid_transitions(kept, scheme) == 0, (row, kept)
        assert tags.discard(kept, scheme) == kept
        if not tags.invalid_transitions(row, scheme):
            assert kept == row
        strict = entity.scores(entity.count_tags([row], [row], scheme if scheme != "iob1" else "iob1"))["strict"]
        example = read(" ".join(row), scheme)
        assert bool(tags.read_as(example, "strict")) == bool(strict["f1"])
        assert entity.scores(entity.count([example], [example]))["strict"] == strict


def test_nothing_in_gold_and_prediction_is_zero() -> None:
    scores = modes.scores(modes.count([read("O O")], [read("O O")]))
    assert [scores[mode]["f1"] for mode in tags.MODES] == [0, 0, 0]


def test_plain_tags_and_spans_without_tags_are_valid() -> None:
    for example in (Example(["a"], [], ["NN"]), Example(["a", "b"], [Span(0, 2, "X"), Span(1, 2, "X")])):
        assert modes.count([example], [example])["invalid gold"] == 0
        assert tags.read_as(example, "strict") == example.spans
