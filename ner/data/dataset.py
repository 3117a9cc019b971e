"""Datasets: documents in memory, as :func:`ner.read` returns them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from ner.config.base import ComponentConfig, WordRule
from ner.config.parts import parse_component
from ner.data.statistics import DocumentStatistics
from ner.types import Document, Example

IN_MEMORY = "<memory>"
"""Path in the configuration of a run whose documents come from Python objects."""
MAX_LABELS = 8
"""Labels that the description of a dataset lists at most."""


class Dataset(Sequence[Document]):
    """Documents from a file or from Python objects.

    Iteration and indices are by document; :attr:`examples` are the sentences. A slice is a dataset as well.

    Args:
        documents: The documents.
        source: Path of the file; empty for documents from Python objects.
        format: Format of the file; None for documents from Python objects.
        word_split: Rule by which raw text was split into words.
    """

    def __init__(
        self,
        documents: Iterable[Document],
        source: str = "",
        format: ComponentConfig | None = None,
        word_split: WordRule | None = None,
    ) -> None:
        self.documents = list(documents)
        self.source, self.format, self.word_split = source, format, word_split

    def __len__(self) -> int:
        return len(self.documents)

    @overload
    def __getitem__(self, index: int) -> Document: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> Document | Dataset:
        if isinstance(index, slice):
            return Dataset(self.documents[index], word_split=self.word_split)
        return self.documents[index]

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    @property
    def examples(self) -> list[Example]:
        """All examples (sentences, texts or questions) in order."""
        return [example for document in self.documents for example in document.examples]

    def __repr__(self) -> str:
        statistics = DocumentStatistics()
        sentences = words = 0
        for document in self.documents:
            statistics.add(document)
            sentences += len(document.examples)
            words += sum(len(example.words) for example in document.examples)
        parts = [f"{len(self.documents):,} documents, {sentences:,} sentences, {words:,} words"]
        for name, counts in (
            ("entities", statistics.labels),
            ("plain tags", statistics.tags),
            ("text labels", statistics.classes),
        ):
            if counts:
                frequent_labels = ", ".join(f"{label} {count:,}" for label, count in counts.most_common(MAX_LABELS))
                remainder = f", {len(counts) - MAX_LABELS} more" if len(counts) > MAX_LABELS else ""
                parts.append(f"{counts.total():,} {name} ({frequent_labels}{remainder})")
        return f"<Dataset {self.source or 'in memory'}: {', '.join(parts)}>"


def suitable_format(documents: Iterable[Document]) -> ComponentConfig:
    """Return the format in which predictions for documents from Python objects are written."""
    only_tags = all(e.tags is not None and e.text is None and not e.labels for d in documents for e in d.examples)
    format_config: ComponentConfig = parse_component("formats", "conll" if only_tags else "jsonl")
    return format_config


def digest(documents: Iterable[Document]) -> str:
    """Return the SHA-256 of the contents of documents, without their places in a file."""
    hasher = hashlib.sha256()
    for document in documents:
        hasher.update(repr((document.scheme, len(document.examples))).encode())
        for e in document.examples:
            spans = [(span.start, span.end, span.label) for span in e.spans]
            value = (e.words, spans, e.tags, e.labels, e.answers, e.text, e.query_length, sorted(e.metadata.items()))
            hasher.update(repr(value).encode(errors="surrogatepass"))
    return hasher.hexdigest()
