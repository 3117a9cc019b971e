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

        original = Path(arguments.run)
        config, recorded_events = read_config(original), events.read(original)
        replay = Path(arguments.to or f"{str(original).rstrip('/')}-replay")
        if replay.exists():
            raise InputError(f"{replay}: already exists; remove it, or choose another --to")
        original_checkpoint, _ = checkpoint.find(original)
        if original_checkpoint is None:
            raise InputError(f"{original}: no checkpoint to compare with; is it the directory of a run?")
        with training_run(config, lambda: replay) as run:
            run.pending_events = [event for event in recorded_events if event.kind in ("control", "auto", "resume")]
            init = [event.change for event in recorded_events if event.kind == "init"]
            message = f"{original_checkpoint}: too small for the sizes in {CONFIG}"
            limit = AllocationLimit(EXTRA_ELEMENTS + 8 * checkpoint.num_elements(original_checkpoint), message)
            with limit, cli.paused_garbage_collection():
                prepare(run, parse_init_event(init[0]) if init else None)
            for message in checkpoint.compare(original_checkpoint, run.provenance):
                logger.warning(message)
            run.start()
            saved_state = checkpoint.read_state(original_checkpoint)
            with Display(run) as display:
                for progress in run.train(stop_at=(saved_state["step"], saved_state["epoch"]), watch=display.watch):
                    display.show(progress)
            replay_checkpoint, _ = checkpoint.find(replay)
            assert replay_checkpoint is not None, "every epoch and every stop saves a checkpoint"
            compared_files = [(original_checkpoint, replay_checkpoint, checkpoint.weights_digest)]
            if (original / WEIGHTS).exists() and (replay / WEIGHTS).exists():
                compared_files.append((original / WEIGHTS, replay / WEIGHTS, manifest.sha256))
            for left, right, digest in compared_files:
                is_equal = digest(left) == digest(right)
                logger.info("{} and {}: {}", left, right, "equal weights" if is_equal else "different weights")
                status.code = status.code or int(not is_equal)
    return status.code


if __name__ == "__main__":
    sys.exit(main())
