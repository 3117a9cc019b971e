"""Raw text, one text a line; answers are written as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Literal

from ner.config.base import ComponentConfig, WordRule
from ner.data.words import split_words
from ner.runtime import text_files
from ner.types import Document, Example

extension = "jsonl"
probabilities = True
STORES = frozenset({"tags", "labels"})  # answers too could be written, but a line asks no question


class Config(ComponentConfig):
    """Raw text, one text per line."""

    name: Literal["text"] = "text"
    """Name of the file in ner/data/formats."""
    encoding: str = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, words: WordRule, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per line; an empty line is an example without words.

    Raises:
        InputError: With file and line, if a byte cannot be decoded.
    """
    for number, line in text_files.decoded_lines(path, config.encoding):
        text = line.rstrip("\r\n")
        text = text.removeprefix("\ufeff") if number == 1 else text
        split, offsets = split_words(text, words)
        yield Document([Example(split, text=text, offsets=offsets, source=path, line=number)], str(number - 1), path)


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """One JSON object a text: ``text``, and ``entities`` with the characters ``start`` and ``end`` (exclusive), or
    ``labels``, or ``answers``, as the model gives them.
    """
    with text_files.open_text(path) as file:
        for document in documents:
            for example in document.examples:
                value = {"text": example.text, **example.prediction_dict()}
                file.write(json.dumps(value, ensure_ascii=False) + "\n")
