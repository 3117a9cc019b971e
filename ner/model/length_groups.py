"""Division of sentences into calls of an LSTM by their length.

Sentences of a document differ in length, and more than half of their common table may be padding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

STEP_COST = 4
"""Cost of a time step on a CPU, in sentences."""
CALL_COST = 80
"""Cost of a call on a CPU, in time steps of one sentence."""

Number = TypeVar("Number", int, np.ndarray)


def call_cost(sentences: Number, width: Number) -> Number:
    """Return the cost of a call with a table of sentences on a CPU, in time steps of one sentence."""
    return width * (sentences + STEP_COST) + CALL_COST


def length_groups(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Return the fastest division of sentences into calls: number of sentences and width of each call.

    The calls take the sentences by increasing length.

    Args:
        lengths: Number of words of each sentence.
    """
    counts = sorted(Counter(max(1, length) for length in lengths).items())
    costs, starts = [0.0], [0]  # of the best division of the first distinct lengths, and the start of its last group
    for end in range(1, len(counts) + 1):
        width, size, best = counts[end - 1][0], 0, (float("inf"), 0)
        for start in reversed(range(end)):
            size += counts[start][1]
            best = min(best, (costs[start] + call_cost(size, width), start))
        costs.append(best[0])
        starts.append(best[1])
    groups: list[tuple[int, int]] = []
    end = len(counts)
    while end:
        start = starts[end]
        groups.insert(0, (sum(count for _, count in counts[start:end]), counts[end - 1][0]))
        end = start
    return groups


def num_short(lengths: np.ndarray) -> int:
    """Return how many of the sentences, by increasing length, form the first of two calls; 0 if one call is faster."""
    sizes = np.arange(1, len(lengths))
    two_calls = call_cost(sizes, lengths[:-1]) + call_cost(len(lengths) - sizes, lengths[-1])
    one_call = call_cost(np.array([len(lengths)]), lengths[-1:])
    return int(np.argmin(np.concatenate([one_call, two_calls])))
