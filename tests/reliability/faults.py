"""Trainings and commands that are killed, interrupted, starved of disk, doubled, or cut off from their files.

Each command runs in a fork of this process, so that a start takes no import. A run that was disturbed has to continue
with ``--resume`` to the same bytes as an undisturbed one.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.reliability.report import ROOT, Case, main

COMMANDS = ("train", "evaluate", "predict", "card", "plot", "control", "replay", "schema")
SAME = ("model.safetensors", "history.csv", "predictions/test.conll", "history.md", "config.yaml", "labels.json")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NOBODY = 65534
CHUNK = 2000
Action = Callable[[], object]


@cache
def folder() -> Path:
    """Return the folder of all runs; it is removed at exit."""
    path = Path(tempfile.mkdtemp(prefix="faults-")).resolve()
    path.chmod(0o755)
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(path, ignore_errors=True) if os.getpid() == owner else None)
    return path


@cache
def modules() -> dict[str, Any]:
    """Run commands in this process, so that everything is imported and compiled."""
    import torch

    torch.set_num_threads(1)
    found = {name: importlib.import_module(f"ner.commands.{name}") for name in COMMANDS}
    run = folder() / "first"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert found["train"].main(training(run)) == 0
        for name, options in {
            "evaluate": ["--predictions", f"{run}/out"],
            "predict": ["--input", str(data()), "--output", f"{run}/out2"],
        }.items():
            assert found[name].main(["--run", str(run), *options]) == 0
        for name in ("card", "plot"):
            assert found[name].main(["--run", str(run)]) == 0
    return found


@cache
def data() -> Path:
    """Write a few sentences."""
    sentences = (ROOT / "data" / "sample" / "en" / "valid.conll").read_text(encoding="utf-8").split("\n\n")[:12]
    path = folder() / "data.conll"
    path.write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    return path


def training(run: Path | None, *options: str, source: object = None) -> list[str]:
    """Return the arguments of a training."""
    splits = [f"data.{split}={source or data()}" for split in ("train", "valid", "test")]
    config = ["--config", str(ROOT / "configs" / "tiny.yaml"), *(["--run", str(run)] if run else [])]
    chance = ["encoder.word_dropout=0.1", "context.dropout=0.2"]
    return [*config, *splits, *chance, "training.epochs=2", "training.save_every=2", "batch.size=4", *options]


class Process:
    """A command in a fork.

    Args:
        command: Name of the command.
        arguments: Its arguments.
        before: Called in the fork before the command.
        stdin: File descriptor of standard input.
    """

    def __init__(self, command: str, arguments: Sequence[object], before: Action = int, stdin: int | None = None):
        module = modules()[command]
        self.streams = [tempfile.TemporaryFile(dir=folder()) for _ in range(2)]  # noqa: SIM115  # closed by `wait`
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid:
            return
        code = 99
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY) if stdin is None else stdin, 0)
            for number, stream in enumerate(self.streams, 1):
                os.dup2(stream.fileno(), number)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)  # a process in the background ignores some
            before()
            sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
            code = module.main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def wait(self, seconds: float = 60) -> Result:
        """Return the result; a process that takes longer is killed."""
        deadline = time.monotonic() + seconds
        while (found := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"no end after {seconds} s")
            time.sleep(0.005)
        texts = []
        for stream in self.streams:
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
            stream.close()
        return Result(os.waitstatus_to_exitcode(found[1]), *texts)


class Result:
    """Exit code (minus the signal if killed), standard output and standard error."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in out + err, (out + err)[-800:]
        assert "Exception ignored" not in err, err[-800:]

    def ok(self) -> Result:
        """Check that the command succeeded."""
        assert self.code == 0, (self.code, self.err[-500:], self.out[-300:])
        return self

    def refused(self, *words: object, code: int = 2) -> Result:
        """Check that the command ended with one sentence that contains words."""
        assert self.code == code, (self.code, self.err[-500:], self.out[-300:])
        assert self.err.startswith("error: "), self.err[-500:]
        assert self.err.count("\n") == 1, self.err[-500:]
        for word in words:
            assert str(word) in self.err, (word, self.err)
        return self

    def interrupted(self, number: int) -> Result:
        """Check that a signal ended the command in order."""
        assert self.code == 128 + number, (self.code, self.err[-500:], self.out[-300:])
        return self


def command(name: str, *arguments: object, before: Action = int, stdin: int | None = None) -> Result:
    """Run a command to its end."""
    return Process(name, arguments, before, stdin).wait()


def train(run: Path, *options: str, before: Action = int, source: object = None) -> Result:
    """Run a training to its end."""
    return command("train", *training(run, *options, source=source), before=before)


@cache
def whole() -> Path:
    """Train undisturbed."""
    run = folder() / "whole"
    train(run).ok()
    return run


