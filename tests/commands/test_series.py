"""Trainings of several seeds and of sweeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner.commands import runs, sweep, train
from ner.runs.directory import METRICS, WEIGHTS
from ner.runtime.manifest import sha256
from ner.training import search
from tests.commands.test_cli import refused
from tests.conftest import ROOT, SAMPLE

CONFIG = ["--config", str(ROOT / "configs" / "tiny.yaml")]
SMALL = [f"data.{split}={SAMPLE}/en/valid.conll" for split in ("train", "valid", "test")] + ["training.epochs=2"]


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    from loguru import logger

    yield
    logger.remove()


@pytest.mark.slow
def test_seeds_are_trained_like_single_runs_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = [*CONFIG, "--run", str(tmp_path / "s"), "--seeds", "1,2", *SMALL]
    assert train.main(series) == 0
    assert train.main([*CONFIG, "--run", str(tmp_path / "single"), *SMALL, "seed=2"]) == 0
    assert sha256(tmp_path / "s" / "seed-2" / WEIGHTS) == sha256(tmp_path / "single" / WEIGHTS)
    assert sha256(tmp_path / "s" / "seed-1" / WEIGHTS) != sha256(tmp_path / "single" / WEIGHTS)
    capsys.readouterr()
    assert train.main(series) == 0
    out = capsys.readouterr().out
    assert out.count("finished before") == 2
    assert "valid_sd" in out
    assert runs.main([str(tmp_path / "s"), "--format", "json", "--mean"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["recipe"], row["runs"]) == ("tiny", 2)
    assert row["valid_sd"] >= 0
    assert runs.main([str(tmp_path / "s"), "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("seed=") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "1,x"], "--seeds: expected different numbers such as 1,2,3, found 1,x"),
        (["--seeds", "1,01"], "--seeds: expected different numbers"),
        (["--seeds", "1,2", "seed=3"], "--seeds: excludes"),
    ],
)
def test_wrong_seeds_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert refused(capsys, train.main, *CONFIG, "--run", str(tmp_path / "s"), *arguments).startswith(message)
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_sweep_trains_all_combinations_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    command = [*CONFIG, "--run", str(folder), "batch.size=8,16", *SMALL]
    assert sweep.main(command) == 0
    out = capsys.readouterr().out
    assert "2 finished, 0 pruned; best on valid: " in out
    record = json.loads((folder / search.FILE).read_text(encoding="utf-8"))
    assert [trial["state"] for trial in record["trials"]] == ["finished", "finished"]
    assert all(len(trial["scores"]) == 2 for trial in record["trials"])
    before = sha256(folder / "trial-002" / WEIGHTS)
    record["trials"][1] |= {"state": "running", "scores": []}  # a crash before the final scores
    (folder / search.FILE).write_text(json.dumps(record), encoding="utf-8")
    (folder / "trial-002" / METRICS).unlink()
    written = (folder / "trial-001" / METRICS).stat().st_mtime_ns
    assert sweep.main(command) == 0
    assert (folder / "trial-001" / METRICS).stat().st_mtime_ns == written
    assert (folder / "trial-002" / METRICS).exists()
    assert sha256(folder / "trial-002" / WEIGHTS) == before


def test_a_sweep_without_validation_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*CONFIG, "--run", str(tmp_path / "s"), "seed=1,2", "data.valid=null", "training.keep_epoch=last"]
    assert "a sweep compares validation scores" in refused(capsys, sweep.main, *arguments)
    assert "give --trials N" in refused(capsys, sweep.main, *CONFIG, "--run", str(tmp_path / "t"), "seed=1..2")
