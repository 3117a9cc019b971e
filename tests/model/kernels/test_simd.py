"""The compiled kernels on CPUs with vectors of several widths, against the backend in torch."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

ROOT = Path(__file__).parents[3]
COMPARE = """
import torch
from ner.model.kernels import crf
from ner.model.kernels.chain import Chain

torch.manual_seed(0)
for size, words, tags in ((1, 1, 2), (8, 5, 3), (19, 11, 9)):
    emissions = torch.randn(size, words, tags, dtype=torch.float64)
    lengths = torch.randint(1, words + 1, (size,))
    mask = torch.arange(words) < lengths[:, None]
    chain = Chain(torch.randn(tags), torch.randn(tags, tags), torch.randn(tags))
    for function in (crf.token_marginals, lambda *given: crf.best_path(*given)[0]):
        ours, theirs = (function(emissions, mask, chain, backend) for backend in ("numba", "torch"))
        torch.testing.assert_close(ours, theirs)
"""


@pytest.mark.thorough
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names CPUs of this architecture")
@pytest.mark.parametrize("cpu", ["x86-64", pytest.param("haswell", marks=pytest.mark.thorough)])
def test_the_results_do_not_depend_on_the_vector_width_of_the_cpu(cpu: str, tmp_path: Path) -> None:
    settings = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    if cpu == "haswell":
        settings["NUMBA_CPU_FEATURES"] = "+avx,+avx2,+fma"
    environment = {**os.environ, **settings, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", COMPARE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