@cache
def half() -> Path:
    """Train and stop after the first epoch, with a model and a checkpoint."""
    run = folder() / "half"
    train(run, before=at("ner.training.loop", "train_step", 4, partial(signal_self, signal.SIGTERM))).interrupted(15)
    assert (run / "model.safetensors").is_file()
    return run


def new_run(copy: Callable[[], Path] | None = None) -> Path:
    """Return a new path of a run, empty or with a copy of a run."""
    run = Path(tempfile.mkdtemp(dir=folder())) / "run"
    if copy is not None:
        shutil.copytree(copy(), run)
    return run


def finish(run: Path, *options: str, source: object = None) -> None:
    """Resume a run; it has to end like the undisturbed one, without temporary files."""
    train(run, "--resume", *options, source=source).ok()
    complete(run)


def complete(run: Path) -> None:
    """Check that a run ended in the same bytes as the undisturbed one."""
    for name in SAME:
        if source_independent(name) or run.parent == folder():
            assert (run / name).read_bytes() == (whole() / name).read_bytes(), name
    left = [str(path) for path in run.rglob("*.part")]
    assert not left, left
    shutil.rmtree(run.parent)


def source_independent(name: str) -> bool:
    """Return whether a file does not contain the path of the data."""
    return name != "config.yaml"


def snapshot(*paths: Path) -> dict[str, bytes]:
    """Return the contents of files and directories."""
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def signal_self(*numbers: int) -> None:
    """Send signals to this process."""
    for number in numbers:
        os.kill(os.getpid(), number)


