"""Annotate a file or standard input: text, columns, JSON Lines, or another format of ner/data/formats."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.commands import _plugins
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.inference.text_tagger import TextTagger
    from ner.types import Document


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner predict``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory or export; default the newest run below runs/")
    parser.add_argument("--verify", action="store_true", help="compare an export with its parity.jsonl first")
    formats = sorted(path.stem for path in Path(__file__).parents[1].glob("data/formats/[a-z]*.py"))
    help = f"format of the input: {', '.join(formats)} or a plug-in; default: format of the training data"
    parser.add_argument("--format", metavar="NAME", help=help)
    parser.add_argument("--input", metavar="FILE", default="-", help="default: standard input")
    parser.add_argument("--output", metavar="FILE", default="-", help="default: standard output")
    parser.add_argument("overrides", nargs="*", metavar="data.format.key=value", help="options of the input format")
    parser.add_argument("--scores", action="store_true", help="add the probability of each entity and label")
    parser.add_argument("--token-scores", action="store_true", help="add the probability of the tag of each word")
    parser.add_argument("--n-best", type=cli.positive, metavar="N", help="add the N most probable sets of entities")
    help = "choose a threshold for the probabilities of entities by this precision on the calibration data"
    parser.add_argument("--min-precision", type=cli.fraction, metavar="P", help=help)
    below_help = "entities below the threshold: drop them (default) or mark them as uncertain"
    parser.add_argument("--below", choices=["drop", "mark"], default="drop", help=below_help)
    parser.add_argument(
        "--precision",
        choices=["run", "fp32", "bf16", "int8"],
        default="run",
        help="default: precision of the run; int8 requires a CPU",
    )
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _predict(arguments)
    return status.code


def _predict(arguments: argparse.Namespace) -> None:
    with cli.paused_garbage_collection():
        from loguru import logger

        from ner import load
        from ner.data import tasks
        from ner.errors import InputError
        from ner.inference.rewriting import format_options, rewriter
        from ner.inference.threshold import apply_threshold
        from ner.portable.description import is_export
        from ner.portable.tagger import PortableTagger
        from ner.runs.calibration import choose_threshold
        from ner.runs.directory import check_outputs, files_in_config, resolve_run
        from ner.runtime import text_files
        from ner.runtime.log import progress, set_up_log
        from ner.types import Coverage, TagQuery

        set_up_log(sys.stderr)
        if arguments.format:
            _check_format(arguments.format)
        directory = resolve_run(arguments.run)
        if not arguments.run:
            logger.info("run directory: {}", directory)
        if arguments.verify and not is_export(directory):
            raise InputError("--verify: only exports contain sentences to compare with; pass --run with an export")
        tagger = load(directory, precision=arguments.precision, verify=arguments.verify)
    model = None if isinstance(tagger, PortableTagger) else tagger.model
    data, decoder = tagger.data, tagger.decoder_name
    name = arguments.format or data.format.name
    tasks.check_format(decoder, name, "--format", tagger.outputs)
    with_scores = arguments.scores or arguments.token_scores or bool(arguments.n_best)
    _check_options(arguments, tagger, name)
    threshold = choose_threshold(model.calibration, arguments.min_precision) if model else None
    input_files = [] if isinstance(tagger, PortableTagger) else files_in_config(tagger.config)
    check_outputs({"--output": arguments.output}, [arguments.input, *input_files])
    config = format_options(data.format, name, arguments.overrides)
    column: Any = "none" if not with_scores else "token" if arguments.token_scores else "entity"
    file_rewriter = rewriter(tagger, directory, config, column)
    options: dict[str, Any] = {}
    if ((model and with_scores) or arguments.n_best) and "tags" in tagger.outputs:
        options["query"] = TagQuery(n_best=arguments.n_best or 0, tokens=arguments.token_scores)
    warnings: Counter[str] = Counter()
    lengths: set[int] = set()
    coverage = Coverage()

    def predicted() -> Iterator[Document]:
        nonlocal coverage
        with progress(unit="word") as bar:
            interactive = text_files.is_interactive(arguments.input)  # answers do not wait for the next line
            for chunk in tagger.annotate(
                file_rewriter.read(arguments.input),
                probabilities=with_scores or threshold is not None,
                interactive=interactive,
                **options,
            ):
                coverage += chunk.coverage
                for document in chunk.gold:
                    warnings.update(tagger.input_warnings(document))
                for document in chunk.predicted:
                    lengths.update(len(example.words) for example in document.examples)
                    bar.update(sum(len(example.words) for example in document.examples))
                    yield document
                if interactive and arguments.output == "-":
                    sys.stdout.flush()

    documents = predicted()
    if threshold is not None:
        documents = apply_threshold(documents, threshold.probability, arguments.below, keep_scores=with_scores)
        logger.info(
            "threshold {:.4f}: precision {:.4f} and recall {:.4f} on the calibration data",
            threshold.probability,
            threshold.calibrated_precision,
            threshold.calibrated_recall,
        )
    file_rewriter.write(arguments.output, documents)
    logger.info("read: {}", coverage)
    for reason, count in sorted(warnings.items()):
        logger.warning("{} {}", count, reason)
    if name == "conll" and not arguments.format and lengths == {1}:
        logger.warning(
            "every sentence has one word: conll files have one word per line; for raw text use --format text"
        )


def _check_options(arguments: argparse.Namespace, tagger: TextTagger, name: str) -> None:
    """Check that a tagger computes what is requested, and that the format ``name`` can hold it."""
    from ner.errors import InputError
    from ner.inference.rewriting import check_probabilities
    from ner.portable.tagger import PortableTagger

    requested = {
        "--scores": arguments.scores,
        "--token-scores": arguments.token_scores,
        "--n-best": arguments.n_best,
        "--min-precision": arguments.min_precision is not None,
    }
    for option in ("--scores", "--token-scores", "--n-best"):
        if requested[option]:
            check_probabilities(option, name, tagger.outputs)
    if requested["--n-best"] and name in ("conll", "slot_filling"):
        raise InputError(f"--n-best: {name} files cannot store alternatives; choose --format text or jsonl")
    for option in ("--token-scores", "--min-precision"):
        if requested[option] and isinstance(tagger, PortableTagger):
            raise InputError(f"{option}: not supported by exports; use the run")
    for option in ("--token-scores", "--n-best"):
        if requested[option] and "tags" not in tagger.outputs:
            raise InputError(
                f"{option}: the decoder {tagger.decoder_name} predicts no tags of words; leave the option out"
            )


def _check_format(name: str) -> None:
    from ner.config.parts import ConfigError, load_component
    from ner.errors import InputError

    try:
        load_component("formats", name)
    except ConfigError as error:
        raise InputError(f"--format: {error.message}") from None


if __name__ == "__main__":
    sys.exit(main())
