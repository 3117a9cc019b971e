"""Shared parts of all commands: exit codes and one-line error messages."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ner.errors import InputError, NonFiniteLossError, ProcessLostError

USAGE = 2
"""Exit code for invalid input, as in argparse."""
NON_FINITE = 3
"""Exit code for a loss that is not finite."""


def run(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int | None], argv: Sequence[str] | None
) -> int:
    """Parse the arguments, run the command, and print errors of the user as one line on standard error.

    Returns:
        The exit code: that of the command, 2 for invalid input, 3 for a loss that is not finite, 75 for a lost process,
        130 after an interrupt, 1 if a dependency is not installed.
    """
    arguments = parser.parse_intermixed_args(argv)  # options may appear between overrides
    try:
        code = command(arguments) or 0
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except ModuleNotFoundError as error:
        if (error.name or "ner").partition(".")[0] == "ner":
            raise
        print(
            f"error: {error.name} is not installed; install ner and its dependencies: pip install -e .", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ProcessLostError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except NonFiniteLossError as error:
        print(f"error: {error}", file=sys.stderr)
        return NON_FINITE
    return code


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
