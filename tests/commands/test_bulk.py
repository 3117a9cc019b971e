from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner.bulk import job as jobs
from ner.bulk import local
from ner.commands import bulk, predict
from ner.errors import InputError


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    from loguru import logger

    yield
    logger.remove()


@pytest.mark.processes
def test_a_file_is_tagged_by_processes_once(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, whole, output = tmp_path / "in.txt", tmp_path / "whole.jsonl", tmp_path / "out"
    source.write_text("".join(f"Ada{n}\n" for n in range(4001)))
    options = ["--run", str(tiny_run), "--format", "text", "--input", str(source), "--scores"]
    assert predict.main([*options, "--output", str(whole)]) == 0
    command = [*options, "--output", str(output), "--shard-size", "2000", "--workers", "2"]
    assert bulk.main(command) == 0
    assert "3 shards, 0 of them from an earlier run: 4,001 records" in capsys.readouterr().err
    assert b"".join(path.read_bytes() for path in sorted(output.glob("part-*"))) == whole.read_bytes()
    assert bulk.main(command) == 0
    assert "3 shards, 3 of them" in capsys.readouterr().err
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["shards"], summary["rows"], summary["errors"]) == (3, 4001, 0)
    assert summary["words"] == 2 * 4001, "a name and its number"


@pytest.mark.processes
def test_an_input_of_another_format_is_refused(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.txt"
    source.write_text("Ada met Bob\n" * 10)
    options = ["--run", str(tiny_run), "--format", "jsonl", "--input", str(source), "--output", str(tmp_path / "out")]
    assert bulk.main([*options, "--workers", "1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {source}:1: not JSON: ")
    assert error.count("\n") == 1


@pytest.mark.slow
def test_parquet_without_pyarrow_is_refused_before_the_work(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out"
    source.write_text("Ada met Bob\n")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    options = ["--run", str(tiny_run), "--format", "text", "--input", str(source), "--output", str(output)]
    assert bulk.main([*options, "--to", "parquet"]) == 2
    assert capsys.readouterr().err == "error: pyarrow is not installed; pip install pyarrow\n"
    assert not output.exists()


@pytest.mark.processes
def test_an_exception_in_a_worker_is_no_kill(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("Ada met Bob\n")
    inputs, plugins = [str(tmp_path / "in.txt")], (str(tmp_path / "gone.py"),)
    job = jobs.create(str(tiny_run), inputs, str(tmp_path / "out"), "text", plugins=plugins)
    with pytest.raises((OSError, InputError), match="gone.py"):
        list(local.run(job, job.shards(), 1))
