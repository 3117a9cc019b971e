"""Write scores, errors, calibration and history of a run as one HTML file."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ner.commands import _plugins
from ner.runtime import cli
from ner.types import SPLITS

if TYPE_CHECKING:
    from ner.config.schema import RunConfig
    from ner.evaluation.slices import Slices
    from ner.types import AnnotatedChunk

PAGE = "report.html"


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner report``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory; default the newest below runs/")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--split", choices=SPLITS, default="test", help="default test")
    source.add_argument("--data", metavar="FILE", help="another file in the format of the run")
    parser.add_argument("--output", metavar="FILE", help=f"page to write; default <run>/{PAGE}")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _report(arguments)
    return status.code


def _report(arguments: argparse.Namespace) -> None:
    from loguru import logger

    from ner.config.parts import load_component
    from ner.data import seen
    from ner.errors import InputError
    from ner.evaluation.evaluator import Evaluator
    from ner.evaluation.mistakes import Mistakes
    from ner.inference.tagger import Tagger
    from ner.report import page
    from ner.report.content import Content, transitions
    from ner.runs import events
    from ner.runs.directory import HISTORY, check_outputs, files_in_config, resolve_run
    from ner.runs.history import read_history
    from ner.runtime import atomic
    from ner.runtime.log import progress, set_up_log
    from ner.types import TagQuery

    set_up_log(sys.stdout)
    directory = resolve_run(arguments.run)
    tagger = Tagger.load(directory)
    config, decoder = tagger.config, tagger.model.tag_decoder
    if decoder is None or not decoder.tags.labels or tagger.model.vocabs.plain:
        raise InputError("ner report: expected a run that predicts entities, found none; use ner evaluate")
    path = arguments.data or getattr(config.data, arguments.split)
    if path is None:
        raise InputError(f"config.data.{arguments.split}: the run has no such file; use --data FILE")
    output = Path(arguments.output or directory / PAGE)
    check_outputs({"--output": arguments.output}, [path, *files_in_config(config)])
    metrics = [*config.metrics, *({"entity"} - {*config.metrics})]
    is_training_data = arguments.split == "train" and not arguments.data
    trained_on = None if is_training_data else seen.read(directory)
    slices, notices = _slices(config)
    evaluator = Evaluator(
        metrics, tagger.model, config.score_by, trained_on, slices=slices, intervals=True, confidence=True
    )
    mistakes = Mistakes()

    def count_mistakes(chunks: Iterable[AnnotatedChunk]) -> Iterator[AnnotatedChunk]:
        with progress(unit="sentence") as bar:
            for chunk in chunks:
                mistakes.add_chunk(chunk)
                yield chunk
                bar.update(sum(len(document.examples) for document in chunk.gold))

    format_module = load_component("formats", config.data.format.name)
    documents = format_module.read(path, config.data.format, config.data.word_rule)
    chunks = tagger.annotate(documents, loss=True, probabilities=True, query=TagQuery(gold=True))
    deque(evaluator.score(count_mistakes(chunks)), maxlen=0)
    evaluator.check(path)
    name = Path(path).name if arguments.data else arguments.split
    notices += evaluator.warnings(name)
    result = evaluator.result()
    content = Content(
        title=f"{directory.resolve().name}: {name}",
        facts={
            "run": str(directory),
            "data": str(path),
            "sentences": f"{result.sentences:,}",
            "words": f"{result.words:,}",
            "loss": f"{result.loss:.4f}",
        },
        evaluation=result,
        mistakes=mistakes,
        notices=[*notices, *(["these are the sentences that the model was trained on"] if is_training_data else [])],
        transitions=transitions(tagger.model),
        calibration=tagger.model.calibration,
        history=read_history(directory / HISTORY) if (directory / HISTORY).exists() else (),
        events=events.read(directory),
        monitor=config.training.monitor,
    )
    atomic.write_bytes(output, page.render(content).encode(errors="replace"))
    for notice in notices:
        logger.warning(notice)
    logger.info("{} mistakes in {} of {} sentences", mistakes.number, len(mistakes.sentences), result.sentences)
    logger.info("report: {}", output)


def _slices(config: RunConfig) -> tuple[Slices | None, list[str]]:
    """Return all slices, or without the training file those that do not need it, and a notice."""
    from typing import get_args

    from ner.config.base import SliceName
    from ner.evaluation.evaluator import slices_of
    from ner.evaluation.slices import NEED_TRAINING_DATA

    if Path(config.data.train).exists():
        return slices_of(config, ["all"]), []
    omitted = ", ".join(sorted(NEED_TRAINING_DATA))
    names = [name for name in get_args(SliceName) if name not in NEED_TRAINING_DATA]
    return slices_of(config, names), [f"{config.data.train}: no such file; the report has no slices {omitted}"]


if __name__ == "__main__":
    sys.exit(main())
