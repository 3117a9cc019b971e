from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("datasets")

from datasets import Dataset, DatasetDict

from ner.inference.tagger import Tagger
from ner.integrations.datasets import annotate
from tests.integrations.conftest import perfect

pytestmark = pytest.mark.slow  # the first test trains or imports for seconds

TEXTS = ["Ann of Rare1", "", "Bob of Rare2 ."]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return perfect()


def test_words_receive_tags_and_entities(tagger: Tagger) -> None:
    rows = {"tokens": [text.split() for text in TEXTS], "id": [1, 2, 3]}
    found = annotate(Dataset.from_dict(rows), tagger, batch_size=2)
    assert found.column_names == ["tokens", "id", "predicted_entities", "predicted_tags"]
    assert found["predicted_tags"][:] == [["B-PER", "O", "B-LOC"], [], ["B-PER", "O", "B-LOC", "O"]]
    assert found[0]["predicted_entities"][1] == {"start": 2, "end": 3, "label": "LOC", "text": "Rare1"}
    assert found[1]["predicted_entities"] == []


def test_texts_receive_entities_with_characters_and_scores(tagger: Tagger) -> None:
    found = annotate(Dataset.from_dict({"text": TEXTS[::-1]}), tagger, "text", prefix="x_", probabilities=True)
    first = found[0]["x_entities"][0]
    assert (first["start"], first["end"], first["text"]) == (0, 3, "Bob")
    assert 0 < first["score"] <= 1
    assert found["x_tags"][:] == [None] * 3


def test_every_kind_of_data_set_is_accepted(tagger: Tagger) -> None:
    plain = Dataset.from_dict({"text": TEXTS})
    expected = annotate(plain, tagger, "text").to_list()
    assert list(annotate(plain.to_iterable_dataset(), tagger, "text")) == expected
    parts = annotate(DatasetDict({"a": plain, "b": plain}), tagger, "text")
    assert isinstance(parts, DatasetDict)
    assert [part.to_list() for part in parts.values()] == [expected, expected]


@pytest.mark.parametrize(
    ("rows", "column", "error", "message"),
    [
        ({"text": ["a"]}, "tokens", KeyError, "expected a column 'tokens', found text"),
        ({"tokens": [["a"]], "predicted_tags": [["O"]]}, "tokens", ValueError, "'predicted_tags' already exists"),
        ({"tokens": [3]}, "tokens", TypeError, "expected a text or a list of words, found int"),
        ({"tokens": [None, "a"]}, "tokens", TypeError, "expected a text or a list of words, found NoneType"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    tagger: Tagger, rows: dict[str, Any], column: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        annotate(Dataset.from_dict(rows), tagger, column)


def test_a_model_for_questions_is_refused(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tagger, "answers_questions", True)
    with pytest.raises(TypeError, match="answers questions"):
        annotate(Dataset.from_dict({"text": TEXTS}), tagger, "text")
