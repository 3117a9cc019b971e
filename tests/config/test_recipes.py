from __future__ import annotations

from pathlib import Path

import pytest

from ner.commands import recipes as command
from ner.config import recipes
from ner.config.load import load_config
from ner.errors import InputError
from tests.conftest import ROOT


@pytest.mark.parametrize("name", ["bert_crf", "bert_crf.yaml", "configs/bert_crf.yaml", "configs/bert_crf"])
def test_recipes_are_found_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipes.find(name) == ROOT / "configs" / "bert_crf.yaml"
    config, _ = load_config(name)
    assert Path(config.data.train) == ROOT / "data" / "sample" / "en" / "train.conll"


def test_an_existing_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").write_text("data: {train: data/sample/en/train.conll}\nencoder: embedding\n")
    config, _ = load_config("tiny", ["training.keep_epoch=last"])
    assert config.data.train == "data/sample/en/train.conll", "only shipped recipes refer to the shipped sample"


def test_an_unknown_recipe_lists_similar_ones() -> None:
    with pytest.raises(InputError, match="bert_crf"):
        recipes.find("bert-crf")


def test_a_mistyped_path_of_the_sample_is_shown_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config, _ = load_config("bert_crf", ["data.valid=data/sample/en/vald.conll"])
    assert config.data.valid == "data/sample/en/vald.conll"


def test_the_sample_is_copied_to_a_new_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "a" / "sample"
    assert command.main(["--sample", str(target)]) == 0
    source = ROOT / "data" / "sample"
    copies = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert target / "en" / "train.conll" in copies
    assert all(copy.read_bytes() == (source / copy.relative_to(target)).read_bytes() for copy in copies)
    assert {copy.suffix for copy in target.rglob("*") if copy.is_file()}.isdisjoint({".py", ".pyc"})
    assert command.main(["--sample", str(target)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_recipes_are_listed_with_measured_scores(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("conll2003/bilstm_crf "))
    assert row.split("  ")[-1].strip() == str(recipes.measured()["conll2003/bilstm_crf"]["minutes"])
    assert recipes.measured()["conll2003/bilstm_crf"]["score"] in row
    assert "test entity F1 " in row
    assert sum(line.split(" ")[0] in recipes.names() for line in lines) == len(recipes.names())
    assert {*recipes.measured()} <= {*recipes.names()}


def test_sample_files_beside_other_training_data_are_named() -> None:
    _, notes = load_config("tiny", ["data.train=my/train.txt", "data.valid=my/dev.txt"])
    assert notes == ["data.test: still the bundled sample; set your own file, or null"]
    for others in (["data.test=null", "data.valid=null", "training.keep_epoch=last"], ["data.test=a", "data.valid=b"]):
        assert load_config("tiny", ["data.train=my/train.txt", *others])[1] == []
    assert load_config("tiny", ["training.epochs=1"])[1] == []
