"""Independent softmax for each word; decoding can still be constrained to valid tag sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ner.config.base import DecoderConfig
from ner.data.vocab import Vocabs
from ner.model.kernels.chain import Chain
from ner.model.kernels.crf import Backend
from ner.model.tag_decoder import IGNORED, TagDecoder, TagScheme
from ner.types import Loss, Scores

OUTPUTS = frozenset({"tags"})


class Config(DecoderConfig):
    """Independent softmax for each word."""

    name: Literal["softmax"] = "softmax"
    """Name of the file in ner/model/decoders."""
    scheme: TagScheme = "bio"
    """Tagging scheme of the model, independent of the files; plain tags are kept."""
    constraints: Literal["decoding", "none"] = "decoding"
    """decoding for the best valid tag sequence, none for the best tag of each word."""
    backend: Backend = "auto"
    """Implementation of the sequence search: torch, numba (CPU) or triton (CUDA), with equal results; auto selects the
    fastest installed one."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the input."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Label smoothing in training (Szegedy et al., 2016)."""


def build(config: Config, width: int, vocabs: Vocabs) -> SoftmaxDecoder:
    """Build the decoder for vectors of ``width`` and the labels of the training data."""
    return SoftmaxDecoder(config, width, vocabs)


class SoftmaxDecoder(TagDecoder):
    """Independent softmax for each word. ``Scores`` are ``emissions (S, W, K)``."""

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__(config, width, vocabs)
        self.label_smoothing = config.label_smoothing

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the cross-entropy summed over the words whose tag is known."""
        emissions, tags = scores["emissions"].float(), targets["tags"].masked_fill(~mask, IGNORED)
        smoothing = self.label_smoothing if self.training else 0.0
        flat = emissions.flatten(0, 1)
        total = F.cross_entropy(flat, tags.flatten(), ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing)
        return {"tags": total}

    def chain(self) -> Chain:
        """Return a chain whose scores are 0."""
        zeros = [torch.zeros_like(allowed, dtype=torch.float) for allowed in self.allowed]
        return Chain(zeros[0], zeros[1], zeros[2], *(self.allowed if self.constrained else ()))

    def best(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`~ner.model.tag_decoder.TagDecoder`."""
        if self.constrained:
            return super().best(emissions, mask)
        score, tags = emissions.float().max(-1)
        return tags, score.masked_fill(~mask, 0).sum(1)
