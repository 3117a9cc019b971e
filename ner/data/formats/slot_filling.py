"""Slot filling data: a directory of line-aligned files with the words of an utterance, their tags, and its intent.

ATIS and SNIPS are distributed in this form: ``seq.in``, ``seq.out`` and ``label``. Several intents of an utterance are
joined into one string, ``atis_flight#atis_airfare``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from ner.config.base import ComponentConfig, TextEncoding, WordSplit
from ner.data import tags
from ner.data.notices import Notice
from ner.errors import InputError
from ner.runtime import atomic, text_files
from ner.types import Document, Example

SEPARATOR = "#"
"""Separator of the intents of an utterance."""

output_extension = "slot_filling"
probabilities = False
STORES = frozenset({"tags", "labels"})


class Config(ComponentConfig):
    """Slot filling data: line-aligned files in a directory, one utterance per line."""

    name: Literal["slot_filling"] = "slot_filling"
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
    encoding: TextEncoding = "utf-8"
    """Character encoding of the files."""

    @model_validator(mode="after")
    def _names(self) -> Config:
        names = [name for name in (self.words, self.tags, self.labels) if name]
        if len(names) > len({*names}):
            raise ValueError(f"words, tags and labels need a file each, found {', '.join(names)}")
        for name in names:
            if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
                raise ValueError(f"expected the name of a file in the directory, found {name!r}")
        return self


def forbidden_characters(config: Config) -> dict[str, str]:
    """Return the characters that tags and labels cannot contain."""
    return {"tags": " \t\r\n", "labels": "\r\n"}


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per line; an empty line is an example without words.

    Raises:
        InputError: With file and line, if the files differ in their number of lines, a line in its number of words and
            tags, if a tag is outside the scheme, if a byte cannot be decoded, or if there are no lines.
    """
    _refuse_pipe(path)
    if Path(path).is_file():
        raise InputError(f"{path}: expected a directory with the file {config.words} in it, found a file")

    def lines(name: str) -> Iterator[str]:
        return (line for _, line in text_files.decoded_lines(f"{path}/{name}", config.encoding))

    scheme: str = config.scheme
    if scheme == "auto":
        detector = tags.SchemeDetector()
        for line in lines(config.tags) if config.tags else ():
            detector.add(_split(line))
        scheme = detector.scheme
    names = [name for name in (config.words, config.tags, config.labels) if name]
    number = 0
    for number, row in enumerate(zip_longest(*map(lines, names)), 1):
        cells: dict[str | None, str] = dict(zip(names, row, strict=True))
        for name, line in cells.items():
            if line is None:
                longer_file = next(other_name for other_name, text in cells.items() if text is not None)
                raise InputError(
                    f"{path}/{name}:{number}: expected a line for the one of {longer_file}, found the end of the file"
                )
        example = Example(_split(cells[config.words]), source=f"{path}/{config.words}", line=number)
        if config.tags:
            tags.check_and_annotate(example, _split(cells[config.tags]), scheme, f"{path}/{config.tags}:{number}")
        if config.labels:
            intents = cells[config.labels].strip()
            parts = [part for part in intents.split(SEPARATOR) if part]
            example.labels = parts if config.intents == "split" or not intents else [intents]
            if len(parts) > 1:
                example.warnings.append(Notice.INTENTS_SPLIT if config.intents == "split" else Notice.INTENTS_JOINED)
        yield Document([example], str(number - 1), path, scheme, [cells[config.words]] if for_rewriting else None)
    if not number:
        raise InputError(f"{path}/{config.words}: expected an utterance per line, found an empty file")


def _refuse_pipe(path: str) -> None:
    if path == "-":
        raise InputError("-: slot_filling data are a directory, not a pipe; give one, or choose --format text or jsonl")


def _split(line: str) -> list[str]:
    """Split a line at ASCII spaces and tabs only, because other white space may be a word."""
    return re.findall("[^ \t]+", line.rstrip("\r\n"))


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write a directory of the same files: the words as read, predicted tags in the scheme of the source, and intents.

    Files without any prediction are omitted. An older directory of the same files is replaced.

    Raises:
        InputError: If the path is a pipe, if the directory contains other files, or if it cannot be written.
    """
    _refuse_pipe(path)
    names = [name for name in (config.words, config.tags, config.labels) if name]
    _check_replaceable(Path(path), names)
    nonempty_files = {config.words}
    with atomic.new_directory(Path(path)) as folder:
        with ExitStack() as stack:
            files = {
                name: stack.enter_context(text_files.open_text(f"{folder}/{name}", config.encoding)) for name in names
            }
            for document in documents:
                for example in document.examples:
                    predicted = tags.tags_in_scheme(example, document.scheme) if example.tags is not None else []
                    cells = {config.tags: " ".join(predicted), config.labels: SEPARATOR.join(example.labels or [])}
                    cells[config.words] = document.source_lines[0] if document.source_lines else " ".join(example.words)
                    for name, file in files.items():
                        file.write(cells[name].rstrip("\r\n") + "\n")
                        if cells[name]:
                            nonempty_files.add(name)
        for name in set(names) - nonempty_files:
            (folder / name).unlink()
        _check_replaceable(Path(path), names)  # as before, unless someone has written there meanwhile
        for name in names if Path(path).is_dir() else ():
            (Path(path) / name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            Path(path).rmdir()


export = write
"""Gold data have the same form."""


def _check_replaceable(path: Path, names: Sequence[str]) -> None:
    """Check that a path is absent or a directory of regular files of these names, which alone may be deleted."""
    try:
        with os.scandir(path) as entries:
            replaceable = {
                entry.name: entry.name in names and entry.is_file(follow_symlinks=False) for entry in entries
            }
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise InputError(f"{path}: expected a new directory to write to, found a file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    if path.is_symlink():
        raise InputError(f"{path}: expected a new directory to write to, found a link; choose another name")
    if foreign := ", ".join(sorted(name for name, is_replaceable in replaceable.items() if not is_replaceable)):
        raise InputError(f"{path}: expected a new directory to write to, found {foreign} in it; choose another name")
