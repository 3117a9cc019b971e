"""Reading and writing of text files and pipes, with errors that name file, line and byte."""

from __future__ import annotations

import codecs
import io
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar

from ner.errors import InputError, OutputError, reason
from ner.runtime import atomic

T = TypeVar("T")

BLOCK_SIZE = 1 << 18
"""Bytes that are decoded in one call."""
LINE_SAFE_ENCODINGS = ("utf-8", "ascii", "iso8859-1")
"""Encodings that decode a line independently of its neighbours, so many lines can be decoded in one call."""


MAX_IN_MEMORY = 1 << 26
"""Bytes of a pipe that are kept in memory; more are copied into a temporary file."""

_spools: dict[str, bytes | BinaryIO] = {}


def open_bytes(path: str) -> BinaryIO:
    """Open a file for reading; ``-`` is standard input.

    Raises:
        InputError: If it cannot be opened.
    """
    spool = _spools.get(path)
    if isinstance(spool, bytes):
        return io.BytesIO(spool)
    if spool is not None:
        spool.seek(0)
        return os.fdopen(os.dup(spool.fileno()), "rb")
    if path == "-":
        try:  # a copy, because the end of the program waits for a thread that reads from sys.stdin
            return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
        except (OSError, ValueError):  # replaced by an object in memory
            return sys.stdin.buffer
    try:
        return open(path, "rb")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from None


def is_pipe(path: str) -> bool:
    """Return whether a path can be read only once: standard input, a named pipe, a socket or a device."""
    try:
        mode = stat.S_IFIFO if path == "-" else os.stat(path).st_mode
    except (OSError, ValueError):
        return False  # reported when it is opened
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_interactive(path: str) -> bool:
    """Return whether the lines of a path may arrive one after another: from a terminal, a pipe or a socket."""
    try:
        mode = (os.fstat(sys.stdin.fileno()) if path == "-" else os.stat(path)).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def spooled(paths: Iterable[str]) -> Iterator[None]:
    """Read the pipes among paths once; inside the block, :func:`open_bytes` opens their content any number of times.

    Raises:
        InputError: If a pipe cannot be read or copied.
    """
    with ExitStack() as stack:
        for path in paths:
            if path in _spools or not is_pipe(path):
                continue
            source = open_bytes(path)
            try:
                head = source.read(MAX_IN_MEMORY)
                _spools[path] = head
                if len(head) == MAX_IN_MEMORY:
                    file = stack.enter_context(tempfile.TemporaryFile())
                    file.write(head)
                    shutil.copyfileobj(source, file)
                    file.flush()
                    _spools[path] = file
            except (OSError, ValueError) as error:
                raise InputError(f"{path}: cannot be copied into a temporary file: {reason(error)}") from None
            finally:
                stack.callback(_spools.pop, path, None)
                source.close()
        yield


def decoded_lines(path: str, encoding: str = "utf-8", keep_bom: bool = False) -> Iterator[tuple[int, str]]:
    """Read a file line by line, with line numbers from 1 and unchanged line ends, without a byte order mark.

    Raises:
        InputError: If the file cannot be read or decoded; the message names line and byte.
    """
    with open_bytes(path) as file:
        for number, line in decode_lines(file, path, encoding):
            yield number, line.removeprefix("\ufeff") if number == 1 and not keep_bom else line


def decoded_blocks(file: BinaryIO, path: str, encoding: str = "utf-8") -> Iterator[list[str]]:
    """Read the lines in blocks of some thousands, which is faster; ``path`` is for messages."""
    try:
        is_line_safe = codecs.lookup(encoding).name in LINE_SAFE_ENCODINGS
    except LookupError:
        is_line_safe = False  # reported by decode_lines
    number = 1
    while data := file.read(BLOCK_SIZE):
        if not data.endswith(b"\n"):
            data += file.readline()
        try:
            block = io.StringIO(data.decode(encoding), newline="\n").readlines() if is_line_safe else None
        except UnicodeDecodeError:
            block = None
        if block is None:
            block = [line for _, line in decode_lines(io.BytesIO(data), path, encoding, number)]
        yield block
        number += len(block)


