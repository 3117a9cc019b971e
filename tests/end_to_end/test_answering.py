"""Questions from file to answer and back, through the commands that people type."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import ner
from ner.commands import evaluate, predict, train
from ner.data.notices import Notice
from ner.data.question_answering import ANSWER, EVIDENCE
from ner.types import Document, Example, Span
from tests.conftest import ROOT

STORY = "Maren came from Lund with two dogs . Idris came from Cork with nine cats ."
TURNS = [
    ("Where did Maren come from ?", "Lund", "Maren came from Lund"),
    ("And Idris ?", "Cork", "Idris came from Cork"),
    ("How many dogs ?", "two", "two dogs"),
    ("Were there cats ?", "yes", "nine cats"),
    ("Were there birds ?", "no", STORY),
    ("Why did they come ?", "unknown", None),
]


def conversations(domain: str = "town") -> dict[str, Any]:
    answers = []
    for number, (_, answer, evidence) in enumerate(TURNS, 1):
        start = -1 if evidence is None else STORY.index(evidence)
        stop = -1 if evidence is None else start + len(evidence)
        span = {"span_start": start, "span_end": stop, "span_text": evidence or "unknown"}
        answers.append({"input_text": answer, "turn_id": number, **span})
    questions = [{"input_text": question, "turn_id": number} for number, (question, *_) in enumerate(TURNS, 1)]
    return {"source": domain, "id": f"a-{domain}", "story": STORY, "questions": questions, "answers": answers}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that has learned two conversations by heart."""
    folder = tmp_path_factory.mktemp("answering")
    data = folder / "data.json"
    data.write_text(json.dumps({"data": [conversations(), conversations("sea")]}), encoding="utf-8")
    directory = folder / "run"
    options = [f"data.{split}={data}" for split in ("train", "valid", "test")]
    options += ["data.format.out_domain=[sea]", "training.epochs=60", "training.learning_rate=1e-2", "batch.size=12"]
    options += [
        "encoder={name: embedding, dimension: 32, singleton_unk_rate: 0}",
        "context={name: bilstm, hidden_size: 32}",
    ]
    options += ["context.dropout=0", "training.warmup_ratio=0"]
    config = str(ROOT / "configs" / "convqa" / "minilm.yaml")
    assert train.main(["--config", config, "--run", str(directory), *options]) == 0
    return directory


def test_questions_are_learned_by_heart_and_scored_by_domain(run: Path) -> None:
    said = (run / "train.log").read_text()
    assert "train: 2 documents, 12 questions, 338 words, 6 answers in the passage" in said
    assert "train: answer types: span 6, no 2, unknown 2, yes 2" in said
    metrics = json.loads((run / "metrics.json").read_bytes())
    assert metrics["test"]["answer"]["exact"] == 1
    assert metrics["test"]["answer"]["turns"] == 12
    assert {kind: found["turns"] for kind, found in metrics["test"]["answer"]["kinds"].items()} == {
        "span": 6,
        "yes": 2,
        "no": 2,
        "unknown": 2,
    }
    by = metrics["test"]["by"]
    assert {value: found["answer"]["turns"] for value, found in by["group"].items()} == {
        "in_domain": 6,
        "out_domain": 6,
    }
    history = (run / "history.csv").read_text().splitlines()
    assert history[0].split(",")[:5] == ["epoch", "avg_train_loss", "avg_val_loss", "accuracy", "f1"]


def test_evaluation_writes_what_the_official_script_reads(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--run", str(run), "--split", "test", "--by", "domain"]) == 0
    out = capsys.readouterr().out
    assert "test domain sea " in out
    assert "test group" not in out
    found = json.loads((run / "predictions" / "test.json").read_bytes())
    expected = [
        {"id": f"a-{domain}", "turn_id": number, "answer": answer}
        for domain in ("town", "sea")
        for number, (_, answer, _) in enumerate(TURNS, 1)
    ]
    assert found == expected


def test_a_field_that_no_example_has_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--run", str(run), "--by", "colour"]) == 2
    assert "--by colour: no example of" in capsys.readouterr().err


def test_questions_in_json_lines_are_answered(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        {"question": "Where did Maren come from ?", "text": STORY},
        {"question": ["Where did Maren come from ?", "Lund", "And Idris ?"], "text": STORY, "more": 1},
    ]
    source = "".join(json.dumps(line) + "\n" for line in lines)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source.encode())))
    target = tmp_path / "out.jsonl"
    assert predict.main(["--run", str(run), "--format", "jsonl", "--output", str(target), "--scores"]) == 0
    found = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [line["predicted_answers"][0]["text"] for line in found] == ["Lund", "Cork"]
    assert all(0 < answer["score"] <= 1 for line in found for answer in line["predicted_answers"])
    assert len(found[0]["predicted_answers"]) == 5
    assert found[1]["more"] == 1
    assert "predicted" not in found[0]


