from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch

from ner.errors import NonFiniteLossError
from ner.types import Annotation, DistinctWords, Encoding, Example, RawTags, Span, TagProbabilities

PREDICTED = {"spans", "tags", "labels", "answers", "scores", "raw_tags", "probabilities"}


@pytest.mark.parametrize("name", [field.name for field in fields(Example)])
def test_a_prediction_replaces_the_predicted_fields_and_no_others(name: str) -> None:
    """Fill each field with an object of its own, so that a field that is added, dropped or shifted fails."""
    values: dict[str, Any] = {field.name: [f"value of {field.name}"] for field in fields(Example)}
    annotation = Annotation(tags=["O"], spans=[Span(0, 1, "X")], labels=["l"], answers=["a"], scores={"l": 0.5})
    annotation.raw_tags, annotation.probabilities = RawTags(["E-X"], "bioes"), TagProbabilities(-0.5)
    predicted = Example(**values).with_prediction(annotation)
    if name in PREDICTED:
        assert getattr(predicted, name) == getattr(annotation, name)
    else:
        assert getattr(predicted, name) is values[name]


def test_a_span_as_answer_becomes_its_text_and_score() -> None:
    example = Example(["In", "Rome"], text="In  Rome", offsets=[(0, 2), (4, 8)])
    annotation = Annotation(answers=[Span(1, 2, "answer", 0.5), "yes", Span(1, 2, "answer", 0.25)], scores={"yes": 0.1})
    predicted = example.with_prediction(annotation)
    assert predicted.answers == ["Rome", "yes"]
    assert predicted.scores == {"yes": 0.1, "Rome": 0.5}
    assert example.text_of(Span(0, 2, "")) == "In  Rome"
    assert Example(["In", "Rome"]).text_of(Span(0, 2, "")) == "In Rome"


def test_predictions_as_json_values_keep_their_keys() -> None:
    tagged = Example(["In", "Rome"], [Span(1, 2, "LOC", 0.5)], ["O", "B-LOC"])
    assert tagged.prediction_dict() == {
        "entities": [{"start": 1, "end": 2, "label": "LOC", "text": "Rome", "score": 0.5}]
    }
    labelled = Example(["x"], labels=["joy"], scores={"joy": 0.25})
    assert labelled.prediction_dict() == {"labels": [{"label": "joy", "score": 0.25}]}
    answered = Example(["x"], answers=["Rome"], spans=[Span(0, 1, "answer")])
    assert answered.prediction_dict() == {"answers": [{"text": "Rome"}]}
    assert Example(["x"]).prediction_dict() == {"labels": []}


def test_a_loss_that_is_not_finite_names_the_step_and_five_examples() -> None:
    examples = [Example(["word", str(line)], source="a.conll", line=line) for line in range(1, 8)]
    message = str(NonFiniteLossError("the gradient", 3, examples))
    assert message.startswith("the gradient is not finite at step 3, ")
    assert "a.conll:1, a.conll:2, a.conll:3, a.conll:4, a.conll:5 and 2 more" in message
    assert "step" not in str(NonFiniteLossError("the loss", None, examples)).partition(". ")[0]


def test_words_of_an_encoding_are_computed_from_distinct_vectors_or_set() -> None:
    mask = torch.tensor([[True, True, False]])
    encoding = Encoding(DistinctWords(torch.tensor([[1.0], [2.0]]), torch.tensor([[1, 0, 1]])), mask)
    assert "DistinctWords" in repr(encoding)
    assert encoding.words.tolist() == [[[2.0], [1.0], [0.0]]]
    encoding.words = encoding.words + 1
    assert encoding.distinct is None
    assert encoding.words.tolist() == [[[3.0], [2.0], [1.0]]]
