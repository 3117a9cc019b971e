"""Checks of formats."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ner.conformance.component import Check, Component, expect
from ner.conformance.configuration import described_configuration
from ner.data import tasks
from ner.types import Document, Example, Span


def _example() -> Example:
    spans, tags = [Span(0, 1, "LOC")], ["B-LOC", "O"]
    return Example(["Berlin", "wins"], spans, tags, labels=["claim"], text="Berlin wins", offsets=[(0, 6), (7, 11)])


@contextmanager
def _written(component: Component) -> Iterator[Path]:
    """Write an example to a file or folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        component.module.write(str(path), [Document([_example()])], component.config)
        yield path


def declarations(component: Component) -> None:
    """Declare the suffix, whether probabilities are stored, and the outputs."""
    form = component.module
    expect(
        isinstance(form.output_extension, str) and form.output_extension,
        f"expected a suffix, found {form.output_extension!r}",
    )
    expect(isinstance(form.probabilities, bool), f"expected a bool, found {form.probabilities!r}")
    stores = form.STORES
    expect(isinstance(stores, frozenset) and stores, f"expected a frozenset STORES, found {stores!r}")
    expect(stores <= {*tasks.OUTPUTS}, f"expected outputs of {sorted(tasks.OUTPUTS)}, found {sorted(stores)}")


def complete_files(component: Component) -> None:
    """Write a file or a folder; a text file ends with a line break."""
    with _written(component) as path:
        expect(path.is_file() or any(path.iterdir()), "expected a file or a folder with files, found none")
        lines = _lines(path)
        expect(lines is None or "".join(lines[-1:]).endswith("\n"), "expected a line break at the end of the file")


def _lines(file: Path) -> list[str] | None:
    """Return the lines of a file with their ends; None for a folder or a binary file."""
    try:
        return file.read_text(encoding="utf-8").splitlines(keepends=True)
    except (UnicodeDecodeError, IsADirectoryError):
        return None


def round_trip(component: Component) -> None:
    """Read what it writes: words, gold, file and line, as far as ROUND_TRIP promises."""
    promise = component.module.ROUND_TRIP
    expect(promise in ("gold", "words", "none"), f"expected ROUND_TRIP of gold, words, none, found {promise!r}")
    if promise == "none":
        return
    written = _example()
    with _written(component) as path:
        documents = [*component.module.read(str(path), component.config, "space", for_rewriting=True)]
        examples = [example for document in documents for example in document.examples]
        expect(len(examples) == 1, f"expected the example that was written, found {len(examples)}")
        (example,) = examples
        expect(example.words == written.words, f"expected the words {written.words}, found {example.words}")
        stores = component.module.STORES
        if "tags" in stores and promise == "gold":
            expect(example.spans == written.spans, f"expected the spans {written.spans}, found {example.spans}")
        if "labels" in stores and promise == "gold":
            expect(example.labels == written.labels, f"expected the labels {written.labels}, found {example.labels}")
        expect(documents[0].source == str(path), f"expected {path} as the source, found {documents[0].source}")
        source, number = Path(example.source), example.line
        expect(source.exists(), f"expected the file of the example, found {example.source!r}")
        lines = _lines(source)
        place = f"expected the line of the example, found {source.name}:{number}"
        expect(number > 0 if lines is None else 0 < number <= len(lines), place)
        expect(lines is None or "Berlin" in lines[number - 1], place)


CHECKS: tuple[Check, ...] = (described_configuration, declarations, complete_files, round_trip)
