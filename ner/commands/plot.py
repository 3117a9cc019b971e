"""Draw loss, scores and learning rates of a run over its epochs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """``ner plot``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory; default the newest below runs/")
    parser.add_argument("--output", metavar="FILE", help="picture; default <run>/history.png")
    parser.add_argument("--title", metavar="TEXT", help="above the picture; default the name of the run")
    return cli.run(parser, _plot, argv)


def _plot(arguments: argparse.Namespace) -> None:
    from ner.model.model import CONFIG, chosen_run, read_config
    from ner.runs import events
    from ner.runs.plot import plot_history, read_history

    directory = chosen_run(arguments.run)
    output = Path(arguments.output or directory / "history.png")
    history, happened = read_history(directory / "history.csv"), events.read(directory)
    known = (directory / CONFIG).is_file()  # a history alone can be drawn too
    score = read_config(directory).training.monitor if known else "entity.micro.f1"
    plot_history(history, output, arguments.title or str(directory), score, happened)
    sys.stdout.write(f"{output}\n")


if __name__ == "__main__":
    sys.exit(main())
