"""The option ``--plugin`` of all commands that read a configuration or a run."""

from __future__ import annotations

import argparse
from typing import Any


class _Load(argparse.Action):
    """Load the file at once, so that all later code finds the component."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, path: Any, *_: Any) -> None:
        from ner.config.plugins import load_file

        load_file(path)
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), path])


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--plugin FILE``, which may be repeated."""
    help = "Python file with a component of your own, see docs/plugins.md; may be repeated"
    parser.add_argument("--plugin", action=_Load, default=[], metavar="FILE", help=help)
