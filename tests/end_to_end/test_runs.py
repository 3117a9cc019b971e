"""Runs that are steered, stopped, resumed, repeated and continued, through the commands that people type."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ner.commands import control, evaluate, replay, train
from ner.data import seen as seen_sentences
from ner.errors import InputError
from ner.runs import events
from ner.runtime import manifest
from ner.training.progress import Progress
from ner.training.run import TrainingRun
from tests.conftest import ROOT, SAMPLE

GOLD = SAMPLE / "en" / "valid.conll"
TINY = ["--config", str(ROOT / "configs" / "tiny.yaml")]
DATA = [f"data.{split}={GOLD}" for split in ("train", "valid", "test")]
CHANCE = ["context.dropout=0.2", "encoder.word_dropout=0.1"]


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    from loguru import logger

    yield
    logger.remove()


def start(run: Path, *options: str) -> int:
    return train.main([*TINY, "--run", str(run), *DATA, *CHANCE, *options])


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def asking(monkeypatch: pytest.MonkeyPatch, changes: dict[Any, list[str]], run: Path) -> None:
    """Run ``ner control`` after certain steps, or after an epoch: ``{17: ["stop=step"], "epoch 2": ["save=now"]}``."""
    train_run = TrainingRun.train

    def steered(self: TrainingRun, *arguments: Any, **options: Any) -> Iterator[Progress]:
        for progress in train_run(self, *arguments, **options):
            yield progress
            now = progress.step if progress.epoch_record is None else f"epoch {progress.epoch}"
            if requested := changes.pop(now, None):
                assert control.main(["--run", str(run), "--wait", "0", *requested]) == 0

    monkeypatch.setattr(TrainingRun, "train", steered)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four epochs without interruption."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert start(run, "training.epochs=4") == 0
    return run


def same(left: Path, right: Path, *names: str) -> None:
    for name in names or ("model.safetensors", "history.csv", "predictions/test.conll"):
        assert manifest.sha256(left / name) == manifest.sha256(right / name), name


def test_a_run_that_is_stopped_goes_on_to_the_same_bytes(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {17: ["stop=step"], 30: ["save=now", "evaluate=now"]}, run)
    assert start(run, "training.epochs=4") == 0
    assert "stopped between two steps; continue with --resume" in capsys.readouterr().out
    assert not (run / "metrics.json").exists()
    assert start(run, "training.epochs=4") == 2
    assert "continue with --resume" in capsys.readouterr().err
    assert start(run, "training.epochs=4", "--resume") == 0
    said = capsys.readouterr().out
    assert "resumed from" in said
    assert "step 30: valid loss: " in said
    same(run, whole)
    kinds = [(event.step, event.kind, event.change) for event in events.read(run)]
    assert kinds[0] == (17, "control", "stop=step")
    assert kinds[1][:2] == (17, "resume")
    assert (run / "history.md").read_text().count("★") >= 1


def test_resume_starts_where_there_is_nothing_yet(tmp_path: Path, whole: Path) -> None:
    assert start(tmp_path / "run", "training.epochs=4", "--resume") == 0
    same(tmp_path / "run", whole)


def test_resuming_what_is_finished_changes_nothing(tmp_path: Path, whole: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    assert start(run, "training.epochs=4", "--resume") == 0
    same(run, whole)


def test_a_larger_batch_at_resume_is_an_event_and_epochs_are_counted_right(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {20: ["stop=step"]}, run)
    assert start(run, "training.epochs=4") == 0
    assert start(run, "training.epochs=4", "batch.size=16", "--resume") == 0
    found, before = rows(run), rows(whole)
    assert [row["epoch"] for row in found] == ["1", "2", "3", "4"]
    assert [row["batch_size"] for row in found] == ["8", "8", "16", "16"]
    assert [row["sentences"] for row in found] == [str(103 * epoch) for epoch in (1, 2, 3, 4)]
    assert [row["step"] for row in found] == ["13", "26", "33", "40"]
    assert found[:2] == before[:2]
    assert ("control", "batch.size=16") in [(event.kind, event.change) for event in events.read(run)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["encoder.dimension=8"], "config.encoder.dimension: the run has 32, found 8"),
        (["seed=2"], "config.seed: the run has 1, found 2"),
        (["training.optimizer=sgd"], "config.training.optimizer: the run has adamw, found sgd"),
    ],
)
def test_another_configuration_cannot_be_resumed(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    assert start(tmp_path / "run", "training.epochs=4", "--resume", *options) == 2
    assert message in capsys.readouterr().err


def test_changed_data_cannot_be_resumed(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(whole, tmp_path / "run")
    other = tmp_path / "other.conll"
    other.write_bytes(GOLD.read_bytes() + b"\nAda B-PER\n")
    assert start(tmp_path / "run", "training.epochs=4", "--resume", f"data.train={other}") == 2
    assert "the train file has changed since the run began" in capsys.readouterr().err


CHANGES = {
    3: ["training.learning_rate=0.02"],
    9: ["batch.size=16", "freeze=encoder.words"],
    16: ["unfreeze=encoder.words", "freeze=encodr", "training.learning_rate.decoder=0.5", "training.max_grad_norm=1"],
    19: ["training.epochs=5"],
    30: ["stop=epoch"],
}


def test_what_was_changed_is_repeated_at_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, dict(CHANGES), run)
    assert start(run, "training.epochs=7", "training.learning_rate={encoder: 0.01, context: 0.01, decoder: 0.01}") == 0
    said = capsys.readouterr().out
    assert "step 9: batch.size=16 (takes effect next epoch)" in said
    assert "step 16: not changed: config.freeze: no parameter matches the path 'encodr'" in said
    history = rows(run)
    assert [row["batch_size"] for row in history][:3] == ["8", "16", "16"]
    assert len(history) == 4
    wanted = [change for changes in CHANGES.values() for change in changes]
    assert [event.change for event in events.read(run) if event.kind == "control"] == [
        change for change in wanted if change != "freeze=encodr"
    ]
    assert not list((run / "control").glob("*.json"))
    assert replay.main(["--run", str(run), "--to", str(tmp_path / "again")]) == 0
    assert "equal weights" in capsys.readouterr().out
    same(run, tmp_path / "again", "model.safetensors", "history.csv")


def test_changes_after_the_checkpoint_are_made_again_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asking(monkeypatch, {9: ["training.learning_rate=0.001"]}, tmp_path / "whole")
    assert start(tmp_path / "whole", "training.epochs=2") == 0
    run = tmp_path / "run"
    asking(monkeypatch, {5: ["save=now"], 9: ["training.learning_rate=0.001"], 11: ["stop=step"]}, run)
    assert start(run, "training.epochs=2") == 0
    newest = sorted((run / "checkpoints").iterdir())[-1]
    assert newest.name.endswith("step-11")
    shutil.rmtree(newest)  # as if the machine had gone before it was written
    assert start(run, "training.epochs=2", "--resume") == 0
    assert "step 9: replayed training.learning_rate=0.001" in capsys.readouterr().out
    same(run, tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch.size", "batch.size: cannot be changed while training runs; expected key=value with one of training."),
        ("encoder.dropout=0", "encoder.dropout=0: cannot be changed while training runs"),
        ("batch.size=big", "config.batch.size: input should be"),
        ("training.learning_rat=1", "training.learning_rat=1: cannot be changed"),
        ("stop=now", "stop=now: expected stop=step or epoch"),
        ("freeze=", "freeze=: expected freeze=MODULE"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_where_it_is_typed(
    whole: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    assert control.main(["--run", str(whole), change]) == 2
    assert message in capsys.readouterr().err
    assert not list(whole.glob("control/*"))


def test_nobody_reads_what_is_asked_of_a_run_that_is_over(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    assert control.main(["--run", str(run), "--wait", "0", "batch.size=4"]) == 0
    assert capsys.readouterr().out.startswith("batch.size=4: pending; ")


def test_a_warm_start_takes_known_labels_and_words_over(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "new.conll"
    text = GOLD.read_text(encoding="utf-8").split("\n\n")
    data.write_text("\n\n".join(text[:30]) + "\n\nXylo B-PRIZE\nwon O\n", encoding="utf-8")
    new = [f"data.{split}={data}" for split in ("train", "valid", "test")]
    run = tmp_path / "run"
    options = [*TINY, "--run", str(run), *new, *CHANCE, "training.epochs=1", "training.learning_rate=0"]
    assert train.main([*options, "--init", str(whole)]) == 0
    said = capsys.readouterr().out
    assert "known labels: LOC, MISC, ORG, PER; new labels: PRIZE" in said
    assert "decoder.emissions.weight: copied 17 of 21 rows" in said
    assert "--init: copied 10 tensors" in said
    assert f"valid: {whole} was trained on 26 of its 27 sentences" in said
    assert float(rows(run)[0]["valid.entity.micro.f1"]) > 0.3  # nothing was learned: it is what was taken over
    known = seen_sentences.read(run)
    assert known is not None
    theirs = seen_sentences.read(whole)
    assert theirs is not None
    assert len(known) == len(theirs) + 1
    assert replay.main(["--run", str(run), "--to", str(tmp_path / "again")]) == 0


def test_scores_on_sentences_that_were_trained_on_are_told(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["--run", str(whole), "--fast", "--predictions", str(tmp_path / "a")]) == 0
    assert "WARNING: test: 103 of 103 sentences occur in the training data" in capsys.readouterr().out


def test_the_rates_rise_over_so_many_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(tmp_path / "run", "training.epochs=1", "training.log_every=1", "training.warmup_steps=5") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Step: ")]
    rates = [float(line.split("all ")[1].split()[0]) for line in lines]
    assert rates[:5] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01], rel=0.1)  # steps differ in sentences
    assert set(rates[5:]) == {0.01}


def test_a_warmup_that_is_longer_than_the_training_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(tmp_path / "a", "training.epochs=1", "training.warmup_steps=90") == 0
    said = capsys.readouterr().out
    steps = int(rows(tmp_path / "a")[0]["step"])
    assert f"training.warmup_steps=90: longer than the training ({steps} steps)" in said
    assert said.count("training.warmup_steps=") == 1
    assert start(tmp_path / "b", "training.epochs=1", f"training.warmup_steps={steps}") == 0
    assert "warmup_steps" not in capsys.readouterr().out


def test_the_step_log_and_the_columns_of_the_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert start(run, "training.epochs=1", "training.log_every=5", "training.warmup_steps=4") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Step: ")]
    assert [line.split(" Learning")[0] for line in lines] == ["Step: 5", "Step: 10"]
    assert "Learning rate: all 0.01 Loss: " in lines[0]
    columns = list(rows(run)[0])
    assert columns[:8] == [
        "epoch",
        "avg_train_loss",
        "avg_val_loss",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "weighted_f1",
    ]
    table = (run / "history.md").read_text().splitlines()
    assert len({line.count("|") for line in table}) == 1


def test_training_ends_early_and_adapts_on_a_plateau(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    plateau = "training.plateau={adapt: both, patience: 0, factor: 0.5, max_batch_size: 16, min_lr_scale: 0.2}"
    options = ["training.epochs=30", "training.learning_rate=0", "training.early_stopping={patience: 4}", plateau]
    assert start(run, *options) == 0
    said = capsys.readouterr().out
    assert "stopping: entity.micro.f1 has not improved for 4 epochs" in said
    assert "plateau: learning rates times 0.5" in said
    assert [row["batch_size"] for row in rows(run)] == ["8", "8", "16", "16", "16"]
    kinds = [(event.kind, event.change) for event in events.read(run)]
    assert ("plateau", "batch.size=16") in kinds
    assert ("plateau", "learning rates times 0.25") in kinds
    assert ("plateau", "learning rates times 0.125") not in kinds


def test_a_training_file_in_memory_mapped_arrays_gives_the_same_bytes(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ner.data.formats import conll

    options = ["training.epochs=4", f"data.memmap_dir={tmp_path / 'store'}"]
    assert start(tmp_path / "first", *options) == 0
    said = capsys.readouterr().out
    assert f"train: memory-mapped in {tmp_path / 'store'}" in said
    assert "train: 16 documents, 103 sentences, 1240 words" in said
    same(tmp_path / "first", whole, "model.safetensors", "history.csv", seen_sentences.FILE)
    read, seen = conll.read, []
    monkeypatch.setattr(conll, "read", lambda path, *rest, **more: seen.append(path) or read(path, *rest, **more))
    assert start(tmp_path / "second", *options) == 0
    same(tmp_path / "second", whole, "model.safetensors", "history.csv", seen_sentences.FILE)
    assert len(seen) == 2  # valid and test; the training file was not read again


def test_nothing_is_unpickled_from_a_run_directory(tmp_path: Path) -> None:
    code = f"""
