"""Atomic writes: a file or directory appears under its name when it is complete, or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ner.errors import InputError, reason

ABANDONED_AFTER = 3600
"""Seconds without a write after which a temporary directory belongs to a process that was killed."""


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends, flush the file written there to disk and rename it to ``path``.

    Raises:
        InputError: If the file cannot be written, for instance because the disk is full.
    """
    if "\0" in str(path):
        raise InputError(f"{path}: cannot be written: expected a name without NUL characters")
    # on shared disks, processes of several machines may have the same process id
    temporary = path.with_name(f".{_short(path)}.{os.getpid()}.{time.time_ns()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _fsync(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {reason(error)}") from error
    finally:
        with suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)


def _short(path: Path) -> str:
    """Return a name, its end replaced by a checksum if it is long: with a suffix the file system would refuse it."""
    name = path.name
    return name if len(name) <= 50 else f"{name[:40]}-{zlib.crc32(os.fsencode(name)):08x}"


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file; see :func:`new_file`."""
    with new_file(path) as temporary:
        temporary.write_bytes(data)


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write named tensors to a safetensors file; see :func:`new_file`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with new_file(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode  # that of all other files; safetensors sets another one
        try:
            save_file(dict(tensors), temporary)
            temporary.chmod(mode)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def _fsync(path: Path) -> None:
    """Flush a file or directory to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory and rename it to ``path`` when the block ends.

    Raises:
        InputError: If it cannot be written; ``path`` does not exist then.
    """
    # in a container the successor of a killed process often has the same process id
    temporary = path.with_name(f".{_short(path)}.{os.getpid()}.{time.time_ns()}.part")
    try:
        _remove_abandoned(path)
        temporary.mkdir(parents=True)
        yield temporary
        _fsync(temporary)
        os.replace(temporary, path)
        _fsync(path.parent)
    except InputError as error:  # of a file inside
        raise InputError(str(error).replace(str(temporary), str(path))) from error
    except (OSError, ValueError) as error:
        hint = "make room, or choose another directory"
        raise InputError(f"{path}: cannot be written: {reason(error)}; {hint}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary directories of processes that were killed while they wrote ``path``."""
    for temporary in path.parent.glob(f".{glob.escape(_short(path))}.*.part"):
        with suppress(OSError):  # another process may be removing it
            last_write = max(file.stat().st_mtime for file in (temporary, *temporary.iterdir()))
            if time.time() - last_write > ABANDONED_AFTER:
                shutil.rmtree(temporary)
