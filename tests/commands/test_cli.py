from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ner
from ner.commands import evaluate, predict, train
from tests.conftest import ROOT

CONFIG = str(ROOT / "configs" / "tiny.yaml")
DATA = "data: {train: in.conll, valid: in.conll}\nencoder: {name: embedding, dimension: 4}\n"


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands set up the log of the process; afterwards it is as it was."""
    from loguru import logger

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    yield
    logger.remove()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a configuration and its data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(DATA, encoding="utf-8")
    (tmp_path / "in.conll").write_text("Ada B-PER\nwon O\n\nBo B-PER\n", encoding="utf-8")
    return tmp_path


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def refused(capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], int], *arguments: str) -> str:
    """The sentence on standard error of a command that ends with exit code 2."""
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.endswith("\n")
    assert error.count("\n") == 1
    return error.removeprefix("error: ").removesuffix("\n")


def test_importing_the_package_and_its_commands_does_not_import_torch() -> None:
    heavy = "('torch', 'transformers', 'numpy', 'pydantic')"
    code = (
        "import sys, ner, ner.__main__, ner.runtime.cli, ner.commands.train;"
        "import ner.commands.evaluate, ner.commands.predict;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    found = run("-c", code)
    assert (found.returncode, found.stdout.strip(), found.stderr) == (0, "[]", "")


def test_help_is_fast_and_names_every_command() -> None:
    started = time.monotonic()
    found = run("-m", "ner", "--help")
    assert time.monotonic() - started < 5  # importing torch on a busy machine alone takes that
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("usage: ner COMMAND")
    for path in (ROOT / "ner" / "commands").glob("[a-z]*.py"):
        assert f"\n  {path.stem} " in found.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "ner", "train", "--help"],
        ["train.py", "--help"],
        ["-X", "importtime", "evaluate.py", "--help"],
        ["-m", "ner", "predict", "-h"],
    ],
)
def test_each_command_has_help(arguments: list[str]) -> None:
    found = run(*arguments)
    assert found.returncode == 0
    assert found.stdout.startswith("usage: ")
    assert " torch\n" not in found.stderr


def test_the_version_is_that_of_the_package() -> None:
    assert run("-m", "ner", "--version").stdout == f"ner {ner.__version__}\n"


@pytest.mark.parametrize("name", ["trian", "", "../cli", "__init__"])
def test_an_unknown_command_ends_with_2_and_the_list(name: str) -> None:
    found = run("-m", "ner", name)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(f"error: no command '{name}'\nusage: ner COMMAND")
    assert "  train " in found.stderr


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (train.main, []),
        (train.main, ["--config"]),
        (train.main, ["--config", CONFIG, "--no-such-option"]),
        (evaluate.main, ["--split", "dev"]),
        (evaluate.main, ["--split", "valid", "--data", "x"]),
    ],
)
def test_wrong_options_end_with_2(
    main: Callable[[list[str]], int], arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "none.yaml"], "none.yaml: cannot be read: No such file or directory"),
        (["--config", "config.yaml", "training.epoch=3"], "config.training.epoch: unknown key; did you mean 'epochs'?"),
        (["--config", "config.yaml", "sed"], "sed: expected key.sub=value"),
        (["--config", "config.yaml", "seed=x"], "config.seed: input should be a valid integer"),
        (
            ["--config", "config.yaml", "encoder.name=bertt"],
            "config.encoder: no file named 'bertt' in ner/model/encoders",
        ),
        (["--config", "config.yaml", "data.valid=null"], "config: training.keep_epoch=best needs data.valid"),
        (["--config", "in.conll"], "in.conll: expected keys and values, found str"),
    ],
)
def test_a_wrong_configuration_is_one_sentence_and_leaves_nothing_behind(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert refused(capsys, train.main, *arguments).startswith(message)
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.train=none.conll", "none.conll: cannot be read: No such file or directory"),
        ("data.valid=none.conll", "none.conll: cannot be read: No such file or directory"),
        ("data.train=words", 'words:1: expected 2 columns, found 1 ("Berlin")'),
        ("data.train=empty", "empty: expected sentences, found an empty file"),
        ("data.format={name: jsonl}", "in.conll:1: not JSON: Expecting value at character 1"),
        ("data.format={name: conll, encoding: utf-9}", "config.data.format.encoding: no text encoding is called"),
        ("encoder.vectors=none.txt", "none.txt: no such file of vectors"),
        ("device=cuda:77", "config.device: cuda:77 cannot be used ("),
        ("device=abacus", "config.device: abacus cannot be used ("),
    ],
)
def test_data_that_cannot_be_used_are_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    (folder / "empty").write_bytes(b"")
    (folder / "words").write_bytes(b"Berlin\n")
    error = refused(capsys, train.main, "--config", "config.yaml", "--run", "run", override)
    assert error.startswith(message)


def test_refused_data_leave_no_folder_behind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, train.main, "--config", "config.yaml", "encoder.vectors=none.txt").startswith("none.txt")
    assert not (folder / "runs").exists()


def test_a_run_directory_that_is_taken_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "manifest.json").write_text("{}", encoding="utf-8")
    error = refused(capsys, train.main, "--config", "config.yaml", "--run", "run")
    assert error.startswith("run: already contains a trained model; continue with --resume")


@pytest.mark.parametrize("directory", ["in.conll", "in.conll/below"])
def test_a_run_directory_that_is_a_file_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], directory: str
) -> None:
    error = refused(capsys, train.main, "--config", "config.yaml", "--run", directory)
    assert error.startswith(f"{directory}: cannot be written: ")


def test_options_may_stand_between_overrides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, train.main, "seed=1", "--config", "config.yaml", "seed=2", "--run", "run", "sed=3")
    assert error == "config.sed: unknown key; did you mean 'seed'?"


@pytest.mark.parametrize("main", [evaluate.main, predict.main])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "runs/: found no run with a model"),
        (["--run", "none"], "none: no such directory"),
        (["--run", "."], "did you mean empty"),
        (["--run", "in.conll"], "in.conll: no manifest.json"),
        (["--run", "empty"], "empty/manifest.json: expected an entry config.yaml, found none"),
    ],
)
def test_a_run_that_is_none_is_one_sentence(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    main: Callable[[list[str]], int],
    arguments: list[str],
    message: str,
) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "manifest.json").write_text("{}", encoding="utf-8")
    assert message in refused(capsys, main, *arguments)


def test_a_format_that_does_not_exist_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, predict.main, "--format", "xml")
    assert error.startswith("--format: no file named 'xml' in ner/data/formats; there are: arrow, brat, ")


@pytest.mark.slow
def test_a_wrong_key_is_one_line_and_no_traceback_from_the_shell(tmp_path: Path) -> None:
    found = run("train.py", "--config", CONFIG, "--run", str(tmp_path / "run"), "training.epoch=3")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "error: config.training.epoch: unknown key; did you mean 'epochs'?\n"


@pytest.mark.parametrize("arguments", [["train.py", "--config", CONFIG], ["evaluate.py", "--run", "none"]])
def test_without_the_dependencies_the_error_is_one_line(arguments: list[str]) -> None:
    found = run("-S", *arguments)  # without site-packages
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("error: ")
    assert "pip install" in found.stderr
    assert found.stderr.count("\n") == 1