def decode_lines(lines: Iterable[bytes], path: str, encoding: str, start: int = 1) -> Iterator[tuple[int, str]]:
    """Decode lines one by one; ``start`` is the number of the first line.

    Raises:
        InputError: If a line cannot be decoded.
    """
    for number, line in enumerate(lines, start):
        try:
            yield number, line.decode(encoding)
        except LookupError:
            raise InputError(f"{path}: no text encoding is called '{encoding}'; change data.format.encoding") from None
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise InputError(
                f"{path}:{number}: expected {encoding}, found byte 0x{byte:02x} at byte {error.start + 1} of the line; "
                "convert the file to UTF-8, or name its encoding (data.format.encoding=NAME; ner init: --encoding NAME)"
            ) from None


def read_json(path: str, encoding: str = "utf-8") -> Any:
    """Read a JSON file; ``-`` is standard input.

    Raises:
        InputError: If the file cannot be read or is not JSON.
    """
    text = "".join(line for _, line in decoded_lines(path, encoding))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        description = (
            f"{error.msg} at line {error.lineno}, character {error.colno}" if text.strip() else "an empty file"
        )
    except (ValueError, RecursionError) as error:
        description = str(error)
    raise InputError(f"{path}: expected JSON, found {description}")


def json_lines(path: str, encoding: str = "utf-8") -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """Yield number, text and value of each line of a file with a JSON object per line; None for a blank line.

    Raises:
        InputError: With file and line, if a line is no JSON object or has a key twice.
    """
    for number, line in decoded_lines(path, encoding):
        if not line.strip():
            yield number, line, None
            continue
        location = f"{path}:{number}"
        try:
            value = _parse(line)
        except KeyError as error:
            raise InputError(f"{location}: the key {error} occurs twice in an object; keep one") from None
        except (ValueError, RecursionError) as error:
            problem = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
            hint = "" if line.lstrip()[0] in "{[" else "; if the file has columns, set data.format.name=conll"
            raise InputError(f"{location}: not JSON: {problem}{hint}") from None
        if not isinstance(value, dict):
            raise InputError(f"{location}: expected a JSON object, found {type(value).__name__}")
        yield number, line, value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; raise a KeyError for a key that occurs twice."""
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return value


_parse = json.JSONDecoder(object_pairs_hook=_object).decode

_KINDS: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def json_field(value: Any, key: str, expected_type: type[T], location: str, default: T | None = None) -> T:
    """Return the value of a key of a JSON object, or ``default`` if the key is absent or null.

    Raises:
        InputError: If ``value`` is not an object, lacks the key, or contains a value of another type.
    """
    if not isinstance(value, dict):
        raise InputError(f"{location}: expected an object with '{key}', found {json.dumps(value)[:60]}")
    field = value.get(key)
    if field is None and default is not None:
        return default
    if type(field) is not expected_type:  # bool is a subclass of int
        actual = json.dumps(field)[:60] if key in value else f"only {', '.join(sorted(value)[:8]) or 'an empty object'}"
        raise InputError(f"{location}: expected '{key}' ({_KINDS[expected_type]}), found {actual}")
    return field


def _json_escapes(error: UnicodeError) -> tuple[str, int]:
    """Return the JSON escapes of characters that an encoding lacks."""
    assert isinstance(error, UnicodeEncodeError), "registered for writing only"
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error("json_escapes", _json_escapes)


@contextmanager
def open_text(path: str, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """Open a file for writing that replaces its predecessor when it is complete; ``-`` is standard output.

    Creates the folder. Characters that the encoding lacks (lone surrogates in UTF-8) become JSON escapes.

    Raises:
        InputError: If it cannot be written.
    """
    if path == "-":
        # sys.stdout is a TextIOWrapper, which its declared type does not show
        sys.stdout.reconfigure(encoding=encoding, errors="json_escapes", newline="")  # type: ignore[union-attr]
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"standard output: cannot be written: {reason(error)}") from error
        return
    target = Path(path)
    try:
        with ExitStack() as stack:
            if not os.path.exists(target) or target.is_file():  # a device or a named pipe cannot be replaced
                target = stack.enter_context(atomic.new_file(target))
            yield stack.enter_context(target.open("w", encoding=encoding, errors="json_escapes", newline=""))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {reason(error)}") from error
