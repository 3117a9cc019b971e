"""From a file of words to a score and back, through the commands that people type."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from ner.commands import evaluate, plot, predict, report, train
from ner.runtime.device import has_bf16
from ner.runtime.manifest import verify, write_manifest
from tests.conftest import ROOT, SAMPLE

GOLD = SAMPLE / "en" / "valid.conll"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of configs/tiny.yaml and what it printed."""
    directory = tmp_path_factory.mktemp("runs") / "tiny"
    out, sys.stdout = sys.stdout, io.StringIO()
    try:
        files = [f"data.{split}={GOLD}" for split in ("train", "valid", "test")]
        assert train.main(["--config", str(ROOT / "configs/tiny.yaml"), "--run", str(directory), *files]) == 0
        return directory, sys.stdout.getvalue()
    finally:
        sys.stdout = out


def scores(run: Path, *options: str) -> dict:
    target = run / "scores.json"
    assert evaluate.main(["--run", str(run), "--json", str(target), *options]) == 0
    return json.loads(target.read_bytes())


def test_the_sample_is_learned_by_heart(run: tuple[Path, str]) -> None:
    metrics = json.loads((run[0] / "metrics.json").read_bytes())
    assert metrics["test"]["entity"]["micro"]["f1"] > 0.95


def test_the_log_has_one_figure_a_line_in_the_order_of_the_notes(run: tuple[Path, str]) -> None:
    lines = run[1].splitlines()
    for epoch in range(1, 16):
        start = lines.index(f"epoch [{epoch}/15]")
        for split in ("train", "valid"):
            assert re.fullmatch(rf"{split} loss: \d+\.\d{{4}}", lines[start + 1])
            tags = []
            start += 2
            while match := re.fullmatch(rf"{split} f1 (\S+): [01]\.\d{{4}}", lines[start]):
                tags.append(match[1])
                start += 1
            assert tags == sorted(tags)
            assert {"B-LOC", "I-PER", "O"} <= set(tags)
            assert re.fullmatch(rf"{split} f1-weighted: [01]\.\d{{4}}", lines[start])
            number = r"[01]\.\d{4}"
            entity = rf"{split} entity micro precision: {number}, recall: {number}, f1: {number}"
            assert re.fullmatch(entity, lines[start + 1])
            start += 1
    assert any(line.startswith("test loss: ") for line in lines)
    assert lines[-3].strip().startswith("ner evaluate --run")
    assert "ner predict --run" in lines[-1]
    logged = (run[0] / "train.log").read_text(encoding="utf-8")
    assert all(line.removeprefix("WARNING: ") in logged for line in lines)


def test_the_history_has_a_row_an_epoch_in_full_precision(run: tuple[Path, str]) -> None:
    with open(run[0] / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 16))
    assert {"train.loss", "valid.tag.f1.B-LOC", "valid.entity.micro.f1", "learning_rate.all"} <= rows[0].keys()
    assert len(rows[0]["train.loss"]) > 10


def test_predictions_are_the_file_and_one_more_column(run: tuple[Path, str]) -> None:
    gold = GOLD.read_text(encoding="utf-8").splitlines()
    found = (run[0] / "predictions" / "test.conll").read_text(encoding="utf-8").splitlines()
    assert len(gold) == len(found)
    for before, after in zip(gold, found, strict=True):
        if not before or before.startswith("-DOCSTART-"):
            assert before == after
        else:
            head, _, tag = after.rpartition(" ")
            assert head == before
            assert re.fullmatch(r"O|[BI]-(PER|LOC|ORG|MISC)", tag)


def test_evaluation_gives_the_numbers_of_training_and_the_promised_keys(run: tuple[Path, str]) -> None:
    trained = json.loads((run[0] / "metrics.json").read_bytes())["test"]
    found = scores(run[0])
    added = {"reading", "modes", "partial", "intervals"}
    assert found.keys() == {"split", "sentences", "words", "loss", "entity", "tag", "seconds"} | added
    assert found["intervals"]["scores"].keys() == {"entity", "tag", "modes", "partial"}
    assert found["split"] == "test"
    assert (found["entity"], found["tag"]) == (trained["entity"], trained["tag"])
    assert {"micro", "macro", "by_type"} <= found["entity"].keys()
    assert found["entity"]["micro"].keys() == {"precision", "recall", "f1"}
    for figures in found["entity"]["by_type"].values():
        assert figures.keys() == {"precision", "recall", "f1", "gold", "predicted", "correct"}
    assert found["tag"].keys() == {"f1", "weighted_f1", "accuracy"}
    assert scores(run[0], "--data", str(GOLD), "--fast")["entity"] == found["entity"]
    assert (run[0] / "predictions" / "valid.conll").exists()


