"""Agreement, F1 and speed of exports: ``python benchmarks/export.py NAME=RUN=TEST ... [--pipeline NAME]``.

The exports of each run in float32 and int8 tag the test file of the run, as the run does in torch. Speed is the median
of three alternating rounds over the first documents, in words per second of processor time, with one thread. With
``--pipeline``, a ``pipeline`` of transformers over the bundled encoder tags the same sentences, sorted by length, in
batches of 8 and of 32; the faster one counts. Its head has random weights, which does not change its speed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from extras import keep  # noqa: E402  # after the path

import ner  # noqa: E402  # after the path
from ner.config.parts import load_component  # noqa: E402  # after the path
from ner.evaluation.metrics import entity  # noqa: E402  # after the path
from ner.export.export import export  # noqa: E402  # after the path
from ner.inference.tagger import Tagger  # noqa: E402  # after the path
from ner.model.pretrained import resolve  # noqa: E402  # after the path
from ner.runtime.device import processor  # noqa: E402  # after the path
from ner.types import Document, Example  # noqa: E402  # after the path

SENTENCES = 600
"""Number of sentences of the speed measurement, at least."""


def examples(documents: Sequence[Document]) -> list[Example]:
    """Return the examples of documents."""
    return [example for document in documents for example in document.examples]


def agreement(expected: Sequence[Example], found: Sequence[Example]) -> tuple[int, float]:
    """Return the number of equal examples, and the largest difference of a probability in them."""
    equal, difference = 0, 0.0
    for left, right in zip(expected, found, strict=True):
        if (left.tags, left.spans, left.labels) == (right.tags, right.spans, right.labels):
            equal += 1
            pairs = [(a.score, b.score) for a, b in zip(left.spans, right.spans, strict=True)]
            pairs += [(left.scores[name], right.scores[name]) for name in left.scores]
            difference = max([difference, *(abs(a - b) for a, b in pairs if a is not None and b is not None)])
    return equal, difference


def pipeline(sentences: Sequence[Example]) -> dict[str, Callable[[], Any]]:
    """Return calls of a pipeline for each batch size."""
    import transformers

    path = resolve("all-MiniLM-L6-v2")
    model = transformers.AutoModelForTokenClassification.from_pretrained(path, num_labels=9)
    made = transformers.pipeline(
        "token-classification", model, tokenizer=transformers.AutoTokenizer.from_pretrained(path)
    )
    texts = sorted((" ".join(example.words) for example in sentences), key=len)
    return {f"pipeline, batches of {size}": partial(made, texts, batch_size=size) for size in (8, 32)}


def main() -> None:
    """Measure, and write ``results/benchmarks/export.extra.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN=TEST")
    parser.add_argument("--pipeline", metavar="NAME", help="run that is compared with a pipeline")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[list[str]] = []
    for argument in arguments.runs:
        name, run, test = argument.split("=")
        tagger = Tagger.load(run, "cpu", "fp32")
        data = tagger.config.data
        form = load_component("formats", data.format.name)
        documents = list(form.read(test, data.format, data.word_rule))
        gold, few = examples(documents), list[Document]()
        while len(examples(few)) < SENTENCES and len(few) < len(documents):
            few.append(documents[len(few)])
        taggers: dict[str, Any] = {"torch": tagger}
        with tempfile.TemporaryDirectory() as folder:
            for precision in ("fp32", "int8"):
                export(Path(run), Path(folder) / precision, precision)
                taggers[precision] = ner.load(Path(folder) / precision)
            found = {key: examples(one.tag(documents, probabilities=True)) for key, one in taggers.items()}
            calls: dict[str, Callable[[], Any]] = {key: partial(one.tag, few) for key, one in taggers.items()}
            if arguments.pipeline == name:
                calls |= pipeline(examples(few))
            seconds: dict[str, list[float]] = {key: [] for key in calls}
            for number in range(4):
                for key, call in calls.items():
                    begin = time.process_time()
                    call()
                    if number:  # the first round warms up
                        seconds[key].append(time.process_time() - begin)
        words = sum(len(example.words) for example in examples(few))
        speed = {key: words / median(own) for key, own in seconds.items()}
        for key in calls:
            row = [name, key, "", "", "", f"{speed[key]:,.0f}", f"{speed[key] / speed['torch']:.2f}"]
            if key in found:
                equal, difference = agreement(found["torch"], found[key])
                f1 = entity.scores(entity.count(gold, found[key]))["micro"]["f1"]
                row[2:5] = [f"{f1:.4f}", f"{equal:,} of {len(gold):,}", f"{difference:.1e}"]
            rows.append(row)
        print(*rows[-len(calls) :], sep="\n", flush=True)
    note = (
        f"{processor()}, one thread. Sentences are equal if tags, entities and labels are those of torch; the "
        "difference is the largest one of a probability in them. Words per second of processor time; the last column "
        "is relative to torch in float32."
    )
    columns = ["data", "system", "entity F1", "equal sentences", "difference", "words/s", "relative"]
    keep("export", "Exports", "python benchmarks/export.py NAME=RUN=TEST ... --pipeline NAME", note, columns, rows)


if __name__ == "__main__":
    main()
