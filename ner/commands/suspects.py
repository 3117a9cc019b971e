"""Find gold entities that are probably wrong: models that were trained without them doubt them.

The training data is split into folds. For each fold, a model is trained on the others and asked for the probability of
each gold entity, and for entities that are not annotated. A run that is interrupted continues with the next fold.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.chinese import join_words
from ner.commands import _plugins
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.config.schema import RunConfig
    from ner.evaluation.suspects import Suspect
    from ner.types import Document

DONE = "fold.json"
"""File of a fold whose training is complete."""
TABLE, PAGE = "suspects.csv", "suspects.html"
COLUMNS = ("rank", "probability", "kind", "location", "start", "end", "text", "gold", "answer", "sentence")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner suspects``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", metavar="FILE", help="YAML file, see configs/; its training data is searched")
    source.add_argument("--run", metavar="DIR", help="trained run that searches another file; no training")
    parser.add_argument("--data", metavar="FILE", help="with --run: the file; default its test file")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="number of models; default 5")
    help = "directory of models, suspects.csv and suspects.html; default runs/suspects/<config>"
    parser.add_argument("--output", metavar="DIR", help=help)
    parser.add_argument("--count", type=int, default=500, metavar="N", help="rows of the page; default 500")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="override a key of the configuration")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        status.code = _run(arguments)
    return status.code


def _run(arguments: argparse.Namespace) -> int:
    from ner.errors import InputError

    if arguments.run:
        if arguments.overrides:
            raise InputError(f"{arguments.overrides[0]}: a trained run has its settings; overrides need --config")
        return _search_file(arguments)
    if arguments.data:
        raise InputError("--data: needs --run; with --config, the training data is searched")
    return _search_training_data(arguments)


def _search_training_data(arguments: argparse.Namespace) -> int:
    """Train the models of the folds, and rank the training data."""
    from ner.config.load import load_config
    from ner.data import tasks
    from ner.errors import InputError
    from ner.runs.directory import check_outputs, files_in_config, folder_for
    from ner.runtime.log import set_up_log
    from ner.training.out_of_fold import fold_config

    config, _ = load_config(arguments.config, arguments.overrides)
    if arguments.folds < 2:
        raise InputError(f"--folds: expected at least 2, found {arguments.folds}")
    if "tags" not in tasks.decoder_outputs(config.decoder.name):
        raise InputError(f"config.decoder: {config.decoder.name} predicts no entities; choose crf or softmax")
    config = fold_config(config)
    parts = folder_for(arguments.config).parts[1:]
    folder = Path(arguments.output) if arguments.output else Path("runs", "suspects", *parts)
    check_outputs({"--output": str(folder / TABLE)}, files_in_config(config))
    for fold in range(arguments.folds):
        code = _train(config, folder / f"fold-{fold + 1}", fold, arguments.folds)
        if code:
            return code
    set_up_log(sys.stdout)
    return _write(rank(config, folder, arguments.folds), folder, config.data.train, arguments.count)


def _search_file(arguments: argparse.Namespace) -> int:
    """Rank a file by a trained run."""
    from loguru import logger

    from ner.config.parts import load_component
    from ner.data import seen
    from ner.errors import InputError
    from ner.evaluation.suspects import suspects
    from ner.inference.tagger import Tagger
    from ner.runs.directory import check_outputs, files_in_config, resolve_run
    from ner.runtime.log import set_up_log
    from ner.types import TagQuery

    set_up_log(sys.stdout)
    directory = resolve_run(arguments.run)
    tagger = Tagger.load(directory)
    data = tagger.config.data
    path = arguments.data or data.test
    if path is None:
        raise InputError("config.data.test: the run has no such file; use --data FILE")
    if tagger.model.tag_decoder is None:
        raise InputError(f"config.decoder: {tagger.config.decoder.name} predicts no entities")
    folder = Path(arguments.output) if arguments.output else Path("runs", "suspects", Path(path).stem)
    check_outputs({"--output": str(folder / TABLE)}, [path, *files_in_config(tagger.config)])
    format_module = load_component("formats", data.format.name)
    documents = list(format_module.read(path, data.format, data.word_rule))
    trained_on = seen.read(directory)
    num_seen, total = seen.count(documents, trained_on) if trained_on is not None else (0, 0)
    if num_seen:
        logger.warning("{} of {} sentences occur in the training data and are hardly doubted", num_seen, total)
    chunks = tagger.annotate(documents, probabilities=True, query=TagQuery(gold=True))
    return _write(suspects(chunks), folder, path, arguments.count)


def _write(ranked: Sequence[Suspect], folder: Path, data: str, count: int) -> int:
    """Write the table and the page of the doubted annotations."""
    from loguru import logger

    from ner.commands import _suspects_page
    from ner.runtime import atomic

    doubted = [suspect for suspect in ranked if suspect.kind != "agreed"]
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / TABLE, doubted)
    text = _suspects_page.page(f"Suspects in {data}", doubted[:count])
    atomic.write_bytes(folder / PAGE, text.encode(errors="replace"))
    gold = sum(suspect.gold is not None for suspect in ranked)
    logger.info("{} gold entities, {} doubted; {} entities may be missing", gold, *_counts(doubted))
    logger.info("suspects: {} and {}", folder / TABLE, folder / PAGE)
    return 0


def _counts(doubted: Sequence[Suspect]) -> tuple[int, int]:
    missing = sum(suspect.gold is None for suspect in doubted)
    return len(doubted) - missing, missing


def _train(config: RunConfig, directory: Path, fold: int, folds: int) -> int:
    """Train the model of a fold, unless it is complete; return the exit code."""
    from ner.errors import InputError
    from ner.runs.directory import check_unused
    from ner.runtime import atomic
    from ner.training.corpus import file_sha256
    from ner.training.display import Display
    from ner.training.out_of_fold import FoldRun
    from ner.training.prepare import prepare, training_run

    fold_record = {
        "config": config.model_dump(mode="json"),
        "data": file_sha256(config.data.train),
        "fold": fold,
        "folds": folds,
    }
    record_path = directory / DONE
    if record_path.is_file():
        if json.loads(record_path.read_bytes()) == fold_record:
            return 0
        raise InputError(f"{directory}: was trained with other data or settings; choose another --output")
    check_unused(directory)
    with training_run(config, lambda: directory, create=partial(FoldRun, fold=fold, folds=folds)) as run:
        prepare(run)
        run.start()
        with Display(run) as display:
            for progress in run.train(watch=display.watch):
                display.show(progress)
        if run.stopped:
            return run.exit_code or 1
    atomic.write_bytes(record_path, json.dumps(fold_record).encode())
    return 0


def rank(config: RunConfig, folder: Path, folds: int) -> list[Suspect]:
    """Return all annotations of the training data, the least probable first."""
    from ner.config.parts import load_component
    from ner.evaluation.suspects import suspects
    from ner.inference.tagger import Tagger
    from ner.training.out_of_fold import assign_folds
    from ner.types import TagQuery

    format_module = load_component("formats", config.data.format.name)
    documents: list[Document] = list(format_module.read(config.data.train, config.data.format, config.data.word_rule))
    fold_numbers = assign_folds(documents, folds, config.seed)
    chunks: list[Any] = []
    for fold in range(folds):
        held_out = [document for document, number in zip(documents, fold_numbers, strict=True) if number == fold]
        tagger = Tagger.load(folder / f"fold-{fold + 1}")
        chunks += tagger.annotate(held_out, probabilities=True, query=TagQuery(gold=True))
    return suspects(chunks)


def write_table(path: Path, ranked: Sequence[Suspect]) -> None:
    """Write suspects as CSV."""
    from ner.runtime import text_files

    with text_files.open_text(str(path)) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for rank, suspect in enumerate(ranked, 1):
            example, span = suspect.example, suspect.place
            answer = "; ".join(f"{example.text_of(s)} {s.label} {s.score or 0:.4f}" for s in suspect.answer)
            writer.writerow(
                [
                    *(rank, f"{suspect.probability:.6g}", suspect.kind, example.location, span.start, span.end),
                    *(example.text_of(span), suspect.gold.label if suspect.gold else "", answer),
                    join_words(example.words)[0],
                ]
            )


if __name__ == "__main__":
    sys.exit(main())
