from __future__ import annotations

from ner.evaluation.scorer import Scorer
from ner.types import Example, Span


def tagged(gold: str, predicted: str, **fields: object) -> tuple[Example, Example]:
    spans = {"B-X": [Span(0, 1, "X")]}
    left = Example(["w"], spans.get(gold, []), [gold], metadata=fields)
    return left, Example(["w"], spans.get(predicted, []), [predicted])


def test_scores_by_field_are_those_of_its_examples_alone() -> None:
    pairs = [
        tagged("B-X", "B-X", domain="news", year=1999),
        tagged("B-X", "O", domain="news"),
        tagged("O", "O", domain=["mail", "news"], year=2000),
        tagged("B-X", "O"),
        tagged("B-X", "B-X", domain=[]),
        tagged("B-X", "O", domain=None),
    ]
    scorer = Scorer(["tag"], ["domain", "year", "none"])
    for left, right in pairs[:3]:
        scorer.add([left], [right])
    scorer.add([left for left, _ in pairs[3:]], [right for _, right in pairs[3:]])
    result = scorer.result()
    found = {
        name: {value: (part.sentences, part.words, part.scores["tag"]["accuracy"]) for value, part in parts.items()}
        for name, parts in result.by.items()
    }
    assert found == {
        "domain": {"None": (1, 1, 0), "mail": (1, 1, 1), "news": (3, 3, 2 / 3)},
        "year": {"1999": (1, 1, 1), "2000": (1, 1, 1)},
        "none": {},
    }
    assert list(found["domain"]) == ["None", "mail", "news"]
    assert (result.sentences, result.scores["tag"]["accuracy"]) == (6, 3 / 6)
    assert Scorer(["tag"]).result().by == {}


def test_values_of_a_field_are_sorted_as_people_do() -> None:
    orders: list[list[object]] = [
        [-10, -2, 0, "01", 1, 2.25, 2.5, 10, 11, 100, "", "mail"],
        ["nan", "turn 1", "turn 02", "turn 2", "turn 10", "turn 10a", "turn 10b2", "turn 10b10", "x"],
    ]
    for order in orders:
        scorer = Scorer(["tag"], ["turn_id"])
        for value in sorted(order, key=str):
            scorer.add(*([example] for example in tagged("O", "O", turn_id=value)))
        result = scorer.result()
        found = list(result.by["turn_id"])
        assert found == [str(value) for value in order]
        assert list(result.to_json("test")["by"]["turn_id"]) == found


def test_scores_by_field_are_a_table_before_all_others() -> None:
    scorer = Scorer(["tag", "entity"], ["domain"])
    for _ in range(10):
        scorer.add(*([example] for example in tagged("O", "O", domain="magazine")))
    scorer.add(*([example] for example in tagged("B-X", "B-X", domain="web")))
    none, one = (f"entity micro precision: {f}, recall: {f}, f1: {f}" for f in ("0.0000", "1.0000"))
    assert scorer.result().lines("test") == [
        "test loss: 0.0000",
        f"test domain magazine (10): f1-weighted: 1.0000; {none}",
        f"test domain web      ( 1): f1-weighted: 1.0000; {one}",
        "test f1 B-X: 1.0000",
        "test f1 O: 1.0000",
        "test f1-weighted: 1.0000",
        f"test {one}",
    ]
    plain = scorer.result().to_json("test")
    assert list(plain["by"]["domain"]["web"]) == ["sentences", "words", "tag", "entity"]