import pickle, sys, torch
def refuse(*arguments, **options):
    raise AssertionError("unpickled")
class Refuse:
    def __init__(self, *arguments, **options):
        refuse()
pickle.load = pickle.loads = torch.load = refuse
pickle.Unpickler = Refuse
sys.path.insert(0, {str(ROOT)!r})
from ner.commands import evaluate, predict, train
options = {[*TINY, "--run", str(tmp_path / "run"), *DATA, "training.epochs=2", "decoder.backend=torch"]!r}
assert train.main(options) == 0
assert train.main([*options, "training.epochs=3", "--resume"]) == 0
run = ["--run", {str(tmp_path / "run")!r}]
assert evaluate.main(run) == 0
assert predict.main([*run, "--input", {str(GOLD)!r}, "--output", {str(tmp_path / "out")!r}]) == 0
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "out").stat().st_size > 1000


def test_any_byte_of_a_saved_model_that_changes_is_noticed(whole: Path, tmp_path: Path) -> None:
    import random

    run = tmp_path / "run"
    shutil.copytree(whole, run)
    names = list(json.loads((run / "manifest.json").read_bytes()))
    chance = random.Random(1)
    for _ in range(100):
        path = run / chance.choice(names)
        content = bytearray(path.read_bytes())
        place = chance.randrange(len(content))
        content[place] ^= 1 << chance.randrange(8)
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(InputError, match="SHA-256 or size differs"):
            manifest.verify(run)
        path.write_bytes(kept)
    manifest.verify(run)


