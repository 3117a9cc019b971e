"""Files that are whole or absent, and a manifest that proves it."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar

from ner.errors import InputError

T = TypeVar("T")

MANIFEST = "manifest.json"

BLOCK = 1 << 18
"""Bytes that are decoded at once."""
BYTE_BY_BYTE = ("utf-8", "ascii", "iso8859-1")
"""Encodings in which a line may be decoded with its neighbours: no byte of a line means anything to another."""


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


def decoded_blocks(file: BinaryIO, path: str, encoding: str = "utf-8") -> Iterator[list[str]]:
    """The same lines, some thousands at once, which is faster; ``path`` is for messages."""
    try:
        together = codecs.lookup(encoding).name in BYTE_BY_BYTE
    except LookupError:
        together = False  # said below
    number = 1
    while lines := file.readlines(BLOCK):
        block = _decoded_together(lines, encoding) if together else None
        if block is None:
            block = [line for _, line in decode_lines(lines, path, encoding, number)]
        yield block
        number += len(block)


def _decoded_together(lines: list[bytes], encoding: str) -> list[str] | None:
    """Lines, or None if one of them cannot be decoded."""
    try:
        parts = b"".join(lines).decode(encoding).split("\n")
    except UnicodeDecodeError:
        return None
    rest = parts.pop()
    return [f"{part}\n" for part in parts] + ([rest] if rest else [])


def decode_lines(lines: Iterable[bytes], path: str, encoding: str, start: int = 1) -> Iterator[tuple[int, str]]:
    """The same for lines of bytes of which the first has the number ``start``."""
    for number, line in enumerate(lines, start):
        try:
            yield number, line.decode(encoding)
        except LookupError:
            raise InputError(
                f"{path}: no text encoding is called '{encoding}'; give data.format.encoding another"
            ) from None
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise InputError(
                f"{path}:{number}: expected {encoding}, found byte 0x{byte:02x} at byte {error.start + 1} of the line; "
                "convert the file, or name its encoding in data.format.encoding"
            ) from None


def read_json(path: str, encoding: str = "utf-8") -> Any:
    """What a whole file of JSON holds; ``-`` is standard input.

    Raises:
        InputError: If it cannot be read or is no JSON.
    """
    text = "".join(line for _, line in decoded_lines(path, encoding)).removeprefix("\ufeff")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        found = f"{error.msg} at line {error.lineno}, character {error.colno}" if text.strip() else "an empty file"
    except (ValueError, RecursionError) as error:
        found = str(error)
    raise InputError(f"{path}: expected JSON, found {found}")


_KINDS: dict[type, str] = {str: "a string", int: "a whole number", bool: "true or false", list: "a list"}


def member(value: Any, key: str, kind: type[T], place: str, default: T | None = None) -> T:
    """The value of a key of a JSON object; ``default``, if there is one, where the key is absent or null.

    Raises:
        InputError: With ``place``, if it is no object, lacks the key, or holds another kind of value there.
    """
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected an object with '{key}', found {json.dumps(value)[:60]}")
    found = value.get(key)
    if found is None and default is not None:
        return default
    if type(found) is not kind:  # true is no number
        shown = json.dumps(found)[:60] if key in value else f"only {', '.join(sorted(value)[:8]) or 'an empty object'}"
        raise InputError(f"{place}: expected '{key}' ({_KINDS[kind]}), found {shown}")
    return found


@contextmanager
def open_text(path: str, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """A file for writing that appears when it is whole, its folder made; ``-`` is standard output.

    What the encoding lacks (half a surrogate pair, in UTF-8) is written as its escape, which JSON understands.

    Raises:
        InputError: If it cannot be written.
    """
    if path == "-":
        # standard output is a text file that can be set anew, which its type does not say
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
        return
    target = Path(path)
    in_place = os.path.exists(path) and not target.is_file()  # a device or a named pipe cannot be replaced
    temporary = target if in_place else target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding=encoding, errors="backslashreplace", newline="") as file:
            yield file
        if not in_place:
            os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if not in_place:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write beside, flush, rename: the file is the old one or the new one, never a part.

    Raises:
        InputError: If it cannot be written, because the disk is full, say.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """The same for a safetensors file of tensors by name.

    Raises:
        InputError: If it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(tensors), temporary)
        _flush(temporary)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be written: {reason}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """What was written of a file or a directory is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory to fill that appears under its name when it is whole.

    Raises:
        InputError: If it cannot be written; then there is nothing under the name.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)  # of an earlier process with the same number
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def members(path: Path) -> list[Path]:
    """The files in a directory, by name; a file is alone."""
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal; of a directory, that of the names and sums of the files in it."""
    if path.is_dir():
        sums = "".join(f"{sha256(file)}  {file.name}\n" for file in members(path))
        return hashlib.sha256(sums.encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(path: Path) -> dict[str, Any]:
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def write_manifest(directory: Path, names: Iterable[str], staged: Mapping[str, Path] | None = None) -> None:
    """Sizes and checksums of files below a directory; written last, it says that they belong together.

    Args:
        directory: Where the files are.
        names: Of the files.
        staged: Files that lie ready under another path; they take their places only when all sums are made, so that
            files and manifest disagree for the shortest time.
    """
    staged = staged or {}
    entries = {name: _entry(staged.get(name, directory / name)) for name in sorted(names)}
    for name, path in staged.items():
        os.replace(path, directory / name)
    write_bytes(directory / MANIFEST, json.dumps(entries, indent=2, ensure_ascii=False).encode())


def verify(directory: Path) -> list[str]:
    """The files of a manifest, each of them checked.

    Raises:
        InputError: If the manifest or a file is missing or a file is not what was written.
    """
    try:
        entries = json.loads((directory / MANIFEST).read_bytes())
    except OSError:
        below = sorted(path.parent.name for path in directory.glob(f"*/{MANIFEST}"))
        hint = f"; below it there is {directory / below[-1]}" if below else ""
        raise InputError(
            f"{directory}: no {MANIFEST}, so this is not the directory of a finished model{hint}"
        ) from None
    except ValueError:
        entries = None
    if not isinstance(entries, dict):
        raise InputError(f"{directory / MANIFEST}: not a manifest; the model must be trained or copied again")
    for name, entry in entries.items():
        path = directory / name
        if ".." in Path(name).parts or Path(name).is_absolute() or path.is_symlink():
            raise InputError(f"{directory / MANIFEST}: names a file outside the directory: {name}")
        if not path.is_file():
            raise InputError(f"{path}: missing, although the manifest names it; copy the whole directory again")
        if entry != _entry(path):
            raise InputError(f"{path}: not the file that was written (SHA-256 or size differs); copy it again")
    return list(entries)
