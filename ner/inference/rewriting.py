"""Rewriting of files: a format whose gold columns are copied unread, written with predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ner.config.base import ComponentConfig
from ner.config.parts import ConfigError, load_component, parse_component
from ner.data import tasks
from ner.errors import InputError
from ner.inference.text_tagger import TextTagger
from ner.runs.directory import LABELS
from ner.types import Document

GOLD = {"conll": ("tag",), "slot_filling": ("tags", "labels")}
"""Keys of the gold columns of formats with columns."""


@dataclass(frozen=True)
class Rewriter:
    """A format to read documents from and to write their predictions to.

    Attributes:
        tagger: Tagger of the documents.
        format_module: Module of the format.
        source: Options for reading; gold columns are not parsed.
        target: Options for writing.
    """

    tagger: TextTagger
    format_module: Any
    source: ComponentConfig
    target: ComponentConfig

    def read(self, path: str) -> Iterator[Document]:
        """Yield the documents of a file.

        Raises:
            InputError: With file and line, if a record is invalid, or does not fit the task of the tagger.
        """
        return self.check(self.format_module.read(path, self.source, self.tagger.word_split, for_rewriting=True))

    def check(self, documents: Iterator[Document]) -> Iterator[Document]:
        """Yield documents after checking that they fit the task of the tagger."""
        return tasks.checked_questions(self.tagger.decoder_name, self.source.name, documents, self.tagger.outputs)

    def write(self, path: str, documents: Iterator[Document]) -> None:
        """Write predicted documents."""
        self.format_module.write(path, documents, self.target)


def format_options(trained_format: ComponentConfig, name: str, overrides: Sequence[str]) -> ComponentConfig:
    """Return the options of an input format: those of the training data if it is their format, with overrides.

    Raises:
        InputError: If an override is not ``data.format.key=value``, or a value is invalid.
    """
    config = trained_format if name == trained_format.name else load_component("formats", name).Config()
    raw_config: dict[str, Any] = {"data": {"format": config.model_dump()}}
    for assignment in overrides:
        if not assignment.startswith("data.format.") or assignment.startswith("data.format.name="):
            raise InputError(
                f"{assignment}: expected data.format.key=value, an option of the input format; give the input by "
                "--input"
            )
        from ner.config.load import override

        override(raw_config, assignment)
    try:
        options: ComponentConfig = parse_component("formats", raw_config["data"]["format"])
    except ConfigError as error:
        raise error.with_prefix("data", "format") from None
    return options


def rewriter(
    tagger: TextTagger,
    directory: Path,
    config: ComponentConfig,
    probabilities: Literal["none", "entity", "token"] = "none",
) -> Rewriter:
    """Return a rewriter of the files of a format.

    Args:
        tagger: Tagger of the documents.
        directory: Its run or export, for messages.
        config: Options of the format.
        probabilities: Probabilities that are written.

    Raises:
        InputError: If the format cannot store the labels of the model.
    """
    tasks.check_labels(tagger.vocabs, config, directory / LABELS)
    if config.name == "conll" and probabilities != "none":
        config = config.model_copy(update={"probabilities": probabilities})
    source = config
    if gold_keys := GOLD.get(config.name):
        source = config.model_copy(update={**dict.fromkeys(gold_keys), "scheme": tagger.vocabs.scheme})
    return Rewriter(tagger, load_component("formats", config.name), source, config)


def check_probabilities(option: str, name: str, outputs: frozenset[str]) -> None:
    """Check that a format can store probabilities.

    Raises:
        InputError: If it cannot; the message starts with ``option`` and contains formats that can.
    """
    if load_component("formats", name).probabilities:
        return
    alternatives = [n for n in tasks.compatible_formats(outputs) if load_component("formats", n).probabilities]
    raise InputError(
        f"{option}: {name} files cannot store probabilities; choose another --format: {', '.join(alternatives)}"
    )