def crashes(*arguments: str) -> None:
    found = subprocess.run(
        [sys.executable, "tests/crashes.py", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="trainings are forked")


@forks
def test_no_kill_signal_or_full_disk_leaves_a_run_that_cannot_go_on() -> None:
    crashes("kill", "interrupt", "full", "--count", "5", "--seed", "7")


@forks
@pytest.mark.thorough
def test_no_kill_leaves_a_transformer_that_cannot_go_on() -> None:
    crashes("kill", "--kind", "bert", "--count", "6", "--seed", "7")


def test_a_run_that_is_stopped_at_the_end_of_an_epoch_is_not_taken_for_finished(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {"epoch 2": ["stop=step"]}, run)
    assert start(run, "training.epochs=4") == 0
    assert not (run / "metrics.json").exists()
    assert start(run, "training.epochs=4", "--resume") == 0
    same(run, whole)


def test_a_run_that_began_with_other_weights_does_so_again_when_it_has_no_checkpoint(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start(tmp_path / "whole", "training.epochs=1", "--init", str(whole)) == 0
    run = tmp_path / "run"
    asking(monkeypatch, {3: ["training.max_grad_norm=0.1"], 5: ["stop=step"]}, run)
    assert start(run, "training.epochs=1", "--init", str(whole)) == 0
    shutil.rmtree(run / "checkpoints")
    assert start(run, "training.epochs=1", "--resume") == 0
    controls = [event.change for event in events.read(run) if event.kind == "control"]
    assert controls == ["training.max_grad_norm=0.1", "stop=step"]
    same(run, tmp_path / "whole", seen_sentences.FILE)
    first, second = (float(rows(path)[0]["train.loss"]) for path in (run, tmp_path / "whole"))
    assert abs(first - second) < 0.1 * second  # the same start, smaller steps


def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    assert start(tmp_path / "run", "data.train=none.conll") == 2
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_asked_to_end_with_an_epoch_goes_on_when_resumed(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {15: ["stop=epoch"]}, run)
    assert start(run, "training.epochs=4") == 0
    assert json.loads((run / "metrics.json").read_bytes())["test"]
    assert len(rows(run)) == 2
    assert start(run, "training.epochs=4", "--resume") == 0
    same(run, whole)
    assert replay.main(["--run", str(run)]) == 0
    same(run, tmp_path / "run-replay", "model.safetensors", "history.csv")


def newest(run: Path) -> Path:
    return max((run / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[0]))


def damage(path: Path) -> None:
    with open(path / "state.safetensors", "ab") as file:
        file.write(b"x")


def test_broken_checkpoints_are_named_removed_and_do_not_count(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for path in (run / "checkpoints").iterdir():
        damage(path)
    assert start(run, "training.epochs=4", "--resume") == 0
    said = capsys.readouterr().out
    assert said.count("checksum mismatch; removed") == 2
    assert "no checkpoint found, starting from the beginning" in said
    same(run, whole)
    assert len(list((run / "checkpoints").iterdir())) == 2


def test_the_kept_model_is_never_that_of_an_epoch_that_was_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert start(run, "training.epochs=3") == 0
    damage(newest(run))
    assert start(run, "training.epochs=3", "--resume", "training.learning_rate=1e-12") == 0
    kept = [row for row in rows(run) if row["best"] == "1"][-1]
    metrics = json.loads((run / "metrics.json").read_bytes())
    assert metrics["epoch"] == int(kept["epoch"])
    assert metrics["test"]["loss"] == pytest.approx(float(kept["avg_val_loss"]))  # the same file
    assert evaluate.main(["--run", str(run), "--fast", "--json", str(tmp_path / "a.json")]) == 0
    assert json.loads((tmp_path / "a.json").read_bytes())["loss"] == metrics["test"]["loss"]


def test_the_last_word_counts_when_a_run_is_resumed_twice_from_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {5: ["stop=step"], 7: ["stop=step"]}, run)
    assert start(run, "training.epochs=2") == 0
    assert start(run, "training.epochs=2", "--resume", "training.learning_rate=0.5") == 0
    shutil.rmtree(newest(run))
    assert start(run, "training.epochs=2", "--resume", "training.learning_rate=0.1") == 0
    assert float(rows(run)[0]["learning_rate.all"]) == 0.1
    controls = [event.change for event in events.read(run) if event.kind == "control"]
    assert controls.count("training.learning_rate=0.5") == 1
    assert controls.count("training.learning_rate=0.1") == 1


def test_what_is_typed_at_resume_counts_even_if_the_configuration_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {3: ["training.learning_rate=0.001"], 15: ["stop=step"]}, run)
    assert start(run, "training.epochs=2") == 0
    assert (
        start(run, "training.epochs=2", "--resume", "training.learning_rate=0.01", "training.keep_checkpoints=3") == 0
    )
    assert [row["learning_rate.all"] for row in rows(run)] == ["0.001", "0.01"]
    assert len(list((run / "checkpoints").iterdir())) == 3


def test_a_rate_for_all_may_become_rates_for_parts_at_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {3: ["stop=step"]}, run)
    assert start(run, "training.epochs=1") == 0
    parts = "training.learning_rate={encoder: 0.1, context: 0.2, decoder: 0.3}"
    assert start(run, "training.epochs=1", "--resume", parts) == 0
    assert rows(run)[0]["learning_rate.context"] == "0.2"


