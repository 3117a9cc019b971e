from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ner.errors import InputError
from ner.model.saving import save
from ner.service.model import ServedModel, merge_coverage
from ner.service.schema import Options
from tests.builders import build, documents, settings

TEXT = "😀 Ann of Rare3, far. Bob of x\u200by!\nCid"


@pytest.fixture(scope="module", params=["run", "export"])
def model(request: pytest.FixtureRequest) -> ServedModel:
    return ServedModel(request.getfixturevalue(f"{request.param}_directory"))


def spans(answer: dict[str, Any]) -> list[Any]:
    return [(entity["start"], entity["end"], entity["label"]) for entity in answer["entities"]]


@pytest.mark.slow
def test_answers_do_not_depend_on_the_other_texts(model: ServedModel) -> None:
    names = ["Ann", "Bob", "Rare3", "far", "of", "unseen", "中国", "😀", "."]
    generator = random.Random(0)
    texts = [" ".join(generator.choices(names, k=generator.randint(1, 60))) for _ in range(64)]
    together = model.tag(texts, Options())
    assert sum(len(answer["entities"]) for answer in together) > 20
    for text, answer in zip(texts, together, strict=True):
        alone = model.tag([text], Options())[0]
        assert spans(alone) == spans(answer)
        assert alone["coverage"] == answer["coverage"]
        for one, other in zip(alone["entities"], answer["entities"], strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.slow
def test_answers_of_an_export_in_int8_do_not_depend_on_the_other_texts(tmp_path: Path, tiny_bert: str) -> None:
    pytest.importorskip("onnx")
    from ner.export.export import export

    config = settings(tiny_bert, decoder={"name": "crf"})
    save(build(config, documents()).eval(), config, tmp_path / "run")
    export(tmp_path / "run", tmp_path / "export", precision="int8")
    model = ServedModel(tmp_path / "export")
    texts = ["Ann of Rare3 far .", "Bob", "Cid of Rare9 far far far"]
    assert model.tag(texts, Options()) == [model.tag([text], Options())[0] for text in texts]


def test_positions_are_characters_of_the_text(model: ServedModel) -> None:
    answer = model.tag([TEXT], Options(words=True))[0]
    assert [TEXT[word["start"] : word["end"]] for word in answer["words"]] == [w["text"] for w in answer["words"]]
    assert answer["words"][1] == {"text": "Ann", "start": 2, "end": 5, "tag": answer["words"][1]["tag"]}
    for entity in answer["entities"]:
        assert TEXT[entity["start"] : entity["end"]] == entity["text"]


def test_sentences_have_positions_of_the_whole_text(model: ServedModel) -> None:
    answer = model.tag([TEXT], Options(split_into_sentences=True))[0]
    shown = [TEXT[sentence["start"] : sentence["end"]] for sentence in answer["sentences"]]
    assert shown == ["😀 Ann of Rare3, far.", "Bob of x\u200by!", "Cid"]
    for sentence in answer["sentences"]:
        for entity in sentence["entities"]:
            assert TEXT[entity["start"] : entity["end"]] == entity["text"]


def test_coverage_is_of_each_request(model: ServedModel) -> None:
    answers = model.tag(["Ann", "Bob of far", ""], Options())
    assert merge_coverage(answers[1:]) == {
        "sentences": 2, "words": 3, "characters": 8, "missing": 0, "without_piece": 0,
    }  # fmt: skip
    assert "coverage" not in answers[1]


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u200b\u200b", "\n\n", "\x00", "a" * 5000])
def test_texts_without_words_and_odd_ones_have_an_answer(model: ServedModel, text: str) -> None:
    for options in (Options(), Options(split_into_sentences=True)):
        assert model.tag([text, "Ann"], options)[1] == model.tag(["Ann"], options)[0]


def test_alternatives_begin_with_the_prediction(model: ServedModel) -> None:
    answer = model.tag(["Ann of far"], Options(n_best=3))[0]
    found = answer["n_best"]
    assert len(found) == 3
    assert spans(found[0]) == spans(answer)
    assert found[0]["score"] >= found[1]["score"] >= found[2]["score"] > 0


def test_the_version_contains_the_checksum_of_the_weights(run_directory: Path, export_directory: Path) -> None:
    run, export = ServedModel(run_directory).version(), ServedModel(export_directory).version()
    assert run["model"] == export["model"]
    assert (run["kind"], export["kind"]) == ("run", "export")
    assert run["labels"] == ["LOC", "PER"]


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="manifest"):
        ServedModel(tmp_path)
