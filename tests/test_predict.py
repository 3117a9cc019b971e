from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ner
from ner import predict
from ner.config import BatchConfig, RunConfig, component, validate
from ner.model import build
from ner.predict import Scorer, Tagger, annotate
from ner.types import Document, Example, NonFiniteLoss
from tests.conftest import SAMPLE

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tagger(tiny_run: Path) -> Tagger:
    return ner.load(str(tiny_run))


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    form = component("formats", "conll")
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


@pytest.mark.parametrize(
    "batch",
    [BatchConfig(size=1), BatchConfig(size=7), BatchConfig(unit="words", size=60), BatchConfig(unit="pieces", size=60)],
)
@pytest.mark.parametrize("chunk", [1, 5, 2000])
def test_batches_and_chunks_change_neither_order_nor_answers(
    tagger: Tagger, documents: list[Document], batch: BatchConfig, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tagger.tag(documents)
    monkeypatch.setattr(predict, "CHUNK", chunk)
    chunks = list(annotate(tagger.model, documents, batch, CPU))
    assert [document for found in chunks for document in found.predicted] == expected
    scorers = []
    for found in (chunks, tagger.annotate(documents, loss=True)):
        scorer = Scorer(["tag", "entity", "notes"])
        for part in found:
            scorer.add_chunk(part)
        scorers.append(scorer)
    assert scorers[0].totals == scorers[1].totals
    assert scorers[0].result().loss == pytest.approx(scorers[1].result().loss, rel=1e-4)


def test_documents_are_read_lazily(tagger: Tagger, documents: list[Document], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "CHUNK", 1)
    read = []

    def source():
        for document in documents:
            read.append(document)
            yield document

    chunks = annotate(tagger.model, source(), BatchConfig(), CPU)
    next(chunks)
    assert len(read) == 1


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


@pytest.mark.parametrize("unit", ["sentence", "document"])
def test_batches_change_no_answer_of_a_transformer(
    documents: list[Document], tiny_bert: str, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = {
        "data": {"train": "a", "valid": "a"},
        "encoder": {"name": "transformer", "model": tiny_bert},
        "windows": {"unit": unit},
    }
    model = build(validate(RunConfig, raw), documents)
    scorers = []
    for batch in (
        BatchConfig(size=1),
        BatchConfig(size=3),
        BatchConfig(size=64),
        BatchConfig(size=200),
        BatchConfig(unit="words", size=30),
        BatchConfig(unit="pieces", size=64),
    ):
        monkeypatch.setattr(predict, "CHUNK", batch.size)
        scorer = Scorer(["tag", "entity"])
        for chunk in annotate(model, documents, batch, CPU):
            scorer.add_chunk(chunk)
        scorers.append(scorer)
    assert all(scorer.totals == scorers[0].totals for scorer in scorers)
    assert [scorer.result().loss for scorer in scorers] == pytest.approx(
        [scorers[0].result().loss] * len(scorers), rel=1e-4
    )


def test_a_spoiled_model_is_named_instead_of_answering(tiny_run: Path) -> None:
    spoiled = ner.load(str(tiny_run))
    next(spoiled.model.decoder.emissions.parameters()).data.fill_(float("nan"))
    with pytest.raises(NonFiniteLoss, match="is not finite. Sentences: "):
        spoiled.tag(["Paris"])
