"""Scores of tags before decoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ner.data import batching
from ner.inference.tagger import Tagger
from ner.runtime.device import autocast
from ner.types import Document, Example


@torch.no_grad()
def tag_emissions(tagger: Tagger, documents: Iterable[Document]) -> Iterator[tuple[Sequence[Example], Tensor, Tensor]]:
    """Yield batches of examples in units with their emissions ``(S, W, K)`` and masks ``(S, W)``, in any order."""
    model, batch = tagger.model, tagger.batch_config
    in_units = [model.to_units(document) for document in documents]
    examples = [example for document in in_units for example in document.examples]
    groups = batching.group_documents(in_units, model.input_maker.plan)
    for group_indices in batching.sorted_batches(
        groups, *batch.inference_batches(tagger.device.type, model.inference_pieces)
    ):
        ranges = batching.example_ranges(groups[group_indices])
        collated = model.batch([examples[r.start : r.stop] for r in ranges], targets=False)
        with autocast(tagger.device, tagger.precision):
            _, scores = model(collated.to(tagger.device))
        yield collated.examples, scores["emissions"], collated.inputs["mask"].to(tagger.device)
