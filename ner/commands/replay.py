"""Repeat a run with its live changes at their original steps, and compare the weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ner.commands import _plugins
from ner.errors import InputError
from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner replay``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, metavar="DIR", help="run directory")
    parser.add_argument("--to", metavar="DIR", help="directory of the second run (default: <run>-replay)")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from loguru import logger

        from ner.model.allocation import AllocationLimit
        from ner.model.saving import EXTRA_ELEMENTS
        from ner.runs import events
        from ner.runs.directory import CONFIG, WEIGHTS, read_config
        from ner.runtime import manifest
        from ner.training import checkpoint
        from ner.training.display import Display
        from ner.training.prepare import prepare, training_run
        from ner.training.resume import parse_init_event

        first = Path(arguments.run)
        config, recorded = read_config(first), events.read(first)
        second = Path(arguments.to or f"{str(first).rstrip('/')}-replay")
        if second.exists():
            raise InputError(f"{second}: already exists; remove it, or choose another --to")
        newest, _ = checkpoint.find(first)
        if newest is None:
            raise InputError(f"{first}: no checkpoint to compare with; is it the directory of a run?")
        with training_run(config, lambda: second) as run:
            run.pending_events = [event for event in recorded if event.kind in ("control", "auto", "resume")]
            init = [event.change for event in recorded if event.kind == "init"]
            message = f"{newest}: too small for the sizes in {CONFIG}"
            limit = AllocationLimit(EXTRA_ELEMENTS + 8 * checkpoint.num_elements(newest), message)
            with limit, cli.paused_garbage_collection():
                prepare(run, parse_init_event(init[0]) if init else None)
            for message in checkpoint.compare(newest, run.provenance):
                logger.warning(message)
            run.start()
            saved = checkpoint.read_state(newest)
            with Display(run) as display:
                for progress in run.train(stop_at=(saved["step"], saved["epoch"]), watch=display.watch):
                    display.show(progress)
            repeated, _ = checkpoint.find(second)
            assert repeated is not None, "every epoch and every stop saves run"
            pairs = [(newest, repeated, checkpoint.weights_digest)]
            if (first / WEIGHTS).exists() and (second / WEIGHTS).exists():
                pairs.append((first / WEIGHTS, second / WEIGHTS, manifest.sha256))
            for left, right, digest in pairs:
                same = digest(left) == digest(right)
                logger.info("{} and {}: {}", left, right, "equal weights" if same else "different weights")
                status.code = status.code or int(not same)
    return status.code


if __name__ == "__main__":
    sys.exit(main())