def test_more_epochs_go_on_after_an_early_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = ["training.early_stopping={patience: 1}", "training.learning_rate=0"]
    assert start(run, "training.epochs=5", *options) == 0
    assert len(rows(run)) == 2
    assert start(run, "training.epochs=5", *options, "--resume") == 0
    assert (
        "training is finished (entity.micro.f1 has not improved for 1 epochs); raise training.epochs"
        in capsys.readouterr().out
    )
    assert start(run, "training.epochs=6", *options, "--resume") == 0
    assert len(rows(run)) == 3
    assert start(run, "training.epochs=2", *options, "--resume") == 0
    assert "not changed: training.epochs=2: the run is already in epoch 3" in capsys.readouterr().out


def test_what_was_asked_of_the_run_before_does_not_stop_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert start(run, "training.epochs=1") == 0
    assert control.main(["--run", str(run), "--wait", "0", "stop=step", "batch.size=16"]) == 0
    (run / "control" / "garbage.json").write_text("{")
    assert start(run, "training.epochs=3", "--resume") == 0
    assert "stop=step: requested from the previous start" in capsys.readouterr().out
    assert [row["batch_size"] for row in rows(run)] == ["8", "8", "16"]


def test_what_is_typed_at_resume_overrules_what_was_asked_for_after_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    wishes = {17: ["training.learning_rate=0.005", "training.epochs=2"], 20: ["stop=step"]}
    asking(monkeypatch, wishes, run)
    assert start(run, "training.epochs=3") == 0
    shutil.rmtree(newest(run))  # killed, so that the end of the first epoch is the newest
    assert start(run, "training.epochs=3", "--resume", "training.learning_rate=0.01", "training.epochs=3") == 0
    assert [row["learning_rate.all"] for row in rows(run)] == ["0.01"] * 3
    assert "replayed training" not in capsys.readouterr().out
    assert replay.main(["--run", str(run)]) == 0


