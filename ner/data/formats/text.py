"""Raw text, one text per line; predictions are written as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Literal

from ner.config.base import ComponentConfig, TextEncoding, WordSplit
from ner.data.words import split_words
from ner.runtime import text_files
from ner.types import Document, Example

output_extension = "jsonl"
probabilities = True
STORES = frozenset({"tags", "labels"})  # a line has no question, so answers are left out
ROUND_TRIP = "none"  # JSON Lines


class Config(ComponentConfig):
    """Raw text, one text per line."""

    name: Literal["text"] = "text"
    """Name of the file in ner/data/formats."""
    encoding: TextEncoding = "utf-8"
    """Character encoding of the file."""


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per line; an empty line is an example without words.

    Raises:
        InputError: With file and line, if a byte cannot be decoded.
    """
    for number, line in text_files.decoded_lines(path, config.encoding):
        text = line.rstrip("\r\n")
        words, offsets = split_words(text, word_split)
        yield Document([Example(words, text=text, offsets=offsets, source=path, line=number)], str(number - 1), path)


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write a JSON object per text: ``text`` with :meth:`ner.types.Example.prediction_dict`."""
    with text_files.open_text(path, config.encoding) as file:
        for document in documents:
            for example in document.examples:
                value = {"text": example.text, **example.prediction_dict()}
                file.write(json.dumps(value, ensure_ascii=False) + "\n")
