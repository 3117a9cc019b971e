"""Train a model from a configuration and score it on train, valid and test."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.commands import _plugins
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.training.run import TrainingRun


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner train`` or ``python train.py``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, see configs/")
    help = "run directory (default: runs/<config>/<time>); use --run-dir under torchrun, which has a --run of its own"
    parser.add_argument("--run", "--run-dir", metavar="DIR", help=help)
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

        from loguru import logger

        from ner.commands._display import Display
        from ner.commands._prepare import prepare, training_run
        from ner.runs.directory import CONFIG
        from ner.training import resume

        with training_run(config, lambda: _directory(arguments)) as run:
            started = time.monotonic()
            for note in (*notes, f"run directory: {run.directory}"):
                logger.info("{}", note)
            changes: list[str] = []
            resumed = run.process_group.broadcast(arguments.resume and (run.directory / CONFIG).exists())
            if resumed:
                run.config, changes = resume.resumed_config(run.directory, config, arguments.overrides)
            init = Path(arguments.init) if arguments.init else None
            notable = prepare(run, resume.initial_run(run.directory, run.process_group) if resumed else init)
            if resumed:
                resume.resume(run, changes)
            else:
                run.start()
            with Display(run) as display:
                for progress in run.train(watch=display.watch):
                    display.show(progress)
            status.code = run.exit_code
            if not run.stopped:
                _finish(run, notable, started, arguments)
    return status.code


def _finish(
    run: TrainingRun, notable: dict[str, dict[str, Any]], started: float, arguments: argparse.Namespace
) -> None:
    """Score the kept model, write ``metrics.json``, and log the next commands."""
    from loguru import logger

    from ner.commands._prepare import example_input
    from ner.runs.directory import METRICS
    from ner.runtime import atomic

    scores = run.finish()
    scores |= {split: {**scores[split], **counts} for split, counts in notable.items() if split in scores}
    report = {
        **scores,
        **{"seconds": time.monotonic() - started, "command": _command(arguments), "seed": run.config.seed},
        **{key: run.provenance[key] for key in ("data", "versions", "device", "threads", "processes")},
        "crf_backend": run.backend,
    }
    if run.process_group.is_main:
        atomic.write_bytes(run.directory / METRICS, json.dumps(report, indent=2, ensure_ascii=False).encode())
    logger.info("done in {:.0f} s", report["seconds"])
    split = next(split for split in ("test", "valid", "train") if run.documents[split])
    quoted, (text, form) = shlex.quote(str(run.directory)), example_input(run.documents)
    plugins = "".join(f" --plugin {shlex.quote(path)}" for path in arguments.plugin)
    logger.info("next:")
    logger.info("  python evaluate.py --run {} --split {}{}", quoted, split, plugins)
    logger.info("  echo '{}' | ner predict --run {} --format {}{}", text, quoted, form, plugins)


def _directory(arguments: argparse.Namespace) -> Path:
    """Return the directory of the run.

    Raises:
        InputError: If a new run would overwrite another run or files that do not belong to a run.
    """
    from ner.runs import directory as runs

    folder = runs.folder_for(arguments.config)
    if arguments.resume and not arguments.run:
        started = sorted(folder.glob("*/config.yaml"), key=lambda path: path.stat().st_mtime_ns)
        return started[-1].parent if started else runs.create_timed(folder)
    if not arguments.run:
        return runs.create_timed(folder)
    directory = Path(arguments.run)
    if not (arguments.resume and (directory / runs.CONFIG).exists()):
        runs.check_unused(directory)
    return directory


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line without the run directory."""
    start = ["--resume"] if arguments.resume else ["--init", arguments.init] if arguments.init else []
    plugins = [argument for path in arguments.plugin for argument in ("--plugin", path)]
    return shlex.join(["python", "train.py", "--config", arguments.config, *start, *plugins, *arguments.overrides])


if __name__ == "__main__":
    sys.exit(main())
