"""Each word for itself: a linear layer and a softmax. Decoding may be held to valid sequences all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ner.config.base import ComponentConfig
from ner.data.vocab import Vocabs
from ner.model.kernels.chain import Chain
from ner.model.kernels.crf import Kernel
from ner.model.tag_decoder import IGNORED, TagDecoder, TagScheme
from ner.types import Loss, Scores

gives = frozenset({"tags"})


class Config(ComponentConfig):
    """Each word for itself."""

    name: Literal["softmax"] = "softmax"
    """File of ner/model/decoders."""
    scheme: TagScheme = "bio"
    """Tags inside the model, whatever the file has; plain tags stay as they are."""
    constrain: Literal["decoding", "none"] = "decoding"
    """Whether decoding takes the best valid sequence, or the best tag of each word."""
    kernel: Kernel = "auto"
    """What finds the best sequence: the fastest kernel that is installed, or plain, compiled (CPU), triton (CUDA)."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Of the vectors that come in."""
    smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of a word's gold probability that training spreads evenly over all tags (Szegedy et al., 2016)."""


def build(config: Config, width: int, vocabs: Vocabs) -> SoftmaxDecoder:
    """For vectors of ``width`` and the labels of the training data."""
    return SoftmaxDecoder(config, width, vocabs)


class SoftmaxDecoder(TagDecoder):
    """See the file. ``Scores``: ``emissions (S, W, K)``."""

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__(config, width, vocabs)
        self.smoothing = config.smoothing

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Cross-entropy, summed over the words whose tag is known."""
        emissions, tags = scores["emissions"].float(), targets["tags"].masked_fill(~mask, IGNORED)
        smoothing = self.smoothing if self.training else 0.0
        flat = emissions.flatten(0, 1)
        total = F.cross_entropy(flat, tags.flatten(), ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing)
        return {"tags": total}

    def chain(self) -> Chain:
        """Transitions of score 0."""
        zeros = [torch.zeros_like(allowed, dtype=torch.float) for allowed in self.allowed]
        return Chain(zeros[0], zeros[1], zeros[2], *(self.allowed if self.constrained else ()))

    def best(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`~ner.model.tag_decoder.TagDecoder`."""
        if self.constrained:
            return super().best(emissions, mask)
        score, tags = emissions.float().max(-1)
        return tags, score.masked_fill(~mask, 0).sum(1)
