"""Several trainings in one folder, one after the other, that end in one table."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ner.errors import InputError

if TYPE_CHECKING:
    from ner.contracts import Callback


def check_single_process() -> None:
    """Check that the command runs in a single process.

    Raises:
        InputError: If it was started by torchrun.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError("several trainings run in a single process; start each one with torchrun and its own --run")


def train_one(
    train: Callable[[Sequence[str], Sequence[Callback]], int],
    config: str,
    directory: Path,
    overrides: Sequence[str],
    plugins: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
) -> int:
    """Train a run, continue an interrupted one, or skip a finished one; return the exit code of ``ner train``.

    Args:
        train: The command ``ner train``.
        config: Configuration file.
        directory: Run directory.
        overrides: ``key=value`` arguments.
        plugins: Files of plug-ins.
        callbacks: Receivers of progress reports.
    """
    from ner.runs.directory import CONFIG, METRICS

    if (directory / METRICS).exists():
        sys.stdout.write(f"{directory}: finished before\n")
        return 0
    options = [argument for path in plugins for argument in ("--plugin", path)]
    resume = ["--resume"] if (directory / CONFIG).exists() else []
    gc.unfreeze()  # each start freezes its objects, those of the previous run among them
    gc.collect()
    return train(["--config", config, "--run", str(directory), *resume, *options, *overrides], callbacks)


def write_tables(directories: Sequence[Path]) -> None:
    """Write a table of runs and a table of their means over seeds to standard output."""
    from ner.runs.run_table import means, read_row, render

    rows = [read_row(directory) for directory in directories]
    columns = ("run", "epochs", "score", "valid", "test", "seconds", "changes")
    sys.stdout.write("\n" + render([{key: row.cells()[key] for key in columns} for row in rows]))
    sys.stdout.write("\n" + render(means(rows)))
