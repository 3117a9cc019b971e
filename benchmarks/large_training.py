"""Time and memory of writing, opening and reading a store of ten million short sentences."""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from ner.data.store import Store, open_store, write
from ner.types import Document, Example, Span

ROOT = Path(__file__).parents[1]
WORDS = 1_000_000
"""Number of distinct words, by decreasing frequency."""
ASKED = 100_000


def documents(count: int) -> Iterator[Document]:
    """Yield documents of one sentence with 3 to 6 words; every second one contains an entity."""
    generator = random.Random(0)
    line = 1
    for number in range(count):
        length = 3 + number % 4
        words = [f"w{int(WORDS ** generator.random())}" for _ in range(length)]
        tags = ["O"] * length
        spans = []
        if number % 2:
            tags[1] = "B-PER"
            spans.append(Span(1, 2, "PER"))
        yield Document([Example(words, spans, tags, source="train.conll", line=line)], str(number), "train.conll")
        line += length + 1


def memory(name: str) -> float:
    """Return the memory of this process in MB from /proc; getrusage may include the parent process."""
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None, f"expected {name} in /proc/self/status"
    return int(found[1]) / 1024


def generate(folder: Path, count: int) -> None:
    """Generate the sentences only, as a baseline for the next step."""
    for _ in documents(count):
        pass


def fill(folder: Path, count: int) -> None:
    """Write the store."""
    write(documents(count), folder)


def start(folder: Path, count: int) -> Store:
    """Open the store."""
    store = open_store(folder)
    assert len(store) == count, "as many as were written"
    return store


def ask(folder: Path, count: int) -> Store:
    """Read random examples."""
    store = open_store(folder)
    generator = random.Random(1)
    for _ in range(ASKED):
        for example in store[generator.randrange(count)].examples:
            assert len(example.words) >= 3, "words"
    return store


def walk(folder: Path, count: int) -> Store:
    """Read all examples in order."""
    store = open_store(folder)
    for document in store:
        for example in document.examples:
            assert len(example.words) >= 3, "words"
    return store


def tally(folder: Path, count: int) -> Counter[str]:
    """Count the words."""
    return open_store(folder).vocabs("none").words


def train_once(folder: Path, count: int) -> int:
    """Start ``ner train`` on a file of the sentences and stop after the first step."""
    from ner.commands import train
    from ner.training import control

    data, small = folder.parent / "train.conll", folder.parent / "valid.conll"
    run = folder.parent / f"run-{time.time_ns()}"
    control.write_requests(run, ["stop=step"])
    options = [
        f"data.train={data}",
        f"data.valid={small}",
        "data.test=null",
        f"data.memmap_dir={folder}",
        "batch.size=256",
    ]
    encoder = "encoder={name: embedding, dimension: 32, min_count: 5}"
    config = ["--config", "configs/tiny.yaml", "--run", str(run), *options, encoder, "decoder=crf"]
    with redirect_stdout(sys.stderr):
        return train.main(config)


def columns(path: Path, count: int) -> None:
    """Write the sentences as a column file."""
    with open(path, "w", encoding="utf-8") as file:
        for document in documents(count):
            (example,) = document.examples
            tags = example.tags or []
            file.write("".join(f"{word} {tag}\n" for word, tag in zip(example.words, tags, strict=True)) + "\n")


def starts(count: int) -> None:
    """Measure two starts of a training and write ``results/training/large.json``; the first one reads the file."""
    with tempfile.TemporaryDirectory() as folder:
        columns(Path(folder, "train.conll"), count)
        columns(Path(folder, "valid.conll"), 1000)
        rows = []
        for name in ("first: read the file, write arrays, batches and counts, run one step", "later: run one step"):
            found = measured("train_once", Path(folder, "store"), count)
            rows.append({"start": name, "seconds": found["seconds"], "memory_mb": found["peak"], "own": found["own"]})
            print(rows[-1], flush=True)
    note = (
        f"{count:,} generated sentences of 3 to 6 words, embedding encoder, BiLSTM, CRF, one thread "
        "(`python benchmarks/large_training.py --train`). Memory is the peak resident set size, including pages of "
        f"mapped files, which the system can reclaim; at the end {rows[-1]['own']:,.0f} MB were private to the process."
    )
    target = ROOT / "results" / "training" / "large.json"
    target.write_text(json.dumps({"rows": rows, "note": note}, indent=1) + "\n", encoding="utf-8")


STEPS = {step.__name__: step for step in (generate, fill, start, ask, walk, tally, train_once)}


def measured(step: str, folder: Path, count: int) -> dict[str, float]:
    """Return seconds and MB of a step in a separate process."""
    options = ["--step", step, "--folder", str(folder), "--sentences", str(count)]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main() -> None:
    """Run all steps, or a single one in a child process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=10_000_000)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--folder", type=Path, help="where the store is, with --step")
    parser.add_argument("--train", action="store_true", help="two starts of a training instead")
    arguments = parser.parse_args()
    if arguments.train:
        starts(arguments.sentences)
        return
    if arguments.step:
        started = time.perf_counter()
        held = STEPS[arguments.step](arguments.folder, arguments.sentences)
        seconds = time.perf_counter() - started
        kept = {"seconds": seconds, "peak": memory("VmHWM"), "own": memory("RssAnon"), "mapped": memory("RssFile")}
        print(json.dumps(kept))
        del held  # keeps the mapped files open during the measurement
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "store")
        for step in ("generate", "fill", "start", "ask", "walk", "tally"):
            found = measured(step, target, arguments.sentences)
            print(step, *(f"{name} {number:,.3f}" for name, number in found.items()), sep="  ", flush=True)
        size = sum(os.stat(path).st_size for path in target.iterdir())
        print(f"store  {size / 2**20:,.0f} MB")


if __name__ == "__main__":
    main()
