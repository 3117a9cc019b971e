"""Time and memory against corpus size, sentence length and number of tags: ``python benchmarks/growth.py``.

Trains the BiLSTM-CRF for one epoch on generated sentences, and tags them. Each point is a process of its own with one
thread; the seconds are those of the epoch and of tagging, without start and import. The picture is ``docs/growth.png``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "benchmarks" / "systems")]

WORDS, LENGTH, TYPES = 30_000, 16, 4
SIZES = (15_000, 60_000, 240_000)
LENGTHS = (4, 16, 64, 256, 1024)
TYPE_COUNTS = (4, 50, 100, 250)
VOCABULARY = 20_000
OVERRIDES = (
    "decoder.scheme=bio",
    "batch.measure=words",
    "batch.size=512",
    "data.valid=null",
    "data.test=null",
    "data.train=generated",
    "training.keep_epoch=last",
    "training.epochs=1",
    "training.adversarial=null",
)


def write_corpus(path: Path, words: int, length: int, types: int) -> None:
    """Write sentences with an entity of two words in every eight; word frequencies follow Zipf's law."""
    draw = random.Random(0)
    cumulative = [*itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1))]
    text = draw.choices(range(VOCABULARY), cum_weights=cumulative, k=words)
    with path.open("w", encoding="utf-8") as file:
        label = 0
        for position, word in enumerate(text):
            if position % 8 == 0:
                label = draw.randrange(types)
            tag = {2: f"B-T{label}", 3: f"I-T{label}"}.get(position % 8, "O")
            file.write(f"w{word} {tag}\n" + "\n" * ((position + 1) % length == 0))


def measure(words: int, length: int, types: int) -> dict[str, float]:
    """Train an epoch and tag the same sentences."""
    import torch

    from ner.config.load import load_config
    from ner.config.parts import load_component
    from ner.inference.tagger import Tagger
    from ner.model.model import build
    from ner.training import loader, loop
    from ner.training.corpus import count_vocabs
    from ner.training.state import initial_state
    from ner.types import Document, Example

    torch.set_num_threads(1)
    config = load_config(str(ROOT / "configs" / "conll2003" / "bilstm_crf.yaml"), list(OVERRIDES))[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "corpus.txt")
        write_corpus(path, words, length, types)
        corpus = list(load_component("formats", "conll").read(str(path), config.data.format, config.data.word_split))
    model, cpu = build(config, count_vocabs(corpus)), torch.device("cpu")
    num_tags = len(model.decoder.tags.names)
    assert num_tags == 2 * types + 1, f"{num_tags} tags"
    data = loader.TrainLoader(model, corpus, config.batch, 1)
    state = initial_state(model, config.training, config.batch, config.metrics, cpu)
    started = time.perf_counter()
    for _ in loop.train(state, data, None, config.metrics, cpu):
        pass
    trained = time.perf_counter() - started
    tagger = Tagger(model.eval(), config, "cpu")
    bare = [
        Document([Example(list(example.words)) for example in document.examples], scheme=document.scheme)
        for document in corpus
    ]
    started = time.perf_counter()
    tagged = sum(len(chunk.predicted) for chunk in tagger.annotate(bare))
    seconds = time.perf_counter() - started
    assert tagged == len(corpus), "a document in, a document out"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"tags": num_tags, "words": words, "length": length, "train": trained, "tag": seconds, "memory": memory}


def series() -> dict[str, list[tuple[int, int, int]]]:
    """Return the points (words, length, types) of each axis."""
    return {
        "words of the corpus": [(size, LENGTH, TYPES) for size in SIZES],
        "words of a sentence": [(WORDS - WORDS % length, length, TYPES) for length in LENGTHS],
        "tags": [(WORDS, LENGTH, types) for types in TYPE_COUNTS],
    }


def draw(found: dict[str, list[dict[str, float]]]) -> None:
    """Draw time and memory of each axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.4), layout="constrained")
    rows = figure.subplots(2, len(found))
    keys = {"words of the corpus": "words", "words of a sentence": "length", "tags": "tags"}
    for column, (axis, points) in enumerate(found.items()):
        position = [point[keys[axis]] for point in points]
        top, bottom = rows[0][column], rows[1][column]
        for name, color, marker in (("train", "#0072B2", "o"), ("tag", "#D55E00", "s")):
            label = {"train": "training, an epoch", "tag": "tagging"}[name]
            cost = [1e6 * point[name] / point["words"] for point in points]
            top.plot(position, cost, color=color, marker=marker, label=label)
        bottom.plot(position, [point["memory"] for point in points], color="0.3", marker="o")
        for axes in (top, bottom):
            if axis != "tags":
                axes.set_xscale("log")
            axes.minorticks_off()
            axes.set_xticks(position, [f"{place:,.0f}" for place in position])
            axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
            axes.grid(alpha=0.2)
            axes.spines[["top", "right"]].set_visible(False)
        bottom.set_xlabel(axis)
    rows[0][0].set_ylabel("microseconds per word")
    rows[1][0].set_ylabel("peak memory, MB")
    rows[0][0].legend(frameon=False)
    figure.suptitle("BiLSTM-CRF, one CPU thread, generated sentences", fontsize=11)
    figure.savefig(ROOT / "docs" / "growth.png", dpi=150)


def main() -> None:
    """Measure all points, or the one of a child process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        print(json.dumps(measure(*map(int, arguments.point.split(",")))))
        return
    from extras import keep

    from ner.runtime.device import processor

    found: dict[str, list[dict[str, float]]] = {}
    for axis, points in series().items():
        for point in points:
            command = [sys.executable, __file__, "--point", ",".join(map(str, point))]
            result = subprocess.run(
                command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True
            )
            found.setdefault(axis, []).append(json.loads(result.stdout.splitlines()[-1]))
            print(axis, found[axis][-1], flush=True)
    draw(found)
    keep(
        "growth",
        title="Cost against corpus size, sentence length and number of tags",
        command="python benchmarks/growth.py",
        note=f"{processor()}, one thread. BiLSTM-CRF with characters and shapes, without adversarial training, batches "
        f"of 512 words. Unless varied: {WORDS:,} words, {LENGTH} words a sentence, {2 * TYPES + 1} tags.",
        columns=["varied", "words", "words a sentence", "tags", "training, us a word", "tagging, us a word", "peak MB"],
        rows=[
            [
                axis,
                f"{point['words']:,.0f}",
                f"{point['length']:,.0f}",
                f"{point['tags']:.0f}",
                f"{1e6 * point['train'] / point['words']:.1f}",
                f"{1e6 * point['tag'] / point['words']:.1f}",
                f"{point['memory']:.0f}",
            ]
            for axis, points in found.items()
            for point in points
        ],
    )


if __name__ == "__main__":
    main()
