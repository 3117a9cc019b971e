"""Console command: ``ner NAME`` runs ``ner/commands/NAME.py``."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import ner
from ner.runtime.cli import ExitStatus

COMMANDS = Path(__file__).parent / "commands"


def main() -> int:
    """Run the command of the first argument."""
    with ExitStatus() as status:
        status.code = _run()
    return status.code


def _run() -> int:
    names = sorted(path.stem for path in COMMANDS.glob("[!_]*.py"))
    arguments = sys.argv[1:]
    if arguments and arguments[0] in names:
        sys.argv = [f"ner {arguments[0]}", *arguments[1:]]
        return int(importlib.import_module(f"ner.commands.{arguments[0]}").main(arguments[1:]))
    if arguments and arguments[0] == "--version":
        print(f"ner {ner.__version__}")
        return 0
    is_help = not arguments or arguments[0] in ("-h", "--help")
    out = sys.stdout if is_help else sys.stderr
    if not is_help:
        print(f"error: no command '{arguments[0]}'", file=out)
    print("usage: ner COMMAND [options]      (see ner COMMAND --help)\n", file=out)
    for name in names:
        doc = ast.get_docstring(ast.parse((COMMANDS / f"{name}.py").read_text(encoding="utf-8"))) or ""
        print(f"  {name:10} {doc.splitlines()[0]}", file=out)
    return 0 if is_help else 2


if __name__ == "__main__":
    sys.exit(main())
