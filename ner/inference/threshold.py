"""Entities below a threshold for their probability."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from ner.data.tags import encode
from ner.types import Document, Example


def apply_threshold(
    documents: Iterable[Document], threshold: float, below: Literal["drop", "mark"], keep_scores: bool = True
) -> Iterator[Document]:
    """Yield documents in which entities below a threshold are dropped or marked as uncertain."""
    for document in documents:
        examples = [_apply(example, threshold, below) for example in document.examples]
        if not keep_scores:
            examples = [replace(e, spans=[replace(span, score=None) for span in e.spans]) for e in examples]
        yield replace(document, examples=examples)


def _apply(example: Example, threshold: float, below: Literal["drop", "mark"]) -> Example:
    uncertain_spans = [span for span in example.spans if span.score is not None and span.score < threshold]
    if not uncertain_spans:
        return example
    if below == "mark":
        marked_spans = [replace(span, uncertain=True) if span in uncertain_spans else span for span in example.spans]
        return replace(example, spans=marked_spans)
    confident_spans = [span for span in example.spans if span not in uncertain_spans]
    tags = None if example.tags is None else encode(confident_spans, len(example.words))
    return replace(example, spans=confident_spans, tags=tags, raw_tags=None)
