"""Shared parts of all commands: exit codes and one-line error messages."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from io import UnsupportedOperation
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from ner.errors import (
    NEEDS_TORCH,
    InputError,
    NonFiniteLossError,
    OutputError,
    ProcessLostError,
    not_installed,
    printable,
    reason,
)
from ner.runtime.log import discard

USAGE = 2
"""Exit code for invalid input, as in argparse."""
NON_FINITE = 3
"""Exit code for a loss that is not finite."""


class ExitStatus:
    """Context manager that prints errors of the user as one line on standard error, with an exit code for each kind.

    It is the last resort for files that cannot be read or written: no ``OSError`` becomes a traceback. SIGTERM and
    SIGHUP end a command like SIGINT, so temporary files are removed; an ignored SIGHUP (nohup) stays ignored.

    Attributes:
        code: Exit code of the command: 0, or a value that the command sets, or 2 for invalid input, 3 for a loss that
            is not finite, 75 for a lost process, 128 plus the number of a signal, 1 if a dependency is not installed.
    """

    code = 0

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> ExitStatus:
        # Python sets closed streams to None; a stream to read from in place of standard output refuses to be written
        for name, mode in (("stdin", "r"), ("stdout", "r"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, open(os.devnull, mode))
        with suppress(ValueError):  # not in the main thread
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._previous[number] = signal.signal(number, _interrupt)
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        try:
            is_unnamed = isinstance(error, OSError) and error.filename is None  # perhaps of a write to standard output
            if error is None or is_unnamed or isinstance(error, SystemExit):  # argparse ends with it
                sys.stdout.flush()
            if isinstance(error, UnsupportedOperation):  # see __enter__
                raise error
        except BrokenPipeError as broken:
            error = broken
        except OSError as broken:
            error = OutputError(f"standard output: cannot be written: {reason(broken)}")
        message = f"error: {error}"
        match error:
            case None:
                return True
            case InputError():
                self.code = USAGE
            case NonFiniteLossError():
                self.code = NON_FINITE
            case ProcessLostError():
                self.code = error.code
            case KeyboardInterrupt():
                self.code, message = 128 + next(iter(error.args), signal.SIGINT), "interrupted"
            case BrokenPipeError():  # the reader of the output has closed the pipe
                discard(sys.stdout)
                self.code = 1
                return True
            case OutputError():
                discard(sys.stdout)
                self.code = 1
            case ModuleNotFoundError() if (error.name or "ner").partition(".")[0] != "ner":
                self.code = 1
                is_checkout = (Path(__file__).parents[2] / "pyproject.toml").is_file()
                message = f"error: {not_installed((error.name or '').partition('.')[0])}"
                if error.name == "torch" and find_spec("onnxruntime"):
                    message = f"error: {NEEDS_TORCH}"
                elif is_checkout:
                    message += ", or ner and its dependencies: pip install -e ."
            case OSError():
                self.code = USAGE
                message = f"error: {f'{error.filename}: ' if error.filename else ''}{reason(error)}"
                if "temporary directory" in message:  # of tempfile; libraries need one at their import
                    message += "; set TMPDIR to a writable directory"
            case ValueError() if str(error).startswith("embedded null"):  # Python, instead of an OSError
                self.code = USAGE
                message = "error: expected names of files without NUL characters"
            case _:
                return False
        try:
            print(printable(message), file=sys.stderr, flush=True)
        except OSError:
            discard(sys.stderr)  # otherwise Python fails to write the rest at its end and exits with 120
        return True


def _interrupt(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once
    raise KeyboardInterrupt(number)


def positive(text: str) -> int:
    """Parse a number above 0."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def fraction(text: str) -> float:
    """Parse a number above 0 and at most 1."""
    if not 0 < float(text) <= 1:
        raise ValueError(text)
    return float(text)


def parse_arguments(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments of a command; a help text that cannot be written is an error like any other output."""
    with ExitStatus() as status:
        return parser.parse_intermixed_args(argv)
    sys.exit(status.code)


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Disable garbage collection during start-up and exempt the loaded objects afterwards.

    Saves a tenth or more of the start-up time, which is mostly imports.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # otherwise extension modules report leaks at exit
        if enabled:
            gc.enable()
