"""Answer a file or a pipe: text, columns, JSON Lines, or any other format of ner/data/formats."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner.runtime import cli

if TYPE_CHECKING:
    from ner.config.base import ComponentConfig
    from ner.types import Document


def main(argv: Sequence[str] | None = None) -> int:
    """``ner predict``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="DIR", help="run directory; default the newest below runs/")
    formats = sorted(path.stem for path in Path(__file__).parents[1].glob("data/formats/[a-z]*.py"))
    parser.add_argument("--format", choices=formats, help="of the input; default that of training")
    parser.add_argument("--input", metavar="FILE", default="-", help="default standard input")
    parser.add_argument("--output", metavar="FILE", default="-", help="default standard output")
    parser.add_argument(
        "overrides", nargs="*", metavar="data.format.key=value", help="how the input is written, where it differs"
    )
    parser.add_argument("--scores", action="store_true", help="give every entity and label its probability")
    parser.add_argument(
        "--precision",
        choices=["run", "fp32", "bf16", "int8"],
        default="run",
        help="of the arithmetic; default that of the run; int8 on CPUs",
    )
    return cli.run(parser, _predict, argv)


def _predict(arguments: argparse.Namespace) -> None:
    with cli.paused_garbage_collection():
        from loguru import logger

        from ner.config.parts import load_component
        from ner.data import tasks
        from ner.errors import InputError
        from ner.inference.tagger import Tagger
        from ner.runs.directory import resolve_run
        from ner.runtime.log import progress, set_up_log

        set_up_log(sys.stderr)
        tagger = Tagger.load(resolve_run(arguments.run), precision=arguments.precision)
    data, decoder = tagger.config.data, tagger.config.decoder.name
    name = arguments.format or data.format.name
    tasks.check_format(decoder, name, "--format")
    form = load_component("formats", name)
    if arguments.scores and not form.probabilities:
        fitting = " or ".join(
            other for other in tasks.compatible_formats(decoder) if load_component("formats", other).probabilities
        )
        raise InputError(f"--scores: {name} files have no place for probabilities; choose --format {fitting}")
    if arguments.input != "-" and Path(arguments.output).exists() and Path(arguments.output).samefile(arguments.input):
        raise InputError(f"--output {arguments.output}: is the file that is read; name another")
    config = _format(data.format if name == data.format.name else form.Config(), arguments.overrides)
    # what is there besides the words stays as it is; tags and labels in the input are no business of ours
    besides = {"conll": ("tag",), "slot_filling": ("tags", "labels")}.get(name)
    source = config
    if besides:
        source = config.model_copy(update={**dict.fromkeys(besides), "scheme": tagger.model.vocabs.scheme})

    coverage: Counter[str] = Counter()
    sizes: set[int] = set()

    def predicted() -> Iterator[Document]:
        with progress(unit="word") as bar:
            documents = form.read(arguments.input, source, data.word_split, for_rewriting=True)
            for chunk in tagger.annotate(
                tasks.checked_questions(decoder, name, documents), probabilities=arguments.scores
            ):
                for document in chunk.gold:
                    coverage.update(tagger.model.input_warnings(document))
                for document in chunk.predicted:
                    lengths = [len(example.words) for example in document.examples]
                    sizes.update(lengths)
                    bar.update(sum(lengths))
                    yield document

    form.write(arguments.output, predicted(), config)
    for reason, count in sorted(coverage.items()):
        logger.warning("{} {}", count, reason)
    if name == "conll" and not arguments.format and sizes == {1}:
        logger.warning("every sentence was a single word, as conll files have a word a line; text needs --format text")


def _format(config: ComponentConfig, overrides: Sequence[str]) -> ComponentConfig:
    """How the input is written."""
    from ner.config.load import override
    from ner.config.parts import parse_component
    from ner.errors import InputError

    raw: dict[str, Any] = {"data": {"format": config.model_dump()}}
    for change in overrides:
        if not change.startswith("data.format.") or change.startswith("data.format.name="):
            raise InputError(f"{change}: expected data.format.key=value; the model is as it was trained, see --format")
        override(raw, change)
    found: ComponentConfig = parse_component("formats", raw["data"]["format"])
    return found


if __name__ == "__main__":
    sys.exit(main())
