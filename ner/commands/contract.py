"""Check a component, such as a plug-in, against its interface, with a line for each property."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ner.commands import _plugins
from ner.errors import InputError, printable
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.conformance.component import Component


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner contract``."""
    parser = argparse.ArgumentParser(description=__doc__)
    help = "Python file of a plug-in, or kind/name of an installed component, such as context/bilstm"
    parser.add_argument("component", metavar="COMPONENT", help=help)
    parser.add_argument("options", nargs="*", metavar="key=value", help="options of the component")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        with cli.paused_garbage_collection():
            from ner.conformance.component import run

            component = _component(arguments.component, arguments.options)
            checks = importlib.import_module(f"ner.conformance.{component.folder}").CHECKS
        results = run(component, checks)
        for result in results:
            sys.stdout.write(f"{'FAIL' if result.problem else 'pass'}  {result.property}\n")
            if result.problem:
                sys.stdout.write(f"      {printable(result.problem)}\n")
        failed = sum(result.problem is not None for result in results)
        sys.stdout.write(f"{component.folder}/{component.name}: {len(results)} properties, {failed} failed\n")
        status.code = int(failed > 0)
    return status.code


def _component(name: str, options: Sequence[str]) -> Component:
    """Return the component of a file or of ``kind/name``."""
    from ner.config.base import FOLDERS
    from ner.config.load import override
    from ner.config.plugins import load_file
    from ner.conformance.component import Component

    if name.endswith(".py"):
        plugin = load_file(name)
        folder, name = plugin.folder, plugin.name
    else:
        folder, _, name = name.partition("/")
        if folder not in FOLDERS or not name:
            raise InputError(f"{folder}: expected a file such as my_layer.py, or kind/name of {', '.join(FOLDERS)}")
    if folder == "callbacks":
        raise InputError(f"{folder}/{name}: callbacks have no checks; see Callback in ner.contracts")
    raw: dict[str, Any] = {}
    for change in options:
        override(raw, change)
    component = Component.parse(folder, name, raw)
    if getattr(component.config, "runs_encoder", False):
        raise InputError(f"{folder}/{name}: decoders that run the encoder are not covered; see tests/test_contracts.py")
    return component


if __name__ == "__main__":
    sys.exit(main())
