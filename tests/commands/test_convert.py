"""``ner convert``: what fits is written and read back, everything else is refused in one sentence."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner.commands.convert import main
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared" / "data"
SAMPLE = "-DOCSTART- O\n\nAda B-PER\nKing I-PER\nwon O\n\nBo B-PER\n\n-DOCSTART- O\n\nin O\nOslo B-LOC\n\n"


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from loguru import logger

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    yield
    logger.remove()


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "in.conll").write_text(SAMPLE, encoding="utf-8")
    return str(tmp_path / "in.conll")


@pytest.mark.parametrize("name", ["jsonl", "brat", "doccano", "labelstudio", "arrow", "conll"])
def test_words_go_through_every_format_and_come_back(source: str, tmp_path: Path, name: str) -> None:
    between, back = str(tmp_path / "between"), tmp_path / "back.conll"
    assert main([source, between, "--from", "conll", "--to", name]) == 0
    assert main([between, str(back), "--from", name, "--to", "conll"]) == 0
    kept = SAMPLE if name in ("brat", "conll") else SAMPLE.replace("-DOCSTART- O\n\n", "")
    assert back.read_text(encoding="utf-8") == kept


def test_what_a_format_cannot_store_is_refused_or_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"words": ["Ada"], "spans": [[0, 1, "PER"]], "labels": ["x"]}), encoding="utf-8")
    arguments = [str(path), str(tmp_path / "out.conll"), "--from", "jsonl", "--to", "conll"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "in.jsonl:1: conll files cannot store labels of texts" in error
    assert "--drop labels" in error
    assert not (tmp_path / "out.conll").exists()
    assert main([*arguments, "--drop", "labels"]) == 0
    for target in ("text", "coqa"):
        assert main([str(path), str(tmp_path / "out"), "--from", "jsonl", "--to", target]) == 2
        assert f"--to: {target} files cannot be written" in capsys.readouterr().err


def test_an_input_is_never_overwritten(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([source, source, "--from", "conll", "--to", "jsonl"]) == 2
    assert "is an input file" in capsys.readouterr().err
    folder = tmp_path / "brat"
    assert main([source, str(folder), "--from", "conll", "--to", "brat"]) == 0
    assert main([str(folder), str(folder / "000000.txt"), "--from", "brat", "--to", "brat"]) == 2
    assert "is inside IN" in capsys.readouterr().err


def test_a_loss_is_reported_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"words": ["New York"], "spans": [[0, 1, "LOC"]]}), encoding="utf-8")
    assert main([str(path), str(tmp_path / "out.jsonl"), "--from", "jsonl", "--to", "doccano"]) == 1
    assert "in.jsonl:1: words differ" in capsys.readouterr().err
    assert main([str(path), str(tmp_path / "out.conll"), "--from", "jsonl", "--to", "conll"]) == 0  # tabs


def test_changed_spans_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"text": "Ada's book", "label": [[0, 3, "PER"]]}), encoding="utf-8")
    arguments = [str(path), str(tmp_path / "out.conll"), "--from", "doccano", "--to", "conll"]
    assert main(arguments) == 2
    assert "choose --word-split characters, or from.on_misaligned=expand" in capsys.readouterr().err
    assert main([*arguments, "from.on_misaligned=expand"]) == 0
    assert "in.jsonl:1: PER '[Ada]'s book' expanded to 'Ada's'" in capsys.readouterr().err


CONLL = (
    "conll2003/four_column_iob1/eng.testa",
    "conll2003/four_column_bio2/valid.txt",
    "conll2003/two_column_bio2/valid.txt",
)
PUBLIC = [
    *((CONLL[0], "conll", target, []) for target in ("jsonl", "conll", "brat")),
    *(
        pytest.param(path, "conll", target, [], marks=pytest.mark.thorough)
        for path in CONLL[1:]
        for target in ("jsonl", "conll", "brat")
    ),
    ("weibo/weiboNER_2nd_conll.test", "conll", "jsonl", ["from.strip_position_digit=true"]),
    ("weibo/weiboNER_2nd_conll.test", "conll", "conll", ["from.strip_position_digit=true"]),
    *(
        ("cluener/dev.json", "jsonl", target, ["from.spans=label", "from.end=inclusive", "--word-split", "characters"])
        for target in ("jsonl", "doccano", "labelstudio", "arrow")
    ),
    *(("atis/test", "slot_filling", target, []) for target in ("slot_filling", "jsonl", "arrow", "labelstudio")),
    *(
        ("chnsenticorp/dev.tsv", "tsv", target, ["--word-split", "characters"])
        for target in ("tsv", "jsonl", "doccano")
    ),
    ("cmrc2018/cmrc2018_trial.json", "squad", "squad", ["--word-split", "characters"]),
    ("cmrc2018/cmrc2018_dev.json", "squad", "jsonl", ["--word-split", "characters"]),
]


@pytest.mark.training
@pytest.mark.parametrize(("path", "name", "target", "options"), PUBLIC)
def test_public_data_are_converted_without_a_difference(
    path: str, name: str, target: str, options: list[str], tmp_path: Path
) -> None:
    if not (SHARED / path).exists():
        pytest.skip(f"{SHARED} is not beside this repository")
    overrides = [option for option in options if option.startswith("from.")]
    others = [option for option in options if not option.startswith("from.")]
    arguments = [str(SHARED / path), str(tmp_path / "out"), "--from", name, "--to", target, *others, *overrides]
    assert main(arguments) == 0
