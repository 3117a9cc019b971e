"""List the recipes, which are configurations in the package, with their measured scores and minutes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ner.runtime import cli

TASKS = {
    "crf": "tagging",
    "softmax": "tagging",
    "classifier": "text classification",
    "joint": "intent and slots",
    "extractive_qa": "questions",
    "unilm": "questions, generated answers",
}
"""Decoder -> task."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner recipes``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sample", metavar="DIR", help="copy the sample data of the recipes to a new directory, and end"
    )
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from ner.config import recipes

        if arguments.sample:
            for path in recipes.copy_sample(Path(arguments.sample)):
                sys.stdout.write(f"{path}\n")
            return status.code
        from ner.config.load import load_config
        from ner.runtime.table import Table

        measured = recipes.measured()
        rows = []
        for name in recipes.names():
            config, _ = load_config(name)
            result = measured.get(name, {})
            encoder = config.encoder.pretrained_model or " + ".join(
                other.pretrained_model or other.name for other in config.encoder.members.values()
            )
            rows.append(
                {
                    "recipe": name,
                    "task": TASKS.get(config.decoder.name, config.decoder.name),
                    "encoder": encoder or config.encoder.name,
                    "score": result.get("score", "not measured"),
                    "minutes": str(result.get("minutes", "")),
                }
            )
        sys.stdout.write(f"{Table(rows)}\n\nner train --config RECIPE data.train=FILE data.valid=FILE data.test=FILE\n")
    return status.code


if __name__ == "__main__":
    sys.exit(main())
