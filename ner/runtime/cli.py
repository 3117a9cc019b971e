"""What all commands share: exit codes, and one sentence instead of a traceback."""

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
"""Exit code of bad input; argparse uses it too."""
NON_FINITE = 3
"""Exit code of a training that met a NaN."""


def run(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int | None], argv: Sequence[str] | None
) -> int:
    """Parse, run, and turn what the user can mend into a sentence on standard error.

    Returns:
        The exit code: what the command gives, 2 for bad input, 3 for a loss that is not finite, 130 when interrupted.
    """
    arguments = parser.parse_intermixed_args(argv)  # options may stand between overrides
    try:
        code = command(arguments) or 0
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to tell
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
def loading() -> Iterator[None]:
    """While libraries, data and models are loaded no garbage is looked for, nor later among what was loaded.

    There is none, and looking takes a tenth of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # at the end of the program nothing is to seem forgotten
        if enabled:
            gc.enable()
