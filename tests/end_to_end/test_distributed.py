"""Several processes train the model that one process trains. ``tests/processes.py`` holds the experiments."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ner.runtime import manifest
from tests.conftest import ROOT, SAMPLE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the experiments fork")


def experiment(*arguments: str) -> Any:
    found = subprocess.run(
        [sys.executable, "tests/processes.py", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=400,
        check=True,
    )
    return json.loads(found.stdout)


def test_weights_losses_and_train_scores_do_not_depend_on_the_number_of_processes() -> None:
    for found in experiment("gradients"):
        assert found["weights"] < 1e-6, found  # a mean of the processes' means is 5e-3 away
        assert found["losses"] < 1e-5, found
        assert found["same"], found


@pytest.mark.thorough
def test_an_encoder_that_is_spread_learns_the_same() -> None:
    assert experiment("sharded") < 1e-5


def test_one_model_has_the_same_scores_and_answers_in_any_number_of_processes(tiny_run: Path) -> None:
    one, *more = experiment("evaluation", str(tiny_run))
    assert one[0]["sentences"] == 103
    assert all(other == one for other in more)


@pytest.mark.thorough
def test_one_process_takes_over_from_two_in_the_same_order() -> None:
    found = experiment("order")
    assert [*found["two"], *found["one"]] == found["whole"]
    assert found["differences"] == []


@pytest.mark.parametrize(
    ("kind", "codes", "words"),
    [
        ("hang", [75, -14], "error: process 1 on {host} (last seen at step 5) sent no heartbeat for 2 s; process 0"),
        ("die", [99, 1], "ProcessLostError: process 1 on {host} (last seen at step "),
    ],
)
def test_a_process_that_hangs_or_dies_is_named(kind: str, codes: list[int], words: str) -> None:
    seconds, *children = experiment("silence", kind)
    assert [code for code, _, _ in children] == codes
    assert words.format(host=socket.gethostname()) in children[0][2]
    assert seconds < 30


def test_sentences_that_one_process_cannot_compute_are_skipped_or_stop_all() -> None:
    for code, found, _ in experiment("spoiled", "skip"):
        assert code == 0
        assert found == {"skipped": 1, "finite": True, "steps": 4}
    (_, _, first), (_, _, second) = experiment("spoiled", "stop")
    assert "NonFiniteLossError: the loss of another process is not finite at step" in first
    assert "NonFiniteLossError: the output of the model is not finite at step" in second
    assert "Sentences: t:" in second


def test_a_process_with_long_work_is_waited_for() -> None:
    seconds, *children = experiment("silence", "busy")
    assert [result for _, result, _ in children] == ["done", "done"]
    assert seconds > 6


def torchrun(options: Sequence[str], script: str, run: Path, **environment: str) -> subprocess.Popen[str]:
    """A launch of two processes in all that train configs/tiny.yaml with dropout into a run directory."""
    data = [f"data.{split}={SAMPLE / 'en' / 'valid.conll'}" for split in ("train", "valid", "test")]
    small = ["training.epochs=3", "training.save_every=3", "context.dropout=0.2", "encoder.word_dropout=0.1"]
    command = [sys.executable, "-m", "torch.distributed.run", "--monitor-interval", "0.1", *options, script]
    command += ["--config", str(ROOT / "configs" / "tiny.yaml"), "--run-dir", str(run), "--resume", *small, *data]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=110)
    assert process.returncode == 0, said
    return said


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.thorough
def test_a_killed_process_is_started_again_and_two_machines_meet(tmp_path: Path) -> None:
    port = free_port()
    meeting = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "notes"]
    meeting += ["--rdzv-endpoint", f"127.0.0.1:{port}"]
    machines = [
        torchrun([*meeting, "--node-rank", str(rank)], "train.py", tmp_path / "whole") for rank in range(2)
    ]  # two launches
    for machine in machines:
        finished(machine)
    step = random.Random(3).randrange(1, 38)
    one = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "5"]
    said = finished(torchrun(one, "tests/dying_train.py", tmp_path / "killed", DIE_AT=str(step)))
    assert "Signal 9 (SIGKILL)" in said or "exitcode: -9" in said, said
    assert "resumed from" in said or step < 3, said
    for name in ("model.safetensors", "history.csv", "predictions/test.conll"):
        assert manifest.sha256(tmp_path / "killed" / name) == manifest.sha256(tmp_path / "whole" / name), (
            name,
            step,
        )


@pytest.mark.thorough
def test_an_encoder_is_spread_by_a_line_of_the_configuration(tmp_path: Path) -> None:
    data = [f"data.{split}={SAMPLE / 'en' / 'valid.conll'}" for split in ("train", "valid", "test")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"]
    command += ["--config", "configs/tiny.yaml", "--run-dir", str(tmp_path / "run"), "training.epochs=2", *data]
    subprocess.run([*command, "processes.fsdp=true"], cwd=ROOT, check=True, capture_output=True, timeout=110)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_bytes())
    assert metrics["processes"] == 2
    assert metrics["test"]["sentences"] == 103
    subprocess.run(
        [*command, "training.epochs=3", "--resume", "processes.fsdp=true"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=110,
    )
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 4
