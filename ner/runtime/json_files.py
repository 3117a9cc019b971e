"""Reading JSON of run directories, which may be damaged or come from a stranger.

This is the only door: size, depth and types are checked before a value is used, and every failure is one sentence.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ner.errors import InputError

T = TypeVar("T")

MAX_BYTES = 1 << 26
"""Bytes of a JSON file, at most; the history of a long training with many labels takes some megabytes."""
MAX_ASSET_BYTES = 1 << 28
"""Bytes of a vocabulary, a tokenizer or another file of an encoder, at most."""


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a file of at most ``limit`` bytes.

    Raises:
        InputError: If it cannot be read or is larger.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > limit else file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if max(size, len(data)) > limit:
        raise InputError(f"{path}: larger than {limit:,} bytes, which no file of a run needs")
    return data


def parse_json(data: bytes | str, adapter: TypeAdapter[T], source: object) -> T:
    """Parse JSON of given types; deep nesting, other types and missing keys are refused.

    Args:
        data: The JSON.
        adapter: Expected types; use strict ones, so that ``"1"`` is no number.
        source: File, or file and line, for messages.

    Raises:
        InputError: If the data are not JSON or have other types; the message names the place in the data.
    """
    try:
        return adapter.validate_json(data, strict=True)
    except ValidationError as error:
        first_error = error.errors(include_url=False, include_input=False)[0]
        location = ".".join(map(str, first_error["loc"]))[:80]
        raise InputError(f"{source}: {f'{location}: ' if location else ''}{first_error['msg']}") from None


def read_json(path: Path, adapter: TypeAdapter[T], limit: int = MAX_BYTES) -> T:
    """Read a JSON file; see :func:`parse_json`."""
    return parse_json(read_bytes(path, limit), adapter, path)
