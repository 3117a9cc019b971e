"""Score a trained model on a split or a file and write its predictions."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner import cli
from ner.types import InputError

if TYPE_CHECKING:
    import numpy as np

    from ner.distributed import World
    from ner.predict import Tagger
    from ner.types import Document, Example


def main(argv: Sequence[str] | None = None) -> int:
    """``ner evaluate`` and ``python evaluate.py``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", "--run-dir", metavar="DIR", help="run directory; default the newest below runs/")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--split", choices=["train", "valid", "test"], help="default test")
    source.add_argument("--data", metavar="FILE", help="another file of the same format")
    parser.add_argument("--predictions", metavar="FILE", help="default <run>/predictions/<split>.<extension>")
    parser.add_argument("--json", metavar="FILE", help="write the scores there; - for standard output")
    parser.add_argument("--by", action="append", metavar="FIELD", help="scores for each value of a field too")
    parser.add_argument(
        "--unseen", action="store_true", help="also score alone what is not among the sentences trained on"
    )
    parser.add_argument("--fast", action="store_true", help="leave out the second opinion of seqeval")
    parser.add_argument(
        "--precision",
        choices=["run", "float32", "bf16", "int8"],
        default="run",
        help="of the arithmetic; default that of the run; int8 on CPUs",
    )
    return cli.run(parser, _evaluate, argv)


def _evaluate(arguments: argparse.Namespace) -> None:
    from ner import distributed, runtime
    from ner.model import chosen_run, read_config
    from ner.predict import Tagger

    world = distributed.world()
    answers = arguments.json == "-" or arguments.predictions == "-"
    runtime.set_up_log(sys.stderr if answers else sys.stdout, speaks=world.first)
    directory = chosen_run(arguments.run)
    device = runtime.choose_device("auto", world.local_rank)
    if world.size > 1:
        world.start(device, read_config(directory).processes.timeout)
    try:
        with world.busy():
            tagger = Tagger.load(directory, str(device), arguments.precision)
        _score(arguments, directory, tagger, world)
    finally:
        world.end()


def _score(arguments: argparse.Namespace, directory: Path, tagger: Tagger, world: World) -> None:
    """Score, and write predictions; of several processes the first one writes."""
    from loguru import logger

    from ner import corpus, files, overlap, runtime
    from ner.config import component
    from ner.predict import Scorer

    config = tagger.config
    split = arguments.split or "test"
    path = arguments.data or getattr(config.data, split)
    if path is None:
        raise InputError(f"config.data.{split}: the run has no such file; give --data FILE")
    form = component("formats", config.data.format.name)
    name = split
    if arguments.data:
        name = Path(path).name.removesuffix(".txt").removesuffix(f".{form.extension}")
    changed = "" if arguments.precision == "run" else f".{arguments.precision}"
    target = arguments.predictions or str(directory / "predictions" / f"{name}{changed}.{form.extension}")
    if Path(path).exists() and Path(target).exists() and Path(target).samefile(path):
        raise InputError(f"--predictions {target}: is what is scored; name another")
    logger.info("run directory: {}", directory)
    started = time.monotonic()
    fields = tuple(arguments.by or config.by)
    scorer = Scorer(config.metrics, fields)
    trained_on = overlap.read(directory)
    if arguments.unseen and trained_on is None:
        raise InputError(f"--unseen: {directory} does not say on which sentences it was trained")
    unseen = Unseen(config.metrics if arguments.unseen else (), trained_on)
    answered = False
    tally = corpus.Tally()
    opinion = None if arguments.fast or "entity" not in config.metrics else SecondOpinion()

    def predicted() -> Iterator[Document]:
        nonlocal answered
        documents = form.read(path, config.data.format, config.data.words, keep=True)
        with runtime.progress(unit="word") as bar:
            for chunk in tagger.annotate(documents, loss=True, world=world):
                scorer.add_chunk(chunk)
                for gold, found in zip(chunk.gold, chunk.predicted, strict=True):
                    unseen.add(gold.examples, found.examples)
                    answered = answered or any(e.tags or e.labels or e.answers for e in gold.examples)
                    tally.add(gold)
                    if opinion is not None:
                        opinion.add(gold.examples, found.examples)
                    bar.update(sum(len(example.words) for example in found.examples))
                    yield found

    if world.first:
        form.write(target, predicted(), config.data.format)
    else:
        deque(predicted(), maxlen=0)
    result = scorer.result()
    if not answered:
        raise InputError(f"{path}: expected gold tags, labels or answers to score, found none; see ner predict")
    if unseen.known and (arguments.data or split != "train"):
        counts = name, unseen.known, result.sentences
        logger.warning("{}: {} of {} sentences are among those that the model was trained on", *counts)
    for field in fields:
        if not result.by[field]:
            raise InputError(f"--by {field}: no example of {path} has a field of that name")
    for line in result.lines(name):
        logger.info(line)
    alone = unseen.scorer.result()
    if arguments.unseen:
        logger.info("{}: {} of {} sentences are unseen", name, alone.sentences, result.sentences)
        for line in alone.lines(f"{name} unseen")[1:]:  # the loss is not known of single sentences
            logger.info(line)
    unusual = corpus.unusual(vars(tally), tagger.model.vocabs)
    if "unseen_labels" in unusual:
        logger.warning("{}: {}", name, corpus.unseen_line(unusual["unseen_labels"]))
    for remark, count in unusual.get("remarks", {}).items():
        logger.info("{}: {} {}", name, count, remark)
    if opinion is not None:
        logger.info(opinion.compare(result.scores["entity"]))
    if target != "-":
        logger.info("predictions: {}", target)
    if arguments.json and world.first:
        report = {**result.to_json(name), **unusual, "seconds": time.monotonic() - started}
        if arguments.unseen:
            report["unseen"] = {"sentences": alone.sentences, "words": alone.words, **alone.scores}
        with files.open_text(arguments.json) as file:
            file.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


