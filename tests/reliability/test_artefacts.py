"""A sample of the damaged run directories of ``tests/reliability/artefacts.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.artefacts import READERS, cases, damages

ROOT = Path(__file__).parents[2]
SAMPLE = """
import sys
from functools import cache
from tests.reliability.artefacts import Bench, cases

bench = cache(Bench)
for case in cases(bench):
    if f"{case.kind}: {case.name}" in sys.argv[1:]:
        case.check()
        print(case.name)
"""
NAMES = (
    "manifest.json: link to /dev/zero",
    "manifest.json: entry '//etc/passwd'",
    "config.yaml: bomb of merge keys",
    "labels.json: surrogate",
    "encoder: encoder/config.json: auto_map = {'AutoModel': 'evil--x.Model', 'AutoConf",
    "encoder: encoder/tokenizer.json: ids beyond the model",
    "checkpoints: state.json: step = -3",
)


def test_there_are_damages_of_every_file_and_no_two_of_one_name() -> None:
    names = [f"{case.kind}: {case.name}" for case in cases(lambda: pytest.fail("nothing is run"))]
    assert len(names) == len(set(names)) > 1000
    assert {file for file, *_ in damages()} == set(READERS)
    assert set(NAMES) <= set(names)


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the commands run in forks")
def test_a_sample_ends_in_one_sentence() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SAMPLE, *NAMES], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert len(found.stdout.splitlines()) == len(NAMES)