def test_an_end_that_was_asked_for_and_lost_does_not_come_again(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {17: ["stop=epoch"], 20: ["stop=step"]}, run)
    assert start(run, "training.epochs=4") == 0
    shutil.rmtree(newest(run))
    assert start(run, "training.epochs=4", "--resume") == 0
    same(run, whole)


def test_a_change_whose_step_is_not_reached_any_more_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    asking(monkeypatch, {24: ["training.max_grad_norm=1"], 25: ["stop=step"]}, run)
    assert start(run, "training.epochs=2") == 0
    shutil.rmtree(newest(run))
    assert start(run, "training.epochs=2", "--resume", "batch.size=16") == 0
    assert "training.max_grad_norm=1: not replayed" in capsys.readouterr().out
    assert "training.max_grad_norm=1" not in [event.change for event in events.read(run)]


def test_scores_of_a_model_that_is_left_behind_go_with_it(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    asking(monkeypatch, {55: ["stop=step"]}, run)
    assert start(run, "training.epochs=6", "--resume") == 0
    assert not (run / "metrics.json").exists()
    assert not (run / "predictions" / "test.conll").exists()


def test_a_rate_of_a_part_can_be_typed_where_one_rate_is_configured(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert start(run, "training.epochs=1", "training.learning_rate.decoder=0.5") == 0
    assert (rows(run)[0]["learning_rate.all"], rows(run)[0]["learning_rate.decoder"]) == ("0.01", "0.5")
