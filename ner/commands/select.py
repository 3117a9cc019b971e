"""Select the sentences of a text that are most worth annotating."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from ner.commands import _plugins
from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ner select``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory; default the newest below runs/")
    parser.add_argument("--input", metavar="FILE", default="-", help="default: standard input")
    parser.add_argument("--format", default="text", metavar="NAME", help="format of the input; default text")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="number of sentences; default 200")
    parser.add_argument("--strategy", choices=["entropy", "margin"], default="entropy", help="measure of uncertainty")
    help = "weight of the difference to other selected sentences, from 0 to 1; default 0.3"
    parser.add_argument("--diversity", type=float, default=0.3, metavar="W", help=help)
    parser.add_argument("--output", metavar="FILE", default="-", help="default: standard output")
    help = "format of the output, such as labelstudio or doccano, with the model's entities; default: JSON Lines"
    parser.add_argument("--output-format", metavar="NAME", help=help)
    _plugins.add_option(parser)
    arguments = cli.parse_arguments(parser, argv)
    with cli.ExitStatus() as status:
        _select(arguments)
    return status.code


def _select(arguments: argparse.Namespace) -> None:
    from ner.config.parts import load_component
    from ner.data import tasks
    from ner.errors import InputError
    from ner.inference.selection import select
    from ner.inference.tagger import Tagger
    from ner.runs.directory import check_outputs, files_in_config, resolve_run
    from ner.runtime import text_files
    from ner.runtime.log import set_up_log
    from ner.types import Document, TagQuery

    set_up_log(sys.stderr)
    if arguments.count < 1 or not 0 <= arguments.diversity <= 1:
        raise InputError("expected --count of at least 1 and --diversity between 0 and 1")
    tagger = Tagger.load(resolve_run(arguments.run))
    if tagger.model.tag_decoder is None:
        raise InputError(f"config.decoder: {tagger.config.decoder.name} predicts no tags of words")
    check_outputs({"--output": arguments.output}, [arguments.input, *files_in_config(tagger.config)])
    tasks.check_format(tagger.config.decoder.name, arguments.output_format or "jsonl", "--output-format")
    format_module = load_component("formats", arguments.format)
    run_format = tagger.config.data.format
    config = run_format if arguments.format == run_format.name else format_module.Config()
    documents = format_module.read(arguments.input, config, tagger.word_split)
    chunks = tagger.annotate(documents, probabilities=True, query=TagQuery(uncertainty=True))
    predicted = (document for chunk in chunks for document in chunk.predicted)
    selected = select(predicted, arguments.count, arguments.strategy, arguments.diversity)
    if arguments.output_format:
        output_module = load_component("formats", arguments.output_format)
        examples = [replace(item.example, probabilities=None, metadata={}) for item in selected]
        output_module.write(arguments.output, [Document([example]) for example in examples], output_module.Config())
        return
    with text_files.open_text(arguments.output) as file:
        for item in selected:
            example = replace(item.example, probabilities=None)
            content = {"words": example.words} if example.text is None else {"text": example.text}
            reason = {arguments.strategy: item.uncertainty, "source": example.location}
            file.write(json.dumps({**content, **reason, **example.prediction_dict()}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
