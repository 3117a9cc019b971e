"""Export a run for the runtime without torch: an ONNX graph, the CRF, vocabularies and checks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner export``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory; default the newest below runs/")
    parser.add_argument("--output", metavar="DIR", required=True, help="new directory of the export")
    parser.add_argument("--precision", choices=["float32", "int8"], default="float32", help="default: float32")
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _export(arguments)
    return status.code


def _export(arguments: argparse.Namespace) -> None:
    with cli.paused_garbage_collection():
        from loguru import logger

        from ner.export.export import export
        from ner.runs.directory import check_outputs, resolve_run
        from ner.runtime.log import set_up_log

        set_up_log(sys.stderr)
        run = resolve_run(arguments.run)
    check_outputs({"--output": arguments.output}, [run])
    description = export(run, Path(arguments.output), arguments.precision)
    logger.info(
        "{}: {} sentences as in torch, probabilities within {:.1e}",
        arguments.output,
        f"{description.parity.equal:.1%} of the",
        description.parity.difference,
    )


if __name__ == "__main__":
    sys.exit(main())
