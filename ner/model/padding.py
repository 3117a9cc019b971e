"""Rows of different lengths as one array."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np


def padded(rows: Sequence[Sequence[int]], padding: int = 0, min_length: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of integers as a table ``(rows, longest)``, and a mask that is true on them and false on padding."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    mask = np.arange(lengths.max(initial=min_length)) < lengths[:, None]
    table = np.full(mask.shape, padding, dtype=np.int64)
    table[mask] = list(chain.from_iterable(rows))
    return table, mask
