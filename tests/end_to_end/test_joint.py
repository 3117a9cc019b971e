"""Intent and slots from parallel files to an answer, through the commands that people type."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import ner
from ner.commands import evaluate, predict, train
from ner.data.formats import slot_filling
from tests.conftest import ROOT, SAMPLE

VALID = SAMPLE / "intent" / "valid"
CONFIG = """
data: {train: VALID, valid: VALID, test: TEST, format: FORMAT}
encoder: {name: embedding, dimension: 32, characters: {kind: cnn, width: 16}, singleton_unk_rate: 0}
context: {name: bilstm, hidden_size: 32, dropout: 0}
decoder: {name: joint, tags: {scheme: bioes}, classes: CLASSES}
batch: {size: 8}
training: {epochs: EPOCHS, learning_rate: 1e-2, schedule: constant, monitor: sentence.accuracy}
metrics: [entity, accuracy, sentence]
"""


def trained(
    folder: Path, test: Path, epochs: int = 15, form: str = "slot_filling", classes: str = "classifier"
) -> Path:
    named = {"VALID": VALID, "TEST": test, "EPOCHS": epochs, "FORMAT": form, "CLASSES": classes}
    text = CONFIG
    for name, value in named.items():
        text = text.replace(name, str(value))
    (folder / "joint.yaml").write_text(text, encoding="utf-8")
    assert train.main(["--config", str(folder / "joint.yaml"), "--run", str(folder / "run")]) == 0
    return folder / "run"


def strange(folder: Path) -> Path:
    """The validation requests, and two whose labels no training has."""
    found = folder / "strange"
    found.mkdir()
    new = {
        "seq.in": "order a pizza\nplay oslo",
        "seq.out": "O O B-food\nO B-city",
        "label": "order_food\nplay_music#order_food",
    }
    for name, lines in new.items():
        (found / name).write_text((VALID / name).read_text(encoding="utf-8") + lines + "\n", encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joint")
    return trained(folder, strange(folder))


def test_requests_are_learned_by_heart_and_what_is_new_is_missed(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_bytes())
    assert metrics["valid"]["sentence"]["accuracy"] > 0.9
    assert metrics["valid"]["entity"]["micro"]["f1"] > 0.95
    test = metrics["test"]
    for metric in ("accuracy", "sentence"):
        assert test[metric]["accuracy"] == pytest.approx(metrics["valid"][metric]["accuracy"] * 39 / 41)
    assert test["accuracy"]["by_label"]["order_food"]["recall"] == 0
    assert test["entity"]["by_type"]["food"]["gold"] == 1


def test_it_is_said_what_was_new_and_how_several_intents_were_read(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_bytes())
    remark = "utterances with several intents, read as one class"
    assert metrics["test"]["unseen_labels"] == {"food": 1, "order_food": 1, "play_music#order_food": 1}
    assert [metrics[split]["remarks"] for split in ("train", "valid", "test")] == [
        {remark: 2},
        {remark: 2},
        {remark: 3},
    ]
    assert "unseen_labels" not in metrics["valid"]
    log = (run / "train.log").read_text(encoding="utf-8")
    assert f"test: 3 {remark}\n" in log
    assert "test: labels not in the training data (counted as errors): food 1, order_food 1, play_music#or" in log


def test_evaluation_says_the_same_and_writes_a_directory(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained_scores = json.loads((run / "metrics.json").read_bytes())["test"]
    first = {path.name: path.read_bytes() for path in (run / "predictions" / "test.slot_filling").iterdir()}
    assert sorted(first) == ["label", "seq.in", "seq.out"]
    assert evaluate.main(["--run", str(run), "--json", str(run / "scores.json")]) == 0
    found = json.loads((run / "scores.json").read_bytes())
    for key in ("entity", "accuracy", "sentence", "unseen_labels", "remarks"):
        assert found[key] == trained_scores[key]
    said = capsys.readouterr().out
    assert "test: labels not in the training data (counted as errors): food 1, order_food 1" in said
    assert "test: 3 utterances with several intents, read as one class" in said
    assert "seqeval check passed" in said
    assert {path.name: path.read_bytes() for path in (run / "predictions" / "test.slot_filling").iterdir()} == first


def test_another_directory_is_scored_and_its_predictions_are_its_words(run: Path) -> None:
    assert evaluate.main(["--run", str(run), "--data", str(VALID), "--json", str(run / "valid.json")]) == 0
    found = json.loads((run / "valid.json").read_bytes())
    assert found["split"] == "valid"
    assert "unseen_labels" not in found
    written = run / "predictions" / "valid.slot_filling"
    assert (written / "seq.in").read_bytes() == (VALID / "seq.in").read_bytes()
    gold, predicted = (list(slot_filling.read(str(p), slot_filling.Config(), "space")) for p in (VALID, written))
    same = [
        set(a.examples[0].spans) == set(b.examples[0].spans) and a.examples[0].labels == b.examples[0].labels
        for a, b in zip(gold, predicted, strict=True)
    ]
    assert sum(same) / len(same) == found["sentence"]["accuracy"]


def test_what_is_scored_is_not_overwritten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (VALID / "label").read_bytes()
    assert evaluate.main(["--run", str(run), "--data", str(VALID), "--predictions", str(VALID)]) == 2
    assert "is an input file" in capsys.readouterr().err
    assert (VALID / "label").read_bytes() == before


def test_a_request_gets_intent_and_slots_with_probabilities(run: Path) -> None:
    text = (VALID / "seq.in").read_text(encoding="utf-8").splitlines()[0]
    gold = next(slot_filling.read(str(VALID), slot_filling.Config(), "space")).examples[0]
    tagger = ner.load(str(run), device="cpu")
    (example,) = tagger.tag(text, probabilities=True).examples
    assert (example.labels, example.spans) == (gold.labels, gold.spans)
    assert example.spans
    assert 0.5 < example.scores[example.labels[0]] <= 1
    assert all(span.score is not None and 0.3 < span.score <= 1 for span in example.spans)
    (without,) = tagger.tag(text).examples
    assert (without.labels, without.scores) == (gold.labels, {})


def test_a_prediction_from_raw_text_has_both(run: Path, tmp_path: Path) -> None:
    text = (VALID / "seq.in").read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "in").write_text(f"{text}\n", encoding="utf-8")
    options = [
        "--run",
        str(run),
        "--format",
        "text",
        "--input",
        str(tmp_path / "in"),
        "--output",
        str(tmp_path / "out"),
    ]
    answers: list[dict[str, Any]] = []
    for scores in ([], ["--scores"]):
        assert predict.main([*options, *scores]) == 0
        answers.append(json.loads((tmp_path / "out").read_bytes()))
    plain, scored = answers
    assert scored.pop("log_probability") < 0
    assert plain["text"] == text
    assert plain["entities"]
    assert len(plain["labels"]) == 1
    assert all(0 < found.pop("score") <= 1 for kind in ("entities", "labels") for found in scored[kind])
    assert scored == plain


def test_a_directory_of_words_alone_gets_the_other_files(run: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "seq.in").write_bytes((VALID / "seq.in").read_bytes())
    options = ["--run", str(run), "--input", str(tmp_path / "new"), "--output", str(tmp_path / "out")]
    assert predict.main(options) == 0
    assert evaluate.main(["--run", str(run), "--data", str(VALID)]) == 0
    for name in ("seq.in", "seq.out", "label"):
        expected = (run / "predictions" / "valid.slot_filling" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", str(VALID)], "not a pipe; give one, or choose --format text or jsonl"),
        ([], "not a pipe; give one, or choose --format text or jsonl"),
        (["--scores"], "slot_filling files cannot store probabilities; choose another --format: jsonl"),
        (["--input", str(VALID), "--output", str(VALID)], "is an input file"),
    ],
)
def test_what_a_directory_cannot_do_is_said(
    run: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(["--run", str(run), *options]) == 2
    assert message in capsys.readouterr().err


def test_several_intents_can_be_several_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stderr)
    form, classes = "{name: slot_filling, intents: split}", "{multi_label: true}"
    run = trained(tmp_path, VALID, 40, form, classes)
    metrics = json.loads((run / "metrics.json").read_bytes())
    assert metrics["test"]["remarks"] == {"utterances with several intents, read as several classes": 2}
    assert not any("#" in label for label in metrics["test"]["accuracy"]["by_label"])
    assert metrics["test"]["sentence"]["accuracy"] > 0.9
    labels = (run / "predictions" / "test.slot_filling" / "label").read_text(encoding="utf-8").splitlines()
    assert any("#" in label for label in labels)


def test_a_changed_file_of_a_directory_stops_a_resumption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = strange(tmp_path)
    run = trained(tmp_path, data, 1)
    assert len(json.loads((run / "metrics.json").read_bytes())["data"]["test"]) == 64
    (data / "label").write_text(
        (data / "label").read_text(encoding="utf-8").replace("order_", "eat_"), encoding="utf-8"
    )
    arguments = ["--config", str(tmp_path / "joint.yaml"), "--run", str(run), "--resume", "training.epochs=2"]
    assert train.main(arguments) == 2
    assert "test" in capsys.readouterr().err


def test_the_command_to_try_next_names_a_split_that_the_run_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["encoder={name: embedding, dimension: 8}", "training.epochs=1", "training.learning_rate=1e-3"]
    config = str(ROOT / "configs" / "notes" / "intent.yaml")
    assert train.main(["--config", config, "--run", str(tmp_path / "run"), *options]) == 0
    assert f"ner evaluate --run {tmp_path / 'run'} --split valid" in capsys.readouterr().out
