"""Logging to the console and to a file, and progress bars."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ner.errors import InputError, printable, reason


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

    out = stream or sys.stdout
    path = None if file is None else file.absolute()
    can_show, can_append = True, path is not None

    def append(text: str) -> None:  # opens the file anew for each line, so a full disk leaves nothing to be closed
        nonlocal can_append
        if path is not None and can_append:
            try:
                with open(path, "a", encoding="utf-8", errors="backslashreplace", newline="") as log:
                    log.write(text)
            except OSError as error:
                can_append = False
                show(f"WARNING: {path}: cannot be written: {reason(error)}; the log continues without this file\n")

    def show(text: str) -> None:
        nonlocal can_show
        if can_show:
            try:
                tqdm.write(text, file=out, end="")
                out.flush()
            except OSError as error:
                can_show = False
                discard(out)
                append(f"WARNING the output stream cannot be written ({error}); the log continues in this file\n")

    logger.remove()
    _silence_transformers()
    if not enabled:
        return
    logger.configure(patcher=_make_printable)
    logger.add(show, format=_console_format, level="INFO", colorize=False)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("a").close()
        except (OSError, ValueError) as error:
            raise InputError(f"{path.parent}: cannot be written: {reason(error)}") from None
        logger.add(append, format="{time:YYYY-MM-DD HH:mm:ss} {level: <7} {message}", level="DEBUG", colorize=False)
    warnings.showwarning = lambda message, category, *_: logger.warning("{}: {}", category.__name__, message)


def discard(stream: IO[str]) -> None:
    """Redirect a broken stream to the null device, because the interpreter would report its unwritten rest at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _make_printable(record: Any) -> None:
    record["message"] = printable(record["message"])


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
    """Return a tqdm bar on standard error that disappears at its end; disabled if that is no terminal."""
    from tqdm import tqdm

    return tqdm(iterable, leave=False, disable=not sys.stderr.isatty(), dynamic_ncols=True, file=sys.stderr, **options)
