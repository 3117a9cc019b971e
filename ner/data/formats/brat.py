"""brat standoff: pairs of a text file and an annotation file, ``NAME.txt`` and ``NAME.ann``.

The path is a directory, searched with its subdirectories, or one file of a pair. A pair is a document, and each line of
its text is an example. Entities (lines with ``T``) are read; relations, events, attributes and notes are counted only.
"""

from __future__ import annotations

import bisect
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Literal, NamedTuple

from ner.config.base import SpanFormatConfig, TextEncoding, WordSplit
from ner.data.char_spans import CharSpan, in_characters, in_unit, set_spans
from ner.data.notices import Notice
from ner.data.words import split_words, with_text
from ner.errors import InputError, reason
from ner.runtime import atomic, text_files
from ner.types import Document, Example

output_extension = "brat"
probabilities = True
STORES = frozenset({"tags"})
SETTINGS = "annotation.conf"
"""File of a brat collection that declares the labels; it also marks directories that :func:`write` may replace."""
MARK = "# written by ner; a later prediction replaces this directory\n"
_ENTITY = re.compile(r"(T\S*)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t(.*)")


class Config(SpanFormatConfig):
    """Standoff files of brat."""

    name: Literal["brat"] = "brat"
    """Name of the file in ner/data/formats."""
    unit: Literal["line", "file"] = "line"
    """Text that forms an example: a line, or the whole file, for texts with line ends inside sentences."""
    on_discontinuous: Literal["error", "join", "split", "drop"] = "error"
    """Reaction to an entity of several fragments: raise an error, read it from the first to the last fragment, read
    every fragment as an entity, or drop it."""
    encoding: TextEncoding = "utf-8"
    """Character encoding of the files."""


def forbidden_characters(config: Config) -> dict[str, str]:
    """Return the characters that a label cannot contain."""
    return {"labels": " \t\r\n"}


FRAGMENTS = {
    "join": Notice.FRAGMENTS_JOINED,
    "split": Notice.FRAGMENTS_SPLIT,
    "drop": Notice.FRAGMENTS_DROPPED,
}
"""Value of ``on_discontinuous`` -> notice."""


