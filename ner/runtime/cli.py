"""Shared parts of all commands: exit codes and one-line error messages."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from ner.errors import InputError, NonFiniteLossError, OutputError, ProcessLostError, printable
from ner.runtime.log import discard

USAGE = 2
"""Exit code for invalid input, as in argparse."""
NON_FINITE = 3
"""Exit code for a loss that is not finite."""


class ExitStatus:
    """Context manager that prints errors of the user as one line on standard error, with an exit code for each kind.

    Attributes:
        code: Exit code of the command: 0, or a value that the command sets, or 2 for invalid input, 3 for a loss that
            is not finite, 75 for a lost process, 130 after an interrupt, 1 if a dependency is not installed.
    """

    code = 0

    def __enter__(self) -> ExitStatus:
        # Python sets closed streams to None; a stream to read from in place of standard output refuses to be written
        for name, mode in (("stdin", "r"), ("stdout", "r"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, open(os.devnull, mode))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        try:
            if error is None:
                sys.stdout.flush()
        except BrokenPipeError as broken:
            error = broken
        except OSError as broken:
            error = OutputError(f"standard output: cannot be written: {broken.strerror or broken}")
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
                self.code, message = 130, "interrupted"
            case BrokenPipeError():  # the reader of the output has closed the pipe
                discard(sys.stdout)
                self.code = 1
                return True
            case OutputError():
                discard(sys.stdout)
                self.code = 1
            case ModuleNotFoundError() if (error.name or "ner").partition(".")[0] != "ner":
                self.code = 1
                message = f"error: {error.name} is not installed; install ner and its dependencies: pip install -e ."
            case _:
                return False
        with suppress(OSError):
            print(printable(message), file=sys.stderr)
        return True


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
