"""Lock of a run directory: only one training at a time writes into it; reading stays possible."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ner.errors import InputError, reason
from ner.runs.directory import LOCK, PREDICTIONS


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a run directory inside the block; create it, and remove what killed processes left there.

    The operating system releases the lock of a killed process.

    Raises:
        InputError: If another training holds it, or the directory cannot be written.
    """
    busy_message = (
        f"{directory}: {{holder}} trains in this directory; wait for its end, stop it with "
        f"ner control --run {directory} stop=step, or choose another --run"
    )
    with held(directory / LOCK, busy_message):
        _remove_unfinished(directory)
        yield


@contextmanager
def held(path: Path, busy_message: str) -> Iterator[None]:
    """Hold a lock file inside the block; create its directory. The operating system releases it after a crash.

    Args:
        path: The lock file.
        busy_message: Message if another process holds it; ``{holder}`` stands for that process.

    Raises:
        InputError: If another process holds it, or the directory cannot be written.
    """
    lock = FileLock(path, blocking=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(busy_message.replace("{holder}", _holder(path))) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path.parent}: cannot be written: {reason(error)}") from None
    try:
        with suppress(OSError):  # the disk may be full; the lock holds without a name
            path.write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid()}), encoding="utf-8")
        yield
    finally:
        lock.release()  # the file stays: removing it would let two processes lock different files


def _remove_unfinished(directory: Path) -> None:
    """Remove temporary files of processes that were killed; those of predictions may belong to a running evaluation."""
    for path in directory.rglob(".*.part"):
        if path.parent.name == PREDICTIONS and any(map(_is_alive, re.findall("[.]([0-9]+)[.]", path.name))):
            continue
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _is_alive(process: str) -> bool:
    with suppress(OSError, OverflowError):
        os.kill(int(process), 0)
        return True
    return False


def _holder(path: Path) -> str:
    """Return the description of the process that holds a lock."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['host']}"
    return "another process"
