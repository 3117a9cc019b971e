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
    format_module = component.module
    expect(
        isinstance(format_module.output_extension, str) and format_module.output_extension,
        f"expected a suffix, found {format_module.output_extension!r}",
    )
    expect(isinstance(format_module.probabilities, bool), f"expected a bool, found {format_module.probabilities!r}")
    outputs = format_module.STORES
    expect(isinstance(outputs, frozenset) and outputs, f"expected a frozenset STORES, found {outputs!r}")
    expect(outputs <= {*tasks.OUTPUTS}, f"expected outputs of {sorted(tasks.OUTPUTS)}, found {sorted(outputs)}")


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
    guarantee = component.module.ROUND_TRIP
    expect(guarantee in ("gold", "words", "none"), f"expected ROUND_TRIP of gold, words, none, found {guarantee!r}")
    if guarantee == "none":
        return
    expected = _example()
    with _written(component) as path:
        documents = [*component.module.read(str(path), component.config, "space", for_rewriting=True)]
        examples = [example for document in documents for example in document.examples]
        expect(len(examples) == 1, f"expected the example that was written, found {len(examples)}")
        (example,) = examples
        expect(example.words == expected.words, f"expected the words {expected.words}, found {example.words}")
        outputs = component.module.STORES
        if "tags" in outputs and guarantee == "gold":
            expect(example.spans == expected.spans, f"expected the spans {expected.spans}, found {example.spans}")
        if "labels" in outputs and guarantee == "gold":
            expect(example.labels == expected.labels, f"expected the labels {expected.labels}, found {example.labels}")
        expect(documents[0].source == str(path), f"expected {path} as the source, found {documents[0].source}")
        source, number = Path(example.source), example.line
        expect(source.exists(), f"expected the file of the example, found {example.source!r}")
        lines = _lines(source)
        message = f"expected the line of the example, found {source.name}:{number}"
        expect(number > 0 if lines is None else 0 < number <= len(lines), message)
        expect(lines is None or "Berlin" in lines[number - 1], message)


CHECKS: tuple[Check, ...] = (described_configuration, declarations, complete_files, round_trip)
