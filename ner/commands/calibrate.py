"""Calibrate the probabilities of a run on new text with gold entities."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ner.commands import _plugins
from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner calibrate``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory; default the newest below runs/")
    parser.add_argument("--data", metavar="FILE", help="file in the format of the run; default the validation file")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _calibrate(arguments)
    return status.code


def _calibrate(arguments: argparse.Namespace) -> None:
    from loguru import logger

    from ner.config.parts import load_component
    from ner.data import seen
    from ner.errors import InputError
    from ner.inference.tagger import Tagger
    from ner.runs import calibration
    from ner.runs.directory import resolve_run
    from ner.runtime.log import set_up_log
    from ner.training.temperature import calibrate

    set_up_log(sys.stdout)
    directory = resolve_run(arguments.run)
    tagger = Tagger.load(directory)
    config = tagger.config
    path = arguments.data or config.data.valid
    if path is None:
        raise InputError("config.data.valid: the run has no such file; use --data FILE")
    format_module = load_component("formats", config.data.format.name)
    documents = list(format_module.read(path, config.data.format, config.data.word_rule))
    trained_on = seen.read(directory)
    num_seen, total = seen.count(documents, trained_on) if trained_on is not None else (0, 0)
    if num_seen:
        logger.warning(
            "{}: {} of {} sentences occur in the training data, which distorts the result", path, num_seen, total
        )
    fitted = calibrate(tagger, documents, str(path))
    calibration.write(directory, fitted)
    logger.info("{} sentences, {} gold and {} predicted entities", fitted.sentences, fitted.gold, fitted.predicted)
    logger.info("temperature: {:.4f}", fitted.temperature)
    logger.info("calibration error: {:.4f} before, {:.4f} after", fitted.before.error, fitted.after.error)
    logger.info("log-likelihood of a sentence: {:.4f} before, {:.4f} after", *fitted.log_likelihood)
    logger.info("saved: {}", directory / calibration.FILE)


if __name__ == "__main__":
    sys.exit(main())
