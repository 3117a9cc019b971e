"""Draw the loss, scores and learning rates of a run over its epochs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ner.commands import _plugins
from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner plot``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory (default: the newest below runs/)")
    parser.add_argument("--output", metavar="FILE", help="picture to write (default: <run>/history.png)")
    parser.add_argument("--title", metavar="TEXT", help="title of the picture (default: the run directory)")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from ner.runs import events
        from ner.runs.directory import CONFIG, HISTORY, METRICS, check_outputs, read_config, resolve_run
        from ner.runs.history import read_history
        from ner.runs.plot import plot_history
        from ner.runs.record import METRICS_FILE, score_at
        from ner.runtime.json_files import read_json

        directory = resolve_run(arguments.run)
        output = Path(arguments.output or directory / "history.png")
        check_outputs({"--output": arguments.output}, [])
        history = read_history(directory / HISTORY)
        has_config = (directory / CONFIG).is_file()  # a directory with only history.csv can be drawn too
        score = read_config(directory).training.monitor if has_config else "entity.micro.f1"
        title = arguments.title or str(directory)
        if (directory / METRICS).is_file():
            test = score_at(read_json(directory / METRICS, METRICS_FILE), f"test.{score}")
            title += "" if test is None else f"\ntest {score}: {test:.4f}"
        plot_history(history, output, title, score, events.read(directory))
        sys.stdout.write(f"{output}\n")
    return status.code


if __name__ == "__main__":
    sys.exit(main())
