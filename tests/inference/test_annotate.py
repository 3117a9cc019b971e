from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ner
from ner.config.parts import load_component, validate
from ner.config.schema import RunConfig
from ner.config.training import BatchConfig
from ner.evaluation.scorer import Scorer
from ner.inference import annotate as annotating
from ner.inference.annotate import _BatchOutput, annotate
from ner.inference.tagger import Tagger
from ner.model.model import Model
from ner.types import Annotation, Coverage, Document, Example, Span
from tests.builders import build
from tests.conftest import SAMPLE

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tagger(tiny_run: Path) -> Tagger:
    return ner.load(str(tiny_run))


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    form = load_component("formats", "conll")
    return list(form.read(str(SAMPLE / "en" / "valid.conll"), form.Config(), "space"))[:6]


@pytest.mark.slow
@pytest.mark.parametrize(
    "batch",
    [
        BatchConfig(),
        BatchConfig(micro_size=1),
        BatchConfig(micro_size=7),
        BatchConfig(measure="words", size=99, micro_size=60),
        BatchConfig(measure="pieces", size=99, micro_size=60),
    ],
)
@pytest.mark.parametrize("chunk", [1, 5, 2000])
def test_batches_and_chunks_change_neither_order_nor_answers(
    tagger: Tagger, documents: list[Document], batch: BatchConfig, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tagger.tag(documents)
    monkeypatch.setattr(annotating, "CHUNK", chunk)
    chunks = list(annotate(tagger.model, documents, batch, CPU))
    assert [document for found in chunks for document in found.predicted] == expected
    scorers = []
    for found in (chunks, tagger.annotate(documents, loss=True)):
        scorer = Scorer(["tag", "entity", "notes"])
        for chunk in found:
            scorer.add_chunk(chunk)
        scorers.append(scorer)
    assert scorers[0].totals == scorers[1].totals
    assert scorers[0].result().loss == pytest.approx(scorers[1].result().loss, rel=1e-4)


def transformer(documents: list[Document], bert: str, scope: str) -> Model:
    raw = {
        "data": {"train": "a", "valid": "a"},
        "encoder": {"name": "transformer", "model": bert},
        "windows": {"scope": scope},
    }
    return build(validate(RunConfig, raw), documents)


@pytest.mark.parametrize("unit", ["sentence", "document"])
def test_a_document_of_empty_sentences_is_read_by_a_transformer(
    documents: list[Document], tiny_bert: str, unit: str
) -> None:
    model = transformer(documents, tiny_bert, unit)
    (chunk,) = annotate(model, [Document([Example([]), Example([])])], BatchConfig(), CPU, loss=False)
    assert [example.tags for example in chunk.predicted[0].examples] == [[], []]


def test_documents_are_read_lazily(tagger: Tagger, documents: list[Document], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotating, "CHUNK", 1)
    read = []

    def source():
        for document in documents:
            read.append(document)
            yield document

    chunks = annotate(tagger.model, source(), BatchConfig(), CPU)
    next(chunks)
    assert len(read) == 1


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["sentence", "document"])
def test_batches_change_no_answer_of_a_transformer(
    documents: list[Document], tiny_bert: str, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = transformer(documents, tiny_bert, unit)
    scorers = []
    for batch in (
        BatchConfig(size=200),
        BatchConfig(size=1, micro_size=1),
        BatchConfig(size=3, micro_size=3),
        BatchConfig(size=64, micro_size=64),
        BatchConfig(measure="words", size=30, micro_size=30),
        BatchConfig(measure="pieces", size=64, micro_size=64),
    ):
        monkeypatch.setattr(annotating, "CHUNK", batch.size)
        scorer = Scorer(["tag", "entity"])
        for chunk in annotate(model, documents, batch, CPU):
            scorer.add_chunk(chunk)
        scorers.append(scorer)
    assert all(scorer.totals == scorers[0].totals for scorer in scorers)
    assert [scorer.result().loss for scorer in scorers] == pytest.approx(
        [scorers[0].result().loss] * len(scorers), rel=1e-4
    )


def test_batch_outputs_survive_json() -> None:
    annotation = Annotation(
        tags=["O", "B-A"],
        spans=[Span(1, 2, "A", 0.25)],
        labels=["yes"],
        answers=["yes", Span(0, 2, "answer", 0.125)],
        scores={"yes": 0.1},
    )
    told = json.loads(json.dumps(_BatchOutput([annotation, Annotation()], {"tags": 0.1}, {"tags": 2}).to_json()))
    found = _BatchOutput.from_json(told)
    assert found.annotations == [annotation, Annotation()]
    assert [s.score for s in found.annotations[0].spans] == [0.25]
    assert [a.score for a in found.annotations[0].answers if isinstance(a, Span)] == [0.125]
    assert (found.losses, found.counts) == ({"tags": 0.1}, {"tags": 2})


def test_all_words_of_the_input_are_read_and_counted(tagger: Tagger, documents: list[Document]) -> None:
    chunks = list(tagger.annotate(documents))
    coverage = sum((chunk.coverage for chunk in chunks), Coverage())
    words = [word for document in documents for example in document.examples for word in example.words]
    sentences = sum(len(document.examples) for document in documents)
    assert (coverage.sentences, coverage.words, coverage.missing) == (sentences, len(words), 0)
    assert coverage.characters == sum(map(len, words))
    assert coverage.windows >= 1
