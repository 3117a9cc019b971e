from __future__ import annotations

import pytest

from ner.evaluation.mistakes import Mistakes
from tests.report.builders import GOLD_PROBABILITY, SENTENCES, chunk, mistakes


@pytest.fixture
def found() -> Mistakes:
    return mistakes()


def test_each_pair_is_counted_by_kind_type_and_boundary(found: Mistakes) -> None:
    assert found.kinds == {"correct": 3, "missing": 1, "boundary": 1, "type": 1, "spurious": 2, "type_and_boundary": 1}
    assert found.number == 6
    assert found.types == {
        ("PER", "PER"): 3,
        ("PER", None): 1,
        ("LOC", "LOC"): 1,
        ("ORG", "LOC"): 1,
        (None, "ORG"): 1,
        (None, "LOC"): 1,
        ("LOC", "ORG"): 1,
    }
    assert found.boundaries == {(0, 0): 4, (0, -1): 1, (0, 1): 1}


def test_types_add_up_to_the_gold_and_predicted_entities(found: Mistakes) -> None:
    gold = sum(number for (label, _), number in found.types.items() if label is not None)
    predicted = sum(number for (_, label), number in found.types.items() if label is not None)
    assert gold == sum(len(spans) for _, spans, _ in SENTENCES)
    assert predicted == sum(len(spans) for _, _, spans in SENTENCES)


def test_sentences_without_mistakes_are_left_out(found: Mistakes) -> None:
    assert [sentence.number for sentence in found.sentences] == [0, 1, 2, 3, 4, 5]
    assert found.read == len(SENTENCES)


def test_the_confidence_is_that_of_the_prediction_or_of_its_absence(found: Mistakes) -> None:
    assert [sentence.confidence for sentence in found.sentences] == [1 - GOLD_PROBABILITY, 0.7, 0.95, 0.6, 0.8, 0.55]


def test_positions_point_at_the_entities_of_the_sentence(found: Mistakes) -> None:
    spurious = found.sentences[4]
    assert spurious.mistakes[0].gold is None
    assert spurious.mistakes[0].predicted is not None
    assert spurious.predicted[spurious.mistakes[0].predicted].label == "LOC"


def test_repeated_mentions_are_counted_as_they_are_written() -> None:
    mentions = mistakes(copies=3).mentions
    assert mentions["Bob", "PER", None, None] == 3
    assert mentions["New York City", "LOC", "New York", "LOC"] == 3
    assert mentions["北京", "LOC", "北京😀", "ORG"] == 3


def test_chunks_add_up() -> None:
    found = Mistakes()
    for _ in range(2):
        found.add_chunk(chunk())
    assert (found.kinds, found.mentions) == (mistakes(2).kinds, mistakes(2).mentions)
