"""A linear-chain conditional random field (Lafferty, McCallum and Pereira, 2001) over the words of an example.

The parameters are those of pytorch-crf's ``CRF``, so state dicts are interchangeable; ``ner.model.kernels`` computes.
Words without a known tag are excluded from the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor
from torchcrf import CRF

from ner.contracts import IGNORED
from ner.data.vocab import Vocabs
from ner.model.kernels import crf
from ner.model.kernels.chain import Chain
from ner.model.tag_decoder import TagDecoder, TagDecoderConfig
from ner.types import AxisLabels, Example, Loss, Scores

OUTPUTS = frozenset({"tags"})


class Config(TagDecoderConfig):
    """Linear-chain conditional random field."""

    name: Literal["crf"] = "crf"
    """Name of the file in ner/model/decoders."""
    constraints: Literal["decoding", "training_and_decoding", "none"] = "decoding"
    """Exclusion of invalid tag sequences: in decoding, in training and decoding, or none."""


class CRFDecoder(TagDecoder):
    """Linear-chain CRF. ``Scores`` are ``emissions (S, W, K)``."""

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__(config, width, vocabs)
        self.crf = CRF(len(self.tags), batch_first=True)
        self.constrained_training = config.constraints == "training_and_decoding"

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return the tags of emissions and transitions."""
        tags = self.tags.names
        ends: dict[str, AxisLabels] = {f"crf.{end}_transitions": (tags,) for end in ("start", "end")}
        return {**super().axis_labels(), **ends, "crf.transitions": (tags, tags)}

    def target(self, example: Example) -> list[int]:
        """Return the tag ids of an example, or only ``IGNORED`` if a constrained loss would be infinite.

        Gold spans are valid sequences, so this happens only if unknown tags are left out between known ones.
        """
        tag_ids = super().target(example)
        known_ids = [tag for tag in tag_ids if tag != IGNORED]
        if self.constrained_training and not self.tags.is_possible(known_ids):
            return [IGNORED] * len(tag_ids)
        return tag_ids

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the negative log-likelihood of the gold tags, summed over the examples, at least in float32."""
        has_tag = mask & (targets["tags"] != IGNORED)
        chain = self.chain(self.constrained_training)
        return {"tags": -crf.log_likelihood(scores["emissions"], targets["tags"], has_tag, chain, self.backend).sum()}

    def chain(self, constrained: bool) -> Chain:
        """Return the scores of the CRF, and the constraints if ``constrained`` is true."""
        scores = (self.crf.start_transitions, self.crf.transitions, self.crf.end_transitions)
        return Chain(*scores, *(self.allowed if constrained else ()))


build = CRFDecoder
