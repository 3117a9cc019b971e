"""Convert annotated data into another format, and read the result back to check it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ner.commands import _plugins
from ner.errors import counted
from ner.runtime import cli

if TYPE_CHECKING:
    from ner.types import Document

MAX_REPAIRS = 20
"""Changed annotations that are listed, at most."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner convert``."""
    parser = argparse.ArgumentParser(description=__doc__)
    formats = sorted(path.stem for path in Path(__file__).parents[1].glob("data/formats/[a-z]*.py"))
    parser.add_argument("input", metavar="IN", help="file or directory to read")
    parser.add_argument("output", metavar="OUT", help="file or directory to write")
    help = f"format of IN: {', '.join(formats)} or a plug-in"
    parser.add_argument("--from", dest="source", metavar="FORMAT", required=True, help=help)
    parser.add_argument("--to", dest="target", metavar="FORMAT", required=True, help="format of OUT")
    parser.add_argument("--word-split", default="space", metavar="RULE", help="splitting of raw text (default: space)")
    parser.add_argument("--join", default=" ", metavar="TEXT", help="separator of words in a new text (default: space)")
    help = "leave out tags, labels or answers, which OUT cannot store"
    parser.add_argument("--drop", action="append", default=[], choices=["tags", "labels", "answers"], help=help)
    parser.add_argument("overrides", nargs="*", metavar="from.key=value", help="options of a format: from.KEY, to.KEY")
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        status.code = _convert(arguments)
    return status.code


def _convert(arguments: argparse.Namespace) -> int:
    from loguru import logger

    from ner.config.base import WordRule
    from ner.config.parts import load_component
    from ner.data import conversion
    from ner.errors import InputError, MisalignedSpanError
    from ner.runs.directory import check_outputs
    from ner.runtime import text_files
    from ner.runtime.log import set_up_log

    set_up_log(sys.stderr)
    rule = arguments.word_split
    if rule not in get_args(WordRule):
        raise InputError(f"--word-split: expected {', '.join(get_args(WordRule))}, found '{rule}'")
    source, target = (_options(arguments, prefix) for prefix in ("from", "to"))
    conversion.check_target(arguments.target)
    check_outputs({"OUT": arguments.output}, [arguments.input])
    if Path(arguments.output).resolve().is_relative_to(Path(arguments.input).resolve()):
        raise InputError(f"OUT {arguments.output}: is inside IN {arguments.input}; choose another place")
    try:
        with text_files.spooled([arguments.input]):
            documents = load_component("formats", arguments.source).read(arguments.input, source, rule)
            target_documents = list(conversion.fitting(documents, arguments.source, arguments.target, arguments.drop))
    except MisalignedSpanError as error:
        advice = "choose --word-split characters, or from.on_misaligned=expand, shrink or drop"
        raise InputError(f"{error.args[0]}; {advice}") from None
    if arguments.target in ("brat", "doccano", "labelstudio", "tsv"):
        target_documents = list(conversion.joined(target_documents, arguments.join))
    load_component("formats", arguments.target).export(arguments.output, target_documents, target)
    _report(arguments.input, target_documents)
    if arguments.output == "-":
        return 0
    first_difference = conversion.difference(target_documents, arguments.output, target, rule)
    if first_difference is not None:
        logger.warning("{}", first_difference)
        return 1
    logger.info("{}: read back without a difference", arguments.output)
    return 0


def _options(arguments: argparse.Namespace, prefix: str) -> Any:
    """Return the options of a format from the arguments with a prefix."""
    from ner.config.load import override
    from ner.config.parts import ConfigError, parse_component
    from ner.errors import InputError

    raw: dict[str, Any] = {"name": arguments.source if prefix == "from" else arguments.target}
    for change in arguments.overrides:
        option_prefix, _, option = change.partition(".")
        if option_prefix not in ("from", "to") or not option or option.startswith("name="):
            raise InputError(f"{change}: expected from.KEY=VALUE or to.KEY=VALUE")
        if option_prefix == prefix:
            override(raw, option)
    try:
        return parse_component("formats", raw)
    except ConfigError as error:
        raise error.with_prefix(prefix) from None


def _report(path: str, documents: Sequence[Document]) -> None:
    """Log the counts of the source, the notices of the reader, and the annotations that it changed."""
    from loguru import logger

    examples = [example for document in documents for example in document.examples]
    num_words = sum(len(e.words) for e in examples)
    num_entities = sum(len(e.spans) for e in examples if not e.query_length)
    counts = ", ".join(
        [
            *(counted(len(documents), "document"), counted(len(examples), "sentence")),
            *(counted(num_words, "word"), counted(num_entities, "entity", "entities")),
        ]
    )
    logger.info("{}: {}", path, counts)
    for notice, count in sorted(Counter(notice for example in examples for notice in example.warnings).items()):
        logger.info("{} {}", count, notice)
    repairs = [repair for example in examples for repair in example.repairs]
    for repair in repairs[:MAX_REPAIRS]:
        logger.info("  {}", repair)
    if len(repairs) > MAX_REPAIRS:
        logger.info("  and {} more", len(repairs) - MAX_REPAIRS)


if __name__ == "__main__":
    sys.exit(main())
