"""Hashes of the sentences that a model was trained on, to detect overlap with evaluation data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ner.types import Document, Example

FILE = "trained_on.bin"
"""Sorted 64-bit hashes of the sentences, little-endian."""


def hashes(documents: Iterable[Document]) -> np.ndarray:
    """Return ``(S,)`` hashes of the non-empty sentences; equal words have equal hashes."""
    return _hashes(example for document in documents for example in document.examples if example.words)


def _hashes(examples: Iterable[Example]) -> np.ndarray:
    texts = ("\x1f".join(example.words).encode(errors="surrogatepass") for example in examples)
    return np.frombuffer(b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts), dtype="<u8")


def to_bytes(*sets: np.ndarray) -> bytes:
    """Serialize the union of several sets of hashes."""
    return np.unique(np.concatenate(sets)).astype("<u8").tobytes()


def from_bytes(data: bytes) -> np.ndarray:
    """Load the hashes from the output of :func:`to_bytes`; an incomplete one at the end is ignored."""
    return np.frombuffer(data[: len(data) // 8 * 8], dtype="<u8")


def read(run: Path) -> np.ndarray | None:
    """Read the hashes of a run directory, or return None if it has none."""
    path = run / FILE
    return from_bytes(path.read_bytes()) if path.is_file() else None


def count(documents: Iterable[Document], trained_on: np.ndarray) -> tuple[int, int]:
    """Return the number of non-empty sentences that were trained on, and the number of all."""
    sentence_hashes = hashes(documents)
    return int(np.isin(sentence_hashes, trained_on).sum()), len(sentence_hashes)


def seen(examples: Iterable[Example], trained_on: np.ndarray) -> list[bool]:
    """Return for each sentence whether it was trained on; empty sentences never are."""
    is_seen: list[bool] = np.isin(_hashes(examples), trained_on).tolist()
    return is_seen
