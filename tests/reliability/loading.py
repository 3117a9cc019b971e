"""Time of the checks with which a model is loaded: finite weights, and a forward pass of one word."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.reliability.memory import MODELS, tagger
from tests.reliability.report import Case, main

LIMIT = 0.05
"""Seconds of both checks; the weights of the bundled encoder have 90 MB."""
REPETITIONS = 15


def measured(config: str) -> str:
    """Compare the time of the checks with that of loading a model, and return both."""
    from ner.model import saving

    found = tagger(config)
    with tempfile.TemporaryDirectory() as folder:
        saving.save(found.model, found.config, Path(folder))
        saving.load(folder)
        loading, finite, forward = [], [], []
        for _ in range(REPETITIONS):  # alternately, because other programs use the processor
            loading.append(seconds(partial(saving.load, folder)))
            weights = saving.load_file(Path(folder) / saving.WEIGHTS)
            finite.append(seconds(partial(saving.check_finite, weights, folder)))
            forward.append(seconds(partial(saving.check_encoder, found.model)))
    total = statistics.median(loading)
    parts = {"finite weights": statistics.median(finite), "one word": statistics.median(forward)}
    figure = ", ".join(f"{name} {value * 1000:.1f} ms ({value / total:.1%})" for name, value in parts.items())
    assert sum(parts.values()) < LIMIT, f"{figure} of {total * 1000:.0f} ms"
    return f"{figure} of {total * 1000:.0f} ms"


def seconds(function: Callable[[], Any]) -> float:
    """Return the processor time of a call."""
    started = time.process_time()
    function()
    return time.process_time() - started


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for name, config in MODELS.items():
        yield Case("checks", name, partial(measured, config))


if __name__ == "__main__":
    sys.exit(main("loading", "The checks of a model take less than 50 ms of the time in which it is loaded.", cases()))
