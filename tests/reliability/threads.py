"""Taggers in threads and forked or spawned processes, and the memory of their caches."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from ner.inference.tagger import Tagger
from ner.model.word_cache import WordCache
from ner.types import Document
from tests.builders import build, documents, make_bert, settings
from tests.reliability.report import ROOT, Case, main

CALLS = 4
EMBEDDING = {"name": "embedding", "dimension": 6, "characters": {"kind": "cnn", "width": 8}, "shape_dimension": 4}


@cache
def bert() -> str:
    """Return the folder of a tiny BERT."""
    return make_bert(Path(tempfile.mkdtemp()))


def encoder(name: str) -> dict[str, Any]:
    """Return the configuration of an encoder."""
    transformer = {"name": "transformer", "model": bert()} if name != "embedding" else {}
    both = {"name": "concat", "embedding": EMBEDDING, "transformer": transformer}
    return {"embedding": EMBEDDING, "transformer": transformer, "concat": both}[name]


@cache
def tagger(name: str, decoder: str, seed: int = 0) -> Tagger:
    """Return a tagger with random weights."""
    torch.manual_seed(seed)
    windows = {} if name == "embedding" else {"max_length": 60}
    config = settings(encoder=encoder(name), decoder={"name": decoder}, context=None, windows=windows)
    return Tagger(build(config, documents()).eval(), config, "cpu")


def shrink(found: Tagger, size: int) -> None:
    """Replace the caches of a tagger by smaller ones."""
    for module in found.model.modules():
        for owner in (module, getattr(module, "tokenizer", None)):
            if isinstance(getattr(owner, "cache", None), WordCache):
                owner.cache = WordCache(size)  # type: ignore[union-attr]


def texts(seed: int) -> list[list[str]]:
    """Return sentences, most of whose words are new."""
    draw = random.Random(seed)
    letters = "abcdefgh"
    words = ["".join(draw.choices(letters, k=draw.randrange(1, 12))) for _ in range(60)]
    return [draw.choices(words, k=draw.randrange(1, 12)) for _ in range(6)]


def answer(found: list[Document]) -> list[Any]:
    """Return tags and rounded probabilities."""
    spans = [[(s.start, s.end, s.label, round(s.score or 0, 5)) for s in d.examples[0].spans] for d in found]
    return [[d.examples[0].tags for d in found], spans]


def in_threads(taggers: list[Tagger], threads: int, size: int) -> None:
    """Compare the annotations of threads with those of one thread."""
    numbers = [(number % len(taggers), number % 5) for number in range(threads * CALLS)]
    jobs = [(taggers[one], texts(seed)) for one, seed in numbers]
    known = {key: answer(taggers[key[0]].tag(texts(key[1]), probabilities=True)) for key in set(numbers)}
    expected = [known[key] for key in numbers]
    for one in taggers:
        shrink(one, size)
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda job: answer(job[0].tag(job[1], probabilities=True)), jobs))
    wrong = sum(left != right for left, right in zip(found, expected, strict=True))
    if wrong:
        raise AssertionError(f"{wrong} of {len(jobs)} calls differ")


def _child(queue: Any, name: str, decoder: str) -> None:
    queue.put(answer(tagger(name, decoder).tag(texts(1), probabilities=True)))


def in_process(start: str, name: str, decoder: str) -> None:
    """Compare the annotations of a child process with those of its parent, which has one thread."""
    if start == "spawn":
        bert()
    expected = answer(tagger(name, decoder).tag(texts(1), probabilities=True))
    context: Any = multiprocessing.get_context(start)
    queue = context.Queue()
    process = context.Process(target=_child, args=(queue, name, decoder))
    process.start()
    try:
        found = queue.get(timeout=120)
    finally:
        process.join(10)
        process.kill()
    if found[0] != expected[0] and (start == "fork" or name == "embedding"):  # a spawned BERT has other weights
        raise AssertionError("the child's annotations differ")


FORKED = """
import os, signal, sys, torch
torch.set_num_threads(2)
from ner.errors import InputError
from tests.reliability import threads
tagger = threads.tagger("embedding", "crf")
tagger.tag(threads.texts(1))
if sys.argv[1] == "parent":
    torch.set_num_threads(1)
if not os.fork():
    signal.alarm(60)
    if sys.argv[1] == "child":
        torch.set_num_threads(1)
    try:
        tagger.tag(threads.texts(1))
        print("tagged", flush=True)
    except InputError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""


def forked(where: str, expected: str) -> None:
    """Fork a process whose torch has two threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    found = subprocess.run(
        [sys.executable, "-c", FORKED, where], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150
    )
    if not found.stdout.startswith(expected) or found.stdout.count("\n") != 1:
        raise AssertionError(f"expected {expected}, found {found.stdout[:200]} {found.stderr[-200:]}")


def bounded(name: str, length: int, count: int, limit: int) -> None:
    """Measure what stays in memory after ``count`` different words of a length."""
    found = tagger(name, "crf")
    shrink(found, WordCache().max_size)
    found.tag([["a"]])
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for first in range(0, count, 50):
            found.tag([[f"{number:05}" + "x" * (length - 5) for number in range(first, min(count, first + 50))]])
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    if kept > limit * 1e6:
        raise AssertionError(f"{kept / 1e6:.0f} MB stay in memory, at most {limit} expected")


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for name in ("embedding", "transformer", "concat"):
        for decoder in ("crf", "softmax"):
            for threads in (2, 16):
                for size in (40, 400, 4_000_000):
                    check = partial(lambda n, d, t, s: in_threads([tagger(n, d)], t, s), name, decoder, threads, size)
                    yield Case("threads", f"{name}, {decoder}, {threads} threads, cache of {size}", check)
        yield Case("processes", f"{name}, fork with one thread", partial(in_process, "fork", name, "crf"))
        yield Case("processes", f"{name}, spawn", partial(in_process, "spawn", name, "crf"))
        yield Case("caches", f"{name}, 100 words of 200,000 characters", partial(bounded, name, 200_000, 100, 10))
        yield Case("caches", f"{name}, 4,000 words of 1,000 characters", partial(bounded, name, 1_000, 4_000, 40))
    several = partial(
        lambda: in_threads([tagger(n, "crf", s) for n in ("embedding", "concat") for s in (1, 2)], 16, 80)
    )
    yield Case("threads", "four taggers in 16 threads", several)
    yield Case("processes", "fork after two threads is refused", partial(forked, "none", "this process was forked"))
    yield Case("processes", "fork after two threads, one thread in the child", partial(forked, "child", "tagged"))
    yield Case("processes", "fork after the threads were set to one", partial(forked, "parent", "tagged"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with contextlib.redirect_stderr(io.StringIO()):
        bert()
    sys.exit(main("threads", "Threads and processes annotate like a single thread, and caches are bounded.", cases()))
