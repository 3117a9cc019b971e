"""Pages that are generated from ``results/``."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "results"
if not FOLDER.is_dir():
    pytest.skip("the results are not part of an installed package", allow_module_level=True)
sys.path.insert(0, str(FOLDER))

from pages.results import one_recipe_section  # noqa: E402  # after the path


def result(config: str, f1: float, seed: int = 1) -> dict[str, Any]:
    return {
        "config": config,
        "command": f"ner train --config {config} data.train=a seed={seed}",
        "test": {"entity": {"micro": {"f1": f1}}},
    }


def test_one_recipe_is_compared_with_the_mean_of_each_recipe_of_a_corpus() -> None:
    tuned = {
        "first": result("configs/atis/bilstm.yaml", 0.90),
        "second": result("configs/atis/bilstm.yaml", 0.92, seed=2),
        "other": result("configs/weibo/bilstm.yaml", 0.50),
    }
    rows = one_recipe_section(tuned, {"atis": result("configs/conll2003/bilstm_crf.yaml", 0.88)})
    assert rows[-1] == "| atis | 88.00 | 91.00 | `configs/atis/bilstm.yaml` | -3.00 |"
    assert one_recipe_section(tuned, {}) == []
