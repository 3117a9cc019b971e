from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from ner.errors import InputError
from ner.runtime.log import set_up_log


@pytest.fixture(autouse=True)
def default_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    yield
    logger.remove()


def test_the_file_is_appended_to_with_time_and_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run" / "train.log"
    for text in ("é", "\ud800"):
        set_up_log(file=path)
        logger.info(text)
        logger.warning("careful")
        logger.remove()
    assert capsys.readouterr().out.endswith("\nWARNING: careful\n")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.partition(" INFO    ")[2] for line in lines if "INFO" in line] == ["é", "\\ud800"]
    assert sum(line.endswith("WARNING careful") for line in lines) == 2


def test_other_processes_are_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_log(file=tmp_path / "train.log", enabled=False)
    logger.warning("x")
    assert capsys.readouterr() == ("", "")
    assert not (tmp_path / "train.log").exists()


def test_a_file_that_cannot_be_opened_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="file: cannot be written"):
        set_up_log(file=tmp_path / "file" / "train.log")


def test_a_full_disk_does_not_stop_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train.log"
    path.symlink_to("/dev/full")
    set_up_log(file=path)
    logger.info("first")
    logger.info("second")
    logger.remove()
    said = capsys.readouterr()
    warning = f"WARNING: {path}: cannot be written: No space left on device; the log continues without this file"
    assert said.out.splitlines() == ["first", warning, "second"]
    assert said.err == ""
