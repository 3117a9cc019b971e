"""Logging to the console and to a file, and progress bars."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from ner.errors import InputError


def set_up_log(stream: IO[str] | None = None, file: Path | None = None, enabled: bool = True) -> None:
    """Configure loguru: plain lines on a stream, above any progress bar, and time-stamped lines in a file.

    Args:
        stream: Standard output by default.
        file: Log file, which is appended to. A full disk produces messages on standard error and nothing else.
        enabled: False in all processes but the main one.

    Raises:
        InputError: If the file cannot be opened.
    """
    from loguru import logger
    from tqdm import tqdm

    out = stream or sys.stdout
    logger.remove()
    _silence_transformers()
    if not enabled:
        return
    logger.add(lambda text: tqdm.write(text, file=out, end=""), format=_console_format, level="INFO", colorize=False)
    if file is not None:
        template = "{time:YYYY-MM-DD HH:mm:ss} {level: <7} {message}"
        try:
            logger.add(file, format=template, level="DEBUG", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise InputError(f"{file.parent}: cannot be written: {error.strerror}") from None
    warnings.showwarning = lambda message, category, *_: logger.warning("{}: {}", category.__name__, message)


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
