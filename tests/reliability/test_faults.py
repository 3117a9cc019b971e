"""A sample of the cases of :mod:`tests.reliability.faults`."""

from __future__ import annotations

import os

import pytest

from tests.reliability.faults import cases

SAMPLE = (
    "before: rename .manifest.json.N.part",
    "full disk: train, 50% of the largest file",
    "full disk: evaluate, 30% of the output",
    "signals: SIGHUP during a step",
    "two at once: new, --resume",
    "NUL: train --run",
    "pipes: training: train, valid, test",
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are forked")
def test_a_sample_of_the_faults() -> None:
    chosen = {f"{case.kind}: {case.name}": case for case in cases()}
    for name in SAMPLE:
        next(case for title, case in chosen.items() if title.endswith(name)).check()
