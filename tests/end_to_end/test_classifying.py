"""Classes of texts from file to answer: training, evaluation, prediction, Python, card and picture."""

from __future__ import annotations

import io
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ner
from ner.commands import evaluate, plot, predict, report, train
from ner.config.load import read_yaml
from ner.data import seen
from ner.data.formats import tsv
from ner.runs.history import read_history, score_columns
from ner.runs.model_card import model_card
from tests.conftest import ROOT, SAMPLE

REVIEWS = SAMPLE / "reviews"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A short run of configs/classifier.yaml and what it printed."""
    directory = tmp_path_factory.mktemp("runs") / "classifier"
    out, sys.stdout = sys.stdout, io.StringIO()
    try:
        files = [f"data.{split}={REVIEWS / f'{split}.tsv'}" for split in ("train", "valid", "test")]
        options = ["--config", str(ROOT / "configs/classifier.yaml"), "--run", str(directory), "training.epochs=4"]
        assert train.main([*options, *files]) == 0
        return directory, sys.stdout.getvalue()
    finally:
        sys.stdout = out


def test_a_report_requires_entities(run: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["--run", str(run[0])]) == 2
    assert "predicts entities" in capsys.readouterr().err
    assert not (run[0] / "report.html").exists()


def test_the_sample_is_what_its_program_writes() -> None:
    made = runpy.run_path(str(REVIEWS / "generate.py"))["tables"]()
    assert made == {path.stem: path.read_text(encoding="utf-8") for path in REVIEWS.glob("*.tsv")}
    texts = [row.split("\t")[2] for table in made.values() for row in table.splitlines()[1:]]
    assert len(texts) == len(set(texts)) == 420


def scores(run: Path, *options: str) -> dict[str, Any]:
    target = run / "scores.json"
    assert evaluate.main(["--run", str(run), "--json", str(target), *options]) == 0
    return json.loads(target.read_bytes())


def test_the_sample_is_learned(run: tuple[Path, str]) -> None:
    metrics = json.loads((run[0] / "metrics.json").read_bytes())
    assert metrics["test"]["accuracy"]["accuracy"] > 0.85


def test_the_log_has_a_line_a_class_and_hints_that_fit(run: tuple[Path, str]) -> None:
    lines = run[1].splitlines()
    assert "train: text labels: good 168, bad 132" in lines
    start = lines.index("epoch [4/4]")
    assert [line.partition(":")[0] for line in lines[start + 1 : start + 9]] == [
        *("train loss", "train class bad precision", "train class good precision", "train accuracy"),
        *("valid loss", "valid class bad precision", "valid class good precision", "valid accuracy"),
    ]
    assert lines[-3].strip() == f"ner evaluate --run {run[0]} --split test"
    first = (REVIEWS / "test.tsv").read_text(encoding="utf-8").splitlines()[1].split("\t")[2]
    assert lines[-1].strip() == f"echo '{first[:80]}' | ner predict --run {run[0]} --format text"


def test_the_history_has_the_columns_of_the_notes(run: tuple[Path, str]) -> None:
    for row in read_history(run[0] / "history.csv"):
        found = {name: row[f"valid.{path}"] for name, path in score_columns(["accuracy"]).items()}
        assert {name: row[name] for name in found} == found
        assert 0 < row["valid.accuracy.by_label.bad.f1"] <= 1


def test_evaluation_gives_the_numbers_of_training_and_those_of_each_domain(run: tuple[Path, str]) -> None:
    trained = json.loads((run[0] / "metrics.json").read_bytes())["test"]
    found = scores(run[0], "--by", "domain")
    assert found["accuracy"] == trained["accuracy"]
    parts = {value: {**part} for value, part in found["by"]["domain"].items()}
    assert all(part.pop("intervals")["resamples"] == 1000 for part in parts.values())
    assert {"domain": parts} == trained["by"]
    assert parts.keys() == {"book", "hotel", "laptop"}
    assert sum(part["sentences"] for part in parts.values()) == found["sentences"] == 60
    exact = sum(part["accuracy"]["accuracy"] * part["sentences"] for part in parts.values())
    assert exact / 60 == pytest.approx(found["accuracy"]["accuracy"])


def test_predictions_of_the_test_are_its_rows_and_one_more_column(run: tuple[Path, str]) -> None:
    gold = (REVIEWS / "test.tsv").read_text(encoding="utf-8").splitlines()
    found = (run[0] / "predictions" / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert found[0] == f"{gold[0]}\tpredicted"
    right = 0
    for before, after in zip(gold[1:], found[1:], strict=True):
        row, _, label = after.rpartition("\t")
        assert row == before
        assert label in ("good", "bad")
        right += before.startswith(f"{label}\t")
    assert right / 60 == pytest.approx(scores(run[0])["accuracy"]["accuracy"])


def test_unseen_texts_are_scored_alone(
    run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learned, new = ((REVIEWS / f"{split}.tsv").read_text(encoding="utf-8").splitlines() for split in ("train", "test"))
    new[1] = new[1].replace("good", "bad") if new[1].startswith("good") else new[1].replace("bad", "good")
    mixed = tmp_path / "mixed.tsv"
    mixed.write_text("\n".join([*new[:31], *learned[1:21], "good\thotel\t "]) + "\n", encoding="utf-8")
    only = tmp_path / "only.tsv"
    only.write_text("\n".join([*new[:31], "good\thotel\t "]) + "\n", encoding="utf-8")
    found = scores(run[0], "--data", str(mixed), "--unseen")
    printed = capsys.readouterr().out
    assert "WARNING: mixed: 20 of 51 sentences occur in the training data" in printed
    assert "mixed: 31 of 51 sentences are unseen" in printed
    assert "mixed unseen accuracy: " in printed
    assert "mixed unseen loss" not in printed
    alone = scores(run[0], "--data", str(only))
    assert found["sentences"] == 51
    assert found["unseen"] == {name: alone[name] for name in ("sentences", "words", "accuracy")}
    assert found["accuracy"] != alone["accuracy"]
    assert "unseen" not in scores(run[0], "--data", str(mixed))
    assert len((run[0] / "predictions" / "mixed.tsv").read_text(encoding="utf-8").splitlines()) == 52


def test_seen_is_what_has_all_words_of_a_sentence_trained_on() -> None:
    learned, other = (
        list(tsv.read(str(REVIEWS / f"{split}.tsv"), tsv.Config(), "chinese")) for split in ("train", "test")
    )
    hashes = seen.from_bytes(seen.to_bytes(seen.hashes(learned)))
    assert seen.seen([learned[0].examples[0], other[0].examples[0]], hashes) == [True, False]
    assert seen.seen([], hashes) == []


def test_unseen_needs_a_run_that_says_what_it_has_seen(
    run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(run[0], tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_bytes())
    (copy / "manifest.json").write_text(json.dumps({k: v for k, v in manifest.items() if k != seen.FILE}))
    (copy / seen.FILE).unlink()
    assert evaluate.main(["--run", str(copy), "--unseen"]) == 2
    assert "has no record of its training sentences" in capsys.readouterr().err


def test_a_file_without_labels_is_answered_and_not_scored(
    run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.tsv", tmp_path / "out.tsv"
    source.write_bytes("id\ttext_a\r\n7\t房间很干净\r\n8\t\r\n".encode())
    options = ["--run", str(run[0]), "--input", str(source), "--output", str(target)]
    assert predict.main([*options, "--scores"]) == 0
    header, first, empty, end = target.read_bytes().decode().split("\r\n")
    assert header == "id\ttext_a\tpredicted\tprobability"
    *row, label, probability = first.split("\t")
    assert row == ["7", "房间很干净"]
    assert label == "good"
    assert 0.5 < float(probability) <= 1
    assert empty.startswith("8\t\t")
    assert end == ""
    assert evaluate.main(["--run", str(run[0]), "--data", str(source)]) == 2
    assert "expected gold tags, labels or answers to score, found none" in capsys.readouterr().err


def test_another_file_need_not_have_the_fields_of_the_configuration(
    run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "other" / "test.tsv"
    source.parent.mkdir()
    source.write_text("label\ttext_a\ngood\t房间很干净\nbad\t漏水\n", encoding="utf-8")
    written = run[0] / "predictions" / "test.tsv"
    before = written.read_bytes()
    capsys.readouterr()
    assert evaluate.main(["--run", str(run[0]), "--data", str(source)]) == 0
    said = capsys.readouterr().out
    assert "other-test: no example has the field domain" in said
    assert "other-test accuracy" in said
    other = run[0] / "predictions" / "other-test.tsv"
    kept = other.read_bytes()
    source.write_text("label\ttext_a\nbad\t漏水\n", encoding="utf-8")
    assert evaluate.main(["--run", str(run[0]), "--data", str(source), "--by", "domain"]) == 2
    output = capsys.readouterr()
    assert f"--by domain: no example of {source} has a field 'domain'; there are: none" in output.err
    assert "run directory" not in output.out, "refused after scoring began"
    assert (written.read_bytes(), other.read_bytes()) == (before, kept)


def test_a_single_label_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "one.tsv"
    for table, warned in (("good\t热情\n", True), ("good\t热情\nbad\t漏水\n", False)):
        source.write_text(f"label\ttext_a\n{table}", encoding="utf-8")
        files = [f"data.{split}={source}" for split in ("train", "valid", "test")]
        options = [
            "--config",
            str(ROOT / "configs/classifier.yaml"),
            "--run",
            str(tmp_path / str(warned)),
            "score_by=[]",
        ]
        assert train.main([*options, *files, "training.epochs=1"]) == 0
        assert ("train: only one class; there is nothing to learn" in capsys.readouterr().out) == warned


def test_columns_of_what_is_answered_may_have_other_names(
    run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("n,review\n1,房间很干净\n", encoding="utf-8")
    options = ["--run", str(run[0]), "--input", str(source), "--output", str(target)]
    assert predict.main([*options, "data.format.text=review", "data.format.separator=,"]) == 0
    assert target.read_text(encoding="utf-8") == "n,review,predicted\n1,房间很干净,good\n"
    for change in ("stray", "training.epochs=3", "data.format.name=conll"):
        assert predict.main([*options, change]) == 2
        assert f"{change}: expected data.format.key=value" in capsys.readouterr().err
    assert predict.main([*options, "data.format.txt=1"]) == 2
    assert "txt: unknown key; did you mean 'text'?" in capsys.readouterr().err


def test_a_pipe_of_texts_gets_labels_with_scores(run: tuple[Path, str]) -> None:
    texts = ["房间很干净，服务热情。", "漏水，太失望了。", ""]
    found = subprocess.run(
        [sys.executable, "-m", "ner", "predict", "--run", str(run[0]), "--format", "text", "--scores"],
        input="".join(f"{text}\n" for text in texts).encode(),
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    answers = [json.loads(line) for line in found.stdout.decode().splitlines()]
    assert [answer["text"] for answer in answers] == texts
    assert all(answer.keys() == {"text", "labels"} for answer in answers)
    assert [answer["labels"][0]["label"] for answer in answers[:2]] == ["good", "bad"]
    assert all(0.5 <= answer["labels"][0]["score"] <= 1 for answer in answers)
    tagger = ner.load(str(run[0]), device="cpu")
    for text, answer in zip(texts, answers, strict=True):
        plain, scored = (tagger.tag(text, probabilities=wanted).examples[0] for wanted in (False, True))
        assert plain.scores == {}
        assert plain.labels == scored.labels == [answer["labels"][0]["label"]]
        assert scored.scores.keys() == {"good", "bad"}
        assert sum(scored.scores.values()) == pytest.approx(1)
        assert scored.scores[scored.labels[0]] == pytest.approx(answer["labels"][0]["score"], abs=1e-6)


def test_several_classes_are_learned_and_none_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["room\tthe bed", "food\tthe soup", "room;food\tbed and soup", "\tnothing at all"]
    data = tmp_path / "data.tsv"
    data.write_text("label\ttext_a\n" + "".join(f"{row}\n" for row in rows * 4), encoding="utf-8")
    config = tmp_path / "several.yaml"
    config.write_text(
        f"data: {{train: {data}, valid: {data}, test: {data}, format: {{name: tsv, label_separator: ';'}}}}\n"
        "encoder: {name: embedding, dimension: 16, singleton_unk_rate: 0}\n"
        "decoder: {name: classifier, multi_label: true}\n"
        "batch: {size: 4}\n"
        "training: {epochs: 20, learning_rate: 5e-2, monitor: accuracy.accuracy}\n"
        "metrics: [accuracy]\n",
        encoding="utf-8",
    )
    run = tmp_path / "run"
    assert train.main(["--config", str(config), "--run", str(run)]) == 0
    assert scores(run)["accuracy"]["accuracy"] == 1
    found = (run / "predictions" / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert {found[1], found[2], found[4]} == {"room\tthe bed\troom", "food\tthe soup\tfood", "\tnothing at all\t"}
    assert set(found[3].split("\t")[2].split(";")) == {"room", "food"}
    texts = tmp_path / "texts"
    texts.write_text("the bed\nnothing at all\n")
    capsys.readouterr()
    assert predict.main(["--run", str(run), "--format", "text", "--input", str(texts)]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {"text": "the bed", "labels": [{"label": "room"}]}
    assert second == {"text": "nothing at all", "labels": []}
    assert "assigns each text any number of 2 classes (`food`, `room`)" in model_card(run)


def test_the_card_is_that_of_a_classifier(run: tuple[Path, str]) -> None:
    card = model_card(run[0], ["zh"], "mit")
    matter = read_yaml(card.split("---\n")[1], "card")
    assert matter["pipeline_tag"] == "text-classification"
    assert "named-entity-recognition" not in matter["tags"]
    (results,) = (entry["results"] for entry in matter["model-index"])
    assert results[0]["task"] == {"type": "text-classification", "name": "Text classification"}
    test = json.loads((run[0] / "metrics.json").read_bytes())["test"]["accuracy"]
    shown = {metric["name"]: metric["value"] for metric in results[0]["metrics"]}
    assert shown["Text accuracy"] == pytest.approx(test["accuracy"], abs=1e-6)
    assert shown["Class F1 (macro)"] == pytest.approx(test["macro"]["f1"], abs=1e-6)
    assert "assigns each text one of 2 classes (`bad`, `good`)." in card
    assert "A text of another class gets one of these." in card
    assert "Scores by class on test:" in card
    worst = min(test["by_label"], key=lambda name: test["by_label"][name]["f1"])
    assert f"lowest F1 on test is that of `{worst}`: {test['by_label'][worst]['f1']:.4f}" in card
    assert "print(example.text, example.labels)" in card
    assert "entit" not in card
    assert "Every Chinese character and every punctuation mark is a word of its own" in card


def test_the_card_of_a_model_that_tags_words_too_is_that_of_a_tagger(run: tuple[Path, str], tmp_path: Path) -> None:
    for name in ("config.yaml", "labels.json"):
        shutil.copy(run[0] / name, tmp_path / name)
    labels = json.loads((tmp_path / "labels.json").read_bytes())
    (tmp_path / "labels.json").write_text(json.dumps({**labels, "labels": {"PER": 3}}))
    assert "pipeline_tag: text-classification" in model_card(tmp_path)  # the files had entities, nobody learned them
    assert "PER" not in model_card(tmp_path)
    config = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    for name in ("joint", "of_another_version"):
        (tmp_path / "config.yaml").write_text(config.replace("name: classifier", f"name: {name}"), encoding="utf-8")
        assert "pipeline_tag: token-classification" in model_card(tmp_path)
        assert "finds entities of 1 type (`PER`) in text and assigns each text one of 2 classes" in model_card(tmp_path)
    (tmp_path / "labels.json").write_text(json.dumps({**labels, "tags": {"NN": 3}}))
    assert "pipeline_tag: token-classification" in model_card(tmp_path)


def test_the_picture_has_the_classes(run: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = pytest.importorskip("matplotlib.figure", reason="needs the extra plot")
    figures = []
    save = drawing.Figure.savefig
    monkeypatch.setattr(drawing.Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1])
    assert plot.main(["--run", str(run[0]), "--output", str(tmp_path / "a.png")]) == 0
    labels = {axes.get_title(): {text.get_text() for text in axes.texts} for axes in figures[0].get_axes()}
    assert {"bad", "good"} <= labels["valid F1 by class"]
    assert {"train", "valid"} <= labels["accuracy.accuracy"]
