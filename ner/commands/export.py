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
    parser.add_argument("--precision", choices=["fp32", "int8"], default="fp32", help="default: fp32")
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _export(arguments)
    return status.code


def _export(arguments: argparse.Namespace) -> None:
    with cli.paused_garbage_collection():
        from loguru import logger

        from ner.errors import InputError
        from ner.export.export import export
        from ner.portable.description import is_export
        from ner.runs.directory import check_outputs, resolve_run
        from ner.runtime.log import set_up_log

        set_up_log(sys.stderr)
        run = resolve_run(arguments.run)
    if is_export(arguments.output):
        raise InputError(f"--output {arguments.output}: already contains an export; remove it or choose another name")
    check_outputs({"--output": arguments.output}, [run])
    description = export(run, Path(arguments.output), arguments.precision)
    logger.info(
        "{}: same spans as torch in {:.4g} % of the sentences, probabilities within {:.1e}",
        arguments.output,
        100 * description.parity.equal,
        description.parity.difference,
    )


if __name__ == "__main__":
    sys.exit(main())