def at(module: str, name: str, call: int, action: Action, after: bool = False) -> Action:
    """Return what wraps a function so that its n-th call is preceded or followed by an action."""

    def install() -> None:
        owner: Any = importlib.import_module(module)
        *classes, attribute = name.split(".")
        for part in classes:
            owner = getattr(owner, part)
        function, calls = getattr(owner, attribute), [0]

        def wrapped(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            now = calls[0] == call
            if now and not after:
                action()
            found = function(*arguments, **options)
            if now and after:
                action()
            return found

        setattr(owner, attribute, wrapped)

    return install


# kills


def file_events(run: Path, action: Callable[[str], object]) -> Action:
    """Return what calls an action before each change of a file in a run."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITES):
            return
        if event not in ("open", "os.rename", "os.link", "os.mkdir", "os.remove", "shutil.rmtree"):
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes, os.PathLike)) else ""
        if path.startswith(f"{run}/"):
            name = re.sub(r"[.][0-9.]+[.]part", ".N.part", path.removeprefix(f"{run}/"))
            name = re.sub(r"0*[0-9]+-step-[0-9]+", "N-step-N", name)
            if not (event == "os.remove" and name.endswith(".part")):  # renamed before
                action(f"{event.removeprefix('os.')} {name}")

    return lambda: sys.addaudithook(hook)


@cache
def changes() -> dict[str, int]:
    """Return each change of a file in a run with the number of its last occurrence among all changes."""
    run, log = new_run(), folder() / "changes"
    handle = os.open(log, os.O_WRONLY | os.O_CREAT)
    train(run, before=file_events(run, lambda event: os.write(handle, f"{event}\n".encode()))).ok()
    os.close(handle)
    return {event: number for number, event in enumerate(log.read_text().splitlines(), 1)}


def kill_at(number: int) -> None:
    """Kill a training before a change of a file."""
    run, count = new_run(), [0]

    def action(_: str) -> None:
        count[0] += 1
        if count[0] == number:
            signal_self(signal.SIGKILL)

    assert train(run, before=file_events(run, action)).code == -signal.SIGKILL
    finish(run)


def limit_files(size: int, fatal: bool = False) -> Action:
    """Return what limits the size of files; a write beyond fails, or kills the process."""

    def install() -> None:
        if fatal:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        for number in (1, 2):  # not limited
            os.dup2(pipe, number)

    pipe = os.open(os.devnull, os.O_WRONLY)
    return install


def kill_inside(part: float) -> None:
    """Kill a training inside the first write beyond a part of the largest file."""
    run = new_run()
    size = max(path.stat().st_size for path in whole().rglob("*") if path.is_file())
    assert train(run, before=limit_files(int(part * size), fatal=True)).code == -signal.SIGXFSZ
    finish(run)


# full disks


def sizes(*paths: Path) -> int:
    """Return the size of the largest file."""
    return max(path.stat().st_size for path in paths)


def full(run: Path, size: int, name: str, *arguments: object) -> Result:
    """Run a command while files can have a number of bytes; its streams are pipes, which are not limited."""
    readers = [os.pipe() for _ in range(2)]

    def before() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        for number, (_, writer) in enumerate(readers, 1):
            os.dup2(writer, number)

    process = Process(name, arguments, before)
    texts = []
    for _, writer in readers:
        os.close(writer)
    for reader, _ in readers:
        with open(reader, "rb") as stream:
            texts.append(stream.read().decode())
    return Result(process.wait().code, *texts)


def full_training(part: float) -> None:
    """Fill the disk at a part of the largest file of a checkpoint; the checkpoint before stays intact."""
    run = new_run(half)
    older = snapshot(run / "checkpoints", run / "model.safetensors", run / "manifest.json", run / "config.yaml")
    size = int(part * max(path.stat().st_size for path in run.rglob("*") if path.is_file()))
    older_name = checkpoint_of(run) if part else run
    full(run, size, "train", *training(run, "--resume")).refused("cannot be written: ", "File too large", older_name)
    now = snapshot(run)
    assert all(now.get(name) == content for name, content in older.items()), "an older file has changed"
    finish(run)


def checkpoint_of(run: Path) -> Path:
    """Return the newest checkpoint."""
    return max((run / "checkpoints").iterdir())


def full_output(name: str, part: float) -> None:
    """Fill the disk at a part of an output; the older output stays intact."""
    run = new_run(whole)
    output, scores = run.parent / "output", run.parent / "scores"
    arguments: list[object] = {
        "evaluate": ["--data", data(), "--predictions", output, "--json", scores],
        "predict": ["--input", data(), "--output", output],
        "card": [],
        "plot": ["--output", output.with_suffix(".png")],
    }[name]
    command(name, "--run", run, *arguments).ok()
    older = snapshot(run.parent)
    target = {"card": run / "README.md", "plot": output.with_suffix(".png")}.get(name, output)
    result = full(run, int(part * target.stat().st_size), name, "--run", run, *arguments)
    result.refused("cannot be written: File too large")
    assert snapshot(run.parent) == older
    shutil.rmtree(run.parent)


def full_device(name: str, *arguments: object) -> None:
    """Write to a device that is always full."""
    command(name, "--run", whole(), *arguments).refused("/dev/full: cannot be written: No space left on device")


# signals

PLACES = {
    "reading": ("ner.data.formats.conll", "detect_layout", 2),
    "building": ("ner.model.model", "build", 1),
    "first step": ("ner.training.loop", "train_step", 1),
    "a step": ("ner.training.loop", "train_step", 2),
    "the second epoch": ("ner.training.loop", "train_step", 5),
    "validation": ("ner.training.loop", "evaluate", 1),
    "saving a checkpoint": ("ner.training.checkpoint", "save", 2),
    "saving the model": ("ner.model.saving", "save", 1),
    "test scores": ("ner.training.trainer", "finish", 1),
    "test predictions": ("ner.data.formats.conll", "write", 1),
}


def signalled(place: str, *numbers: signal.Signals) -> None:
    """Send signals to a training; the first decides the exit code, and a second one ends it at once."""
    run = new_run()
    result = train(run, before=at(*PLACES[place], partial(signal_self, *numbers)))
    result.interrupted(numbers[-1])
    if len(numbers) == 1:
        assert not list(run.rglob("*.part"))
    if place in ("a step", "the second epoch", "validation"):
        assert len(numbers) == 2 or "stopped between two steps; continue with --resume" in result.out
        assert len(numbers) == 2 or list(run.glob("checkpoints/*"))
    finish(run)


def ignored_hangup(place: str) -> None:
    """Send SIGHUP to a training under nohup."""
    run = new_run()

    def before() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        at(*PLACES[place], partial(signal_self, signal.SIGHUP))()

    train(run, before=before).ok()
    complete(run)


def signalled_reader(name: str, number: signal.Signals) -> None:
    """Send a signal to a command while it writes; older outputs stay, temporary files do not."""
    run = new_run(whole)
    output = run.parent / "output"
    output.write_text("older")
    arguments = ["--data", data(), "--predictions", output] if name == "evaluate" else ["--input", data()]
    arguments += [] if name == "evaluate" else ["--output", output]
    before = at("ner.data.tags", "tags_in_scheme", 3, partial(signal_self, number))
    result = command(name, "--run", run, *arguments, before=before).interrupted(number)
    assert result.err == "interrupted\n", result.err
    assert output.read_text() == "older"
    assert not list(run.parent.rglob("*.part"))
    shutil.rmtree(run.parent)


# two at once


def waiting(run: Path, *options: str, step: int = 5) -> tuple[Process, Path]:
    """Start a training that waits before a step until a file is removed."""
    gate, reached = run.parent / "gate", run.parent / "reached"
    gate.touch()

    def wait() -> None:
        reached.touch()
        while gate.exists():
            time.sleep(0.01)

    process = Process("train", training(run, *options), at("ner.training.loop", "train_step", step, wait))
    until(reached.exists)
    return process, gate


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def second(first: Sequence[str], other: Sequence[str]) -> None:
    """Start a second training in the directory of a running one; it is refused, and the first ends undisturbed."""
    run = new_run()
    process, gate = waiting(run, *first)
    before = snapshot(run)
    expected = [f"process {process.pid} on "] if "--resume" in other else []
    train(run, *other).refused(run, *expected)
    assert snapshot(run) == before
    gate.unlink()
    process.wait().ok()
    complete(run)


def second_early() -> None:
    """Start a second training while the first one reads its data."""
    run = new_run()
    gate, reached = run.parent / "gate", run.parent / "reached"
    gate.touch()

    def wait() -> None:
        reached.touch()
        until(lambda: not gate.exists())

    process = Process("train", training(run), at("ner.model.model", "build", 1, wait))
    until(reached.exists)
    train(run).refused(f"process {process.pid} on ")
    train(run, "--resume").refused(f"process {process.pid} on ")
    gate.unlink()
    process.wait().ok()
    complete(run)


def race(first: Sequence[str], other: Sequence[str], copy: Callable[[], Path] | None = None) -> None:
    """Start two trainings at the same moment; exactly one trains."""
    run = new_run(copy)
    start = time.time() + 0.3
    before = partial(lambda: time.sleep(max(0, start - time.time())))
    processes = [Process("train", training(run, *options), before) for options in (first, other)]
    results = [process.wait() for process in processes]
    codes = sorted(result.code for result in results)
    if codes == [0, 0]:  # the second one resumed after the end of the first
        assert any("training is finished" in result.out for result in results)
    else:
        assert codes == [0, 2], codes
        next(result for result in results if result.code).refused(run)
    complete(run)


def readers(name: str, *arguments: str) -> None:
    """Run a reading command during a training."""
    run = new_run()
    process, gate = waiting(run)
    source = data() if name in ("predict", "evaluate") else None
    extra = ["--input", source] if name == "predict" else ["--data", source] if name == "evaluate" else []
    result = command(name, "--run", run, *extra, *arguments)
    gate.unlink()
    process.wait().ok()
    result.ok()
    complete(run)


def killed_holder() -> None:
    """Kill a training; its lock is free at once."""
    run = new_run()
    process, _ = waiting(run)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finish(run)


def twelve(same_second: bool) -> None:
    """Start twelve trainings of one configuration at once, without --run."""
    place = Path(tempfile.mkdtemp(dir=folder()))

    def before() -> None:
        os.chdir(place)
        if same_second:
            moment = time.localtime()
            strftime = time.strftime
            time.strftime = lambda form, when=moment: strftime(form, when)  # type: ignore[assignment]

    processes = [Process("train", training(None, "training.epochs=1"), before) for _ in range(12)]
    for process in processes:
        process.wait(240).ok()
    runs = list(place.glob("runs/tiny/*"))
    assert len(runs) == 12, len(runs)
    assert len({(run / "model.safetensors").read_bytes() for run in runs}) == 1
    shutil.rmtree(place)


# permissions, vanished files


def as_nobody() -> None:
    """Give up the rights of root, for whom no directory is read-only."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def read_only(name: str, *arguments: object, mode: int = 0o555, parent: bool = False) -> None:
    """Run a command that writes into a directory without permission."""
    run = new_run(None if parent else half if name == "train" else whole)
    run.parent.chmod(0o755)
    if parent:
        run.parent.chmod(mode)
    else:
        for path in [*run.rglob("*"), run]:
            path.chmod(mode if path == run else 0o555 if path.is_dir() else 0o444)
    before = snapshot(run)
    options = training(run, *map(str, arguments)) if name == "train" else ["--run", run, *arguments]
    command(name, *options, before=as_nobody).refused("ermission denied", run)
    assert snapshot(run) == before
    run.parent.chmod(0o755)


def unreadable(option: str, name: str, *arguments: object) -> None:
    """Read a file without permission."""
    path = Path(tempfile.mkdtemp(dir=folder())) / "secret"
    path.parent.chmod(0o755)
    path.write_bytes(data().read_bytes())
    path.chmod(0)
    for file in [whole(), *whole().rglob("*")]:
        file.chmod(0o755 if file.is_dir() else 0o644)
    given = [f"{option}{path}"] if option.endswith("=") else [option, path]
    if name == "train":
        path.parent.chmod(0o777)
        given += ["--run", str(path.parent / "run")]
    command(name, *arguments, *given, before=as_nobody).refused(path, "ermission denied")


def vanished(name: str, place: str) -> None:
    """Remove a file or directory of a running training; it ends well, or in one sentence."""
    run = new_run()
    source = run.parent / "data.conll"
    shutil.copy(data(), source)
    target = source if name == "data" else run / name if name else run

    def remove() -> None:
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    result = train(run, before=at(*PLACES[place], remove), source=source)
    if name in ("", "model.safetensors") and place != "a step":
        result.refused(run)  # the kept model is lost
        shutil.rmtree(run, ignore_errors=True)
        train(run, source=source).ok()
    else:
        result.ok()
    complete(run)


# temporary directory, names, pipes, clocks


def without_temporary_directory(name: str, *arguments: object) -> None:
    """Run a command in a new process that finds no writable temporary directory."""
    code = f"""
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/nonexistent"]
from ner.commands import {name}
sys.exit({name}.main(sys.argv[1:]))
"""
    arguments = tuple(new_run(whole) if argument is whole else argument for argument in arguments)
    process = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "TMPDIR": "/nonexistent"}
    found = subprocess.run(process, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    result = Result(found.returncode, found.stdout, found.stderr)
    if result.code:  # dill, which torch imports if it is installed, needs one
        result.refused("No usable temporary directory", "set TMPDIR to a writable directory")


def named(option: str, name: str, *arguments: object, length: int) -> None:
    """Give an option a name of some length; up to 255 bytes the file system takes it."""
    place = Path(tempfile.mkdtemp(dir=folder()))
    path = (
        place / ("x" * (length - 4) + ".png")
        if length < 4000
        else Path(*[str(place)], *(["y" * 200] * (length // 200)))
    )
    result = command(name, *arguments, *([f"{option}{path}"] if option.endswith("=") else [option, path]))
    if length <= 255 and option in ("--predictions", "--json", "--output", "--to"):
        result.ok()
        assert path.exists()
    elif length <= 255 and (option, name) == ("--run", "train"):
        result.ok()
    else:
        result.refused("x" * 200 if length < 4000 else "y" * 200)
    shutil.rmtree(place)


def nul(option: str, name: str, *arguments: object) -> None:
    """Give an option a name with NUL in it."""
    text = f"{folder()}/a\0b"
    command(name, *arguments, *([f"{option}{text}"] if option.endswith("=") else [option, text])).refused()


def nul_in_yaml(key: str) -> None:
    """Name a file with NUL in a configuration."""
    run = new_run()
    config = run.parent / "config.yaml"
    text = (ROOT / "configs" / "tiny.yaml").read_text().replace("train: data/sample/en/valid.conll", 'train: "a\\0b"')
    config.write_text(text if key == "train" else text + f'\n{key}: "a\\0b"\n')
    command("train", "--config", config, "--run", run).refused()


def feed(path: Path, content: bytes) -> int:
    """Write into a named pipe from another process."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException), open(path, "wb") as pipe:
            pipe.write(content)
        os._exit(0)
    return child


def piped(*splits: str, resume: bool = False, changed: bool = False) -> None:
    """Train from named pipes; they are read once."""
    run = new_run()
    options, children = [], []

    def pipes(content: bytes) -> list[str]:
        options.clear()
        for split in splits:
            path = run.parent / split
            if not path.exists():
                os.mkfifo(path)
            options.append(f"data.{split}={path}")
            children.append(feed(path, content))
        return options

    content = data().read_bytes()
    if resume:
        stop = at("ner.training.loop", "train_step", 4, partial(signal_self, signal.SIGTERM))
        train(run, *pipes(content), before=stop).interrupted(15)
        if changed:
            train(run, "--resume", *pipes(content + b"\nAda B-PER\n")).refused("file has changed since the run began")
        train(run, "--resume", *pipes(content)).ok()
    else:
        train(run, *pipes(content)).ok()
    for child in children:
        os.waitpid(child, 0)
    complete(run)


def substituted(name: str, option: str, *arguments: object) -> None:
    """Read from a process substitution of the shell."""
    run = new_run()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException), open(writer, "wb") as pipe:
            pipe.write((ROOT / "configs" / "tiny.yaml").read_bytes() if option == "--config" else data().read_bytes())
        os._exit(0)
    os.close(writer)
    os.set_inheritable(reader, True)
    given = f"/dev/fd/{reader}"
    run_options: list[object] = ["--run", run] if name == "train" else ["--run", whole()]
    options = [f"{option}{given}"] if option.endswith("=") else [option, given]
    command(name, *run_options, *arguments, *options).ok()
    os.close(reader)
    os.waitpid(child, 0)


def predicted_from_pipe(form: str, content: bytes, *arguments: object) -> None:
    """Predict from a named pipe as from a file."""
    place = Path(tempfile.mkdtemp(dir=folder()))
    file, pipe = place / "file", place / "pipe"
    file.write_bytes(content)
    os.mkfifo(pipe)
    options = ["--run", whole(), "--format", form, *arguments]
    expected = command("predict", *options, "--input", file).ok()
    child = feed(pipe, content)
    found = command("predict", *options, "--input", pipe).ok()
    os.waitpid(child, 0)
    assert found.out == expected.out
    assert found.out


def streamed(form: str, line: bytes, named_pipe: bool) -> None:
    """Predict from a pipe that stays open; a chunk of sentences is answered before the end of the input."""
    place = Path(tempfile.mkdtemp(dir=folder()))
    output, answers = os.pipe()
    reader, writer = os.pipe()
    if named_pipe:
        os.mkfifo(place / "pipe")

    def before() -> None:
        os.close(writer)
        os.dup2(answers, 1)

    options = ["--run", whole(), "--format", form, "--input", str(place / "pipe") if named_pipe else "-"]
    process = Process("predict", options, before, None if named_pipe else reader)
    os.close(answers)
    os.close(reader)
    pipe = os.open(place / "pipe", os.O_WRONLY) if named_pipe else writer
    feeder = threading.Thread(target=os.write, args=(pipe, line * 3000))
    feeder.start()
    found = 0
    while found < CHUNK:
        assert select.select([output], [], [], 30)[0], f"{found} answers while the pipe is open"
        block = os.read(output, 1 << 16)
        found += block.count(b"\n")
        if not block:
            process.wait().ok()
    feeder.join()
    os.close(pipe)
    while block := os.read(output, 1 << 16):
        found += block.count(b"\n")
    process.wait().ok()
    os.close(output)
    assert found == 3000, found


def answered(form: str, line: bytes) -> None:
    """Predict from standard input that pauses after each line; each is answered before the next one is sent."""
    answers, output = os.pipe()
    reader, writer = os.pipe()

    def before() -> None:
        os.close(writer)
        os.dup2(output, 1)

    process = Process("predict", ["--run", whole(), "--format", form], before, reader)
    os.close(output)
    os.close(reader)
    for _ in range(3):
        os.write(writer, line)
        assert select.select([answers], [], [], 30)[0], "no answer while the input pauses"
        assert os.read(answers, 1 << 16).count(b"\n") == 1
    os.close(writer)
    process.wait().ok()
    os.close(answers)


def interrupted_wait(number: signal.Signals) -> None:
    """Send a signal to a prediction that waits for input; it ends at once and in order."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "ner", "predict", "--run", whole(), "--format", "text"],
        cwd=ROOT, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(reader)
    os.write(writer, b"Paris is .\n")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    os.close(writer)
    Result(process.returncode, out, err).interrupted(number)
    assert err == "interrupted\n", err


def written_to_pipe(name: str, option: str, *arguments: object) -> None:
    """Write an output into a named pipe."""
    path = Path(tempfile.mkdtemp(dir=folder())) / "pipe"
    os.mkfifo(path)
    process = Process(name, ["--run", whole(), *arguments, option, path])
    with open(path, "rb") as pipe:
        assert len(pipe.read()) > 100
    process.wait().ok()
    assert path.is_fifo()


def jumping_clock(back: float) -> None:
    """Train while the clock of the system jumps back again and again; resume likewise."""
    clock, clock_ns, calls = time.time, time.time_ns, [0]

    def jump() -> float:
        calls[0] += 1
        return back * calls[0]

    def before() -> None:
        time.time = lambda: clock() - jump()
        time.time_ns = lambda: clock_ns() - int(jump() * 1e9)

    def stop() -> None:
        before()
        at(*PLACES["a step"], partial(signal_self, signal.SIGTERM))()

    run = new_run()
    train(run, before=stop).interrupted(15)
    train(run, "--resume", before=before).ok()
    complete(run)


# standard streams

SHELL = {
    "help": "python -m ner train --help",
    "help of ner": "python -m ner",
    "evaluate": "python -m ner evaluate --run {run} --data {data} --predictions {out}",
    "evaluate --json -": "python -m ner evaluate --run {run} --data {data} --predictions {out} --json -",
    "predict": "python -m ner predict --run {run} --input {data}",
    "card": "python -m ner card --run {run}",
    "plot": "python -m ner plot --run {run}",
    "control": "python -m ner control --run {run} --wait 0 batch.size=8",
    "schema": "python -m ner schema --markdown",
}


def stream(script: str, redirection: str, code: int, sentence: bool) -> None:
    """Run a command with a standard stream that is closed, full or a closed pipe."""
    run = new_run(whole)
    text = script.format(run=run, data=data(), out=run.parent / "out").replace("python", sys.executable, 1)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    found = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {text} {redirection}"],
        cwd=ROOT, env=buffered, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    errors = found.stderr.splitlines(keepends=True)
    logged = "--json -" in script  # scores on standard output, so the log is on standard error
    result = Result(found.returncode, found.stdout, "".join(errors[-1:] if logged else errors))
    if sentence:
        result.refused("standard output: cannot be written", code=code)
    else:
        assert (result.code, result.err) == (code, ""), (result.code, result.err[-300:])


def cases() -> Iterator[Case]:
    """Return all cases."""
    modules()
    for event, number in changes().items():
        if event.startswith("rename") or not event.endswith(".part"):  # a complete file, not yet under its name
            yield Case("kill -9", f"before: {event}", partial(kill_at, number))
    for part in (0.02, 0.1, 0.3, 0.6, 0.9, 0.99):
        yield Case("kill -9", f"inside a write, {part:.0%} of the largest file", partial(kill_inside, part))

    for part in (0, 0.01, 0.1, 0.5, 0.9, 0.99):
        yield Case("full disk", f"train, {part:.0%} of the largest file", partial(full_training, part))
    for name in ("evaluate", "predict", "card", "plot"):
        for part in (0, 0.3, 0.99):
            yield Case("full disk", f"{name}, {part:.0%} of the output", partial(full_output, name, part))
    yield Case(
        "full disk",
        "predict to a full device",
        partial(full_device, "predict", "--input", data(), "--output", "/dev/full"),
    )
    yield Case(
        "full disk",
        "evaluate to a full device",
        partial(full_device, "evaluate", "--data", data(), "--predictions", "/dev/full"),
    )

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for index, place in enumerate(PLACES):
        for number in numbers if place in ("reading", "a step", "test scores") else numbers[index % 3 :][:1]:
            yield Case("signals", f"{number.name} during {place}", partial(signalled, place, number))
    yield Case("signals", "two, during a step", partial(signalled, "a step", signal.SIGTERM, signal.SIGINT))
    yield Case(
        "signals",
        "two, while a checkpoint is saved",
        partial(signalled, "saving a checkpoint", signal.SIGINT, signal.SIGHUP),
    )
    for place in ("reading", "a step", "test scores"):
        yield Case("signals", f"SIGHUP under nohup during {place}", partial(ignored_hangup, place))
    for name in ("evaluate", "predict"):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            yield Case("signals", f"{number.name} during {name}", partial(signalled_reader, name, number))

    yield Case("two at once", "new, new", partial(second, [], []))
    yield Case("two at once", "new, --resume", partial(second, [], ["--resume"]))
    yield Case("two at once", "--resume, --resume", partial(second, ["--resume"], ["--resume"]))
    yield Case("two at once", "second start while the first reads", second_early)
    for number in range(2):
        yield Case("two at once", f"same moment, new ({number})", partial(race, [], []))
        yield Case(
            "two at once", f"same moment, --resume of a run ({number})", partial(race, ["--resume"], ["--resume"], half)
        )
    yield Case("two at once", "same moment, new and --resume", partial(race, [], ["--resume"]))
    for name, options in {
        "evaluate": [],
        "predict": [],
        "card": [],
        "plot": [],
        "control": ["--wait", "0", "training.log_every=1"],
    }.items():
        yield Case("two at once", f"{name} during a training", partial(readers, name, *options))
    yield Case("two at once", "lock of a killed training", killed_holder)
    yield Case("two at once", "twelve trainings in one second", partial(twelve, True))
    yield Case("two at once", "twelve trainings", partial(twelve, False))

    yield Case("permissions", "--resume in a read-only run", partial(read_only, "train", "--resume"))
    yield Case("permissions", "--resume in a run without any right", partial(read_only, "train", "--resume", mode=0))
    yield Case("permissions", "new run in a read-only directory", partial(read_only, "train", parent=True))
    yield Case(
        "permissions", "new run in a directory without any right", partial(read_only, "train", parent=True, mode=0)
    )
    for name in ("evaluate", "card", "plot"):
        yield Case("permissions", f"{name} of a read-only run", partial(read_only, name))
    yield Case(
        "permissions", "control of a read-only run", partial(read_only, "control", "--wait", "0", "batch.size=8")
    )
    tiny, run = ROOT / "configs" / "tiny.yaml", folder() / "new"
    yield Case("permissions", "data.train", partial(unreadable, "data.train=", "train", "--config", tiny))
    yield Case("permissions", "--config", partial(unreadable, "--config", "train"))
    yield Case("permissions", "predict --input", partial(unreadable, "--input", "predict", "--run", whole()))
    yield Case(
        "permissions",
        "evaluate --data",
        partial(unreadable, "--data", "evaluate", "--run", whole(), "--predictions", os.devnull),
    )

    for name in ("data", "checkpoints", "", "train.log", "train.lock"):
        first = "the second epoch" if name == "checkpoints" else "a step"
        for place in (first, "saving a checkpoint", "test scores"):
            yield Case("vanished", f"{name or 'the run'} at {place}", partial(vanished, name, place))
    yield Case("vanished", "the model before the test scores", partial(vanished, "model.safetensors", "test scores"))
    yield Case("vanished", "the model in the second epoch", partial(vanished, "model.safetensors", "the second epoch"))
    yield Case("vanished", "the run in the second epoch", partial(vanished, "", "the second epoch"))

    yield Case(
        "no temporary directory", "train", partial(without_temporary_directory, "train", *training(folder() / "no-tmp"))
    )
    yield Case("no temporary directory", "evaluate", partial(without_temporary_directory, "evaluate", "--run", whole))
    yield Case(
        "no temporary directory",
        "predict",
        partial(without_temporary_directory, "predict", "--run", whole, "--input", data()),
    )
    yield Case("no temporary directory", "card", partial(without_temporary_directory, "card", "--run", whole))
    yield Case("no temporary directory", "plot", partial(without_temporary_directory, "plot", "--run", whole))

    options: list[tuple[str, str, list[object]]] = [
        ("--run", "train", training(None)), ("--config", "train", ["--run", run]),
        ("data.train=", "train", ["--config", tiny, "--run", run]), ("--init", "train", training(run)),
        ("--run", "evaluate", []), ("--data", "evaluate", ["--run", whole(), "--predictions", os.devnull]),
        ("--predictions", "evaluate", ["--run", whole(), "--data", data()]),
        ("--json", "evaluate", ["--run", whole(), "--data", data(), "--predictions", os.devnull]),
        ("--run", "predict", []), ("--input", "predict", ["--run", whole()]),
        ("--output", "predict", ["--run", whole(), "--input", data()]),
        ("--run", "card", []), ("--run", "plot", []), ("--output", "plot", ["--run", whole()]),
        ("--run", "control", ["batch.size=8"]), ("--run", "replay", []), ("--to", "replay", ["--run", whole()]),
    ]  # fmt: skip
    for option, name, arguments in options:
        output = option in ("--predictions", "--json", "--output", "--to") or (option, name) == ("--run", "train")
        for length in (250, 300, 5000) if output else (300, 5000):
            yield Case(
                "long names", f"{name} {option} {length}", partial(named, option, name, *arguments, length=length)
            )
        yield Case("NUL", f"{name} {option}", partial(nul, option, name, *arguments))
    yield Case("NUL", "data.train in YAML", partial(nul_in_yaml, "train"))

    for splits in (["train"], ["valid"], ["test"], ["train", "valid", "test"]):
        yield Case("pipes", f"training: {', '.join(splits)}", partial(piped, *splits))
    yield Case("pipes", "resumed from the same content", partial(piped, "train", resume=True))
    yield Case("pipes", "not resumed from other content", partial(piped, "train", resume=True, changed=True))
    yield Case("pipes", "data.train=<(...)", partial(substituted, "train", "data.train=", *training(None)))
    yield Case("pipes", "--config <(...)", partial(substituted, "train", "--config", *training(None)[2:]))
    yield Case(
        "pipes", "evaluate --data <(...)", partial(substituted, "evaluate", "--data", "--predictions", os.devnull)
    )
    yield Case("pipes", "predict --input <(...)", partial(substituted, "predict", "--input"))
    text = b"Ada Lovelace met Babbage in London .\nParis is big .\n"
    jsonl = b'{"text": "Ada met Babbage in London ."}\n{"text": "Paris is big ."}\n'
    yield Case("pipes", "predict text", partial(predicted_from_pipe, "text", text))
    yield Case("pipes", "predict jsonl", partial(predicted_from_pipe, "jsonl", jsonl))
    yield Case("pipes", "predict conll", partial(predicted_from_pipe, "conll", data().read_bytes()))
    for named_pipe in (False, True):
        kind = "named pipe" if named_pipe else "standard input"
        yield Case("pipes", f"open {kind}, text", partial(streamed, "text", b"Paris is .\n", named_pipe))
        yield Case("pipes", f"open {kind}, jsonl", partial(streamed, "jsonl", b'{"text": "Rome"}\n', named_pipe))
    yield Case("pipes", "a text at a time", partial(answered, "text", b"Paris is .\n"))
    yield Case("pipes", "a JSON object at a time", partial(answered, "jsonl", b'{"text": "Rome"}\n'))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield Case("pipes", f"{number.name} while predict waits for input", partial(interrupted_wait, number))
    yield Case("pipes", "predict --output", partial(written_to_pipe, "predict", "--output", "--input", data()))
    yield Case(
        "pipes", "evaluate --predictions", partial(written_to_pipe, "evaluate", "--predictions", "--data", data())
    )
    yield Case(
        "pipes",
        "evaluate --json",
        partial(written_to_pipe, "evaluate", "--json", "--data", data(), "--predictions", os.devnull),
    )

    for back in (0.5, 3600.0, 1e6):
        yield Case("clock", f"{back:g} s back at each look", partial(jumping_clock, back))

    for name, script in SHELL.items():
        code = 0 if name == "evaluate" else 1
        if name != "evaluate":  # its scores are a log, which goes on without a stream
            yield Case("streams", f"{name} > /dev/full", partial(stream, script, "> /dev/full", code, True))
        if name in ("evaluate", "predict", "schema"):
            yield Case("streams", f"{name} | true", partial(stream, script, "| true", code, False))
        if name in ("evaluate", "predict", "card"):
            yield Case("streams", f"{name}, all closed", partial(stream, script, "<&- >&- 2>&-", code, False))
            yield Case("streams", f"{name} 2> /dev/full", partial(stream, script, "> /dev/null 2> /dev/full", 0, False))


if __name__ == "__main__":
    for ignored in (
        signal.SIGINT,
        signal.SIGHUP,
    ):  # nohup and background jobs of a shell ignore them, as would new processes
        signal.signal(ignored, signal.SIG_DFL)
    sys.exit(main("faults", "A run that is disturbed in any way continues to the same bytes.", cases()))