class Unseen:
    """What was not trained on, scored alone.

    Args:
        metrics: Names of files in ``ner/metrics``; none if scores are not asked for.
        trained_on: Hashes of the sentences that were, see :mod:`ner.overlap`; None if nobody knows.
    """

    def __init__(self, metrics: Sequence[str], trained_on: np.ndarray | None) -> None:
        from ner.predict import Scorer

        self.trained_on = trained_on
        self.scorer = Scorer(metrics)
        self.known = 0

    def add(self, gold: Sequence[Example], predicted: Sequence[Example]) -> None:
        """Count what is known, score the rest."""
        from ner import overlap

        if self.trained_on is None:
            return
        for left, right, seen in zip(gold, predicted, overlap.seen(gold, self.trained_on), strict=True):
            if seen:
                self.known += 1
            else:
                self.scorer.add([left], [right])


class SecondOpinion:
    """The same tags scored by seqeval; two programs must agree before a score is believed."""

    def __init__(self) -> None:
        self.gold: list[list[str]] = []
        self.predicted: list[list[str]] = []
        self.without = 0

    def add(self, gold: Sequence[Example], predicted: Sequence[Example]) -> None:
        """Keep the tags; spans that tags cannot hold are counted instead."""
        from ner import tags

        for left, right in zip(gold, predicted, strict=True):
            if left.tags is None or right.tags is None or not all(map(tags.is_valid, left.tags)):
                self.without += 1
                continue
            self.without += left.spans != tags.decode(left.tags)
            self.gold.append(left.tags)
            self.predicted.append(right.tags)

    def compare(self, ours: dict[str, Any]) -> str:
        """A line that says what was compared.

        Raises:
            InputError: If the two programs disagree.
        """
        if self.without:
            return f"seqeval: not asked, {self.without} sentences have entities that overlap, or plain or no tags"
        import warnings

        from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

        if not any(tag != "O" for side in (self.gold, self.predicted) for tags in side for tag in tags):
            return "seqeval: not asked, there is no entity on either side"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = precision_recall_fscore_support(self.gold, self.predicted, average="micro", zero_division=0)
        micro = ours["micro"]
        pairs = zip(("precision", "recall", "f1"), theirs, strict=False)
        wrong = [f"{key}: {micro[key]} and {value}" for key, value in pairs if abs(micro[key] - value) > 1e-9]
        if wrong:
            raise InputError(f"our entity scores and seqeval's disagree ({'; '.join(wrong)}); please report this file")
        return "seqeval: the same entity precision, recall and f1"


if __name__ == "__main__":
    sys.exit(main())