def test_a_label_that_training_never_had_is_a_miss(run: tuple[Path, str], tmp_path: Path) -> None:
    data = tmp_path / "new.conll"
    data.write_text("Colby B-PER\nwon O\nGold B-PRIZE\nMedal I-PRIZE\n", encoding="utf-8")
    by_type = scores(run[0], "--data", str(data))["entity"]["by_type"]
    assert by_type["PRIZE"] == {"precision": 0, "recall": 0, "f1": 0, "gold": 1, "predicted": 0, "correct": 0}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("text", "Colby lives in Paris .\n\nThe weather\n"),
        ("conll", "Colby X 1\nlives X 2\r\n\nParis X 3"),
        ("jsonl", '{"words": ["Colby", "lives"], "n": 1}\n{"text": "Paris wins"}\n'),
    ],
)
def test_prediction_gives_one_line_for_each(run: tuple[Path, str], tmp_path: Path, form: str, text: str) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(text.encode())
    options = ["--format", form, "--input", str(source), "--output", str(target)]
    assert predict.main(["--run", str(run[0]), *options]) == 0
    before, after = text.split("\n"), target.read_bytes().decode().split("\n")
    assert len(before) == len(after)
    for given, found in zip(before, after, strict=True):
        if form == "conll" and given.strip():
            ending = "\r" if given.endswith("\r") else ""
            assert found.startswith(given.rstrip("\r") + " ")
            assert found.endswith(ending)
        if form == "text" and found:
            assert json.loads(found)["text"] == given
        if form == "jsonl" and given:
            assert json.loads(found).items() >= json.loads(given).items()
            assert "predicted" in json.loads(found)


