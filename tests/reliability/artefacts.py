"""Damaged and hostile run directories, read by every command that reads the file in question.

Each case damages a copy of a trained run and runs the commands in forked processes. A command has to end with exit
code 2 and one sentence, or with 0 where the damage is harmless. It may write in the run and its own outputs only, and
take at most a second and 200 MB more than with the intact run.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.reliability.report import Case, main

SECONDS, MEGABYTES, TIMEOUT = 1.0, 200, 120
SECRET = "a-secret-of-the-user"
WEIGHTS, CONFIG, LABELS = "model.safetensors", "config.yaml", "labels.json"
READERS = {
    "manifest.json": "predict evaluate init push",
    "config.yaml": "predict evaluate resume replay init plot card control push",
    "labels.json": "predict evaluate init card push",
    "model.safetensors": "predict evaluate init push",
    "encoder": "predict evaluate init card push",
    "trained_on.bin": "evaluate init resume",
    "checkpoints": "resume",
    "events.jsonl": "resume replay plot card control",
    "history.csv": "plot card push",
    "timing.csv": "resume",
    "metrics.json": "card push",
    "control": "resume",
}
"""Commands that read a file or folder of a run."""
SHOWING = ("plot", "card", "push")
"""Commands that show or upload the content of the files, so that theirs differs where a file differs."""
VALID: dict[str, tuple[str, ...]] = {
    LABELS: ("label ",),
    "encoder": ("encoder/config.json: ", "encoder/tokenizer"),  # options that change what is computed
}
"""Beginnings of the variants in which a file may be valid, but has another content; nothing can show this."""
Damage = Callable[[Path], None]


class Result(NamedTuple):
    """Exit code and error of a command, its processor time, elapsed time, largest memory, and files by name."""

    code: int
    error: str
    seconds: float
    elapsed: float
    megabytes: float
    files: Mapping[str, bytes] = MappingProxyType({})


class Bench:
    """Trained runs and their data in a temporary directory; commands run in forks of this process."""

    def __init__(self) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
        os.environ.pop("HF_TOKEN", None)
        import torch

        from tests.builders import make_bert

        torch.set_num_threads(1)
        self.root = Path(tempfile.mkdtemp(prefix="artefacts-"))
        atexit.register(shutil.rmtree, self.root, ignore_errors=True)
        os.environ["XDG_CACHE_HOME"] = str(self.root / "cache")
        data = self.root / "data"
        for folder in (data, self.root / "bert", self.root / "outside"):
            folder.mkdir()
        sentences = [f"{name} O\n{verb} O\n{place} B-LOC\n. O\n" for name, verb, place in WORDS]
        (data / "train.conll").write_text("\n".join(sentences))
        (data / "test.conll").write_text("\n".join(sentences[:3]))
        (data / "token").write_text("hf_token\n")
        for name in ("secret.txt", "victim.json"):
            (self.root / "outside" / name).write_text(SECRET)
        torch.manual_seed(1)
        make_bert(self.root / "bert")
        shared: dict[str, Any] = {
            "data": {
                **dict.fromkeys(("train", "valid"), str(data / "train.conll")),
                "test": str(data / "test.conll"),
                "memmap_dir": None,
            },
            "batch": {"size": 2, "prefetch": 0},
            "training": {"epochs": 2, "learning_rate": 0.1},
        }
        encoders = {
            "words": {"name": "embedding", "dimension": 8, "characters": {"kind": "cnn", "width": 4}},
            "pieces": {"name": "transformer", "model": str(self.root / "bert")},
        }
        for name, encoder in encoders.items():
            context = {"name": "bilstm", "hidden_size": 8} if name == "words" else None
            config = {**shared, "encoder": encoder, "context": context}
            (data / f"{name}.yaml").write_text(json.dumps(config))
            arguments = ["--config", str(data / f"{name}.yaml"), "--run", str(self.root / name)]
            result = self._fork("train", arguments, self.root)
            assert result.code == 0, result.error
            predicted = (self.root / name / "predictions" / "test.conll").read_text()
            assert "B-LOC B-LOC" in predicted, f"{name}: predicts no entity, so no difference would be found"
        shown = warnings.showwarning
        for name in encoders:  # imports and first calls, which all forks then share
            for command in COMMANDS:
                if command != "push":  # it starts threads
                    (self.root / "warm").mkdir()
                    shutil.copytree(self.root / name, self.root / "warm" / "run")
                    with open(os.devnull, "w") as null:
                        streams, (sys.stdout, sys.stderr) = (sys.stdout, sys.stderr), (null, null)
                        try:
                            _call(command, self._arguments(command, self.root / "warm", name))
                        finally:
                            sys.stdout, sys.stderr = streams
                            warnings.showwarning = shown
                    shutil.rmtree(self.root / "warm")
        importlib.import_module("tests.commands.test_push")
        self.intact = self._snapshot(self.root / "outside") | self._snapshot(data)

    @cache  # noqa: B019 - the bench lives as long as the process
    def good(self, command: str, run: str) -> Result:
        """Run a command on the intact run; the larger figures of two runs count."""
        results = [self.run(command, run, lambda path: None) for _ in range(2)]
        assert all(result.code == 0 for result in results), results[0].error
        first, second = (result.files for result in results)
        assert first == second or command in SHOWING, (
            f"{command}: {_different(first, second)} differs between two intact runs"
        )
        assert first or command in SHOWING, f"{command}: no output to compare"
        return Result(0, "", *(max(figures) for figures in zip(*(r[2:5] for r in results), strict=True)), first)

    def check(
        self, run: str, damage: Damage, commands: Sequence[str], refused: bool, places: Sequence[str], valid: bool
    ) -> None:
        """Run commands on a damaged copy of a run and check how they end.

        Args:
            run: Name of the run.
            damage: Damages the copy.
            commands: Names of the commands.
            refused: The first command has to refuse the run.
            places: A refusal names one of them: the damaged file, or a key in it.
            valid: The file is a valid one with another content, so the output may differ from that of the intact run.
        """
        for command in commands:
            intact = self.good(command, run)
            for attempt in range(3):
                result = self.run(command, run, damage)
                slow = result.seconds > intact.seconds + SECONDS or result.elapsed > intact.elapsed + 5 * SECONDS
                if not slow or attempt == 2:  # the machine may be busy
                    break
            about = f"{command}: {result.error.strip()[-300:]!r}"
            assert result.code != -signal.SIGKILL, f"{command}: hangs"
            assert "Traceback" not in result.error, f"traceback: {about}"
            allowed = (0, 1, 2) if command == "replay" else (0, 2)  # 1: other weights, which is reported
            assert result.code in allowed, f"exit code {result.code}: {about}"
            assert result.code == 2 or not refused or command != commands[0], f"not refused: {about}"
            if result.code == 2:
                lines = [line for line in result.error.splitlines() if not line.startswith("WARNING: ")]
                assert len(lines) == 1, f"{len(lines)} lines: {about}"
                assert lines[0].startswith("error: "), about
                assert lines[0].isprintable(), f"control characters: {about}"
                assert len(lines[0]) < 5000, f"{len(lines[0])} characters: {about[:200]}"
                assert any(place in lines[0] for place in places), f"{places[0]} is not named: {about}"
            elif result.code == 0 and command not in SHOWING and not valid:
                different = _different(result.files, intact.files)
                assert not different, f"{command}: {different} differs from that of the intact run"
            assert not slow, f"{result.seconds:.1f} s, intact {intact.seconds:.1f} s: {about}"
            more = result.megabytes - intact.megabytes
            assert more < MEGABYTES, f"{more:.0f} MB more than intact: {about}"

    def run(self, command: str, run: str, damage: Damage) -> Result:
        """Run a command on a damaged copy of a run, and check that it changes nothing else."""
        case = Path(tempfile.mkdtemp(dir=self.root))
        try:
            shutil.copytree(self.root / run, case / "run")
            damage(case / "run")
            before = self._snapshot(case / "run")
            result = self._fork(command, self._arguments(command, case, run), case)
            assert SECRET not in result.error, f"{command}: shows a file outside of the run"
            found = self._snapshot(self.root / "outside") | self._snapshot(self.root / "data")
            assert found == self.intact, f"{command}: changes files outside of the run"
            assert {path.name for path in case.iterdir()} <= {"run", "out"}, f"{command}: writes beside the run"
            after = self._snapshot(case / "run")
            if command in ("predict", "init", "plot") or (command != "resume" and result.code == 2):
                for found in (before, after):  # evaluate creates the folder of its predictions
                    found.pop(str(case / "run" / "predictions"), None)
                assert before == after, f"{command}: changes the run"
            if command == "predict" and result.code == 0:
                lines = (case / "out/tags.conll").read_text().split("\n")
                before = (self.root / "data/test.conll").read_text().split("\n")
                assert len(lines) == len(before), f"{command}: other lines than the input"
                assert {len(re.findall(r"[^ \t]+", line)) for line in lines} == {0, 3}, (
                    f"{command}: other columns than the input"
                )
            return result if result.code else result._replace(files=_outputs(command, case))
        finally:
            shutil.rmtree(case, ignore_errors=True)

    def _arguments(self, command: str, case: Path, run: str) -> list[str]:
        data, out = self.root / "data", case / "out"
        train = ["--config", str(data / f"{run}.yaml")]
        return {
            "predict": ["--run", f"{case}/run", "--input", f"{data}/test.conll", "--output", f"{out}/tags.conll"],
            "evaluate": ["--run", f"{case}/run", "--json", f"{out}/scores.json"],
            "resume": [*train, "--run", f"{case}/run", "--resume", "training.epochs=3"],
            "replay": ["--run", f"{case}/run", "--to", f"{out}/replay"],
            "init": [*train, "--run", f"{out}/new", "--init", f"{case}/run", "training.epochs=1"],
            "plot": ["--run", f"{case}/run", "--output", f"{out}/history.png"],
            "card": ["--run", f"{case}/run"],
            "control": ["--run", f"{case}/run", "--wait", "0", "batch.size=4"],
            "push": ["--run", f"{case}/run", "--repo", "me/tiny", "--token-file", f"{data}/token"],
            "train": [],
        }[command]

    def _fork(self, command: str, arguments: list[str], case: Path) -> Result:
        started = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        error = tempfile.TemporaryFile()  # noqa: SIM115 - shared with the child
        process = os.fork()
        if not process:
            code = 70
            try:
                os.setsid()
                null = os.open(os.devnull, os.O_RDWR)
                for source, target in ((null, 0), (null, 1), (error.fileno(), 2)):
                    os.dup2(source, target)
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
                resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
                code = _call(command, arguments)
            except BaseException:
                traceback.print_exc()
            finally:
                with suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        timer = threading.Timer(TIMEOUT, os.kill, (process, signal.SIGKILL))
        timer.daemon = True
        timer.start()
        _, status, usage = os.wait4(process, 0)
        timer.cancel()
        timer.join()  # no thread may be left at the next fork
        error.seek(0)
        text = error.read(1 << 24).decode(errors="replace")
        error.close()
        seconds, elapsed = usage.ru_utime + usage.ru_stime, time.monotonic() - started
        return Result(os.waitstatus_to_exitcode(status), text, seconds, elapsed, usage.ru_maxrss / 1024)

    @staticmethod
    def _snapshot(folder: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for directory, folders, files in os.walk(folder):
            for name in (*folders, *files):
                path = Path(directory, name)
                status = path.lstat()
                found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
        return found


COMMANDS = ("predict", "evaluate", "resume", "replay", "init", "plot", "card", "control", "push")
WORDS = [
    (name, verb, place)
    for name in ("Ann", "Bob", "Cid")
    for verb in ("likes",)
    for place in ("Rome", "Oslo", "Bonn", "Lima")
]


def _outputs(command: str, case: Path) -> dict[str, bytes]:
    """Return what a command wrote, by name, without times and paths that differ between two runs of it."""
    if command in ("evaluate", "resume", "replay", "init"):
        run = case / {"replay": "out/replay", "init": "out/new"}.get(command, "run")
        names = (WEIGHTS, "history.csv", "predictions/test.conll", "../out/scores.json")
        found = {name: (run / name).read_bytes() for name in names if (run / name).is_file()}
    elif command == "control":
        requests = [json.loads(path.read_bytes()) for path in sorted((case / "run" / "control").glob("*.json"))]
        found = {"requests": json.dumps([request.get("change") for request in requests]).encode()}
    else:
        files = sorted(path for path in (case / "out").rglob("*") if path.is_file())
        found = {str(path.relative_to(case / "out")): path.read_bytes() for path in files}
    return {
        name: re.sub(rb'"seconds": [0-9.]+', b"", content).replace(os.fsencode(case), b"")
        for name, content in found.items()
    }


def _different(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> str:
    """Return the name of a file that differs, or an empty string."""
    return next((name for name in sorted(found.keys() | expected) if found.get(name) != expected.get(name)), "")


def _call(command: str, arguments: list[str]) -> int:
    """Run a command in this process; a push goes to a local hub, and must not contain a file of outside."""
    module = importlib.import_module(f"ner.commands.{'train' if command in ('resume', 'init') else command}")
    if command != "push":
        return int(module.main(arguments))
    from huggingface_hub import constants

    from tests.commands.test_push import Hub

    constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_XET = False, True
    hub = Hub()
    threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    code = int(module.main([*arguments, "--endpoint", hub.url]))
    sent = [content for commit in hub.commits for content in commit.values()] + list(hub.objects.values())
    assert not any(SECRET.encode() in content for content in sent), "a file outside of the run was uploaded"
    if code:  # bars of the upload
        sys.stderr.flush()
    return code


# Damages of any file.


def content(name: str, data: bytes | str) -> Damage:
    """Return a damage that writes a file."""
    raw = data if isinstance(data, bytes) else data.encode(errors="surrogatepass")

    def damage(run: Path) -> None:
        _path(run, name).write_bytes(raw)

    return damage


def _path(run: Path, name: str) -> Path:
    """Return a file of a run; ``*`` is the newest checkpoint. Hard links to it are broken, other links removed."""
    path = sorted(run.glob(name))[-1] if "*" in name else run / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists():
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
    path.parent.mkdir(exist_ok=True, parents=True)
    return path


def _replace(name: str, make: Callable[[Path], object]) -> Damage:
    def damage(run: Path) -> None:
        path = _path(run, name)
        path.unlink(missing_ok=True)
        make(path)

    return damage


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(4 << 30)


def _large_folder(path: Path) -> None:
    path.mkdir()
    for number in range(100):
        (path / f"{number}.json").write_text("{}")


def edited(name: str, change: Callable[[Any], Any]) -> Damage:
    """Return a damage that changes the value in a JSON or YAML file; None keeps the value that was changed in place."""

    def damage(run: Path) -> None:
        from ner.config.load import read_yaml

        path = _path(run, name)
        text = path.read_text()
        value = read_yaml(text, name) if name.endswith("yaml") else json.loads(text)
        changed = change(value)
        path.write_text(json.dumps(value if changed is None else changed))

    return damage


def setting(path: str, value: Any) -> Damage:
    """Return a damage that sets a value in the configuration."""

    def change(config: Any) -> None:
        *above, last = path.split("/")
        for key in above:
            config[key] = config.get(key) or {}
            config = config[key]
        config[last] = value

    return edited(CONFIG, change)


LONG = "n" * 1_000_000
CODES = "\x1b[2J\x1b]0;owned\x07\n\r\u202egnp"
DEEP = 100_000


def anything(name: str, required: bool) -> Iterator[tuple[str, Damage, bool]]:
    """Yield the damages of any file: name, damage, and whether it has to be refused."""
    outside = "../../outside"
    yield "missing", _replace(name, lambda path: None), required
    yield "empty", content(name, b""), required
    yield "folder in its place", _replace(name, Path.mkdir), True
    yield "pipe in its place", _replace(name, os.mkfifo), True
    for target in (f"{outside}/secret.txt", "/dev/zero", f"{outside}/nothing"):
        yield f"link to {target}", _replace(name, lambda path, target=target: path.symlink_to(target)), True
    yield "hard noise", content(name, bytes(range(256)) * 40), True
    yield "4 GB of nothing", _replace(name, _sparse), True


def no_json(name: str) -> Iterator[tuple[str, Damage, bool]]:
    """Yield damages of a JSON file."""
    texts: dict[str, str | bytes] = {
        "cut": '{"a": [1, ',
        "a number": "12",
        "a list": "[1, 2]",
        "deep lists": "[" * DEEP + "]" * DEEP,
        "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
        "digits": '{"a": ' + "9" * 100_000 + "}",
        "no UTF-8": b'{"\xff\xfe": 1}',
        "byte zero": b'{"a\x00b": 1}\x00',
        "surrogate": '{"\\ud800": "\\udfff"}',
        "terminal codes": json.dumps({CODES: CODES}),
        "long name": json.dumps({LONG: LONG}),
    }
    for variant, text in texts.items():
        yield variant, content(name, text), True


# The files.


def _entry(name: str) -> Callable[[Any], Any]:
    return lambda entries: {**entries, name: entries[CONFIG]}


def manifests() -> Iterator[tuple[str, Damage, bool]]:
    name = "manifest.json"
    yield from anything(name, True)
    yield from no_json(name)
    yield "empty object", content(name, "{}"), True
    names = (
        "../../outside/secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "..",
        ".",
        "",
        "encoder/../config.yaml",
        "a\x00b",
    )
    for other in (
        *names,
        "./config.yaml",
        "encoder//words.json",
        "C:\\x",
        CODES,
        LONG,
        "\ud800",
        "missing.bin",
        "encoder",
    ):
        yield f"entry {ascii(other)[:40]}", edited(name, _entry(other)), True
    for key, value in (
        ("bytes", "12"), ("bytes", -1), ("bytes", 1.5), ("bytes", None), ("bytes", 10**400), ("bytes", True),
        ("sha256", 7), ("sha256", "zz"), ("sha256", LONG), ("sha256", None),
    ):  # fmt: skip
        shown = ascii(value)[:10]
        yield f"{key} {shown}", edited(name, lambda e, k=key, v=value: e[CONFIG].update({k: v})), True
    yield "further key", edited(name, lambda e: e[CONFIG].update(url="http://127.0.0.1/")), False
    yield "key without entry", edited(name, lambda e: e.update({CONFIG: None})), True
    for missing in (CONFIG, LABELS, WEIGHTS):
        yield f"without {missing}", edited(name, lambda e, m=missing: e.pop(m) and None), False
    yield "100,000 entries", edited(name, lambda e: {**e, **{f"f{n}": e[CONFIG] for n in range(100_000)}}), True


def _bomb(levels: int, start: str, item: str, width: int = 10) -> str:
    lines = [f"x0: &x0 {start}"]
    for level in range(1, levels):
        lines.append(f"x{level}: &x{level} {item.format(', '.join([f'*x{level - 1}'] * width))}")
    return "\n".join(lines) + "\n"


def configurations() -> Iterator[tuple[str, Damage, bool]]:
    name = CONFIG
    yield from anything(name, True)
    lists, merges = _bomb(12, "[a, a]", "[{}]"), _bomb(12, "{a: 1}", "{{<<: [{}]}}")
    wide = "x0: &x0 {" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}\n"
    texts: dict[str, str | bytes] = {
        "a list": "- 1\n- 2\n",
        "a text": "text",
        "no UTF-8": b"data: \xff\xfe",
        "byte zero": b"data: a\x00b",
        "tab": "data:\n\t- 1",
        "deep lists": "[" * DEEP,
        "deep mappings": "{a: " * 5000 + "1" + "}" * 5000,
        "deep blocks": "".join(f"{' ' * n}a:\n" for n in range(1000)),
        "a key twice": "seed: 1\nseed: 2\n",
        "bomb": lists + "data: *x11\n",
        "bomb in a path": lists + "data: {train: *x11}\n",
        "bomb in seed": lists + "seed: *x11\n",
        "bomb in a list": lists + "score_by: *x11\n",
        "bomb in a key": lists + "? *x11\n: 1\n",
        "bomb of merge keys": merges + "data:\n  <<: *x11\n",
        "merge keys of wide mappings": wide + f"data: {{<<: [{', '.join(['*x0'] * 20000)}]}}\n",
        "chain of merge keys": wide
        + "".join(f"x{n}: &x{n} {{<<: *x{n - 1}, y{n}: 1}}\n" for n in range(1, 2000))
        + "data: {<<: *x1999}\n",
        "a value that contains itself": "data: &a {train: *a}\n",
        "a merge key of itself": "data: &a\n  <<: *a\n",
        "merge of a text": "data:\n  <<: text\n",
        "unknown alias": "data: *nowhere\n",
        "tag of Python": "data: !!python/object/apply:os.system ['true']\n",
        "unknown tag": "data: !evil {a: 1}\n",
        "tag of binary": "data: !!binary '~~~'\n",
        "tag of a set": "data: !!set {a, b}\n",
        "tag of an ordered mapping": "data: !!omap [a: 1]\n",
        "tag of a time": "data: !!timestamp 2001-99-99\n",
        "tag of an integer": "seed: !!int text\n",
        "13th month": "seed: 2024-13-45\n",
        "directive": "%YAML 9.9\n---\nseed: 1\n",
        "two documents": "seed: 1\n---\nseed: 2\n",
        "40 MB of comments": "# comment\n" * 4_000_000,
        "1 MB of comments": "# comment\n" * 100_000,
        "digits": f"seed: {'9' * 100_000}\n",
        "sexagesimal": f"seed: {'1:' * 50_000}1\n",
        "long key": f"{LONG[:500_000]}: 1\n",
        "long text": f'data: {{train: "{LONG[:900_000]}"}}\n',
        "many keys": "".join(f"k{n}: 1\n" for n in range(60_000)),
        "many empty lists": f"data: [{'[],' * 200_000}]\n",
        "complex keys": "? [a, b]\n: 1\n? {a: 1}\n: 2\n",
        "keys of numbers": "1: 2\n2.5: 3\nnull: 4\ntrue: 5\n",
        "escapes": '"\\x1b[2J\\x07": "\\x1b]0;owned\\x07"\n',
        "surrogate": '"\\ud800": "\\udfff"\n',
    }  # fmt: skip
    for variant, text in texts.items():
        yield variant, content(name, text), True
    for variant, text in list(texts.items())[9:18]:  # the bombs below a configuration that is valid otherwise
        yield f"{variant}, otherwise valid", partial(_prefixed, text=text), True
    values: list[tuple[str, Any, bool]] = [
        *((section, value, True) for section in ("data", "encoder", "training") for value in (None, 7, "x", [], {})),
        *((section, value, True) for section in ("batch", "context", "decoder") for value in (7, [1], "x/../y")),
        ("unknown", 1, True),
        (CODES, CODES, True),
        ("seed", 10**30, True),
        ("seed", -1, True),
        ("seed", 1e300, True),
        ("seed", "\ud800", True),
        ("device", "cuda:99", False),
        ("device", CODES, False),
        ("metrics", ["entity"] * 100_000, True),
        ("metrics", ["../../x"], True),
        ("score_by", ["x"] * 10_000, False),
        ("data/test", "/dev/zero", False),
        ("data/test", "../../outside/secret.txt", False),
        ("data/test", "a\x00b", True),
        ("data/format", {"name": "conll", "encoding": "rot13"}, False),
        ("data/format", {"name": "conll", "columns": ["x"] * 50_000}, False),
        ("data/format", {"name": CODES}, True),
        ("training/precision", "fp8", True),
        ("training/monitor", CODES, True),
        ("training/monitor", f"entity.{LONG[:100_000]}", False),
        ("training/epochs", 10**30, False),
        ("training/learning_rate", 1e400, True),
        ("batch/size", 10**30, False),
        ("windows/max_length", 10**30, False),
    ]
    for path, value, refused in values:
        yield f"{ascii(path)[1:-1][:30]} = {ascii(value)[:30]}", setting(path, value), refused
    # each reads as a configuration, but is not that of the weights
    for path, value in (
        ("context/hidden_size", 10**9),
        ("context/hidden_size", 10**15),
        ("context/hidden_size", 3),
        ("context/layers", 10**6),
        ("context", {"name": "rtransformer", "layers": 10**6}),
        ("context", {"name": "rtransformer", "window": 10**9}),
        ("context", {"name": "rtransformer", "heads": 10**9}),
        ("context", {"name": "rtransformer", "ffn_size": 10**10}),
        ("encoder/dimension", 10**9),
        ("encoder/dimension", 10**18),
        ("encoder/dimension", 10**30),
        ("encoder/characters/width", 10**9),
        ("encoder/characters/kernel_size", 10**9),
        ("encoder/characters/dimension", 10**12),
        ("encoder/characters", {"kind": "lstm", "width": 10**6}),
        ("encoder/shape_dimension", 10**9),
        ("encoder/segmentation_dimension", 10**9),
        ("encoder/bigrams", {"dimension": 10**9}),
        ("encoder/bigrams", {"dimension": 64, "buckets": 1 << 30}),
        ("encoder", {"name": "concat", **{f"e{n}": {"name": "embedding"} for n in range(5000)}}),
        ("encoder", {"name": "concat", "a/b": {"name": "embedding"}, "..": {"name": "embedding"}}),
        ("encoder", {"name": "transformer", "model": "../../outside"}),
        ("decoder", {"name": "softmax"}),
        ("decoder", {"name": "unilm"}),
        ("decoder", {"name": "crf", "scheme": "bioes"}),
        ("unit", {"name": "piece", "tokenizer": "../../outside"}),
    ):
        yield f"{path} = {ascii(value)[:50]}", setting(path, value), False
    yield "encoder/characters/max_length = 10**30", setting("encoder/characters/max_length", 10**30), False


def _prefixed(run: Path, text: str) -> None:
    path = _path(run, CONFIG)
    *before, last = text.rstrip("\n").split("\n")
    path.write_text("\n".join([*before, path.read_text(), f"zz: {last.partition(': ')[2]}\n"]))


def label_files() -> Iterator[tuple[str, Damage, bool]]:
    name = LABELS
    yield from anything(name, True)
    yield from no_json(name)
    for scheme in ("x", None, 1, [], "none", CODES):
        yield f"scheme {scheme!a}", edited(name, lambda v, s=scheme: v.update(scheme=s)), scheme != "none"
    for kind in ("labels", "tags", "classes"):
        for value in (None, [], "x", {"LOC": "1"}, {"LOC": None}, {"LOC": 1.5}, {"LOC": [1]}):
            yield f"{kind} {value!a}", edited(name, lambda v, k=kind, x=value: v.update({k: x})), False
        yield f"without {kind}", edited(name, lambda v, k=kind: v.pop(k) and None), False
    others = (
        "A B",
        "A\tB",
        "A\nB",
        "A\rB",
        "A\u2028B",
        "A\u3000B",
        "",
        " ",
        "A\x00B",
        CODES,
        LONG,
        "\ud800",
        "A\x0bB",
        "A\x85B",
    )
    for label in others:  # as many labels as the weights have
        yield f"label {ascii(label)[:30]}", edited(name, lambda v, x=label: v.update(labels={x: 3})), False
    for count in (3, 3000, 100_000):
        labels = {f"L{number}": 1 for number in range(count)}
        yield f"{count} labels", edited(name, lambda v, x=labels: v.update(labels=x)), False
    yield "3000 classes", edited(name, lambda v: v.update(classes={f"L{n}": 1 for n in range(3000)})), False
    yield "count 10**400", edited(name, lambda v: v.update(labels={"LOC": 10**400})), False
    yield "count -5", edited(name, lambda v: v.update(labels={"LOC": -5})), False
    yield "further keys", edited(name, lambda v: v.update(more={"a": 1})), False


def _header(change: Callable[[dict[str, Any]], Any], tail: bytes | None = None) -> Callable[[bytes], bytes]:
    def make(data: bytes) -> bytes:
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        changed = change(header)
        raw = changed if isinstance(changed, bytes) else json.dumps(changed or header).encode()
        return struct.pack("<Q", len(raw)) + raw + (data[8 + size :] if tail is None else tail)

    return make


def _binary(name: str, make: Callable[[bytes], bytes]) -> Damage:
    def damage(run: Path) -> None:
        path = _path(run, name)
        path.write_bytes(make(path.read_bytes()))

    return damage


def _tensors(name: str, change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(run: Path) -> None:
        from safetensors.torch import load, save

        path = _path(run, name)
        tensors = load(path.read_bytes())
        change(tensors)
        path.write_bytes(save(tensors))

    return damage


def _first(entries: Mapping[str, Any], start: str = "") -> str:
    return next(key for key in sorted(entries) if key.startswith(start) and key != "__metadata__")


def _set(tensors: dict[str, Any], change: Callable[[Any], Any], start: str) -> None:
    key = _first(tensors, start)
    tensors[key] = change(tensors[key].clone()).contiguous()


def weights(name: str, start: str = "") -> Iterator[tuple[str, Damage, bool]]:
    """Yield damages of a safetensors file; ``start`` begins the name of the tensor that is damaged."""
    import torch

    yield from anything(name, True)
    yield "cut", _binary(name, lambda data: data[: len(data) // 2]), True
    yield "further bytes", _binary(name, lambda data: data + b"more"), True
    yield "huge header", _binary(name, lambda data: struct.pack("<Q", 1 << 60) + data[8:]), True
    yield (
        "header of 90 MB",
        _binary(name, _header(lambda header: json.dumps(header).encode() + b" " * (90 << 20))),
        True,
    )
    yield "deep header", _binary(name, _header(lambda header: b'{"a":' * DEEP + b"1" + b"}" * DEEP)), True
    yield "header of a list", _binary(name, _header(lambda header: b"[]")), True
    yield "pickle", content(name, b"\x80\x04cos\nsystem\n(S'true'\ntR."), True
    for key, value in (
        ("shape", [10**12]), ("shape", [-1]), ("shape", [1 << 63]), ("shape", "x"), ("shape", []),
        ("dtype", "F99"), ("dtype", "F64"), ("dtype", "BOOL"), ("dtype", 1),
        ("data_offsets", [0, 1 << 62]), ("data_offsets", [5, 1]), ("data_offsets", [0]),
    ):  # fmt: skip
        change = _header(lambda header, k=key, v=value: header[_first(header, start)].update({k: v}))
        yield f"{key} {value}", _binary(name, change), True
    tensors: dict[str, Callable[[dict[str, Any]], Any]] = {
        "NaN": lambda t: _set(t, lambda x: x * float("nan"), start),
        "infinity": lambda t: _set(t, lambda x: x.fill_(float("-inf")), start),
        "one NaN": lambda t: _set(
            t, lambda x: x.flatten().index_fill(0, torch.tensor([0]), float("nan")).view(x.shape), start
        ),
        "float64": lambda t: _set(t, lambda x: x.double(), start),
        "float16": lambda t: _set(t, lambda x: x.half(), start),
        "int32": lambda t: _set(t, lambda x: x.int(), start),
        "complex": lambda t: _set(t, lambda x: x.to(torch.complex64), start),
        "other shape": lambda t: _set(t, lambda x: x.repeat(2, *[1] * (x.ndim - 1)), start),
        "flat": lambda t: _set(t, lambda x: x.flatten()[None, None], start),
        "missing tensor": lambda t: t.pop(_first(t, start)),
        "further tensor": lambda t: t.update({f"{start}more": torch.zeros(3)}),
        "tensor with terminal codes": lambda t: t.update({f"{start}{CODES}": torch.zeros(3)}),
        "tensor with a long name": lambda t: t.update({f"{start}{LONG}": torch.zeros(3)}),
        "no tensor": lambda t: t.clear(),
    }
    for variant, change_tensors in tensors.items():
        yield variant, _tensors(name, change_tensors), True
    yield (
        "10,000 tensors",
        _tensors(name, lambda t: t.update({f"{start}x{n}": torch.zeros(1) for n in range(10_000)})),
        True,
    )


def encoder_files() -> Iterator[tuple[str, str, Damage, bool]]:
    """Yield run, name, damage, and whether it has to be refused."""
    for name in ("encoder/words.json", "encoder/characters.json"):
        for variant, damage, refused in (*anything(name, True), *no_json(name)):
            if name == "encoder/words.json" or "of" in variant:
                yield "words", f"{name}: {variant}", damage, refused
    name = "encoder/words.json"
    for variant, change in {
        "numbers": lambda v: [1] * len(v),
        "one string": lambda v: "a" * len(v),
        "an object": lambda v: dict.fromkeys(v, 1),
        "nested": lambda v: [[word] for word in v],
        "more strings": lambda v: [*v, *(f"w{n}" for n in range(100_000))],
        "fewer strings": lambda v: v[:3],
        "twice": lambda v: [v[2]] * len(v),
        "long": lambda v: [LONG + word for word in v],
    }.items():
        yield "words", f"{name}: {variant}", edited(name, change), variant not in ("twice", "long")
    yield "words", "encoder/evil.json: further table", content("encoder/evil.json", '["a"]'), False
    yield "words", "encoder/evil.py: further file", content("encoder/evil.py", "raise SystemExit(9)"), False
    for name in ("encoder/config.json", "encoder/tokenizer.json", "encoder/tokenizer_config.json"):
        for variant, damage, refused in (*anything(name, True), *no_json(name)):
            is_optional = name.endswith("tokenizer_config.json")
            yield "pieces", f"{name}: {variant}", damage, refused and not is_optional
    name = "encoder/config.json"
    for key, value in (
        ("model_type", "x"), ("model_type", None), ("model_type", "gpt2"), ("model_type", "roberta"),
        ("model_type", "timm_backbone"), ("model_type", "vision-text-dual-encoder"), ("model_type", CODES),
        ("auto_map", {"AutoModel": "evil--x.Model", "AutoConfig": "evil.Config"}),
        ("attn_implementation", "kernels-community/evil"), ("_attn_implementation", "kernels-community/evil"),
        ("_attn_implementation_internal", "kernels-community/evil"), ("attn_implementation", "flash_attention_2"),
        ("_experts_implementation", "evil/evil"), ("quantization_config", {"quant_method": "bitsandbytes"}),
        ("backbone", "resnet50"), ("use_timm_backbone", True), ("backbone_config", {"model_type": "timm_backbone"}),
        ("trust_remote_code", True), ("_name_or_path", "evil/evil"), ("torch_dtype", "float16"), ("dtype", "float99"),
        ("dtype", "system"), ("transformers_version", CODES), ("text_config", {"model_type": "gpt2"}),
        ("hidden_size", 10**9), ("hidden_size", -1), ("hidden_size", "x"), ("hidden_size", None), ("hidden_size", 17),
        ("num_hidden_layers", 10**9), ("num_hidden_layers", 3), ("num_hidden_layers", -1),
        ("num_hidden_layers", 100_000), ("num_attention_heads", 0), ("num_attention_heads", 10**9),
        ("intermediate_size", 10**12), ("vocab_size", 10**12), ("vocab_size", 3), ("vocab_size", 10**30),
        ("max_position_embeddings", 10**10), ("max_position_embeddings", 3), ("type_vocab_size", 10**9),
        ("hidden_act", "x"), ("hidden_act", CODES), ("hidden_act", ["a"]), ("layer_norm_eps", "x"),
        ("pad_token_id", 10**9), ("pad_token_id", -7), ("chunk_size_feed_forward", 10**9),
        ("chunk_size_feed_forward", -1), ("hidden_dropout_prob", 7), ("hidden_dropout_prob", "x"),
        ("is_decoder", True), ("add_cross_attention", True), ("output_attentions", True), ("return_dict", False),
        ("output_hidden_states", True), ("tie_word_embeddings", 3), ("architectures", "x"), ("architectures", [1]),
        ("id2label", {str(n): "x" for n in range(100_000)}), ("num_labels", 10**9), ("id2label", 3),
        ("pruned_heads", {"0": [0]}), ("pruned_heads", {"99": [99]}), ("tokenizer_class", "os.system"),
        ("rope_scaling", {"type": "x"}), ("gradient_checkpointing", True), ("use_cache", "x"),
    ):  # fmt: skip
        yield (
            "pieces",
            f"{name}: {key} = {ascii(value)[:40]}",
            edited(name, lambda v, k=key, x=value: v.update({k: x})),
            False,
        )
    name = "encoder/tokenizer.json"
    words = "vocab"
    for variant, change in {
        "no model": lambda v: v.pop("model") and None,
        "unknown model": lambda v: v["model"].update(type="Evil"),
        "empty vocabulary": lambda v: v["model"].update(vocab={}),
        "vocabulary of one": lambda v: v["model"].update(vocab={"[UNK]": 0}),
        "negative ids": lambda v: v["model"].update(vocab={w: -n for w, n in v["model"][words].items()}),
        "huge ids": lambda v: v["model"].update(vocab={w: n + 2**31 for w, n in v["model"][words].items()}),
        "ids beyond the model": lambda v: v["model"].update(vocab={w: n + 5000 for w, n in v["model"][words].items()}),
        "ids of one": lambda v: v["model"].update(vocab=dict.fromkeys(v["model"][words], 1)),
        "no unknown piece": lambda v: v["model"].update(unk_token="[NONE]"),
        "characters of a word": lambda v: v["model"].update(max_input_chars_per_word=10**18),
        "slow pattern": lambda v: v.update(
            pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a*)*b"}, "behavior": "Isolated", "invert": False}
        ),
        "broken pattern": lambda v: v.update(
            pre_tokenizer={"type": "Split", "pattern": {"Regex": "(" * 50}, "behavior": "Isolated", "invert": False}
        ),
        "normalizer without end": lambda v: v.update(
            normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x" * 100_000}]}
        ),
        "many normalizers": lambda v: v.update(
            normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}] * 100_000}
        ),
        "deep normalizers": lambda v: v.update(normalizer=_nested(60)),
        "normalizer that replaces all": lambda v: v.update(
            normalizer={"type": "Replace", "pattern": {"Regex": "."}, "content": ""}
        ),
        "precompiled normalizer": lambda v: v.update(
            normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA/////w=="}
        ),
        "truncation": lambda v: v.update(
            truncation={"max_length": 1, "strategy": "LongestFirst", "stride": 5, "direction": "Right"}
        ),
        "padding": lambda v: v.update(
            padding={"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                     "pad_type_id": 0, "pad_token": "[PAD]"}
        ),
        "post-processor": lambda v: v.update(
            post_processor={"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
        ),
        "post-processor that repeats": lambda v: v.update(
            post_processor={"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 1000,
                            "pair": [{"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {}}
        ),
        "added tokens": lambda v: v.update(added_tokens=[{"id": 10**9, "content": CODES, "single_word": False,
                                                          "lstrip": False, "rstrip": False, "normalized": False,
                                                          "special": True}]),
        "added token of nothing": lambda v: v["added_tokens"].append({**v["added_tokens"][0], "content": "", "id": 90}),
        "20,000 added tokens": lambda v: v.update(
            added_tokens=[{**v["added_tokens"][0], "content": f"x{n}", "id": 100 + n} for n in range(20_000)]
        ),
        "unknown decoder": lambda v: v.update(decoder={"type": "x"}),
        "version": lambda v: v.update(version="9.0"),
        "unigram": lambda v: v.update(model={"type": "Unigram", "unk_id": 7, "vocab": [["a", float("-1e300")]]}),
        "pairs without pieces": lambda v: v.update(model={"type": "BPE", "vocab": {"a": 0}, "merges": [["b", "c"]]}),
    }.items():  # fmt: skip
        yield "pieces", f"{name}: {variant}", edited(name, change), False
    name = "encoder/tokenizer_config.json"
    for key, value in (
        ("tokenizer_class", "os.system"), ("tokenizer_class", "EvilTokenizer"),
        ("tokenizer_class", "PreTrainedTokenizerFast"),
        ("tokenizer_class", None), ("tokenizer_class", ["x"]), ("tokenizer_class", "GPT2Tokenizer"),
        ("tokenizer_class", "MistralCommonBackend"), ("tokenizer_class", "BertJapaneseTokenizer"),
        ("tokenizer_class", "LlamaTokenizer"), ("tokenizer_class", "TikTokenTokenizer"), ("backend", "mistral_common"),
        ("auto_map", {"AutoTokenizer": ["evil.Slow", "evil--x.Fast"]}), ("model_max_length", -1),
        ("model_max_length", 10**400), ("model_max_length", "x"), ("model_max_length", 2), ("pad_token", None),
        ("unk_token", 7), ("cls_token", {"__type": "AddedToken", "content": CODES}), ("padding_side", "x"),
        ("added_tokens_decoder", {"x": {}}), ("added_tokens_decoder", {str(10**9): {"content": "x"}}),
        ("added_tokens_decoder", []), ("extra_special_tokens", ["x"] * 10_000), ("chat_template", "{{ x | evil }}"),
        ("chat_template", {"a": 1}), ("tokenizer_file", "../../outside/secret.txt"), ("vocab_file", "/etc/passwd"),
        ("name_or_path", "evil/evil"), ("do_lower_case", []), ("never_split", 7), ("processor_class", "x"),
        ("fix_mistral_regex", True), ("mecab_kwargs", {"mecab_dic": "evil"}), ("word_tokenizer_type", "mecab"),
    ):  # fmt: skip
        yield (
            "pieces",
            f"{name}: {key} = {ascii(value)[:40]}",
            edited(name, lambda v, k=key, x=value: v.update({k: x})),
            False,
        )
    for name in ("pytorch_model.bin", "config.py", "modeling_evil.py", "chat_template.jinja", "adapter_config.json"):
        yield "pieces", f"encoder/{name}: further file", content(f"encoder/{name}", "{}"), False
    adapter = '{"base_model_name_or_path": "../../outside", "peft_type": "LORA"}'
    yield "pieces", "encoder/adapter_config.json: adapter", content("encoder/adapter_config.json", adapter), False


def _nested(depth: int) -> Any:
    return {"type": "NFC"} if not depth else {"type": "Sequence", "normalizers": [_nested(depth - 1)]}


def trained_on() -> Iterator[tuple[str, Damage, bool]]:
    name = "trained_on.bin"
    yield from (
        (variant, damage, refused and "noise" not in variant) for variant, damage, refused in anything(name, False)
    )
    yield "odd size", content(name, b"\x01" * 13), False
    yield "not sorted", content(name, bytes(range(255, 0, -1)) * 8), False
    yield "90 MB", content(name, bytes(90 << 20)), False


def states() -> Iterator[tuple[str, Damage, bool]]:
    name = "checkpoints/*/state.json"
    for variant, damage, refused in (*anything(name, True), *no_json(name)):
        yield f"state.json: {variant}", damage, refused and _is_refused(variant)
    keys = ("step", "epoch", "position", "sentences", "skipped", "lr_scale", "best_epoch", "ended", "learning_rates")
    keys += ("best", "plateau", "stopping", "training_config", "batch_config", "next_batch_config", "averaged_updates")
    keys += ("scaler", "frozen", "train_scorer", "history", "events", "provenance")
    for key in keys:
        yield f"state.json: without {key}", edited(name, lambda v, k=key: v.pop(k) or v), True
        for value in ("x", -3, 10**30, [1]):
            if not (key == "ended" and isinstance(value, str)):
                change = lambda v, k=key, x=value: v.update({k: x})  # noqa: E731
                yield f"state.json: {key} = {ascii(value)[:20]}", edited(name, change), False
    yield "state.json: 100,000 epochs", edited(name, lambda v: v.update(history=v["history"] * 50_000)), True
    yield (
        "state.json: 100,000 events",
        edited(name, lambda v: v.update(events=[{"step": 1, "epoch": 0, "kind": CODES, "change": CODES}] * 100_000)),
        False,
    )
    yield "state.json: further metric", edited(name, lambda v: v["train_scorer"]["totals"].update(evil={"x": 1})), False
    yield "state.json: no metric", edited(name, lambda v: v["train_scorer"].update(totals={})), True
    yield (
        "state.json: data of another file",
        edited(name, lambda v: v["provenance"].update(data={"train": "0" * 64})),
        True,
    )
    yield "state.json: data are a list", edited(name, lambda v: v["provenance"].update(data=[1])), True
    yield "state.json: data are a number", edited(name, lambda v: v["provenance"].update(data={"train": 1})), True
    yield "state.json: versions are a list", edited(name, lambda v: v["provenance"].update(versions=[{}])), False
    yield (
        "state.json: versions with codes",
        edited(name, lambda v: v["provenance"].update(versions={CODES: CODES})),
        False,
    )
    yield "state.json: frozen modules", edited(name, lambda v: v.update(frozen=["nowhere", CODES])), False


def _is_special(variant: str) -> bool:
    return "place" in variant or "link" in variant


def _is_refused(variant: str) -> bool:
    """Return whether a checkpoint has to be refused; a matching manifest lists no folder, so an older one is taken."""
    return _is_special(variant) and "folder" not in variant


def state_tensors() -> Iterator[tuple[str, Damage, bool]]:
    for start in ("model/", "optimizer/", "random/"):
        name = "checkpoints/*/state.safetensors"
        for variant, damage, refused in weights(name, start):
            if start == "model/" or variant in TENSOR_VARIANTS:
                weights_differ = variant in TENSOR_VARIANTS or _is_refused(variant)  # otherwise an older one is taken
                yield f"state.safetensors, {start}: {variant}", damage, refused and start == "model/" and weights_differ
    for variant, damage, _ in weights("checkpoints/*/kept.safetensors"):
        if _is_special(variant) or variant in (*TENSOR_VARIANTS, "cut", "pickle"):
            yield f"kept.safetensors: {variant}", damage, False
    yield "manifest.json: damaged", content("checkpoints/*/manifest.json", "{"), False
    yield "manifest.json: link", _replace("checkpoints/*/manifest.json", lambda p: p.symlink_to("/dev/zero")), True
    for folder in ("000009-step-9", "9" * 100 + "-step-1", "000009-step-", "٣-step-1", "1²-step-1", "1x-step-2"):
        yield f"folder {ascii(folder)[:30]}", partial(_folder, name=f"checkpoints/{folder}"), False
    yield "checkpoints: a file", _replace("checkpoints", lambda path: path.write_text("x")), False
    yield "checkpoints: a link", _replace("checkpoints", lambda path: path.symlink_to("../../outside")), True


TENSOR_VARIANTS = ("NaN", "float64", "int32", "other shape", "flat", "complex")


def _folder(run: Path, name: str) -> None:
    (run / name).mkdir(parents=True)
    (run / name / "manifest.json").write_text("{}")


EVENT = {"step": 1, "epoch": 0, "kind": "control", "change": "batch.size=4", "id": "1"}


def event_files() -> Iterator[tuple[str, Damage, bool]]:
    name = "events.jsonl"
    yield from anything(name, False)
    yield from no_json(name)
    for key, value in (
        ("step", "1"), ("step", -5), ("step", 10**400), ("step", 1e300), ("epoch", None), ("epoch", 10**30),
        ("kind", 7), ("kind", CODES), ("kind", "init"), ("kind", "auto"), ("kind", "resume"), ("change", LONG),
        ("change", CODES), ("change", "data.train=/etc/passwd"), ("change", "seed=1"), ("change", "stop=step"),
        ("change", "freeze=__class__"), ("change", "training.epochs=1000000000"), ("change", ""), ("change", "\ud800"),
        ("change", "batch.size=[[[[[["), ("id", [1]), ("id", "../../../outside/victim"), ("further", 1),
    ):  # fmt: skip
        yield f"{key} = {ascii(value)[:30]}", content(name, json.dumps({**EVENT, key: value}) + "\n"), False
    init = {**EVENT, "kind": "init", "change": f"../../outside {'0' * 64}"}
    yield "init of another folder", content(name, json.dumps(init) + "\n"), False
    yield "init of a device", content(name, json.dumps({**init, "change": f"/dev/zero {'0' * 64}"}) + "\n"), False
    yield "blank lines", content(name, "\n\n\n"), False
    yield "100,000 events", content(name, (json.dumps(EVENT) + "\n") * 100_000), False
    different = "".join(
        json.dumps({**EVENT, "id": str(n), "change": f"batch.size={n + 1}"}) + "\n" for n in range(2000)
    )
    yield "2,000 changes", content(name, different), False
    yield "a long line", content(name, json.dumps({**EVENT, "change": "x" * (50 << 20)}) + "\n"), False


def tables(name: str) -> Iterator[tuple[str, Damage, bool]]:
    yield from anything(name, False)
    for variant, text in {
        "only a header": "epoch,step\n",
        "no header": "1,2\n3,4\n",
        "words": "epoch,step\nx,y\n",
        "too many cells": "epoch\n1,2,3\n",
        "too few cells": "epoch,step\n1\n",
        "no epoch": "step,avg_train_loss\n1,2\n",
        "NaN": "epoch,step,avg_train_loss\nnan,nan,nan\n",
        "infinity": "epoch,step,avg_train_loss\ninf,1,-inf\n",
        "huge": "epoch,step,avg_train_loss\n1e308,1e308,1e308\n2,1,-1e308\n",
        "negative": "epoch,step\n-1,-5\n",
        "codes": f"epoch,{CODES!r}\n1,{CODES!r}\n",
        "quotes": 'epoch,"a\n"b"\n1,"2\n',
        "byte zero": "epoch\x00,step\n1\x00,2\n",
        "a long cell": f"epoch,x\n1,{LONG}\n",
        "a long column": f"epoch,{LONG[:100_000]}\n1,2\n",
        "10,000 columns": f"epoch,{','.join(f'valid.tag.f1.{n}' for n in range(10_000))}\n1{',0.5' * 10_000}\n",
        "a column twice": "epoch,step,epoch\n1,2,3\n",
        "100,000 epochs": "epoch,step,avg_train_loss\n" + "".join(f"{n},{n},1\n" for n in range(100_000)),
        "digits": f"epoch,step\n{'9' * 5000},1\n",
        "epoch zero": "epoch,step\n0,0\n",
        "epochs in disorder": "epoch,step,best\n3,9,1\n1,2,1\n2,1,1\n",
        "markup": "epoch,valid.entity.by_type.$\\frac{x}{.f1\n1,0.5\n",
    }.items():  # fmt: skip
        yield variant, content(name, text), False


def metric_files() -> Iterator[tuple[str, Damage, bool]]:
    name = "metrics.json"
    yield from anything(name, False)
    yield from ((variant, damage, False) for variant, damage, _ in no_json(name))  # unknown keys are left out
    for key in ("test", "valid", "train", "data", "versions", "seconds", "command", "epoch", "seed"):
        for value in (None, [1], 10**400, CODES):
            yield f"{key} = {ascii(value)[:20]}", edited(name, lambda v, k=key, x=value: v.update({k: x})), False
    for key in ("entity", "tag", "sentences", "words", "loss", "by", "length", "notices"):
        for value in (None, "x", [1], {"micro": {"f1": "x"}, "by_type": {"a": 1}}):
            yield (
                f"test.{key} = {ascii(value)[:30]}",
                edited(name, lambda v, k=key, x=value: v["test"].update({k: x})),
                False,
            )
    many = {f"L{n}": {"f1": 0.5, "precision": 0.5, "recall": 0.5, "support": 1} for n in range(10_000)}
    yield "10,000 labels", edited(name, lambda v: v["test"]["entity"].update(by_type=many)), False
    yield (
        "label with markup",
        edited(name, lambda v: v["test"]["entity"].update(by_type={"|\n# x `": many["L1"]})),
        False,
    )


def requests() -> Iterator[tuple[str, Damage, bool]]:
    name = "control/1-1-0.json"
    yield from (  # noise is set aside
        (variant, damage, refused and "noise" not in variant) for variant, damage, refused in anything(name, False)
    )
    yield from ((variant, damage, False) for variant, damage, _ in no_json(name))
    for change in ("", "x", "batch.size=4", "stop=step", "freeze=encoder", "freeze=__class__", LONG, CODES, "seed=2",
                   "training.learning_rate=[[[[", "training.learning_rate.x=1", "batch.size=9" + "9" * 400,
                   "training.epochs=1", "save=now", "evaluate=now", "\ud800", "a.b.c=1"):  # fmt: skip
        yield f"change {ascii(change)[:30]}", content(name, json.dumps({"change": change})), False
    yield "2,000 requests", partial(_requests, count=2000), False
    yield "20,000 broken requests", partial(_requests, count=20_000, text="{"), False
    yield "a name with codes", content("control/\x1b[2J.json", '{"change": "batch.size=4"}'), False
    yield "control: a file", _replace("control", lambda path: path.write_text("x")), False
    yield "control: a link", _replace("control", lambda path: path.symlink_to("../../outside")), True


def _requests(run: Path, count: int, text: str = "") -> None:
    (run / "control").mkdir(exist_ok=True)
    for number in range(count):
        line = text or json.dumps({"change": f"batch.size={number % 7 + 1}"})
        (run / "control" / f"{number:06d}.json").write_text(line)


def with_manifest(damage: Damage) -> Damage:
    """Return the same damage with manifests that match it, as somebody writes who does it on purpose."""

    def matched(run: Path) -> None:
        damage(run)
        for path in (run, *run.glob("checkpoints/*")):
            with suppress(OSError, ValueError, AttributeError):
                _match(path)

    return matched


def _match(directory: Path) -> None:
    from ner.runtime import manifest

    path = directory / manifest.MANIFEST
    entries = json.loads(path.read_text())
    names = {name for name in entries if (directory / name).exists()}
    names |= {str(file.relative_to(directory)) for file in (directory / "encoder").rglob("*")}
    regular = sorted(name for name in names if _is_small(directory / name))
    _path(directory, manifest.MANIFEST)
    manifest.write_manifest(directory, regular)


def _is_small(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 30


def damages() -> Iterator[tuple[str, str, str, Damage, bool, bool]]:
    """Yield file, run, variant, damage, whether it has to be refused, and whether a manifest lists the file."""
    plain: list[tuple[str, Iterator[tuple[str, Damage, bool]], bool]] = [
        ("checkpoints", states(), True),
        ("checkpoints", state_tensors(), True),
        ("events.jsonl", event_files(), False),
        ("history.csv", tables("history.csv"), False),
        ("timing.csv", tables("timing.csv"), False),
        ("metrics.json", metric_files(), False),
        ("control", requests(), False),
        ("trained_on.bin", trained_on(), True),
        ("model.safetensors", weights(WEIGHTS, "encoder"), True),
        ("manifest.json", manifests(), False),
        ("labels.json", label_files(), True),
        ("config.yaml", configurations(), True),
    ]
    for file, found, listed in plain:
        for variant, damage, refused in found:
            yield file, "words", variant, damage, refused, listed
    for run, variant, damage, refused in encoder_files():
        yield "encoder", run, variant, damage, refused, True


def cases(bench: Callable[[], Bench], every: int = 1) -> Iterator[Case]:
    """Yield a case for each damage; the manifest matches it where it lists the file.

    Args:
        bench: Returns the runs.
        every: Distance of the damages that are taken.
    """
    for number, (file, run, variant, damage, refused, listed) in enumerate(damages()):
        if number % every == 0:
            matched = with_manifest(damage) if listed else damage
            yield _case(bench, file, variant, run, matched, refused)
            if listed and number % (10 * every) == 0:
                yield _case(bench, file, f"{variant}, manifest differs", run, damage, False)


def _case(bench: Callable[[], Bench], file: str, variant: str, run: str, damage: Damage, refused: bool) -> Case:
    places = [variant.partition(":")[0].partition(",")[0] if file in ("encoder", "checkpoints") else file]
    if "tokenizer" in variant:
        places.append("tokenizer")  # transformers reads its files together
    if file == "checkpoints" and not places[0].endswith(("json", "safetensors")):
        places.append("checkpoints")
    if file == "manifest.json":
        places.append("manifest")  # the file that differs from it is named
    if file == CONFIG:
        places += ["config.", "encoder.model"]  # a key
        if variant.startswith("data/"):
            places.append(variant.partition(" = ")[2].strip("'"))  # the file of the key
    commands, valid = READERS[file].split(), variant.startswith(VALID.get(file, ()))
    return Case(file, variant, lambda: bench().check(run, damage, commands, refused, places, valid))


if __name__ == "__main__":
    sys.exit(
        main(
            "artefacts",
            "Every damaged or hostile file of a run directory ends in exit code 2 and one sentence that names the file "
            "or its key, or the output is that of the intact run: no traceback, no file outside the run read, written "
            "or removed, under 1 s of processor time and 200 MB above the intact run.",
            cases(cache(Bench), 1 if "--only" in sys.argv else 3),  # all of a kind with --only, otherwise a third
        )
    )
