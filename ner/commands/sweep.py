"""Train with several values of settings: all combinations, or --trials of a search by validation scores (Optuna)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ner.commands import _plugins, _series, train
from ner.errors import InputError, NonFiniteLossError
from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner sweep``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, see configs/")
    help = "folder of the trials (default: runs/<config>/<time>); the same command continues an interrupted sweep"
    parser.add_argument("--run", "--run-dir", metavar="DIR", help=help)
    parser.add_argument("--trials", type=int, metavar="N", help="number of trials of a search (extra sweep)")
    _plugins.add_option(parser)
    help = "values a,b,c or a range such as 1e-5..1e-3:log; a single value applies to all trials"
    parser.add_argument("settings", nargs="+", metavar="key=values", help=help)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        status.code = _sweep(arguments)
    return status.code


def _sweep(arguments: argparse.Namespace) -> int:
    from ner.config import recipes
    from ner.config.load import load_config
    from ner.runs import directory as runs
    from ner.training import search

    _series.check_single_process()
    space = search.parse_space(arguments.settings)
    config, _ = load_config(arguments.config, search.first_values(space))
    if config.data.valid is None:
        raise InputError("config.data.valid: a sweep compares validation scores; give the file")
    if arguments.trials is not None and arguments.trials < 1:
        raise InputError(f"--trials: expected at least 1, found {arguments.trials}")
    folder = (
        Path(arguments.run)
        if arguments.run
        else runs.create_timed(runs.folder_for(str(recipes.find(arguments.config))))
    )
    sweep = search.Sweep.open(folder, arguments.config, arguments.settings, space)
    while (trial := sweep.next_trial(arguments.trials)) is not None:
        sys.stdout.write(f"\ntrial {trial.number}: {' '.join(trial.overrides)}\n")
        sys.stdout.flush()
        directory = folder / trial.name
        watch = sweep.watch(trial, config.training.monitor, prune=arguments.trials is not None)
        code = _series.train_one(train.main, arguments.config, directory, trial.overrides, arguments.plugin, [watch])
        if code == cli.NON_FINITE:
            sweep.finish(trial, "failed", [])
        elif code:
            return code
        elif watch.pruned:
            sweep.finish(trial, "pruned", watch.scores)
        elif not (directory / runs.METRICS).exists():  # stopped by ner control
            sys.stdout.write(f"\nstopped; the same command with --run {folder} continues\n")
            return 0
        else:
            sweep.finish(trial, "finished", search.validation_scores(directory, config.training.monitor))
    finished = [trial for trial in sweep.trials if trial.state == "finished"]
    if not finished:
        raise NonFiniteLossError("the loss of every trial", None, [])
    _series.write_tables([folder / trial.name for trial in finished])
    best = max(finished, key=lambda trial: max(trial.scores))
    pruned = sum(trial.state == "pruned" for trial in sweep.trials)
    sys.stdout.write(f"\n{len(finished)} finished, {pruned} pruned; best on valid: {folder / best.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