def test_a_report_contains_the_scores_and_every_mistake(run: tuple[Path, str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    test = SAMPLE / "en" / "test.conll"
    assert report.main(["--run", str(run[0]), "--data", str(test), "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    found = scores(run[0], "--data", str(test))
    for name, value in found["entity"]["micro"].items():
        assert f"{100 * value:.2f}" in text, name
    browser = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    kinds = Counter(mistake[0] for sentence in browser["sentences"] for mistake in sentence["mistakes"])
    errors = found["partial"]["errors"]
    assert errors.pop("correct") > 0
    assert kinds == Counter(errors)
    assert {'id="slices"', 'id="transitions"', 'id="history"', 'id="calibration"'} <= {*re.findall('id="[a-z]+"', text)}


def piped(run: Path, folder: Path, text: str) -> tuple[Path, list[str]]:
    """Where an answer to a text goes, and the options of ``ner predict`` for it."""
    source, target = folder / "in", folder / "out"
    source.write_text(text, encoding="utf-8")
    return target, ["--run", str(run), "--input", str(source), "--output", str(target)]


def test_entities_have_probabilities_when_asked_for(run: tuple[Path, str], tmp_path: Path) -> None:
    target, options = piped(run[0], tmp_path, "Colby lives in Paris .\n")
    assert predict.main([*options, "--format", "text", "--scores"]) == 0
    scored = json.loads(target.read_bytes())["entities"]
    assert scored
    assert all(0.3 < entity.pop("score") <= 1 for entity in scored)
    assert predict.main([*options, "--format", "text"]) == 0
    assert json.loads(target.read_bytes())["entities"] == scored


def test_columns_have_probabilities_of_entities_or_words(run: tuple[Path, str], tmp_path: Path) -> None:
    target, options = piped(run[0], tmp_path, "Colby\nlives\nin\nParis\n")
    assert predict.main([*options, "--scores"]) == 0
    rows = [line.split(" ") for line in target.read_text().splitlines()]
    assert [len(row) for row in rows] == [3] * 4
    assert all((value == "_") if tag == "O" else 0 < float(value) <= 1 for _, tag, value in rows)
    assert predict.main([*options, "--token-scores"]) == 0
    rows = [line.split(" ") for line in target.read_text().splitlines()]
    assert all(0 < float(value) <= 1 for *_, value in rows)


def test_alternatives_and_scores_of_words_are_added_on_request(run: tuple[Path, str], tmp_path: Path) -> None:
    target, options = piped(run[0], tmp_path, "Colby lives in Paris .\n")
    assert predict.main([*options, "--format", "text", "--n-best", "3", "--token-scores"]) == 0
    found = json.loads(target.read_bytes())
    scores = [alternative["score"] for alternative in found["n_best"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= 1 + 1e-9
    assert [{**e, "score": 0} for e in found["entities"]] == [{**e, "score": 0} for e in found["n_best"][0]["entities"]]
    assert math.exp(found["log_probability"]) == pytest.approx(scores[0])
    assert len(found["token_scores"]) == 5


def test_a_required_precision_drops_or_marks_entities(
    run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration = json.loads((run[0] / "calibration.json").read_bytes())
    assert calibration["after"]["error"] <= 1
    assert scores(run[0], "--min-precision", "0.5")["confidence"]["selected"]["precision"] >= 0.5
    directory = tmp_path / "run"
    shutil.copytree(run[0], directory)
    for threshold in (0.0, 1.1):
        calibration["thresholds"] = [{"probability": threshold, "predicted": 2, "correct": 2}]
        (directory / "calibration.json").write_text(json.dumps(calibration))
        write_manifest(directory, verify(run[0]))
        target, options = piped(directory, tmp_path, "Colby lives in Paris .\n")
        options += ["--format", "text", "--min-precision", "0.9"]
        assert predict.main(options) == 0
        assert bool(json.loads(target.read_bytes())["entities"]) == (threshold == 0)
        assert predict.main([*options, "--below", "mark"]) == 0
        assert {e.get("uncertain", False) for e in json.loads(target.read_bytes())["entities"]} == {threshold > 0}
    (directory / "calibration.json").unlink()
    write_manifest(directory, set(verify(run[0])) - {"calibration.json"})
    assert predict.main(options) == 2
    assert "run ner calibrate" in capsys.readouterr().err


def test_a_text_that_is_taken_for_columns_is_said(
    run: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main(piped(run[0], tmp_path, "Colby lives in Paris .\n")[1]) == 0
    assert "every sentence has one word" in capsys.readouterr().err
    assert predict.main(piped(run[0], tmp_path, "Colby\nlives\n")[1]) == 0
    assert "single word" not in capsys.readouterr().err


NO_BF16 = pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="needs a processor with bf16")


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=NO_BF16), "int8"])
def test_other_arithmetic_tags_all_but_the_same(run: tuple[Path, str], precision: str) -> None:
    exact, rounded = scores(run[0]), scores(run[0], "--precision", precision)
    assert rounded["entity"]["micro"]["f1"] == pytest.approx(exact["entity"]["micro"]["f1"], abs=0.05)
    assert (rounded["loss"] == exact["loss"]) == (precision == "fp32")


def test_the_time_of_every_epoch_is_kept_beside_the_history(run: tuple[Path, str]) -> None:
    rows = list(csv.DictReader((run[0] / "timing.csv").read_text().splitlines()))
    history = list(csv.DictReader((run[0] / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == [row["epoch"] for row in history]
    assert {"words_per_second", "pieces_per_second", "padding", "peak_memory_mb", "encoder", "decoder"} <= rows[
        0
    ].keys()
    assert not any("second" in key for key in history[0])


def test_the_backend_is_logged_once_and_kept_with_the_run(run: tuple[Path, str]) -> None:
    backend = json.loads((run[0] / "metrics.json").read_bytes())["crf_backend"]
    assert backend in ("torch", "numba", "triton")
    assert run[1].count(f"CRF backend: {backend}\n") == 1


def test_a_picture_of_the_history_is_drawn(run: tuple[Path, str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    assert plot.main(["--run", str(run[0]), "--output", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_there_is_not_overwritten(run: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--config", str(ROOT / "configs/tiny.yaml"), "--run", str(run[0])]) == 2
    assert "already contains a trained model" in capsys.readouterr().err


def test_a_model_is_on_disk_after_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ner.model import saving

    kept = []
    save = saving.save
    monkeypatch.setattr(
        saving, "save", lambda *arguments, **options: (save(*arguments, **options), kept.append(arguments[2]))
    )
    files = [f"data.{split}={GOLD}" for split in ("train", "valid", "test")]
    small = ["training.epochs=3", "training.learning_rate=0", *files]
    run = tmp_path / "run"
    assert train.main(["--config", str(ROOT / "configs/tiny.yaml"), "--run", str(run), *small]) == 0
    assert kept == [run, run / "last", run / "last"]  # nothing is learned, so the first epoch stays the best
    saving.load(run / "last")


def test_plain_tags_beside_entities_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("Colby NNP\nwins VBZ\n", encoding="utf-8")
    options = [f"data.train={GOLD}", f"data.valid={plain}", f"data.test={GOLD}", "--run", str(tmp_path / "run")]
    assert train.main(["--config", str(ROOT / "configs/tiny.yaml"), *options]) == 2
    message = capsys.readouterr().err
    assert f"error: {plain}: expected entity tags as in {GOLD}, found plain tags; set data.format.scheme" in message


def test_plain_tags_are_learned(tmp_path: Path) -> None:
    data = tmp_path / "plain.txt"
    data.write_text("Colby NNP\nwins VBZ\n\nthe DT\nmatch NN\n", encoding="utf-8")
    options = [f"data.{split}={data}" for split in ("train", "valid", "test")]
    options += ["--run", str(tmp_path / "run"), "metrics=[tag]", "training.monitor=tag.accuracy"]
    assert train.main(["--config", str(ROOT / "configs/tiny.yaml"), *options]) == 0
    assert scores(tmp_path / "run")["tag"]["accuracy"] == 1


def test_pipes_carry_answers_and_nothing_else(run: tuple[Path, str]) -> None:
    text = "Colby lives in Paris .\n北京\n"
    found = subprocess.run(
        [sys.executable, "-m", "ner", "predict", "--run", str(run[0]), "--format", "text"],
        input=text.encode(),
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    assert [json.loads(line)["text"] for line in found.stdout.decode().splitlines()] == text.splitlines()
    assert re.fullmatch(
        rb"read: 2 sentences, \d words, \d+ characters without spaces, 2 windows, "
        rb"\d words without a word piece, 0 words not read\n",
        found.stderr,
    )
    found = subprocess.run(
        [sys.executable, "evaluate.py", "--run", str(run[0]), "--json", "-"], capture_output=True, cwd=ROOT, check=True
    )
    assert json.loads(found.stdout)["split"] == "test"
    assert b"test loss: " in found.stderr


def test_the_kept_model_is_the_best_epoch_and_the_other_lies_beside_it(run: tuple[Path, str]) -> None:
    with open(run[0] / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    scores_ = [float(row["valid.entity.micro.f1"]) for row in rows]
    metrics = json.loads((run[0] / "metrics.json").read_bytes())
    assert metrics["epoch"] == scores_.index(max(scores_)) + 1
    assert [int(row["best"]) for row in rows] == [int(s > max([-1.0, *scores_[:i]])) for i, s in enumerate(scores_)]
    assert metrics["valid"]["entity"]["micro"]["f1"] == max(scores_)
    assert (run[0] / "last" / "manifest.json").exists() == (metrics["epoch"] < len(rows))


def test_two_runs_of_one_seed_are_equal_to_the_last_byte(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        files = [f"data.{split}={GOLD}" for split in ("train", "valid", "test")]
        options = ["--config", str(ROOT / "configs/tiny.yaml"), "--run", str(tmp_path / name), "training.epochs=2"]
        assert train.main([*options, *files]) == 0
        found.append((tmp_path / name / "model.safetensors").read_bytes())
        found.append((tmp_path / name / "history.csv").read_bytes())
    assert found[:2] == found[2:]
