"""Write the model card of a run, README.md, for the Hugging Face Hub."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner card``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory (default: the newest below runs/)")
    parser.add_argument(
        "--language", metavar="CODE", nargs="+", default=[], help="language codes of the texts, such as en"
    )
    parser.add_argument("--license", metavar="NAME", help="license of the model as named by the Hub, such as mit")
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        from ner.runs.directory import resolve_run
        from ner.runs.model_card import write_card

        directory = resolve_run(arguments.run)
        sys.stdout.write(f"{write_card(directory, arguments.language, arguments.license)}\n")
    return status.code


if __name__ == "__main__":
    sys.exit(main())
