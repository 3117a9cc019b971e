"""Evaluate a trained model on a split or a file, and write its predictions."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.commands import _plugins
from ner.errors import InputError
from ner.runtime import cli
from ner.types import SPLITS

if TYPE_CHECKING:
    from ner.config.data import DataConfig
    from ner.inference.tagger import Tagger
    from ner.runtime.distributed import ProcessGroup
    from ner.types import Document


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner evaluate`` or ``python evaluate.py``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", "--run-dir", metavar="DIR", help="run directory; default the newest below runs/")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--split", choices=SPLITS, help="default test")
    source.add_argument("--data", metavar="FILE", help="another file of the same format")
    parser.add_argument("--predictions", metavar="FILE", help="default <run>/predictions/<split>.<extension>")
    parser.add_argument("--json", metavar="FILE", help="file for the scores; - for standard output")
    parser.add_argument("--by", action="append", metavar="FIELD", help="also score by the values of a metadata field")
    parser.add_argument(
        "--slice",
        action="append",
        metavar="NAME",
        help="also score entities by a property, see slices in the configuration; all for each",
    )
    parser.add_argument(
        "--mode",
        choices=["conlleval", "strict", "discard"],
        default="conlleval",
        help="reading of invalid tags; default conlleval",
    )
    parser.add_argument("--details", action="store_true", help="also log the interval of each score")
    parser.add_argument("--scores", action="store_true", help="compute and check the probability of each entity")
    help = "choose a threshold for probabilities by this precision on the calibration data, and score what reaches it"
    parser.add_argument("--min-precision", type=cli.fraction, metavar="P", help=help)
    help = "also score copies of the text in lower and upper case, with typos, OCR noise and other changes"
    parser.add_argument("--robustness", action="store_true", help=help)
    parser.add_argument("--unseen", action="store_true", help="also score the sentences that are not training data")
    parser.add_argument("--fast", action="store_true", help="skip the intervals and the comparison with seqeval")
    parser.add_argument(
        "--precision",
        choices=["run", "fp32", "bf16", "int8"],
        default="run",
        help="default: precision of the run; int8 requires a CPU",
    )
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _evaluate(arguments)
    return status.code


def _evaluate(arguments: argparse.Namespace) -> None:
    from ner.inference.tagger import Tagger
    from ner.runs.directory import read_config, resolve_run
    from ner.runtime import distributed
    from ner.runtime.device import resolve_device
    from ner.runtime.log import set_up_log

    process_group = distributed.ProcessGroup.from_environment()
    writes_to_stdout = arguments.json == "-" or arguments.predictions == "-"
    set_up_log(sys.stderr if writes_to_stdout else sys.stdout, enabled=process_group.is_main)
    directory = resolve_run(arguments.run)
    device = resolve_device("auto", process_group.local_rank)
    if process_group.size > 1:
        process_group.start(device, read_config(directory).processes.heartbeat_timeout)
    try:
        with process_group.keep_alive():
            tagger = Tagger.load(directory, str(device), arguments.precision)
        _score(arguments, directory, tagger, process_group)
    finally:
        process_group.end()


def _score(arguments: argparse.Namespace, directory: Path, tagger: Tagger, process_group: ProcessGroup) -> None:
    """Score a file and write predictions; with several processes, only the main process writes."""
    from loguru import logger

    from ner.config.parts import load_component
    from ner.data import seen, tasks
    from ner.evaluation.evaluator import Evaluator, slices_of
    from ner.runs.calibration import choose_threshold
    from ner.runs.directory import LABELS, check_outputs, files_in_config
    from ner.runtime import text_files
    from ner.runtime.log import progress

    config = tagger.config
    split = arguments.split or "test"
    path = arguments.data or getattr(config.data, split)
    if path is None:
        raise InputError(f"config.data.{split}: the run has no such file; use --data FILE")
    tasks.check_format(config.decoder.name, config.data.format.name)
    tasks.check_labels(tagger.model.vocabs, config.data.format, directory / LABELS)
    format_module = load_component("formats", config.data.format.name)
    extension = format_module.output_extension
    name = _name(Path(path), config.data, extension) if arguments.data else split
    file_suffix = extension if arguments.precision == "run" else f"{arguments.precision}.{extension}"
    target = arguments.predictions or str(_predictions(directory, f"{name}.{file_suffix}"))
    check_outputs({"--predictions": target, "--json": arguments.json}, [path, *files_in_config(config)])
    if arguments.robustness and "tags" not in tasks.decoder_outputs(config.decoder.name):
        raise InputError(f"--robustness: the decoder {config.decoder.name} predicts no entities; leave the option out")
    trained_on = seen.read(directory)
    if arguments.unseen and trained_on is None:
        raise InputError(f"--unseen: {directory} has no record of its training sentences")
    if split == "train" and not arguments.data and not arguments.unseen:
        trained_on = None  # no warning about the overlap
    by, seqeval = tuple(arguments.by or config.score_by), not arguments.fast and "entity" in config.metrics
    threshold = choose_threshold(tagger.model.calibration, arguments.min_precision)
    with_scores = arguments.scores or threshold is not None
    evaluator = Evaluator(
        config.metrics,
        tagger.model,
        by,
        trained_on,
        arguments.unseen,
        seqeval,
        arguments.mode,
        slices_of(config, arguments.slice),
        intervals=not arguments.fast,
        threshold=threshold,
        confidence=with_scores,
    )

    def predicted() -> Iterator[Document]:
        documents = format_module.read(path, config.data.format, config.data.word_rule, for_rewriting=True)
        with progress(unit="word") as bar:
            chunks = tagger.annotate(documents, loss=True, probabilities=with_scores, process_group=process_group)
            for document in evaluator.score(chunks):
                bar.update(sum(len(example.words) for example in document.examples))
                yield document
        evaluator.check(path)  # before the writer replaces older predictions

    with text_files.spooled([path] if arguments.by else []):  # fields are looked up in a first pass
        for field in arguments.by or ():
            documents = format_module.read(path, config.data.format, config.data.word_rule)
            tasks.check_field(field, documents, path, f"--by {field}")
        logger.info("run directory: {}", directory)
        started = time.monotonic()
        if process_group.is_main:
            format_module.write(target, predicted(), config.data.format)
        else:
            deque(predicted(), maxlen=0)
    for line in evaluator.warnings(name):
        logger.warning(line)
    for line in evaluator.lines(name, arguments.details):
        logger.info(line)
    robustness = _robustness(tagger, path, name, process_group) if arguments.robustness else {}
    if target != "-":
        logger.info("predictions: {}", target)
    if arguments.json and process_group.is_main:
        report = {**evaluator.to_json(name), **({"robustness": robustness} if robustness else {})}
        report["seconds"] = time.monotonic() - started
        with text_files.open_text(arguments.json) as file:
            file.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def _robustness(tagger: Tagger, path: str, name: str, process_group: ProcessGroup) -> dict[str, dict[str, Any]]:
    """Return and log the entity scores on changed copies of a file."""
    from loguru import logger

    from ner.config.parts import load_component
    from ner.evaluation.robustness import PERTURBATIONS, perturb
    from ner.evaluation.scorer import Scorer

    data = tagger.config.data
    format_module = load_component("formats", data.format.name)
    scores_by_change = {}
    for change in PERTURBATIONS:
        scorer = Scorer(["entity"])
        documents = format_module.read(path, data.format, data.word_rule)
        for chunk in tagger.annotate(perturb(documents, change), process_group=process_group):
            scorer.add_chunk(chunk)
        evaluation = scorer.result()
        scores_by_change[change] = evaluation.scores.get("entity", {})
        for line in evaluation.lines(f"{name} {change}")[1:]:  # without the loss
            logger.info(line)
    return scores_by_change


def _predictions(directory: Path, name: str) -> Path:
    """Return the file of the predictions; for the copy ``last`` of a run, it is among those of the run."""
    from ner.runs.directory import CONFIG, FILES, PREDICTIONS

    path = directory.resolve()
    if path.name in FILES and (path.parent / CONFIG).is_file():
        return path.parent / PREDICTIONS / f"{path.name}-{name}"
    return directory / PREDICTIONS / name


def _name(path: Path, data: DataConfig, extension: str) -> str:
    """Return a name for the scores of a file: its own, preceded by its folder if another file of the run has it."""
    name = path.name.removesuffix(".txt").removesuffix(f".{extension}")
    split_path = getattr(data, name) if name in SPLITS else None
    is_taken = name in SPLITS and not (split_path and path.resolve() == Path(split_path).resolve())
    return f"{path.resolve().parent.name}-{name}" if is_taken else name


if __name__ == "__main__":
    sys.exit(main())