def test_a_loaded_model_answers_in_a_conversation(run: Path) -> None:
    tagger = ner.load(run)
    first = tagger.answer("Where did Maren come from ?", STORY)
    assert first.answers[0] == "Lund"
    assert first.labels == ["span"]
    assert first.scores["Lund"] == max(first.scores[answer] for answer in first.answers) > 0.1
    assert STORY[slice(*first.offsets[first.spans[0].start])] == "Lund"  # type: ignore[index]
    with pytest.raises(TypeError, match="expected a list of earlier questions and answers"):
        tagger.answer("And Idris ?", STORY, history="Lund")
    second = tagger.answer("And Idris ?", STORY, history=["Where did Maren come from ?", "Lund"])
    assert second.answers[0] == "Cork"
    assert sum(second.scores[kind] for kind in ("span", "yes", "no", "unknown")) == pytest.approx(1)


@pytest.mark.parametrize("unit", [pytest.param("word", marks=pytest.mark.thorough), "piece"])
def test_a_transformer_answers_with_words_or_pieces_as_units(unit: str, tiny_bert: str, tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"data": [conversations()]}), encoding="utf-8")
    options = [f"data.{split}={data}" for split in ("train", "valid", "test")]
    options += [
        f"encoder.model={tiny_bert}",
        "windows.max_length=40",
        "windows.max_query_length=12",
        "windows.doc_stride=9",
    ]
    options += ["training.epochs=60", "training.learning_rate={encoder: 3e-3, decoder: 1e-2}", "batch.size=6"]
    options += ["encoder.dropout=0", "decoder.dropout=0", "decoder.evidence_weight=0", "training.keep_epoch=last"]
    options += ["unit=piece", f"unit.tokenizer={tiny_bert}"] if unit == "piece" else []
    config = str(ROOT / "configs" / "convqa" / "minilm.yaml")
    assert train.main(["--config", config, "--run", str(tmp_path / "run"), *options]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_bytes())
    assert metrics["test"]["answer"]["exact"] >= 0.5


def test_what_is_not_read_is_said_by_training_evaluation_and_prediction(
    tiny_bert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"data": [conversations()]}), encoding="utf-8")
    options = [f"data.{split}={data}" for split in ("train", "valid", "test")]
    options += [f"encoder.model={tiny_bert}", "windows={max_length: 40, max_query_length: 8}", "training.epochs=1"]
    config = str(ROOT / "configs" / "convqa" / "minilm.yaml")
    assert train.main(["--config", config, "--run", str(tmp_path / "run"), *options]) == 0
    line = Notice.QUESTION_CUT
    (said,) = {words for words in capsys.readouterr().out.splitlines() if words.startswith("test: ") and line in words}
    scores = tmp_path / "scores.json"
    assert evaluate.main(["--run", str(tmp_path / "run"), "--json", str(scores)]) == 0
    assert said in capsys.readouterr().out
    assert json.loads(scores.read_bytes())["coverage"] == {line: int(said.split()[1])}
    answered = ner.load(tmp_path / "run").answer("Where did the old dog of Maren and Idris come from ?", STORY)
    assert [remark.partition(" ")[2] for remark in answered.warnings] == [line]
    target = str(tmp_path / "out.json")
    assert predict.main(["--run", str(tmp_path / "run"), "--input", str(data), "--output", target]) == 0
    assert f"{said.removeprefix('test: ')}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "line", "message"),
    [
        ("tsv", "text_a", "tsv files cannot store answers to questions"),
        ("text", "Where ?", "text files cannot store answers to questions; choose coqa, jsonl or squad"),
        ("jsonl", '{"text": "Lund"}', "expected a question about a text, as extractive_qa answers"),
    ],
)
def test_nothing_is_answered_that_nobody_asked(
    run: Path, form: str, line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_text(line + "\n", encoding="utf-8")
    options = ["--run", str(run), "--format", form, "--input", str(source), "--output", str(target)]
    assert predict.main(options) == 2
    assert message in capsys.readouterr().err
    assert not target.exists()


def test_forms_that_have_probabilities_of_answers_are_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main(["--run", str(run), "--scores"]) == 2
    assert "coqa files cannot store probabilities; choose another --format: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Where ?", None), "expected a text as passage, found NoneType"),
        (("Where ?", ["a", "b"]), "expected a text as passage, found list"),
        ((3, "Lund"), "expected a text as question, found int"),
        (("Where ?", "Lund", [("Who ?", "Ada")]), "expected a text as turn of history, found tuple"),
        (("Where ?", "Lund", "Who ?"), "expected a list of earlier questions and answers as history"),
    ],
)
def test_what_is_no_text_is_said(run: Path, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ner.load(run).answer(*arguments)


def test_gold_that_can_never_be_given_is_counted(run: Path) -> None:
    tagger = ner.load(run)
    assert tagger.model.decoder.config.max_answer_length == 8
    spans = [Span(1, 9, ANSWER), Span(1, 10, ANSWER), Span(0, 10, EVIDENCE)]
    document = Document([Example(["a"] * 12, spans=[span], query_length=1) for span in spans])
    assert tagger.model.input_warnings(document)[Notice.ANSWER_TOO_LONG] == 1


@pytest.mark.parametrize("text", ["Lund", ["Lund", "."], [["Lund"]]])
def test_a_text_alone_is_no_question(run: Path, text: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a question and a passage, .*; use answer\(question, passage\)"):
        ner.load(run).tag(text)
