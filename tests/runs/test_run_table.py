from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner.runs.run_table import RunRow, means, read_row, render

ROW = RunRow("runs/a", "tiny", "train.conll", 3, "entity.micro.f1", 0.5, 0.4, 12.0, {"batch.size": "8", "seed": "1"})


def other(valid: float | None, test: float | None, **changes: str) -> RunRow:
    return RunRow("runs/b", "tiny", "train.conll", 3, "entity.micro.f1", valid, test, 14.0, changes)


def test_means_are_over_seeds_only() -> None:
    again = other(0.7, None, **{"batch.size": "8", "seed": "2"})
    first, second = means([ROW, again, other(0.1, 0.2, seed="1")])
    assert first["changes"] == "batch.size=8"
    assert first["runs"] == 2
    assert first["valid"] == pytest.approx(0.6)
    assert first["valid_sd"] == pytest.approx(0.02**0.5)  # of a sample
    assert (first["test"], first["test_sd"]) == (0.4, None)
    assert (second["changes"], second["runs"], second["valid_sd"]) == ("", 1, None)


def test_tables_have_the_cells_of_the_rows() -> None:
    cells = [ROW.cells(), other(None, 0.4, note="a|b").cells()]
    assert json.loads(render(cells, "json")) == cells
    header, first, second = render(cells, "csv").splitlines()
    assert header == "run,recipe,data,epochs,score,valid,test,seconds,changes"
    assert first == "runs/a,tiny,train.conll,3,entity.micro.f1,0.5,0.4,12.0,batch.size=8 seed=1"
    assert ",,0.4," in second
    lines = render(cells, "markdown").splitlines()
    assert lines[1] == "|" + " --- |" * 9
    assert "note=a\\|b" in lines[3]
    assert "| - | 0.4000 | 14 |" in lines[3]
    assert render(cells).splitlines()[1].split() == [
        *("runs/a", "tiny", "train.conll", "3", "entity.micro.f1", "0.5000", "0.4000", "12", "batch.size=8", "seed=1")
    ]
    assert render([], "csv") == "\n"


@pytest.mark.parametrize(
    ("command", "recipe", "changes"),
    [
        (
            "python train.py --config configs/x/a.yaml --plugin x=y.py seed=2 'a.b=c d'",
            "x/a",
            {"seed": "2", "a.b": "c d"},
        ),
        ("ner.train('bert_crf', train=...)", "bert_crf", {}),
        ("python train.py --config 'x", "", {}),
        ("", "", {}),
    ],
)
def test_recipe_and_changes_come_from_the_command(
    tmp_path: Path, command: str, recipe: str, changes: dict[str, str]
) -> None:
    (tmp_path / "config.yaml").write_text(
        "data: {train: t}\nencoder: {name: embedding}\ntraining: {monitor: entity.micro.f1}\n", encoding="utf-8"
    )
    (tmp_path / "labels.json").write_text("{}", encoding="utf-8")
    metrics = {"command": command, "seconds": 2.0, "valid": {"entity": {"micro": {"f1": 0.25}}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    row = read_row(tmp_path)
    assert (row.recipe, row.changes, row.valid, row.test) == (recipe, changes, 0.25, None)
    (tmp_path / "metrics.json").unlink()
    (tmp_path / "history.csv").write_text("epoch,best,valid.entity.micro.f1\n1,1,0.5\n2,0,0.4\n", encoding="utf-8")
    row = read_row(tmp_path)
    assert (row.valid, row.seconds, row.epochs) == (0.5, None, 2)
