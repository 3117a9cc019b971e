"""Change a training while it runs: rates, batch size, freezing; or ask it to save, to score itself or to stop."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ner.runtime import cli

EXAMPLES = """examples:
  ner control --run DIR training.learning_rate=1e-5     from the next step on
  ner control --run DIR training.learning_rate.encoder=1e-5 freeze=encoder.words
  ner control --run DIR batch.size=64                    from the next epoch on
  ner control --run DIR evaluate=now save=now
  ner control --run DIR stop=epoch                       or stop=step, to go on later with --resume
"""


def main(argv: Sequence[str] | None = None) -> int:
    """``ner control``."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, metavar="DIR", help="run directory")
    parser.add_argument("--wait", type=float, default=10.0, metavar="SECONDS", help="for the training to read it")
    parser.add_argument("changes", nargs="+", metavar="key=value", help="what is to change")
    return cli.run(parser, _control, argv)


def _control(arguments: argparse.Namespace) -> None:
    from ner.runs import events
    from ner.runs.directory import read_config
    from ner.training import control

    run = Path(arguments.run)
    config = read_config(run)
    for change in arguments.changes:
        config = control.check(config, change)
    asked = control.write_requests(run, arguments.changes)
    deadline = time.monotonic() + arguments.wait
    while time.monotonic() < deadline and any(path.exists() for path in asked):
        time.sleep(0.1)
    met = {event.id: event for event in events.read(run)}
    for path, change in zip(asked, arguments.changes, strict=True):
        if path.stem in met:
            sys.stdout.write(f"{change}: read after step {met[path.stem].step}\n")
        elif path.exists():
            sys.stdout.write(f"{change}: not read yet; {run} reads it when it makes its next step, or is resumed\n")
        else:
            sys.stdout.write(f"{change}: refused, see the log of the run\n")


if __name__ == "__main__":
    sys.exit(main())
