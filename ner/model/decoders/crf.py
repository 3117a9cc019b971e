"""A linear-chain conditional random field (Lafferty, McCallum and Pereira, 2001) over the words of an example.

The parameters are those of pytorch-crf's ``CRF``, so state dicts move both ways; the arithmetic is that of
``ner.model.kernels``. Words without a known tag are left out of the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from torch import Tensor
from torchcrf import CRF

from ner.config.base import ComponentConfig
from ner.data.vocab import Vocabs
from ner.model.kernels import crf
from ner.model.kernels.chain import Chain
from ner.model.tag_decoder import IGNORED, TagDecoder, TagScheme
from ner.types import AxisLabels, Example, Loss, Scores

gives = frozenset({"tags"})


class Config(ComponentConfig):
    """A linear-chain conditional random field."""

    name: Literal["crf"] = "crf"
    """File of ner/model/decoders."""
    scheme: TagScheme = "bio"
    """Tags inside the model, whatever the file has; plain tags stay as they are."""
    constrain: Literal["decoding", "both", "none"] = "decoding"
    """Where only valid sequences count: in decoding, in training too, or nowhere."""
    kernel: crf.Kernel = "auto"
    """What computes: the fastest kernel that is installed, or plain, compiled (CPU), triton (CUDA); equal numbers."""
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

    def axis_labels(self) -> dict[str, AxisLabels]:
        """See :class:`~ner.contracts.Decoder`."""
        tags = self.tags.names
        ends: dict[str, AxisLabels] = {f"crf.{end}_transitions": (tags,) for end in ("start", "end")}
        return {**super().axis_labels(), **ends, "crf.transitions": (tags, tags)}

    def target(self, example: Example) -> list[int]:
        """Tag ids; nothing but ``IGNORED`` where a constrained loss would be infinite.

        Gold spans make valid sequences, so that is only where unknown tags are left out between known ones.
        """
        row = super().target(example)
        known = [tag for tag in row if tag != IGNORED]
        if self.constrained_training and not self.tags.is_possible(known):
            return [IGNORED] * len(row)
        return row

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Negative log-likelihood of the gold tags, summed over the examples, in float32 or better."""
        known = mask & (targets["tags"] != IGNORED)
        chain = self._chain(self.constrained_training)
        return {"tags": -crf.log_likelihood(scores["emissions"], targets["tags"], known, chain, self.kernel).sum()}

    def chain(self) -> Chain:
        """The scores of the CRF, and what decoding allows."""
        return self._chain(self.constrained)

    def _chain(self, constrained: bool) -> Chain:
        scores = (self.crf.start_transitions, self.crf.transitions, self.crf.end_transitions)
        return Chain(*scores, *(self.allowed if constrained else ()))
