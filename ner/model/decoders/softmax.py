"""Independent softmax for each word; decoding can still be constrained to valid tag sequences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ner.contracts import IGNORED
from ner.data.tags import encode
from ner.data.vocab import Vocabs
from ner.model.kernels.chain import Chain
from ner.model.tag_decoder import TagDecoder, TagDecoderConfig
from ner.types import Loss, Scores, Span

OUTPUTS = frozenset({"tags"})


class Config(TagDecoderConfig):
    """Independent softmax for each word."""

    name: Literal["softmax"] = "softmax"
    """Name of the file in ner/model/decoders."""
    constraints: Literal["decoding", "none"] = "decoding"
    """decoding for the best valid tag sequence, none for the best tag of each word."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Label smoothing in training (Szegedy et al., 2016)."""


class SoftmaxDecoder(TagDecoder):
    """Independent softmax for each word. ``Scores`` are ``emissions (S, W, K)``."""

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__(config, width, vocabs)
        self.label_smoothing = config.label_smoothing

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the cross-entropy summed over the words whose tag is known."""
        tags = targets["tags"].masked_fill(~mask, IGNORED).flatten()
        smoothing = self.label_smoothing if self.training else 0.0
        flat = scores["emissions"].float().flatten(0, 1)
        return {"tags": F.cross_entropy(flat, tags, reduction="sum", label_smoothing=smoothing)}

    def chain(self, constrained: bool) -> Chain:
        """Return a chain whose scores are 0, with the constraints if ``constrained`` is true."""
        zeros = (torch.zeros_like(allowed, dtype=torch.float) for allowed in self.allowed)
        return Chain(*zeros, *(self.allowed if constrained else ()))

    def probability_chain(self) -> Chain:
        """Return a chain without constraints: the probability of a sequence is the product of those of its tags."""
        return self.chain(False)

    def _span_probabilities(
        self, emissions: Tensor, chain: Chain, mask: Tensor, positions: Sequence[tuple[int, int, int, int]]
    ) -> list[float]:
        """Return the product of the probabilities of the tags of each span."""
        log_probabilities = F.log_softmax(emissions.float(), -1).cpu().double()
        words = [row.nonzero().squeeze(1).tolist() for row in mask.cpu()]
        probabilities = []
        for row, start, end, label in positions:
            names = encode([Span(0, end - start, self.tags.labels[label])], end - start, self.tags.scheme)
            word_tags = zip(words[row][start:end], (self.tags.ids[name] for name in names), strict=True)
            probabilities.append(math.exp(sum(float(log_probabilities[row, word, tag]) for word, tag in word_tags)))
        return probabilities

    def best(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best valid sequence, or without constraints the best tag of each word."""
        if self.constrained:
            return super().best(emissions, mask)
        score, tags = emissions.float().max(-1)
        return tags, score.masked_fill(~mask, 0).sum(1)


build = SoftmaxDecoder
