"""Worker process of a benchmark, in its own environment. Standard library only.

The process gets its options as JSON, prepares, and then repeats its work each time a line comes in; it answers with a
line of JSON. What libraries print goes to standard error.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

Sentence = tuple[list[str], list[str]]


def serve(prepare: Callable[..., Callable[[], dict[str, Any]]], packages: Iterable[str]) -> None:
    """Prepare the system, then run one round per request.

    Args:
        prepare: Called with the options of the command line; gives what is to be repeated. That returns what it did
            (``words``, ...), and ``seconds`` if it took the time itself.
        packages: Whose versions are to be told.
    """
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def send(answer: dict[str, Any]) -> None:
        channel.write(json.dumps(answer) + "\n")
        channel.flush()

    repeat = prepare(**json.loads(sys.argv[1]))
    send({"versions": {"python": sys.version.split()[0], **{name: version(name) for name in packages}}})
    for line in sys.stdin:
        if line.strip() != "repeat":
            break
        started = time.perf_counter()
        done = repeat()
        send({"seconds": time.perf_counter() - started, **done})


def timed(tag: Callable[[list[str]], Any], sentences: list[list[str]]) -> Callable[[], dict[str, Any]]:
    """Return a round that tags sentences one by one; ``latencies`` of its answer are the seconds of each."""

    def repeat() -> dict[str, Any]:
        latencies = []
        for words in sentences:
            started = time.perf_counter()
            tag(words)
            latencies.append(time.perf_counter() - started)
        return {"words": sum(map(len, sentences)), "latencies": latencies}

    return repeat


def read_columns(path: str, limit: int | None = None) -> list[Sentence]:
    """Read words and tags (first and last column) of the first ``limit`` sentences."""
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    with open(path, encoding="utf-8") as file:
        for line in [*file, "\n"]:
            columns = line.split()
            if columns and columns[0] != "-DOCSTART-":
                words.append(columns[0])
                tags.append(columns[-1])
            elif words:
                sentences.append((words, tags))
                words, tags = [], []
    return sentences[:limit]


def entity_f1(gold: list[list[str]], predicted: list[list[str]]) -> float:
    """Return the micro F1 of entities in BIO tags as in the CoNLL script; used for all systems."""
    counts = [0, 0, 0]
    for wanted, found in zip(gold, predicted, strict=True):
        left, right = spans(wanted), spans(found)
        counts = [counts[0] + len(left), counts[1] + len(right), counts[2] + len(left & right)]
    return 2 * counts[2] / max(1, counts[0] + counts[1])


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """Return ``(start, end, label)`` of the entities."""
    found = set()
    start, label = 0, ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, this = tag.partition("-")
        if label and (prefix in "BO" or this != label):
            found.add((start, position, label))
            label = ""
        if this and not label:
            start, label = position, this
    return found


def tag_lists(path: str, times: int, limit: int | None = None) -> tuple[list[list[str]], list[list[str]]]:
    """Return the gold tags of a file, repeated, and a copy with errors in every 30th and every 50th tag."""
    gold = [tags for _, tags in read_columns(path, limit)] * times
    labels = sorted({tag for tags in gold[:2000] for tag in tags})
    predicted, number = [], 0
    for tags in gold:
        found = list(tags)
        for position in range(len(found)):
            number += 1
            if number % 30 == 0:
                found[position] = "O"
            elif number % 50 == 0:
                found[position] = labels[number % len(labels)]
        predicted.append(found)
    return gold, predicted


def repeated(path: str, times: int) -> str:
    """Write a temporary file that repeats the lines of another one."""
    with open(path, encoding="utf-8") as source:
        text = source.read().rstrip("\n") + "\n\n"
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    target = os.path.join(folder.name, "repeated.txt")
    with open(target, "w", encoding="utf-8") as file:
        for _ in range(times):
            file.write(text)
    return target
