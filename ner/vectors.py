"""Pretrained word vectors from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ner.types import InputError


def load(path: str, dimension: int) -> tuple[list[str], np.ndarray]:
    """Words and their ``(words, dimension)`` float32 matrix.

    GloVe text (``word x1 x2 ...``), word2vec text (the same below a line ``count dimension``), or ``name.npz`` with an
    array ``embeddings`` and the words in ``name.vocab.txt``, one a line. A last line that is cut off is left out.

    Raises:
        InputError: If the file is missing, its vectors have another width, or a line in the middle is broken.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file of vectors; give encoder.vectors another path, or null")
    words, matrix = _read_npz(path) if path.endswith(".npz") else _read_text(path)
    if matrix.shape[1] != dimension:
        raise InputError(f"{path}: vectors have width {matrix.shape[1]}; set encoder.dimension={matrix.shape[1]}")
    return words, matrix


def _read_npz(path: str) -> tuple[list[str], np.ndarray]:
    names = Path(path.removesuffix(".npz") + ".vocab.txt")
    if not names.is_file():
        raise InputError(f"{names}: no such file; {path} needs its words there, one a line")
    words = names.read_text(encoding="utf-8").split("\n")  # a word may be a space: no stripping
    if words and not words[-1]:
        words.pop()
    with np.load(path, allow_pickle=False) as arrays:
        if "embeddings" not in arrays:
            raise InputError(f"{path}: expected an array 'embeddings', found {', '.join(arrays)}")
        matrix = arrays["embeddings"].astype(np.float32)
    if len(words) != len(matrix):
        raise InputError(f"{names}: expected {len(matrix)} words as in {path}, found {len(words)}")
    return words, matrix


def _read_text(path: str) -> tuple[list[str], np.ndarray]:
    words: list[str] = []
    rows: list[np.ndarray] = []
    broken: tuple[int, str] | None = None
    with open(path, encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            word, _, numbers = line.rstrip("\n").partition(" ")
            if number == 1 and word.isdigit() and numbers.strip().isdigit():
                continue  # the header of word2vec
            if broken:
                raise InputError(f"{path}:{broken[0]}: {broken[1]}")
            try:
                row = np.array(numbers.split(), dtype=np.float32)
            except ValueError:
                row = np.zeros(0, dtype=np.float32)
            if not len(row) or (rows and len(row) != len(rows[0])):
                broken = (number, f"expected {len(rows[0]) if rows else 'some'} numbers, found {len(row)}")
                continue
            words.append(word)
            rows.append(row)
    if not rows:
        raise InputError(f"{path}: expected lines of a word and its numbers, found none")
    return words, np.stack(rows)
