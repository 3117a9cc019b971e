from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import ner
from ner.config.parts import load_component, parse_component
from ner.contracts import Decoder
from ner.errors import NonFiniteLossError
from ner.inference.tagger import Tagger
from ner.model.model import Model
from ner.types import Annotation, Document, Encoding, Example, Span
from tests.conftest import SAMPLE


@pytest.fixture(scope="module")
def tagger(tiny_run: Path) -> Tagger:
    return ner.load(str(tiny_run))


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    form = load_component("formats", "conll")
    return list(form.read(str(SAMPLE / "en" / "valid.conll"), form.Config(), "space"))[:6]


def test_raw_text_gets_spans_with_character_offsets(tagger: Tagger) -> None:
    text = "  Colby  lives in Paris ."
    document = tagger.tag(text)
    (example,) = document.examples
    assert example.words == text.split()
    assert [text[start:end] for start, end in example.offsets or []] == example.words
    for entity in example.entities():
        assert text[entity["start"] : entity["end"]] == entity["text"]


def test_words_are_one_sentence_and_a_list_of_sentences_gives_a_list(tagger: Tagger) -> None:
    words = ["Colby", "lives", "in", "Paris", "."]
    one = tagger.tag(words)
    assert one.examples[0].words == words
    assert [document.examples for document in tagger.tag([words, ["Paris"], words])] == [
        one.examples,
        tagger.tag(["Paris"]).examples,
        one.examples,
    ]


def test_documents_come_back_as_annotated_copies(tagger: Tagger, documents: list[Document]) -> None:
    before = [list(example.spans) for document in documents for example in document.examples]
    found = tagger.tag(documents)
    assert [len(document.examples) for document in found] == [len(document.examples) for document in documents]
    assert before == [example.spans for document in documents for example in document.examples]


@pytest.mark.parametrize("text", ["", "   ", [], [[]], Document([]), [Document([]), Document([Example([])])]])
def test_nothing_is_answered_with_nothing(tagger: Tagger, text: object) -> None:
    found = tagger.tag(text)  # type: ignore[call-overload]  # every kind of nothing
    for document in found if isinstance(found, list) else [found]:
        assert all(example.spans == [] for example in document.examples)


@pytest.mark.parametrize("text", [3, [3], [["a", 3]], None])
def test_anything_else_is_a_type_error(tagger: Tagger, text: object) -> None:
    with pytest.raises(TypeError):
        tagger.tag(text)  # type: ignore[call-overload]


def test_a_text_of_thousands_of_words_is_read_whole(tagger: Tagger) -> None:
    words = ["Colby", "lives", "in", "Paris", "."] * 1000
    assert len(tagger.tag(words).examples[0].tags or []) == 5000


def test_documents_without_examples_keep_their_place(tagger: Tagger, documents: list[Document]) -> None:
    empty = Document([], id="nothing")
    found = tagger.tag([empty, *documents[:2], empty, Document([Example([]), Example(["Paris"])])])
    assert [len(document.examples) for document in found] == [
        0,
        *(len(document.examples) for document in documents[:2]),
        0,
        2,
    ]
    assert found[0] == empty
    assert found[-1].examples[0].tags == []
    assert found[-1].examples[1] == tagger.tag(["Paris"]).examples[0]


def test_a_spoiled_model_is_named_instead_of_answering(tiny_run: Path) -> None:
    spoiled = ner.load(str(tiny_run))
    next(spoiled.model.decoder.emissions.parameters()).data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"not finite\. Sentences: \(\"Paris\.\.\.\"\)\. Try prec"):
        spoiled.tag(["Paris"])


class Oracle(Decoder):
    """A decoder that answers every question with the last word of its passage."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.inner = model.decoder

    def forward(self, encoding: Encoding) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = self.inner(encoding)
        return found

    def decode(self, scores: object, mask: torch.Tensor, probabilities: bool = False) -> list[Annotation]:
        ends = mask.sum(1).tolist()
        spans = [Span(end - 1, end, "answer", 0.25 if probabilities else None) for end in ends]
        return [Annotation(spans=[span], labels=["span"], answers=[span]) for span in spans]


def test_a_question_is_answered_from_its_passage(tiny_run: Path) -> None:
    tagger = ner.load(str(tiny_run))
    tagger.model.decoder, tagger.model.word_splitter = Oracle(tagger.model), None
    tagger.config = tagger.config.model_copy(update={"decoder": parse_component("decoders", "extractive_qa")})
    example = tagger.answer("Who lives  here?", " In Paris Colby", ["Where?", "in Paris"])
    assert example.words == ["Where?", "in", "Paris", "Who", "lives", "here?", "In", "Paris", "Colby"]
    assert example.query_length == 6
    assert (example.answers, example.labels, example.scores) == (["Colby"], ["span"], {"Colby": 0.25})
    assert [example.text_of(span) for span in example.spans] == ["Colby"]
    assert tagger.answer("Who?", "Ada").words == ["Who?", "Ada"]


def test_raw_text_is_split_like_the_training_data(tiny_run: Path) -> None:
    tagger = Tagger.load(tiny_run)
    text = "Colby's trip to Paris, France (by train)."
    document = tagger.tag(text)
    expected = ["Colby", "'s", "trip", "to", "Paris", ",", "France", "(", "by", "train", ")", "."]
    assert document.examples[0].words == expected
    offsets = document.examples[0].offsets
    assert offsets is not None
    assert [text[start:end] for start, end in offsets] == document.examples[0].words
    assert tagger.config.data.word_split is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [([["a"], "b"], TypeError), (["a", ["b"]], TypeError), (["a", ""], ValueError), ([["a"], [""]], ValueError)],
)
def test_mixed_lists_and_empty_words_are_refused(tiny_run: Path, text: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="^expected "):
        Tagger.load(tiny_run).tag(text)
