"""A sample of the experiment on threads, processes and caches; each case runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.reliability.report import ROOT
from tests.reliability.threads import cases

NAMES = (
    "embedding, crf, 16 threads, cache of 40",
    "transformer, softmax, 2 threads, cache of 400",
    "fork after two threads is refused",
    "embedding, 4,000 words of 1,000 characters",
)
SAMPLE = """
import sys, torch
from tests.reliability.threads import cases
torch.set_num_threads(1)
for case in cases():
    if case.name in sys.argv[1:]:
        case.check()
        print(case.name)
"""


def test_there_are_threads_processes_and_caches() -> None:
    names = [case.name for case in cases()]
    assert len(names) == len(set(names)) >= 43
    assert set(NAMES) <= set(names)
    assert {case.kind for case in cases()} == {"threads", "processes", "caches"}


@pytest.mark.thorough
def test_a_sample_is_annotated_as_by_one_thread() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SAMPLE, *NAMES], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert set(found.stdout.splitlines()) == set(NAMES)
