"""Parallel files in a directory: line by line the words of an utterance, their tags, and its intent.

ATIS and SNIPS come like this: ``seq.in``, ``seq.out`` and ``label``. An utterance with several intents writes them as
one string, ``atis_flight#atis_airfare``.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from ner.config.base import ComponentConfig, WordRule
from ner.data import tags
from ner.errors import InputError
from ner.runtime import atomic, text_files
from ner.types import Document, Example

SEPARATOR = "#"
"""Stands between the intents of an utterance."""

extension = "parallel"
probabilities = False
STORES = frozenset({"tags", "labels"})


class Config(ComponentConfig):
    """Parallel files in a directory, one utterance per line."""

    name: Literal["parallel"] = "parallel"
    """Name of the file in ner/data/formats."""
    words: str = "seq.in"
    """Name of the file with words, separated by spaces."""
    tags: str | None = "seq.out"
    """Name of the file with one tag per word; null for none."""
    labels: str | None = "label"
    """Name of the file with intents; null for none."""
    intents: Literal["whole", "split"] = "whole"
    """Intents joined by #: one class (whole), or several labels (split) for a classifier with multi_label: true."""
    scheme: Literal["auto", "bio", "iob1", "io", "bioes", "bmes", "bilou", "none"] = "auto"
    """Tagging scheme of the file; none for plain tags such as parts of speech, auto for detection over the whole
    file."""
    encoding: str = "utf-8"
    """Character encoding of the files."""


def read(path: str, config: Config, words: WordRule, for_rewriting: bool = False) -> Iterator[Document]:
    """Every line is a document of one example; an empty line is one without words.

    Raises:
        InputError: With file and line, if the files have not as many lines, or a line not as many tags as words, if a
            tag is unknown to the scheme, a byte cannot be decoded, or there is no line at all.
    """
    _refuse_pipe(path)
    if Path(path).is_file():
        raise InputError(f"{path}: expected a directory with the file {config.words} in it, found a file")
    scheme = _scheme(path, config)
    names = [config.words, config.tags, config.labels]
    columns = [_lines(path, name, config.encoding) if name else None for name in names]
    number = 0
    for number, row in enumerate(zip_longest(*(column or () for column in columns)), 1):
        for name, line in zip(names, row, strict=True):
            if name and line is None:
                longer = next(other for other, text in zip(names, row, strict=True) if text is not None)
                raise InputError(
                    f"{path}/{name}:{number}: expected a line for that of {longer}, found the end of the file"
                )
        text, tagged, intents = row
        example = Example(_split(text), source=f"{path}/{config.words}", line=number)
        if tagged is not None:
            _tag(example, _split(tagged), scheme, f"{path}/{config.tags}:{number}")
        if intents is not None:
            _label(example, intents.strip(), config)
        yield Document([example], str(number - 1), path, scheme, [text] if for_rewriting else None)
    if not number:
        raise InputError(f"{path}/{config.words}: expected an utterance a line, found an empty file")


def _refuse_pipe(path: str) -> None:
    if path == "-":
        raise InputError(
            "-: parallel files are a directory and cannot be a pipe; name one, or choose --format text or jsonl"
        )


def _lines(path: str, name: str, encoding: str) -> Iterator[str]:
    """Lines with their ends, without a byte order mark."""
    for number, line in text_files.decoded_lines(f"{path}/{name}", encoding):
        yield line.removeprefix("\ufeff") if number == 1 else line


def _split(line: str) -> list[str]:
    """At ASCII spaces and tabs alone: others may be words."""
    body = line.strip(" \t\r\n")
    return re.split("[ \t]+", body) if body else []


def _scheme(path: str, config: Config) -> str:
    if config.scheme != "auto" or config.tags is None:
        return "bio" if config.scheme == "auto" else config.scheme
    detector = tags.SchemeDetector()
    for line in _lines(path, config.tags, config.encoding):
        detector.add(_split(line))
    return detector.scheme


def _tag(example: Example, found: list[str], scheme: str, place: str) -> None:
    """Check the tags of a line and put them into the example."""
    if len(found) != len(example.words):
        raise InputError(f"{place}: expected a tag for each of {len(example.words)} words, found {len(found)} tags")
    if scheme != tags.PLAIN:
        prefixes = tags.prefixes(scheme)
        for tag in found:
            if tag != tags.OUTSIDE and (not tags.is_valid(tag) or tags.split(tag)[0] not in prefixes):
                known = ", ".join(f"{prefix}-X" for prefix in sorted(prefixes))
                raise InputError(
                    f"{place}: expected O or one of {known}, found '{tag}'; set data.format.scheme=none for plain tags"
                )
        example.spans = tags.decode(found)
        if scheme != "bio":
            found = tags.encode(example.spans, len(found))
    example.tags = found


def _label(example: Example, intents: str, config: Config) -> None:
    """Put the intents of a line into the example; those of several are counted."""
    parts = [part for part in intents.split(SEPARATOR) if part]
    example.labels = parts if config.intents == "split" else [intents] if intents else []
    if len(parts) > 1:
        how = "several classes" if config.intents == "split" else "one class"
        example.warnings.append(f"utterances with several intents, read as {how}")


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """A directory with the same files: words as they were read, predicted tags in the scheme read, and intents.

    A file for which the model says nothing is left out. An older directory of the same files is replaced.

    Raises:
        InputError: If it is a pipe, if there are other files in the directory, or if it cannot be written.
    """
    _refuse_pipe(path)
    names = [name for name in (config.words, config.tags, config.labels) if name]
    others = sorted({file.name for file in Path(path).glob("*")} - set(names))
    if others or Path(path).is_file():
        raise InputError(f"{path}: expected a new directory to write to, found {', '.join(others) or 'a file'}")
    said = {config.words}
    with atomic.new_directory(Path(path)) as folder:
        with ExitStack() as stack:
            opened = {
                name: stack.enter_context(text_files.open_text(f"{folder}/{name}", config.encoding)) for name in names
            }
            for document in documents:
                for example in document.examples:
                    found = example.tags is not None and tags.tags_in_scheme(example, document.scheme)
                    cells = {config.tags: " ".join(found or ()), config.labels: SEPARATOR.join(example.labels)}
                    cells[config.words] = document.source_lines[0] if document.source_lines else " ".join(example.words)
                    for name, file in opened.items():
                        file.write(cells[name].rstrip("\r\n") + "\n")
                        if cells[name]:
                            said.add(name)
        for name in set(names) - said:
            (folder / name).unlink()
        shutil.rmtree(path, ignore_errors=True)
