"""Logging to the console and to a file, and progress bars."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from ner.errors import InputError, printable, reason


class Log(NamedTuple):
    """Functions that write a line to the log of a training, and one that ends the log."""

    info: Callable[[str], None]
    warning: Callable[[str], None]
    close: Callable[[], None] = lambda: None


def console_log(file: Path, enabled: bool = True) -> Log:
    """Set up the log of a command: lines on standard output and in a file; see :func:`set_up_log`."""
    from loguru import logger

    set_up_log(sys.stdout, file, enabled)
    return Log(logger.info, logger.warning, logger.remove)


def library_log(file: Path, enabled: bool = True, verbose: bool = False) -> Log:
    """Return the log of a training that Python code has started.

    Lines are appended to a file, and warnings become Python warnings. The logging of the program stays as it is.

    Args:
        file: Log file.
        enabled: False in all processes but the main one.
        verbose: Also print the lines, as the commands do.

    Raises:
        InputError: If the file cannot be opened.
    """
    from tqdm import tqdm

    _silence_transformers()
    if not enabled:
        return Log(lambda message: None, lambda message: None)
    path = _prepared(file)

    def write(level: str, message: str) -> None:
        message = printable(message)
        with suppress(OSError):  # a full disk does not stop the training
            _append(path, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {level:<7} {message}\n")
        if verbose:
            tqdm.write(message if level == "INFO" else f"{level}: {message}", file=sys.stdout)
            sys.stdout.flush()

    def warn(message: str) -> None:
        write("WARNING", message)
        if not verbose:
            warnings.warn(printable(message), stacklevel=_level_of_caller())

    return Log(lambda message: write("INFO", message), warn)


def _prepared(file: Path) -> Path:
    """Create a log file with its folder and return its absolute path.

    Raises:
        InputError: If it cannot be opened.
    """
    path = file.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except (OSError, ValueError) as error:
        raise InputError(f"{path.parent}: cannot be written: {reason(error)}") from None
    return path


def _append(path: Path, text: str) -> None:
    """Append to a log file, which is opened anew for each line, so a full disk leaves nothing to be closed."""
    with open(path, "a", encoding="utf-8", errors="backslashreplace", newline="") as log:
        log.write(text)


def set_up_log(stream: IO[str] | None = None, file: Path | None = None, enabled: bool = True) -> None:
    """Configure loguru: plain lines on a stream, above any progress bar, and time-stamped lines in a file.

    A stream or file that can no longer be written does not stop the program: the other one records it once.

    Args:
        stream: Standard output by default.
        file: Log file, which is appended to.
        enabled: False in all processes but the main one.

    Raises:
        InputError: If the file cannot be opened.
    """
    from loguru import logger
    from tqdm import tqdm

    output = stream or sys.stdout
    path = None if file is None else file.absolute()
    can_show, can_append = True, path is not None

    def append(text: str) -> None:
        nonlocal can_append
        if path is not None and can_append:
            try:
                _append(path, text)
            except OSError as error:
                can_append = False
                show(f"WARNING: {path}: cannot be written: {reason(error)}; the log continues without this file\n")

    def show(text: str) -> None:
        nonlocal can_show
        if can_show:
            try:
                tqdm.write(text, file=output, end="")
                output.flush()
            except OSError as error:
                can_show = False
                discard(output)
                append(f"WARNING the output stream cannot be written ({error}); the log continues in this file\n")

    logger.remove()
    _silence_transformers()
    if not enabled:
        return
    logger.configure(patcher=_make_printable)
    logger.add(show, format=_console_format, level="INFO", colorize=False)
    if path is not None:
        _prepared(path)
        logger.add(append, format="{time:YYYY-MM-DD HH:mm:ss} {level: <7} {message}", level="DEBUG", colorize=False)
    warnings.showwarning = lambda message, category, *_: logger.warning("{}: {}", category.__name__, message)


def discard(stream: IO[str]) -> None:
    """Redirect a broken stream to the null device, because the interpreter would report its unwritten rest at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _make_printable(record: Any) -> None:
    record["message"] = printable(record["message"])


def _level_of_caller() -> int:
    """Return the ``stacklevel`` by which a warning of the calling function names a line outside of ``ner``."""
    package = str(Path(__file__).parents[1])
    frame, level = sys._getframe(1), 1
    while frame.f_code.co_filename.startswith(package) and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return level


def _console_format(record: Any) -> str:
    return "{message}\n" if record["level"].no < 30 else "{level}: {message}\n"


def _silence_transformers() -> None:
    """Turn off the progress bars and warnings that transformers prints while it loads a model."""
    import logging

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_MININTERVAL", "0.2")
    logging.getLogger("transformers").setLevel(logging.ERROR)


def progress(iterable: Iterable[Any] | None = None, **options: Any) -> Any:
    """Return a tqdm bar that disappears at its end: on standard error if that is a terminal, or in a notebook."""
    if _in_notebook():
        from tqdm.auto import tqdm

        return tqdm(iterable, leave=False, **options)
    from tqdm import tqdm

    return tqdm(iterable, leave=False, disable=not sys.stderr.isatty(), dynamic_ncols=True, file=sys.stderr, **options)


def _in_notebook() -> bool:
    """Return whether the program runs in a kernel of Jupyter."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
