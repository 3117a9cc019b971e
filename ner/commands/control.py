"""Change a running training (learning rates, batch size, freezing), or request a checkpoint, evaluation or stop."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ner.commands import _plugins
from ner.runtime import cli

EXAMPLES = """examples:
  ner control --run DIR training.learning_rate=1e-5     from the next step
  ner control --run DIR training.learning_rate.encoder=1e-5 freeze=encoder.words
  ner control --run DIR batch.size=64                    from the next epoch
  ner control --run DIR evaluate=now save=now
  ner control --run DIR stop=epoch                       or stop=step; continue with --resume
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner control``."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, metavar="DIR", help="run directory")
    parser.add_argument(
        "--wait", type=float, default=10.0, metavar="SECONDS", help="time to wait for the training (default: 10)"
    )
    parser.add_argument("changes", nargs="+", metavar="key=value", help="changes to request")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from ner.runs import events
        from ner.runs.directory import read_config
        from ner.training import control

        run = Path(arguments.run)
        config = read_config(run)
        for change in arguments.changes:
            config = control.check(config, change)
        events.read(run)  # reports a broken file before anything is written
        requests = control.write_requests(run, arguments.changes)
        deadline = time.monotonic() + arguments.wait
        while time.monotonic() < deadline and any(path.exists() for path in requests):
            time.sleep(0.1)
        applied = {event.id: event for event in events.read(run)}
        for path, change in zip(requests, arguments.changes, strict=True):
            if path.stem in applied:
                sys.stdout.write(f"{change}: applied after step {applied[path.stem].step}\n")
            elif path.exists():
                sys.stdout.write(f"{change}: pending; {run} applies it at its next step or when it is resumed\n")
            else:
                sys.stdout.write(f"{change}: rejected, see the log of the run\n")
    return status.code


if __name__ == "__main__":
    sys.exit(main())