class _Entity(NamedTuple):
    """An entity of an annotation file: its fragments in the unit of the file, and its line."""

    fragments: list[tuple[int, int]]
    label: str
    surface: str
    line: int


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document per pair, in the order of their names. Lines without a word are no examples.

    With ``for_rewriting``, annotation files may be missing.

    Raises:
        InputError: With file and line, if a file is missing or has another form, or if an entity does not fit the text.
    """
    for text_path in _texts(path):
        lines = [line for _, line in text_files.decoded_lines(text_path, config.encoding)]
        annotations = str(Path(text_path).with_suffix(".ann"))
        entities: list[_Entity] | None = None
        ignored = 0
        if os.path.exists(annotations):
            entities, ignored = _entities(annotations, config)
        elif not for_rewriting:
            raise InputError(f"{annotations}: cannot be read: expected the annotations of {text_path}; create the file")
        name = os.path.relpath(text_path, path) if os.path.isdir(path) else os.path.basename(text_path)
        document = Document([], name.removesuffix(".txt"), path, source_lines=lines if for_rewriting else None)
        units = lines if config.unit == "line" else ["".join(lines)]
        for number, line in enumerate(units, 1):
            text = line.rstrip("\r\n") if config.unit == "line" else line
            split, offsets = split_words(text, word_split)
            document.examples.append(Example(split, text=text, offsets=offsets, source=text_path, line=number))
        if entities is not None:
            _annotate(document.examples, units, entities, annotations, config)
        document.examples = [example for example in document.examples if example.words]
        if document.examples:
            document.examples[0].warnings += [Notice.ANNOTATION_IGNORED] * ignored
        if document.examples or for_rewriting:
            yield document


def _texts(path: str) -> list[str]:
    """Return the text files of a path."""
    if path == "-":
        raise InputError("-: brat data are files, not a pipe; give a directory, or choose another format")
    if not os.path.isdir(path):
        return [str(Path(path).with_suffix(".txt")) if path.endswith(".ann") else path]
    text_paths = [str(file) for file in sorted(Path(path).rglob("*.txt"))]
    unpaired = [file for file in sorted(Path(path).rglob("*.ann")) if not file.with_suffix(".txt").exists()]
    if unpaired:
        raise InputError(f"{unpaired[0].with_suffix('.txt')}: cannot be read: expected the text of {unpaired[0]}")
    if not text_paths:
        raise InputError(f"{path}: expected pairs of files NAME.txt and NAME.ann, found none")
    return text_paths


def _entities(path: str, config: Config) -> tuple[list[_Entity], int]:
    """Return the entities of an annotation file, and the number of other annotations."""
    entities: list[_Entity] = []
    ignored = 0
    for number, line in text_files.decoded_lines(path, config.encoding):
        row = line.rstrip("\r\n")
        if not row.startswith("T"):
            ignored += bool(row.strip())
            continue
        match = _ENTITY.fullmatch(row)
        if match is None:
            raise InputError(f'{path}:{number}: expected "T1<tab>LABEL START END<tab>TEXT", found "{row[:60]}"')
        fragments = [tuple(map(int, fragment.split(" "))) for fragment in match[3].split(";")]
        entities.append(_Entity([(start, end) for start, end in fragments], match[2], match[4], number))
    return entities, ignored


def _annotate(
    examples: Sequence[Example], units: Sequence[str], entities: Sequence[_Entity], path: str, config: Config
) -> None:
    """Assign the entities of a file to its lines."""
    text = "".join(units)
    starts = list(accumulate(map(len, units), initial=0))
    char_spans = [
        CharSpan(
            start, end, entity.label, entity.surface if len(entity.fragments) == 1 else None, f"{path}:{entity.line}"
        )
        for entity in entities
        for start, end in entity.fragments
    ]
    fragments = iter(in_characters(text, char_spans, config.offsets, path))
    spans: list[list[CharSpan]] = [[] for _ in examples]
    for entity in entities:
        parts = [next(fragments) for _ in entity.fragments]
        location = f"{path}:{entity.line}"
        fragment_text = " ".join(text[part.start : part.end] for part in parts)
        if len(parts) > 1 and fragment_text.split() != entity.surface.split():
            raise InputError(
                f"{location}: expected '{entity.surface[:40]}' at the fragments, found '{fragment_text[:40]}'"
            )
        if len(parts) > 1:
            line = bisect.bisect_right(starts, min(part.start for part in parts)) - 1
            if config.on_discontinuous == "error":
                raise InputError(
                    f"{location}: the entity '{entity.surface[:40]}' has {len(parts)} fragments, which a tag per word "
                    "cannot express; choose data.format.on_discontinuous=join, split or drop"
                )
            notice = FRAGMENTS[config.on_discontinuous]
            examples[line].warnings.append(notice)
            examples[line].repairs.append(f"{location}: {entity.label} '{entity.surface}': {config.on_discontinuous}")
            if config.on_discontinuous == "join":
                first, last = min(part.start for part in parts), max(part.end for part in parts)
                parts = [parts[0]._replace(start=first, end=last)]
            elif config.on_discontinuous == "drop":
                parts = []
        for part in parts:
            line = bisect.bisect_right(starts, part.start) - 1
            if part.end > starts[line] + len(units[line].rstrip("\r\n")) and config.unit == "line":
                raise InputError(
                    f"{location}: the entity '{entity.surface[:40]}' contains the end of a line; "
                    "set data.format.unit=file"
                )
            spans[line].append(part._replace(start=part.start - starts[line], end=part.end - starts[line]))
    for example, line_spans in zip(examples, spans, strict=True):
        set_spans(example, line_spans, config, path)


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write a directory with a pair per document, or one pair for a path that ends in ``.txt`` or ``.ann``.

    Documents that were read ``for_rewriting`` keep their text byte for byte; the lines of others end with a line feed.
    Positions count characters with ``data.format.offsets=auto``. Scores are notes of their entities.

    Raises:
        InputError: If the path is a pipe or a directory of other files, or if it cannot be written.
    """
    if path == "-":
        raise InputError("-: brat data are files, not a pipe; give a directory, or choose another format")
    if path.endswith((".txt", ".ann")):
        _write_pair(Path(path).with_suffix(""), documents, config)
        return
    target = Path(path)
    _check_replaceable(target)
    labels: set[str] = set()
    with atomic.new_directory(target) as folder:
        for number, document in enumerate(documents):
            name = document.id or str(number)
            if name.isdecimal():
                name = name.rjust(6, "0")  # sorted by name, documents keep their order
            parts = [part for part in name.split("/") if part not in ("", ".", "..")]
            stem = folder.joinpath(*(re.sub(r"[^\w.-]", "_", part)[:100] for part in parts or [str(number)]))
            if Path(f"{stem}.txt").exists():
                raise InputError(f"{path}: expected an id for each document, found '{name}' twice; use another id")
            stem.parent.mkdir(parents=True, exist_ok=True)
            labels |= _write_pair(stem, [document], config)
        label_lines = "".join(f"{label}\n" for label in sorted(labels))
        empty_sections = "[relations]\n\n[events]\n\n[attributes]\n"
        (folder / SETTINGS).write_text(f"{MARK}[entities]\n{label_lines}\n{empty_sections}", encoding="utf-8")
        _check_replaceable(target)  # as before, unless someone has written there meanwhile
        if target.is_dir():
            shutil.rmtree(target)


