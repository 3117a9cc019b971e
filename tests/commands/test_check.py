"""``ner check``: findings with places in the log and as JSON, exit codes, and the probe."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner.commands.check import main
from ner.training.probe import describe_losses

CONFIG = """\
data: {train: train.conll, test: test.conll}
encoder: {name: embedding, dimension: 4}
training: {keep_epoch: last, epochs: 100, learning_rate: 0.01}
batch: {size: 2}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    from loguru import logger

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "train.conll").write_text("Ada B-PER\nwon O\n\nBo B-PER\nwon O\n\n" * 4, encoding="utf-8")
    (tmp_path / "test.conll").write_text("Ada B-PER\nwon O\n\nthe O\nOslo B-LOC\n", encoding="utf-8")
    yield tmp_path
    logger.remove()


def test_findings_are_logged_with_their_places_and_written_as_json(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", "config.yaml", "--json", "out.json"]) == 0
    printed = capsys.readouterr().out
    assert "train: 8 documents, 8 sentences, 16 words, 8 entities (PER 8)" in printed
    assert 'test.conll:1 "Ada won" as in train.conll:1' in printed
    assert "test: 1 sentence (50.0%) also occurs in train" in printed
    value = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert value["splits"]["test"]["labels"] == {"PER": 1, "LOC": 1}
    assert {"leaked-sentences", "unseen-labels"} <= {finding["name"] for finding in value["findings"]}


def test_strict_refuses_warnings_and_an_error_is_always_refused() -> None:
    assert main(["--config", "config.yaml", "--strict"]) == 1
    assert main(["--config", "config.yaml", "training.learning_rate=0"]) == 1
    assert main(["--config", "config.yaml", "data.test=null", "--strict"]) == 1  # repeated sentences
    Path("train.conll").write_text("".join(f"Ada B-PER\nwon O\nx{n} O\n\n" for n in range(20)), encoding="utf-8")
    assert main(["--config", "config.yaml", "data.test=null", "--strict"]) == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("encoder.vectors=none.txt", "none.txt: no such file of vectors; change encoder.vectors"),
        ("metrics=[answer]", "config.metrics: answer requires answers"),
        ("decoder.name=classifier", "config.data.format: "),
        ("data.train=outside.conll", "outside.conll: every word has the tag O"),
    ],
)
def test_what_a_training_refuses_is_an_error(override: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("outside.conll").write_text("Ada O\nwon O\n\n", encoding="utf-8")
    assert main(["--config", "config.yaml", override, "--probe"]) == 1
    assert f"error   model: {message}" in capsys.readouterr().out


def test_inputs_are_not_overwritten_and_wrong_data_end_with_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "config.yaml", "--json", "train.conll"]) == 2
    assert "is an input file" in capsys.readouterr().err
    Path("test.conll").write_text("Ada\n", encoding="utf-8")
    assert main(["--config", "config.yaml"]) == 2
    assert "test.conll:1" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "name"), [([], "the loss falls"), (["training.learning_rate=1e-12"], "loss-not-falling")]
)
def test_the_probe_reports_the_loss_and_leaves_nothing_behind(
    options: list[str], name: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    before = sorted(folder.iterdir())
    assert main(["--config", "config.yaml", "--probe", "data.test=null", *options]) == 0
    assert name in capsys.readouterr().out
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_the_probe_ends_epochs_without_scores(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["training.keep_epoch=best", "data.valid=test.conll", "training.early_stopping.patience=1"]
    assert main(["--config", "config.yaml", "--probe", *options]) == 0
    assert "the loss falls" in capsys.readouterr().out


@pytest.mark.slow
def test_the_probe_names_a_model_that_predicts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.conll").write_text("a B-X\n\n" + "a O\na O\na O\na O\n\n" * 40, encoding="utf-8")
    assert main(["--config", "config.yaml", "--probe", "data.test=null"]) == 0
    assert "only-outside" in capsys.readouterr().out


@pytest.mark.parametrize("losses", [[1.0] * 5 + [50.0] * 45, [1.0] * 49 + [math.nan]])
def test_a_loss_that_explodes_is_an_error(losses: list[float]) -> None:
    (found,) = describe_losses(losses)
    assert (found.name, found.level) == ("exploding-gradients", "error")
