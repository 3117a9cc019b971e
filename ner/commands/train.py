"""Train a model from a configuration and score it on train, valid and test."""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ner.chinese import join_words
from ner.commands import _plugins
from ner.errors import InputError
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.contracts import Callback
    from ner.types import Document


def main(argv: Sequence[str] | None = None, callbacks: Sequence[Callback] = ()) -> int:
    """Run ``ner train`` or ``python train.py``; callbacks come besides those of the configuration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, or name of a recipe (ner recipes)")
    help = "run directory (default: runs/<config>/<time>); use --run-dir under torchrun, which has a --run of its own"
    parser.add_argument("--run", "--run-dir", metavar="DIR", help=help)
    help = "train a run per seed in one folder, which is --run, and compare them; a later start trains the rest"
    parser.add_argument("--seeds", metavar="N,N,...", help=help)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--init", metavar="RUN", help="start a new run from the weights of another run")
    help = "continue the run (--run, or the newest run of this configuration)"
    start.add_argument("--resume", action="store_true", help=help)
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="override a key of the configuration")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from ner.config.load import load_config

        config, notes = load_config(arguments.config, arguments.overrides)
        if arguments.seeds:
            status.code = _train_seeds(arguments, callbacks)
            return status.code

        from loguru import logger

        from ner.training import trainer

        options = trainer.TrainingOptions(
            choose_directory=lambda: _directory(arguments),
            resume=arguments.resume,
            init=Path(arguments.init) if arguments.init else None,
            overrides=arguments.overrides,
            notes=notes,
            command=_command(arguments),
            start_up=cli.paused_garbage_collection,
            callbacks=callbacks,
        )
        run = trainer.train(config, options)
        status.code = run.exit_code
        if not run.stopped:
            split = next(split for split in ("test", "valid", "train") if run.documents[split])
            quoted_run, (text, format_name) = shlex.quote(str(run.directory)), example_input(run.documents)
            plugins = "".join(f" --plugin {shlex.quote(path)}" for path in arguments.plugin)
            logger.info("next:")
            logger.info("  ner evaluate --run {} --split {}{}", quoted_run, split, plugins)
            logger.info("  ner report --run {} --split {}{}", quoted_run, split, plugins)
            logger.info("  echo '{}' | ner predict --run {} --format {}{}", text, quoted_run, format_name, plugins)
    return status.code


def _train_seeds(arguments: argparse.Namespace, callbacks: Sequence[Callback]) -> int:
    """Train a run per seed and write a table of all; return the first exit code that is not 0."""
    from ner.commands import _series
    from ner.config import recipes
    from ner.runs import directory as runs

    _series.check_single_process()
    seeds = arguments.seeds.split(",")
    if not all(seed.isdecimal() for seed in seeds) or len({*map(int, seeds)}) < len(seeds):
        raise InputError(f"--seeds: expected different numbers such as 1,2,3, found {arguments.seeds}")
    if arguments.init or arguments.resume or any(change.startswith("seed=") for change in arguments.overrides):
        raise InputError("--seeds: excludes --init, --resume and seed=...; the same command continues the series")
    folder = (
        Path(arguments.run)
        if arguments.run
        else runs.create_timed(runs.folder_for(str(recipes.find(arguments.config))))
    )
    directories = [folder / f"seed-{int(seed)}" for seed in seeds]
    for seed, directory in zip(seeds, directories, strict=True):
        overrides = [*arguments.overrides, f"seed={int(seed)}"]
        code = _series.train_one(main, arguments.config, directory, overrides, arguments.plugin, callbacks)
        if code or not (directory / runs.METRICS).exists():
            return code
    _series.write_tables(directories)
    return 0


def _directory(arguments: argparse.Namespace) -> Path:
    """Return the directory of the run.

    Raises:
        InputError: If a new run would overwrite another run or files that do not belong to a run.
    """
    from ner.config import recipes
    from ner.runs import directory as runs

    folder = runs.folder_for(str(recipes.find(arguments.config)))
    if arguments.resume and not arguments.run:
        config_paths = sorted(folder.glob("*/config.yaml"), key=lambda path: path.stat().st_mtime_ns)
        return config_paths[-1].parent if config_paths else runs.create_timed(folder)
    if not arguments.run:
        return runs.create_timed(folder)
    directory = Path(arguments.run)
    if not (arguments.resume and (directory / runs.CONFIG).exists()):
        if arguments.resume and (directory / runs.CHECKPOINTS).exists():
            raise InputError(f"{directory / runs.CONFIG}: missing, so the run cannot be resumed; copy it again")
        runs.check_unused(directory)
    return directory


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line without the run directory."""
    start_options = ["--resume"] if arguments.resume else ["--init", arguments.init] if arguments.init else []
    plugins = [argument for path in arguments.plugin for argument in ("--plugin", path)]
    return shlex.join(["ner", "train", "--config", arguments.config, *start_options, *plugins, *arguments.overrides])


def example_input(documents: Mapping[str, Sequence[Document]]) -> tuple[str, str]:
    """Return an input for ``ner predict`` and its format: the first text with an entity or a label."""
    for split in ("test", "valid", "train"):
        for document in documents[split]:
            for example in document.examples:
                if example.query_length and example.text:
                    return '{"question": "...", "text": "..."}', "jsonl"
                if (example.spans or example.labels) and all("'" not in word for word in example.words):
                    return shorten(example.text or join_words(example.words)[0]), "text"
    return "...", "text"


def shorten(text: str) -> str:
    """Return at most the first 80 characters, without a cut through a word where words are separated by spaces."""
    return textwrap.shorten(text, 80, placeholder="") or text.strip()[:80]


if __name__ == "__main__":
    sys.exit(main())
