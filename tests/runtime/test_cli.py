"""One line and an exit code for every error of the user, and for every signal."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import pytest

from ner.errors import InputError
from ner.runtime import cli


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("file:1: broken"), 2, "error: file:1: broken"),
        (FileNotFoundError(2, "No such file or directory", "a\nb"), 2, "error: a\\nb: No such file or directory"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device"),
        (ValueError("embedded null byte"), 2, "error: expected names of files without NUL characters"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    with cli.ExitStatus() as status:
        raise error
    assert status.code == code
    assert capsys.readouterr().err == f"{message}\n"


def test_errors_of_the_program_are_not_hidden() -> None:
    with pytest.raises(ValueError, match="other"), cli.ExitStatus():
        raise ValueError("other")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_in_order(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # a process in the background ignores some
    closed = []
    try:
        with cli.ExitStatus() as status:
            try:
                os.kill(os.getpid(), number)
            finally:
                closed.append(True)
        assert (status.code, closed) == (128 + number, [True])
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with cli.ExitStatus() as status:
            os.kill(os.getpid(), signal.SIGHUP)
        assert status.code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_help_ends_with_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.parse_arguments(argparse.ArgumentParser(description="words"), ["--help"])
    assert ended.value.code == 0
    assert "words" in capsys.readouterr().out


def test_what_is_written_to_a_closed_standard_output_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(os.devnull) as closed:  # what stands for it while a command runs
        monkeypatch.setattr(sys, "stdout", closed)
        with cli.ExitStatus() as status:
            sys.stdout.write("an answer")
    assert status.code == 1
    assert capsys.readouterr().err == "error: standard output: cannot be written: not writable\n"
