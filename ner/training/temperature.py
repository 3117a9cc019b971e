"""Calibration of probabilities by one temperature (Guo et al., 2017), which divides all scores of a decoder of tags.

Dividing emissions and transitions by the same number keeps the order of all tag sequences. The predictions therefore
stay the same; only their probabilities change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ner.contracts import IGNORED
from ner.data.tags import PLAIN
from ner.errors import InputError
from ner.evaluation.reliability import reliability, thresholds
from ner.inference.emissions import tag_emissions
from ner.inference.tagger import Tagger
from ner.model.kernels import crf
from ner.model.tag_decoder import TagDecoder
from ner.runs.calibration import Calibration
from ner.types import Document, Example

MAX_SENTENCES = 20_000
"""Sentences that are used, at most; documents are then taken at equal distances."""
RANGE = (0.1, 10.0)
"""Temperatures that are searched."""
MARGIN = 0.01
"""Distance from the lower end, in logarithms, at which a temperature counts as that end."""


@dataclass
class _Scored:
    """A batch: examples in units, their scores, and their predicted spans."""

    examples: Sequence[Example]
    emissions: Tensor
    mask: Tensor
    targets: Tensor
    known: Tensor


@torch.no_grad()
def calibrate(tagger: Tagger, documents: Sequence[Document], data: str) -> Calibration:
    """Fit the temperature of a tagger to gold documents, and set it.

    If the best temperature is the lower end of :data:`RANGE`, it remains 1: documents without mistakes would make all
    probabilities 1.

    Args:
        tagger: Tagger with a decoder of tags.
        documents: Documents that the model was not trained on.
        data: Description of the documents.

    Raises:
        InputError: If the decoder predicts no entities, or the documents contain none.
    """
    decoder = tagger.model.tag_decoder
    if decoder is None or decoder.tags.scheme == PLAIN:
        raise InputError(f"config.decoder: {tagger.config.decoder.name} predicts no entities to calibrate")
    used = evenly(documents, MAX_SENTENCES)
    if not any(example.spans for document in used for example in document.examples):
        raise InputError(f"{data}: expected gold entities for the calibration, found none")
    batches = [_scored(decoder, *found) for found in tag_emissions(tagger, used)]

    def log_likelihood(temperature: float) -> float:
        decoder.temperature = temperature
        total = 0.0
        for batch in batches:
            emissions, scores = decoder.tempered(batch.emissions)
            total += float(crf.log_likelihood(emissions, batch.targets, batch.known, scores, decoder.backend).sum())
        return total

    decoder.temperature = 1.0
    before = _predictions(decoder, batches)
    low, high = (math.log(value) for value in RANGE)
    best = maximum(lambda value: log_likelihood(math.exp(value)), low, high)
    temperature = round(math.exp(best), 4) if best > low + MARGIN else 1.0
    sentences = sum(len(batch.examples) for batch in batches)
    likelihoods = log_likelihood(1.0) / sentences, log_likelihood(temperature) / sentences
    decoder.temperature = temperature
    after = _predictions(decoder, batches)
    gold = sum(len({*example.spans}) for batch in batches for example in batch.examples)
    return Calibration(
        temperature,
        data,
        sentences,
        gold,
        len(after),
        likelihoods,
        reliability(before),
        reliability(after),
        thresholds(after),
    )


def evenly(documents: Sequence[Document], limit: int) -> list[Document]:
    """Return documents at equal distances with about ``limit`` sentences."""
    sentences = sum(len(document.examples) for document in documents)
    return list(documents)[:: max(1, math.ceil(sentences / limit))]


def maximum(function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-3) -> float:
    """Return the argument at which a function with a single peak is largest, by golden-section search."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > tolerance:
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2


def _scored(decoder: TagDecoder, examples: Sequence[Example], emissions: Tensor, mask: Tensor) -> _Scored:
    targets = decoder.targets(examples)[0]["tags"].to(mask.device)
    known = mask & (targets != IGNORED)
    whole = (known == mask).all(1)  # constraints may forbid what unknown tags leave
    return _Scored(examples, emissions, mask, targets.clamp(min=0), known & whole.unsqueeze(1))


@torch.no_grad()
def _predictions(decoder: TagDecoder, batches: Iterable[_Scored]) -> list[tuple[float, bool]]:
    """Return probability and correctness of each predicted entity."""
    found = []
    for batch in batches:
        annotations = decoder.decode({"emissions": batch.emissions}, batch.mask, probabilities=True)
        for example, annotation in zip(batch.examples, annotations, strict=True):
            gold = {*example.spans}
            found += [(span.score or 0.0, span in gold) for span in annotation.spans]
    return found
