"""List the recipes: configurations that are shipped with the package, with their measured scores and minutes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

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
    cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from ner.config import recipes
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
