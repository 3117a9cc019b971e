"""Commands that score, compare and select with trained runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ner.commands import compare, evaluate, predict, select
from ner.evaluation.robustness import PERTURBATIONS

TEXTS = "Colby lives in Paris .\nThe weather is fine .\nMiriam Vega met Colby .\nColby lives in Paris .\n"


def test_runs_are_compared_in_tables_and_as_json(tiny_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    target, table = tmp_path / "comparison.json", tmp_path / "table.md"
    assert compare.main([str(tiny_run), str(other), "--json", str(target), "--markdown", str(table)]) == 0
    found = json.loads(target.read_bytes())
    assert found["score"] == "entity.micro.f1"
    (difference,) = found["differences"]
    assert (difference["difference"], difference["p_value"]) == (0, 1)
    (group,) = found["groups"]
    assert (group["runs"], group["deviation"]) == ([tiny_run.name, "other"], 0)
    lines = table.read_text().splitlines()
    assert any(line.startswith(f"| {tiny_run.name} | 1 | ") for line in lines)
    assert found["sentences"] == []


def test_a_comparison_needs_two_runs_and_a_known_score(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main([str(tiny_run)]) == 2
    assert compare.main([str(tiny_run), str(tiny_run)]) == 2
    assert "twice" in capsys.readouterr().err
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    assert compare.main([str(tiny_run), str(other), "--score", "entity.median"]) == 2
    assert "no score" in capsys.readouterr().err


def test_scores_under_perturbations_slices_and_other_modes(tiny_run: Path, tmp_path: Path) -> None:
    target, output = tmp_path / "scores.json", tmp_path / "out.conll"
    options = ["--run", str(tiny_run), "--json", str(target), "--predictions", str(output)]
    assert evaluate.main([*options, "--robustness", "--slice", "all", "--details", "--scores"]) == 0
    found = json.loads(target.read_bytes())
    assert found["robustness"].keys() == PERTURBATIONS.keys()
    assert all(0 <= scores["micro"]["f1"] <= 1 for scores in found["robustness"].values())
    assert len(found["slices"]) == 5
    assert 0 <= found["confidence"]["reliability"]["error"] <= 1
    assert evaluate.main([*options, "--mode", "strict", "--fast"]) == 0
    strict = json.loads(target.read_bytes())
    assert strict["reading"]["mode"] == "strict"
    assert strict["entity"]["micro"] == strict["modes"]["strict"]
    assert evaluate.main([*options, "--slice", "color"]) == 2


def test_sentences_are_selected_for_annotation(tiny_run: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "raw.txt", tmp_path / "selected"
    source.write_text(TEXTS)
    options = ["--run", str(tiny_run), "--input", str(source), "--count", "2", "--output", str(target)]
    assert select.main(options) == 0
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert len({row["text"] for row in rows}) == 2
    assert rows[0]["entropy"] > 0
    assert all("entities" in row for row in rows)
    for form in ("labelstudio", "doccano"):
        assert select.main([*options, "--output-format", form]) == 0
        assert target.read_text()
    assert select.main([*options, "--count", "0"]) == 2


def test_options_that_do_not_fit_are_refused(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main(["--run", str(tiny_run), "--n-best", "2"]) == 2
    assert "cannot store alternatives" in capsys.readouterr().err
