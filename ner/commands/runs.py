"""List runs: recipe, data, epochs, validation and test scores, seconds, changed settings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner runs``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="runs", metavar="FOLDER", help="default: runs")
    parser.add_argument("--format", choices=["table", "markdown", "csv", "json"], default="table")
    parser.add_argument("--mean", action="store_true", help="means and standard deviations over seeds")
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from ner.errors import InputError
        from ner.runs.directory import find_runs
        from ner.runs.run_table import means, read_row, render

        folder = Path(arguments.folder)
        rows = [read_row(directory) for directory in find_runs(folder)]
        if not rows:
            raise InputError(f"{folder}: found no run with a model; train one (ner train --config ...)")
        sys.stdout.write(render(means(rows) if arguments.mean else [row.cells() for row in rows], arguments.format))
    return status.code


if __name__ == "__main__":
    sys.exit(main())
