"""Bulk tagging that is killed, repeated and spread over workers; ``--only KIND`` runs the cases of one kind."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.reliability.memory import memory
from tests.reliability.report import ROOT, Case, main

KILLS, ROUNDS = 5, 4
"""Kills in a round, and rounds of each engine: 20 kills."""
SHARDS = 120
"""Shards of the jobs that are killed."""
WORDS = 10_000_000
STARTS, SECONDS = 18, 0.3
"""Shards that start before a kill, and seconds after the last of these starts, at most."""
PARTS = ("part-*", "errors.jsonl", "summary.json")


@cache
def folder() -> Path:
    """Return a folder for all files, which is kept for a look at failures."""
    return Path(tempfile.mkdtemp(prefix="ner-bulk-"))


@cache
def model(kind: str) -> Path:
    """Save a model with random weights: ``small`` is fast, ``large`` computes more than it reads, ``bert`` has a
    transformer that reads documents.
    """
    import torch

    from ner.model.saving import save
    from tests.builders import build, documents, make_bert, settings

    torch.manual_seed(0)
    batch = {"batch": {"size": 256, "micro_size": None}}
    if kind == "bert":
        config = settings(make_bert(folder()), windows={"scope": "document", "max_length": 48})
    elif kind == "large":
        config = settings(encoder={"name": "embedding", "dimension": 100}, context={"name": "bilstm"}, **batch)
    else:
        config = settings(**batch)
    save(build(config, documents()).eval(), config, folder() / kind)
    return folder() / kind


def lines(count: int, most: int) -> Iterator[list[str]]:
    """Yield sentences of random words."""
    draw = random.Random(0)
    words = ["Ann", "Bob", "of", "far", ".", *(f"Rare{number}" for number in range(500))]
    for _ in range(count):
        yield draw.choices(words, k=draw.randint(most // 4, most))


@cache
def corpus(count: int, name: str = "text", most: int = 16) -> Path:
    """Write a number of sentences with some words in a format."""
    path = folder() / f"{count}.{'parquet' if name == 'arrow' else name}"
    if name == "arrow":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"tokens": list(lines(count, most))}), path, row_group_size=1500)
        return path
    write = {
        "text": lambda words: " ".join(words) + "\n",
        "jsonl": lambda words: json.dumps({"words": words}) + "\n",
        "conll": lambda words: "".join(f"{word} O\n" for word in words) + "\n",
    }[name]
    with path.open("w", encoding="utf-8") as file:
        for number, words in enumerate(lines(count, most)):
            if name == "conll" and number % 70 == 0:
                file.write("-DOCSTART- O\n\n")
            file.write(write(words))
    return path


def command(kind: str, source: Path, output: Path, *options: str, name: str = "text", tool: str = "bulk") -> list[str]:
    """Return a command."""
    files = ["--run", str(model(kind)), "--format", name, "--input", str(source), "--output", str(output)]
    return [sys.executable, "-m", "ner", tool, *files, *options]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """Start a command in a session of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    options: dict[str, Any] = {"cwd": ROOT, "stderr": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen(arguments, start_new_session=True, **options)


def finish(arguments: list[str]) -> float:
    """Run a command to its end and return the seconds."""
    started = time.monotonic()
    process = start(arguments)
    _, errors = process.communicate(timeout=3600)
    assert process.returncode == 0, errors[-400:]
    return time.monotonic() - started


def digest(output: Path) -> str:
    """Return the SHA-256 of all results."""
    found = hashlib.sha256()
    for pattern in PARTS:
        for path in sorted(output.glob(pattern)):
            found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def starts(output: Path) -> list[dict[str, Any]]:
    """Return the log of starts."""
    path = output / "_bulk" / "starts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# kills


@cache
def damaged() -> Path:
    """Write short lines, some of which cannot be decoded."""
    path = folder() / "damaged"
    with path.open("wb") as file:
        for number in range(SHARDS * 2000):
            file.write(b"Ann \xff\n" if number % 7919 == 100 else f"Ann Rare{number % 99} far Bob\n".encode())
    return path


@cache
def undisturbed() -> str:
    """Return the SHA-256 of a job that is not disturbed."""
    output = folder() / "undisturbed"
    finish(command("small", damaged(), output, "--shard-size", "2000", "--workers", "2"))
    assert json.loads((output / "summary.json").read_text())["errors"] > 2
    return digest(output)


def killed(engine: str, seed: int) -> str:
    """Kill workers and drivers of a job at random moments, and start it again after the death of a driver."""
    expected = undisturbed()
    draw, output = random.Random(f"{engine} {seed}"), folder() / f"{engine}-{seed}"
    arguments = command("small", damaged(), output, "--shard-size", "2000", "--workers", "2", "--engine", engine)
    victims: Counter[str] = Counter()
    process = start(arguments)
    while victims.total() < KILLS:
        number = len(starts(output)) + draw.randint(
            3, STARTS
        )  # the third of two workers shows that a shard is complete
        while len(starts(output)) < number:
            assert process.poll() is None, f"the job ended after {victims.total()} kills"
            time.sleep(0.02)
        time.sleep(draw.uniform(0, SECONDS))
        if draw.random() < 0.5:
            process.kill()
            process.communicate()
            victims["driver"] += 1
            process = start(arguments)
        else:
            with suppress(ProcessLookupError):
                os.kill(draw.choice(starts(output)[-2:])["process"], signal.SIGKILL)
                victims["worker"] += 1
    _, errors = process.communicate(timeout=1200)
    assert process.returncode == 0, errors[-400:]
    assert digest(output) == expected, "the output differs from that of the undisturbed job"
    counts = Counter(entry["shard"] for entry in starts(output))
    assert len(counts) == SHARDS
    most = max(counts.values())
    assert most <= 1 + KILLS, f"a shard was computed {most} times"
    left = [path.name for path in output.rglob(".*.part")]
    assert not left, left
    repeated = sum(counts.values()) - SHARDS
    return f"workers {victims['worker']}, drivers {victims['driver']}; {repeated} shards repeated, {most} times at most"


def interrupted(number: int) -> str:
    """Interrupt a job, and continue it to the same output."""
    expected, output = undisturbed(), folder() / f"signal-{number}"
    arguments = command("small", damaged(), output, "--shard-size", "2000", "--workers", "2")
    process = start(arguments)
    while len(starts(output)) < SHARDS // 4:
        assert process.poll() is None
        time.sleep(0.02)
    workers = {entry["process"] for entry in starts(output)}
    sent = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    seconds = time.monotonic() - sent
    assert (process.returncode, errors.splitlines()[-1]) == (128 + number, "interrupted"), errors[-400:]
    time.sleep(0.5)
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers), "a worker is still alive"
    finish(arguments)
    assert digest(output) == expected
    return f"ended after {seconds:.1f} s"


