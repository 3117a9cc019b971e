"""Commands whose standard streams are closed, full or read by nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SAMPLE

TRAIN = [sys.executable, "train.py", "--config", "configs/tiny.yaml", "training.epochs=1", "training.log_every=1"]
DATA = [f"data.{split}={SAMPLE / 'en' / 'valid.conll'}" for split in ("train", "valid", "test")]
PREDICT = [sys.executable, "-m", "ner", "predict", "--format", "text", "--run"]


def shell(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``"$@"`` is a command."""
    command = ["bash", "-c", script, "bash", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "redirection",
    [
        "| head -1",
        "< /dev/null >&- 2> /dev/full",
        *(pytest.param(other, marks=pytest.mark.thorough) for other in (">&-", "> /dev/full", ">&- 2>&-")),
    ],
)
def test_training_goes_on_without_standard_output(tmp_path: Path, redirection: str) -> None:
    run = tmp_path / "run"
    found = shell(f'set -o pipefail; "$@" {redirection}', *TRAIN, *DATA, "--run", run)
    assert (found.returncode, found.stderr) == (0, "")
    log = (run / "train.log").read_text(encoding="utf-8")
    assert "done in" in log
    assert log.count("output stream cannot be written") == 1
    assert (run / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [(">&-", "not writable"), ("> /dev/full", "No space left on device")],
)
def test_predictions_that_cannot_be_written_are_one_sentence(tiny_run: Path, redirection: str, reason: str) -> None:
    found = shell(f'echo "Ada won" | "$@" {redirection}', *PREDICT, tiny_run)
    assert found.returncode == 1
    assert found.stderr.startswith("error: standard output: cannot be written")
    assert reason in found.stderr
    assert found.stderr.count("\n") == 1


def test_predictions_that_nobody_reads_end_silently(tiny_run: Path) -> None:
    found = shell('yes "Ada won" | head -5000 | "$@" | head -1', *PREDICT, tiny_run)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.count("\n") == 1


def test_a_closed_standard_input_is_an_empty_one(tiny_run: Path) -> None:
    found = shell('"$@" <&-', *PREDICT, tiny_run)
    assert (found.returncode, found.stdout) == (0, "")


def test_errors_that_cannot_be_written_keep_their_exit_code() -> None:
    assert shell('"$@" 2> /dev/full', *TRAIN, "seed=x").returncode == 2
    assert shell('"$@" 2>&-', *TRAIN, "seed=x").returncode == 2


def test_what_comes_from_outside_is_escaped_and_shortened(tmp_path: Path) -> None:
    found = shell('"$@"', *TRAIN[:2], "--config", f"{tmp_path}/a\x1b[31m\n\u202eb" + "x" * 300)
    assert found.returncode == 2
    assert "\\x1b[31m\\n\\u202eb" in found.stderr
    assert found.stderr.count("\n") == 1
    assert "\x1b" not in found.stderr
    found = shell('"$@"', *TRAIN[:2], "--config", "x" * 100_000)
    assert found.returncode == 2
    assert len(found.stderr) < 5000
