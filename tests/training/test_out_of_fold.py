from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ner.commands import suspects
from ner.errors import InputError
from ner.training.out_of_fold import assign_folds, fold_config
from ner.types import Document, Example
from tests.builders import settings
from tests.conftest import ROOT, SAMPLE


def test_folds_have_about_as_many_sentences_and_depend_on_the_seed() -> None:
    documents = [Document([Example(["w"])] * (1 + number % 7)) for number in range(50)]
    one, same, other = (assign_folds(documents, 3, seed) for seed in (1, 1, 2))
    assert one == same != other
    sizes = [sum(len(d.examples) for d, f in zip(documents, one, strict=True) if f == fold) for fold in range(3)]
    assert max(sizes) - min(sizes) <= 7
    with pytest.raises(InputError, match="--folds"):
        assign_folds(documents[:2], 3, 1)


def test_a_training_on_folds_needs_no_validation_file() -> None:
    config = fold_config(settings(training__early_stopping={}, training__keep_epoch="best"))
    assert config.data.valid is None
    assert config.training.keep_epoch == "last"
    assert config.training.early_stopping is None


@pytest.mark.slow
def test_a_wrong_label_is_found_and_a_second_call_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (SAMPLE / "en" / "train.conll").read_text().splitlines()
    places = [n for n, line in enumerate(lines) if line.endswith(" B-PER") and lines[n + 1].endswith(" O")]
    wrong = places[5]
    lines[wrong] = lines[wrong].replace("B-PER", "B-LOC")
    (tmp_path / "train.conll").write_text("\n".join(lines) + "\n")
    options = ["--config", str(ROOT / "configs/tiny.yaml"), "--folds", "2", "--output", str(tmp_path / "found")]
    options += [f"data.train={tmp_path / 'train.conll'}", "training.epochs=4", "training.learning_rate=0.02"]
    assert suspects.main(options) == 0
    with open(tmp_path / "found" / "suspects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    probabilities = [float(row["probability"]) for row in rows]
    assert probabilities == sorted(probabilities)
    word = lines[wrong].split(" ")[0]
    ranks = [int(row["rank"]) for row in rows if row["gold"] == "LOC" and row["text"] == word]
    assert ranks
    assert min(ranks) <= len(rows) / 2
    assert "<script" not in (tmp_path / "found" / "suspects.html").read_text()
    capsys.readouterr()
    assert suspects.main(options) == 0
    assert "epoch [" not in capsys.readouterr().out
    assert suspects.main([*options, "seed=2"]) == 2
    assert "choose another --output" in capsys.readouterr().err
