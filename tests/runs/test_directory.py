from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ner.errors import InputError
from ner.runs import directory as runs
from ner.runs.directory import LOCK
from ner.runs.lock import locked


def make_run(path: Path) -> Path:
    """Return a directory with the files of a run, without a model."""
    for name in ("encoder", "checkpoints/000001-step-5", "control", "predictions"):
        (path / name).mkdir(parents=True)
    for name in ("config.yaml", "manifest.json", "model.safetensors", "encoder/words.txt", "predictions/test.conll"):
        (path / name).write_text("x")
    return path


@pytest.mark.parametrize(
    "name",
    ["metrics.json", "README.md", "train.log", "checkpoints/000002-step-9", "predictions/x", "control/a", "deep/er"],
)
@pytest.mark.parametrize("target", ["secret", "missing", "/dev/zero", "folder"])
def test_a_link_inside_a_run_is_refused(tmp_path: Path, name: str, target: str) -> None:
    run = make_run(tmp_path / "run")
    (tmp_path / "secret").write_text("password")
    (tmp_path / "folder").mkdir()
    link = run / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / target)
    for check in (runs.check_links, runs.read_config):
        with pytest.raises(InputError, match=f"{name}: is a symbolic link"):
            check(run)


def test_a_pipe_inside_a_run_is_refused_and_a_link_to_a_run_is_not(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (tmp_path / "latest").symlink_to(run)
    runs.check_links(tmp_path / "latest")
    os.mkfifo(run / "events.jsonl")
    with pytest.raises(InputError, match="pipe"):
        runs.check_links(tmp_path / "latest")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.yaml", "encoder/words.txt", "checkpoints/x", "new/../train.log"]
)
def test_outputs_that_are_files_of_a_run_are_refused(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run")
    with pytest.raises(InputError, match="--json .*: belongs to the run"):
        runs.check_outputs({"--json": str(run / name)}, [])
    (tmp_path / "link").symlink_to(run / name)
    (tmp_path / "linked").symlink_to(run)
    for path in (tmp_path / "link", tmp_path / "linked" / name):
        with pytest.raises(InputError, match="belongs to the run"):
            runs.check_outputs({"--output": str(path)}, [])


def test_a_hard_link_to_a_file_of_a_run_is_that_file(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    os.link(run / "model.safetensors", run / "scores.json")
    with pytest.raises(InputError, match="belongs to the run"):
        runs.check_outputs({"--json": str(run / "scores.json")}, [])


def test_outputs_that_are_inputs_or_each_other_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gold.conll").write_text("x")
    Path("link").symlink_to("gold.conll")
    os.link("gold.conll", "hard")
    for name in ("gold.conll", "./gold.conll", str(tmp_path / "gold.conll"), "link", "hard"):
        with pytest.raises(InputError, match="is an input file"):
            runs.check_outputs({"--json": name}, ["gold.conll"])
    for left, right in (("new", "new"), ("new", "./new"), ("new", str(tmp_path / "new"))):
        with pytest.raises(InputError, match="--json .*: is the file of another option"):
            runs.check_outputs({"--predictions": left, "--json": right}, ["gold.conll"])


def test_other_outputs_are_allowed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    outputs = {"--predictions": str(run / "predictions" / "test.conll"), "--json": str(run / "scores.json")}
    runs.check_outputs(outputs, ["-", None, tmp_path / "gold"])
    runs.check_outputs({"--predictions": "/dev/null", "--json": "/dev/null"}, [])
    runs.check_outputs({"--predictions": "-", "--json": None}, ["-"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("x")  # not a run
    runs.check_outputs({"--json": str(tmp_path / "mine" / "model.safetensors")}, [])


@pytest.mark.parametrize(
    "names", [["config.yaml"], ["notes.txt"], ["events.jsonl"], ["train.log", "thesis.tex"], ["encoder"]]
)
def test_a_new_run_does_not_start_among_other_files(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match="contains other files"):
        runs.check_unused(tmp_path)


def test_a_new_run_starts_in_an_empty_directory_or_after_a_failed_start(tmp_path: Path) -> None:
    runs.check_unused(tmp_path / "missing")
    for name in ("train.log", LOCK, "trained_on.bin", "config.yaml", "events.jsonl", ".config.yaml.7.part"):
        runs.check_unused(tmp_path)
        (tmp_path / name).write_text("x")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="already contains checkpoints"):
        runs.check_unused(tmp_path)


def test_runs_that_start_in_the_same_second_have_different_directories(tmp_path: Path) -> None:
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda _: runs.create_timed(tmp_path / "a" / "b"), range(12)))
    assert len(set(made)) == 12
    assert all(path.is_dir() for path in made)


def test_temporary_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead = ended.stdout.strip()
    gone = [f"encoder/.words.txt.{dead}.part", f"predictions/.test.conll.{dead}.part", ".model.safetensors.part"]
    kept = [f"predictions/.test.conll.{os.getpid()}.part", "predictions/mine.part", ".keep"]
    for name in (*gone, *kept):
        (run / name).write_text("x")
    (run / "checkpoints" / f".000002-step-9.{dead}.7.part").mkdir()
    (run / "checkpoints" / f".000002-step-9.{dead}.7.part" / "state.json").write_text("x")
    with locked(run):
        assert not [name for name in gone if (run / name).exists()]
        assert all((run / name).exists() for name in kept)
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["000001-step-5"]


@pytest.mark.slow
def test_a_locked_run_is_refused_until_its_process_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ner.runs.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with (
        pytest.raises(InputError, match=f"process {holder.pid} on .* trains in this directory"),
        locked(tmp_path / "run"),
    ):
        pass
    holder.kill()
    holder.communicate()
    with locked(tmp_path / "run"), pytest.raises(InputError, match=f"process {os.getpid()} "), locked(tmp_path / "run"):
        pass
    with locked(tmp_path / "run"):
        pass