export = write
"""Gold data have the same form."""


def _write_pair(stem: Path, documents: Iterable[Document], config: Config) -> set[str]:
    """Write the text and the annotations of documents; return their labels."""
    labels: set[str] = set()
    unit = "characters" if config.offsets == "auto" else config.offsets
    end = "\n" if config.unit == "line" else ""
    num_entities = num_notes = base_offset = 0
    with (
        text_files.open_text(f"{stem}.txt", config.encoding) as texts,
        text_files.open_text(f"{stem}.ann", config.encoding) as annotations,
    ):
        for document in documents:
            lines = document.source_lines
            units = lines or [f"{with_text(example).text}{end}" for example in document.examples]
            starts = list(accumulate(map(len, units), initial=0))
            text = "".join(units)
            for number, example in enumerate(document.examples):
                example_start = starts[example.line - 1 if lines else number]
                entities = with_text(example).entities()
                positions = in_unit(
                    text, [(example_start + e["start"], example_start + e["end"]) for e in entities], unit
                )
                for (start, stop), entity in zip(positions, entities, strict=True):
                    num_entities += 1
                    labels.add(entity["label"])
                    surface = re.sub(r"[\r\n]", " ", entity["text"])
                    annotations.write(
                        f"T{num_entities}\t{entity['label']} {base_offset + start} {base_offset + stop}\t{surface}\n"
                    )
                    if "score" in entity:
                        num_notes += 1
                        annotations.write(
                            f"#{num_notes}\tAnnotatorNotes T{num_entities}\tscore {entity['score']:.6f}\n"
                        )
            texts.write(text)
            base_offset += in_unit(text, [(0, len(text))], unit)[0][1]
    return labels


def _check_replaceable(path: Path) -> None:
    """Check that a path is absent, an empty directory, or a directory that :func:`write` has written."""
    try:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise InputError(f"{path}: expected a new directory to write to, found a file or link; choose another name")
        names = {file.name for file in path.rglob("*") if file.is_file()} if path.exists() else set()
        conf_path = path / SETTINGS
        is_own = conf_path.is_file() and conf_path.read_text(encoding="utf-8", errors="replace").startswith(MARK)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {reason(error)}") from None
    foreign = sorted(name for name in names if not (is_own and (name == SETTINGS or name.endswith((".txt", ".ann")))))
    if foreign:
        raise InputError(f"{path}: expected a new directory to write to, found {foreign[0]} in it; choose another name")
