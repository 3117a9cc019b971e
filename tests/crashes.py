"""Trainings that are killed, interrupted or run out of disk: ``python tests/crashes.py kill --count 200``.

Each training is a fork of this process, so that a start takes no import. Whatever happened, the run must go on with
``--resume`` and end in the same bytes as one that was left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import torch  # noqa: E402

from ner.commands import train  # noqa: E402
from ner.runtime import manifest  # noqa: E402
from ner.training import checkpoint  # noqa: E402
from tests.builders import make_bert  # noqa: E402

torch.set_num_threads(1)
EPOCHS = 3
SAME = ("model.safetensors", "history.csv", "predictions/test.conll")


class Trainings:
    """Runs of one configuration below a folder.

    Args:
        folder: Empty.
        kind: ``bilstm`` or ``bert``.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        sample = ROOT / "data" / "sample" / "en" / "valid.conll"
        lines = sample.read_text(encoding="utf-8").split("\n\n")[:24]
        data = folder / "data.conll"
        data.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
        self.options = ["--config", str(ROOT / "configs" / "tiny.yaml")]
        if kind == "bert":
            (folder / "bert").mkdir()
            self.options += [f"encoder={{name: transformer, model: {make_bert(folder / 'bert')}}}"]
        else:
            self.options += ["encoder.word_dropout=0.1", "context.dropout=0.2"]
        self.options += [f"data.{split}={data}" for split in ("train", "valid", "test")]
        self.options += [f"training.epochs={EPOCHS}", "training.save_every=1", "batch.size=4"]
        self.whole = folder / "whole"
        with contextlib.redirect_stdout(io.StringIO()):  # imports all modules and compiles the kernel, before the forks
            assert train.main([*self.options, "--run", str(folder / "first")]) == 0
        started = time.monotonic()
        assert self.start(self.whole)() == 0
        self.seconds = time.monotonic() - started

    def start(self, run: Path, limit: int | None = None) -> Callable[[], int]:
        """Begin or resume a training in a process; gives what waits for it: its exit code, minus the signal if killed.

        Args:
            run: Its directory.
            limit: Bytes that a file may have.
        """
        sys.stdout.flush()
        hear, speak = os.pipe()  # not a file, which would be limited too
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.dup2(speak, 1)
                os.dup2(speak, 2)
                if limit is not None:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                code = train.main([*self.options, "--run", str(run), "--resume"])
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        self.child = child
        os.close(speak)

        def wait() -> int:
            with open(hear, encoding="utf-8") as pipe:
                self.said = pipe.read()
            _, status = os.waitpid(child, 0)
            return os.waitstatus_to_exitcode(status)

        return wait

    def runs(self) -> bool:
        """Whether the last process still does."""
        return os.waitid(os.P_PID, self.child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def assert_same(self, run: Path) -> None:
        """The run ended as the one that was left alone."""
        for name in SAME:
            assert manifest.sha256(run / name) == manifest.sha256(self.whole / name), name


def kill(trainings: Trainings, count: int, seed: int) -> None:
    """``kill -9`` at random moments; a run that got to its end is compared and begun anew."""
    chance = random.Random(seed)
    kills = ended = 0
    run = trainings.folder / "killed"
    while kills < count:
        wait = trainings.start(run)
        time.sleep(chance.uniform(0, 1.2 * trainings.seconds))
        os.kill(trainings.child, signal.SIGKILL)
        code = wait()
        assert code in (0, -9), f"after {kills} kills the run could not go on: {trainings.said}"
        if code == 0:
            trainings.assert_same(run)
            shutil.rmtree(run)
            ended += 1
        else:
            kills += 1
    assert trainings.start(run)() == 0, trainings.said
    trainings.assert_same(run)
    print(f"{kills} kills, {ended + 1} completed runs, all with identical files")


def interrupt(trainings: Trainings, count: int, seed: int) -> None:
    """SIGTERM and SIGINT in turns: the step is finished, a checkpoint saved, the exit code 143 or 130."""
    chance = random.Random(seed)
    run = trainings.folder / "interrupted"
    met = ended = 0
    while met < count:
        number = (signal.SIGTERM, signal.SIGINT)[met % 2]
        start = checkpoint.find(run)[0]
        wait = trainings.start(run)
        while (before := checkpoint.find(run)[0]) == start and trainings.runs():  # until it gets on
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.1 * trainings.seconds))
        os.kill(trainings.child, number)
        code = wait()
        found, broken = checkpoint.find(run)
        assert found is not None
        assert not broken
        if checkpoint.read_state(found)["epoch"] == EPOCHS:  # nothing was left to train
            assert code in (0, 128 + number, -number), (code, trainings.said)
            assert trainings.start(run)() == 0, trainings.said
            trainings.assert_same(run)
            shutil.rmtree(run)
            ended += 1
            continue
        assert code == 128 + number, (code, trainings.said)
        assert before is None or found.name > before.name
        met += 1
    assert trainings.start(run)() == 0, trainings.said
    trainings.assert_same(run)
    print(f"{met} signals, {ended + 1} completed runs, all with identical files")


def full(trainings: Trainings, count: int, seed: int) -> None:
    """The disk fills up at byte positions spread over the checkpoint: the one before is intact, a sentence says so."""
    newest, _ = checkpoint.find(trainings.whole)
    assert newest is not None
    largest = max(path.stat().st_size for path in newest.iterdir())
    kept = trainings.folder / "kept"
    wait = trainings.start(kept)
    while checkpoint.find(kept)[0] is None:
        time.sleep(0.01)
    os.kill(trainings.child, signal.SIGTERM)
    assert wait() == 143, trainings.said
    before, _ = checkpoint.find(kept)
    assert before is not None
    for number in range(count):
        run = trainings.folder / "full"
        shutil.copytree(kept, run)
        limit = 1 + number * (largest - 1) // count
        assert trainings.start(run, limit=limit)() == 2, trainings.said
        said = next(line for line in trainings.said.splitlines() if line.startswith("error: "))
        assert "cannot be written: " in said, said
        found, broken = checkpoint.find(run)
        assert (found and found.name) == before.name, said
        assert not broken
        if number % 10 == 0:
            assert trainings.start(run)() == 0, trainings.said
            trainings.assert_same(run)
        shutil.rmtree(run)
    print(f"{count} full disks between 1 and {largest} bytes, the previous checkpoint was intact each time")


def main() -> int:
    """Run some of them, with the same trainings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kill", "interrupt", "full"], nargs="+")
    parser.add_argument("--kind", choices=["bilstm", "bert"], default="bilstm")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background ignores it
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(Path(folder), arguments.kind)
        for name in arguments.what:
            globals()[name](trainings, arguments.count, arguments.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
