"""A linear-chain conditional random field (Lafferty, McCallum and Pereira, 2001) over the words of an example.

The parameters are those of pytorch-crf's ``CRF``, so state dicts move both ways. Its loss wants unbroken masks and
known tags; words without a known tag are left out before it is called, so any mask is safe here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torchcrf import CRF

from ner.contracts import Part
from ner.kernels.crf import compress, viterbi
from ner.tagging import IGNORED, TagDecoder, TagScheme
from ner.types import Loss, Scores
from ner.vocab import Vocabs


class Config(Part):
    """A linear-chain conditional random field."""

    name: Literal["crf"] = "crf"
    """File of ner/decoders."""
    scheme: TagScheme = "bio"
    """Tags inside the model, whatever the file has; plain tags stay as they are."""
    constrain: Literal["decoding", "both", "none"] = "decoding"
    """Where only valid sequences count: in decoding, in training too, or nowhere."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Of the vectors that come in."""


def build(config: Config, width: int, vocabs: Vocabs) -> CRFDecoder:
    """For vectors of ``width`` and the labels of the training data."""
    return CRFDecoder(config, width, vocabs)


class CRFDecoder(TagDecoder):
    """See the file. ``Scores``: ``emissions (S, W, K)``."""

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__(config, width, vocabs)
        self.crf = CRF(len(self.tags), batch_first=True)
        self.constrained_training = config.constrain == "both"

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Negative log-likelihood of the gold tags, summed over the examples; in float32 whatever the emissions are."""
        emissions, tags = scores["emissions"], targets["tags"]
        order, known = compress(mask & (tags != IGNORED))
        tags = tags.gather(1, order).masked_fill(~known, 0)
        emissions = emissions.gather(1, order.unsqueeze(-1).expand_as(emissions)).float()
        kept = known.any(1)
        if not bool(kept.any()):
            return {"tags": emissions.sum() * 0}
        length = int(known.sum(1).max())
        emissions, tags, known = emissions[kept, :length], tags[kept, :length], known[kept, :length]
        with torch.autocast(emissions.device.type, enabled=False):
            likelihood = torch.func.functional_call(
                self.crf, self._training_parameters(), (emissions, tags), {"mask": known, "reduction": "sum"}
            )
        return {"tags": -likelihood}

    def best(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """``(S, W)`` tag ids of the best path."""
        parameters = (self.crf.start_transitions, self.crf.transitions, self.crf.end_transitions)
        scores = [parameter.detach().float() for parameter in parameters]
        if self.constrained:
            scores = [s.masked_fill(~a, -torch.inf) for s, a in zip(scores, self.allowed, strict=True)]
        return viterbi(emissions, mask, *scores)[0]

    def _training_parameters(self) -> dict[str, Tensor]:
        """The CRF's scores; what is forbidden in training too gets the lowest that sums of a path can bear.

        -inf would make gradients NaN for a tag that nothing may precede; a quarter of the lowest float is a factor 0 in
        float32 sums and cannot overflow, because a best path to any tag holds one forbidden step at most.
        """
        names = ("start_transitions", "transitions", "end_transitions")
        scores = {name: getattr(self.crf, name).float() for name in names}
        if self.constrained_training:
            lowest = torch.finfo(torch.float32).min / 4
            scores = {n: s.masked_fill(~a, lowest) for (n, s), a in zip(scores.items(), self.allowed, strict=True)}
        return scores
