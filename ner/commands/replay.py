"""Train a run again from its record, changes made while it ran included, and say whether the weights are the same."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ner.errors import InputError
from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """``ner replay``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, metavar="DIR", help="run directory")
    parser.add_argument("--to", metavar="DIR", help="where the second run goes; default <run>-replay")
    return cli.run(parser, _replay, argv)


def _replay(arguments: argparse.Namespace) -> int:
    from loguru import logger

    from ner.commands.train import Display, prepare
    from ner.model import model
    from ner.runs import events
    from ner.runtime import distributed, manifest
    from ner.runtime.device import resolve_device
    from ner.runtime.log import set_up_log
    from ner.training import checkpoint
    from ner.training.run import TrainingRun, parse_init_event

    first = Path(arguments.run)
    config, recorded = model.read_config(first), events.read(first)
    second = Path(arguments.to or f"{str(first).rstrip('/')}-replay")
    if second.exists():
        raise InputError(f"{second}: is there already; remove it, or give another --to")
    newest, _ = checkpoint.find(first)
    if newest is None:
        raise InputError(f"{first}: no checkpoint to compare with; is it the directory of a run?")
    process_group = distributed.ProcessGroup.from_environment()
    device = resolve_device(config.device, process_group.local_rank)
    process_group.start(device, config.processes.timeout)
    try:
        set_up_log(sys.stdout, second / "train.log", enabled=process_group.is_main)
        one = TrainingRun(config, second, device, process_group, logger.info, logger.warning)
        one.pending_events = [event for event in recorded if event.kind in ("control", "auto", "resume")]
        began = [event.change for event in recorded if event.kind == "init"]
        prepare(one, parse_init_event(began[0]) if began else None)
        one.pending_events = [event for event in one.pending_events if event.kind != "auto"]
        for sentence in checkpoint.compare(newest, one.provenance):
            logger.warning(sentence)
        one.start()
        end = checkpoint.progress_of(newest)
        with Display(one) as display:
            one.train(display.show, until=end)
        newest_again, _ = checkpoint.find(second)
        assert newest_again is not None, "every epoch and every stop leaves one"
        pairs = [(newest, newest_again, checkpoint.weights_digest)]
        if (first / model.WEIGHTS).exists() and (second / model.WEIGHTS).exists():
            pairs.append((first / model.WEIGHTS, second / model.WEIGHTS, manifest.sha256))
        for left, right, digest in pairs:
            same = digest(left) == digest(right)
            logger.info("{} and {}: {}", left, right, "the same weights" if same else "other weights")
            if not same:
                return 1
        return 0
    finally:
        process_group.end()


if __name__ == "__main__":
    sys.exit(main())
