"""Pretrained word vectors from files."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ner.errors import InputError
from ner.runtime import text_files


def load(path: str, dimension: int) -> tuple[list[str], np.ndarray]:
    """Return the words and the ``(words, dimension)`` float32 matrix of a vector file.

    The file is GloVe text (``word x1 x2 ...``), word2vec text (with a first line ``count dimension``), or ``name.npz``
    with an array ``embeddings`` and one word per line in ``name.vocab.txt``. An incomplete last line is ignored.

    Raises:
        InputError: If the file is missing, its vectors have another width, or another line is malformed.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file of vectors; change encoder.vectors, or set it to null")
    words, matrix = _read_npz(path) if path.endswith(".npz") else _read_text(path)
    if matrix.shape[1] != dimension:
        raise InputError(f"{path}: vectors have width {matrix.shape[1]}; set encoder.dimension={matrix.shape[1]}")
    return words, matrix


def _read_npz(path: str) -> tuple[list[str], np.ndarray]:
    vocabulary_path = Path(path.removesuffix(".npz") + ".vocab.txt")
    if not vocabulary_path.is_file():
        raise InputError(f"{vocabulary_path}: no such file; it contains the words of {path}, one per line")
    words = [line.rstrip("\r\n") for _, line in text_files.decoded_lines(str(vocabulary_path))]  # a word may be a space
    try:
        with zipfile.ZipFile(path):  # np.load also reads a single array
            pass
        with np.load(path, allow_pickle=False) as arrays:
            if "embeddings" not in arrays:
                raise InputError(f"{path}: expected an array 'embeddings', found {', '.join(arrays)}")
            matrix = arrays["embeddings"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not an .npz file of numbers ({error})") from None
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: expected rows of numbers in 'embeddings', found {matrix.dtype} of shape {matrix.shape}"
        )
    matrix = matrix.astype(np.float32)
    if not np.isfinite(matrix).all():
        number = int(np.argmin(np.isfinite(matrix).all(axis=1)))
        raise InputError(f"{path}: expected finite numbers in 'embeddings', found others in row {number}")
    if len(words) != len(matrix):
        raise InputError(f"{vocabulary_path}: expected {len(matrix)} words as in {path}, found {len(words)}")
    return words, matrix


def _read_text(path: str) -> tuple[list[str], np.ndarray]:
    words: list[str] = []
    rows: list[np.ndarray] = []
    malformed = ""  # an error, unless the line is the last one
    width = 0
    for number, line in text_files.decoded_lines(path):
        cells = line.rstrip(" \r\n").split(" ")
        if number == 1 and len(cells) == 2 and all(cell.isdecimal() for cell in cells):
            width = int(cells[1])
            continue  # the header of word2vec
        if malformed:
            raise InputError(malformed)
        width = width or max(1, len(cells) - 1)
        word, row = " ".join(cells[:-width]), _numbers(cells[-width:])  # words of GloVe may contain spaces
        if row is None or not cells[:-width] or _numbers(cells[1:-width]) is not None:
            num_numbers = sum(_numbers([cell]) is not None for cell in cells[1:])
            malformed = f"{path}:{number}: expected {width} numbers, found {num_numbers}"
            continue
        words.append(word)
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: expected lines of a word and its numbers, found none")
    return words, np.stack(rows)


def _numbers(cells: Sequence[str]) -> np.ndarray | None:
    """Parse a row of finite numbers, or return None."""
    try:
        row = np.array(cells, dtype=np.float32)
    except ValueError:
        return None
    return row if len(row) and np.isfinite(row).all() else None
