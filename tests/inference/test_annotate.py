from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ner
from ner.config.parts import load_component, parse_component, validate
from ner.config.schema import RunConfig
from ner.config.training import BatchConfig
from ner.errors import NonFiniteLossError
from ner.evaluation.scorer import Scorer
from ner.inference import annotate as annotating
from ner.inference.annotate import _BatchOutput, annotate
from ner.inference.tagger import Tagger
from ner.model.decoder import DecoderModule
from ner.model.model import Model, build
from ner.types import Annotation, Document, Encoding, Example, Span
from tests.conftest import SAMPLE

CPU = torch.device("cpu")


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


@pytest.mark.parametrize(
    "batch",
    [BatchConfig(size=1), BatchConfig(size=7), BatchConfig(measure="words", size=60), BatchConfig(measure="pieces", size=60)],
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
        "windows": {"scope": unit},
    }
    model = build(validate(RunConfig, raw), documents)
    scorers = []
    for batch in (
        BatchConfig(size=1),
        BatchConfig(size=3),
        BatchConfig(size=64),
        BatchConfig(size=200),
        BatchConfig(measure="words", size=30),
        BatchConfig(measure="pieces", size=64),
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


def test_a_spoiled_model_is_named_instead_of_answering(tiny_run: Path) -> None:
    spoiled = ner.load(str(tiny_run))
    next(spoiled.model.decoder.emissions.parameters()).data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match="is not finite. Sentences: "):
        spoiled.tag(["Paris"])


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


class Oracle(DecoderModule):
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
    tagger.model.decoder = Oracle(tagger.model)
    tagger.config = tagger.config.model_copy(update={"decoder": parse_component("decoders", "extractive_qa")})
    example = tagger.answer("Who lives  here?", " In Paris Colby", ["Where?", "in Paris"])
    assert example.words == ["Where?", "in", "Paris", "Who", "lives", "here?", "In", "Paris", "Colby"]
    assert example.query_length == 6
    assert (example.answers, example.labels, example.scores) == (["Colby"], ["span"], {"Colby": 0.25})
    assert [example.text_of(span) for span in example.spans] == ["Colby"]
    assert tagger.answer("Who?", "Ada").words == ["Who?", "Ada"]


def test_what_processes_tell_each_other_arrives_as_it_was() -> None:
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
