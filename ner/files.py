"""Files that are whole or absent, and a manifest that proves it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from ner.types import InputError

MANIFEST = "manifest.json"


def open_bytes(path: str) -> BinaryIO:
    """A file for reading; ``-`` is standard input.

    Raises:
        InputError: If it cannot be opened.
    """
    if path == "-":
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def decoded_lines(path: str, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, line ends as they are, decoded one by one.

    Raises:
        InputError: With line and byte of what cannot be decoded.
    """
    with open_bytes(path) as file:
        yield from decode_lines(file, path, encoding)


def decode_lines(lines: Iterable[bytes], path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """The same for lines of bytes; ``path`` is for messages."""
    for number, line in enumerate(lines, start=1):
        try:
            yield number, line.decode(encoding)
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise InputError(
                f"{path}:{number}: expected {encoding}, found byte 0x{byte:02x} at byte {error.start + 1} of the line; "
                "convert the file, or name its encoding in data.format.encoding"
            ) from None


@contextmanager
def open_text(path: str) -> Iterator[IO[str]]:
    """A UTF-8 file for writing that appears when it is whole, its folder made; ``-`` is standard output."""
    if path == "-":
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]  # a real text stream
        yield sys.stdout
        sys.stdout.flush()
        return
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a named pipe cannot be replaced
        with open(path, "w", encoding="utf-8", newline="") as file:
            yield file
        return
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write beside, flush, rename: the file is the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(directory: Path, names: Iterable[str]) -> None:
    """Sizes and checksums of files below a directory; written last, it says that they belong together."""
    entries = {
        name: {"sha256": sha256(directory / name), "bytes": (directory / name).stat().st_size} for name in sorted(names)
    }
    write_bytes(directory / MANIFEST, json.dumps(entries, indent=2, ensure_ascii=False).encode())


def verify(directory: Path) -> list[str]:
    """The files of a manifest, each of them checked.

    Raises:
        InputError: If the manifest or a file is missing or a file is not what was written.
    """
    try:
        entries = json.loads((directory / MANIFEST).read_bytes())
        assert isinstance(entries, dict)
    except FileNotFoundError:
        raise InputError(f"{directory}: no {MANIFEST}, so this is not the directory of a finished model") from None
    except (ValueError, AssertionError):
        raise InputError(f"{directory / MANIFEST}: not a manifest; the model must be trained or copied again") from None
    for name, entry in entries.items():
        path = directory / name
        if ".." in Path(name).parts or Path(name).is_absolute() or path.is_symlink():
            raise InputError(f"{directory / MANIFEST}: names a file outside the directory: {name}")
        if not path.is_file():
            raise InputError(f"{path}: missing, although the manifest names it; copy the whole directory again")
        if sha256(path) != entry["sha256"]:
            raise InputError(f"{path}: not the file that was written (SHA-256 differs); copy it again")
    return list(entries)