# figures


def faster() -> str:
    """Compare two workers with one; both times contain the start of the processes."""
    cores = len(os.sched_getaffinity(0))
    assert cores >= 2, f"expected two processors, found {cores}"
    source, seconds = corpus(192_000), {}
    for repeat in range(2):
        for workers in (1, 2):
            output = folder() / f"faster-{workers}-{repeat}"
            found = finish(command("large", source, output, "--shard-size", "4000", "--workers", str(workers)))
            seconds[workers] = min(found, seconds.get(workers, found))
    ratio = seconds[1] / seconds[2]
    words = json.loads((folder() / "faster-1-0" / "summary.json").read_text())["words"]
    figure = f"{ratio:.2f} times: {words / seconds[1]:,.0f} and {words / seconds[2]:,.0f} words/s, {words:,} words"
    assert ratio >= 1.7, figure
    return figure


def peak(count: int) -> float:
    """Return the highest memory of a worker in megabytes for a number of sentences."""
    output = folder() / f"memory-{count}"
    process, highest = start(command("small", corpus(count), output, "--workers", "2")), 0.0
    thread = threading.Thread(target=process.communicate)
    thread.start()
    while thread.is_alive():
        for worker in {entry["process"] for entry in starts(output)[-4:]}:
            with suppress(OSError, StopIteration):
                highest = max(highest, memory("VmHWM", worker))
        time.sleep(0.2)
    assert process.returncode == 0
    return highest


def constant() -> str:
    """Compare the memory for ten million words with that for a tenth."""
    many, started = WORDS // 10, time.monotonic()
    few, most = peak(many // 10), peak(many)
    figure = f"{few:.0f} MB for {WORDS // 10:,} words, {most:.0f} MB for {WORDS:,}; {time.monotonic() - started:.0f} s"
    assert most < few + 50, figure
    return figure


def identical(engine: str, name: str) -> str:
    """Compare the parts of an engine with the output of ``ner predict``."""
    source, whole, output = corpus(4500, name, 8), folder() / f"whole-{name}.parquet", folder() / f"{engine}-{name}"
    scores = [] if name == "arrow" else ["--scores"]
    if not whole.exists():
        finish(command("bert", source, whole, *scores, name=name, tool="predict"))
    if engine == "spark":
        on_spark(source, output, name, bool(scores))
    else:
        options = ["--shard-size", "2000", "--workers", "2", "--engine", engine]
        finish(command("bert", source, output, *scores, *options, name=name))
    parts = sorted(output.glob("part-*"))
    assert len(parts) >= 3
    if name == "arrow":
        import pyarrow.parquet as pq

        rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
        assert rows == pq.read_table(whole).to_pylist()
        return f"{len(rows):,} rows in {len(parts)} parts"
    found = b"".join(part.read_bytes() for part in parts)
    assert found == whole.read_bytes()
    return f"{len(found):,} bytes in {len(parts)} parts"


def on_spark(source: Path, output: Path, name: str, scores: bool) -> None:
    """Run a job as ``docs/bulk.md`` describes it for Spark."""
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"

    from pyspark.sql import SparkSession

    from ner.bulk import job as jobs
    from ner.bulk.spark import run

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    job = jobs.create(str(model("bert")), [str(source)], str(output), name, scores=scores, shard_size=2000)
    run(job, session)


def cases() -> Iterator[Case]:
    """Yield the cases of the engines that are installed."""
    found = {name: importlib.util.find_spec(module) for name, module in (("ray", "ray"), ("spark", "pyspark"))}
    engines = ["local", *(name for name, spec in found.items() if spec is not None)]
    for engine in engines:
        for name in ("text", "jsonl", "conll", "arrow"):
            yield Case(f"equal to ner predict: {engine}", name, partial(identical, engine, name))
    for engine in engines:
        for seed in range(ROUNDS) if engine != "spark" else ():
            yield Case(f"kill -9: {engine}", f"{KILLS} kills, seed {seed}", partial(killed, engine, seed))
    for number in (signal.SIGINT, signal.SIGTERM):
        yield Case("signals", number.name, partial(interrupted, number))
    yield Case("two workers", "1.7 times one", faster)
    yield Case("ten million words", "memory of a worker", constant)


if __name__ == "__main__":
    promise = "A job of bulk tagging ends in the bytes of `ner predict`, whatever is killed, in constant memory."
    sys.exit(main("bulk", promise, cases()))
