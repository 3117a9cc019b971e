"""``ner evaluate`` and ``ner predict``: directories that the user did not name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner.commands import evaluate, predict


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    from loguru import logger

    yield
    logger.remove()


def test_predictions_of_the_copy_last_are_written_beside_those_of_the_run(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    shutil.copytree(tiny_run, run / "last", dirs_exist_ok=True)
    before = sorted(path.name for path in (run / "last").rglob("*"))
    assert evaluate.main(["--run", str(run / "last"), "--fast"]) == 0
    assert (run / "predictions" / "last-test.conll").is_file()
    assert sorted(path.name for path in (run / "last").rglob("*")) == before


def test_the_newest_run_is_named(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_run, tmp_path / "runs" / "new")
    (tmp_path / "in.txt").write_text("Ada met Bob\n")
    monkeypatch.chdir(tmp_path)
    assert predict.main(["--format", "text", "--input", "in.txt"]) == 0
    assert "run directory: runs/new\n" in capsys.readouterr().err
