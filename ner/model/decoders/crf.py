"""A linear-chain conditional random field (Lafferty, McCallum and Pereira, 2001) over the words of an example.

The parameters are those of pytorch-crf's ``CRF``, so state dicts are interchangeable; ``ner.model.kernels`` computes.
Words without a known tag are excluded from the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field
from torch import Tensor
from torchcrf import CRF

from ner.config.base import DecoderConfig
from ner.data.vocab import Vocabs
from ner.model.kernels import crf
from ner.model.kernels.chain import Chain
from ner.model.tag_decoder import IGNORED, TagDecoder, TagScheme
from ner.types import AxisLabels, Example, Loss, Scores

OUTPUTS = frozenset({"tags"})


class Config(DecoderConfig):
    """Linear-chain conditional random field."""

    name: Literal["crf"] = "crf"
    """Name of the file in ner/model/decoders."""
    scheme: TagScheme = "bio"
    """Tagging scheme of the model, independent of the files; plain tags are kept."""
    constraints: Literal["decoding", "training_and_decoding", "none"] = "decoding"
    """Exclusion of invalid tag sequences: in decoding, in training and decoding, or none."""
    backend: crf.Backend = "auto"
    """Implementation: torch, numba (CPU) or triton (CUDA), with equal results; auto selects the fastest installed
    one."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the input."""


def build(config: Config, width: int, vocabs: Vocabs) -> CRFDecoder:
    """Build the decoder for vectors of ``width`` and the labels of the training data."""
    return CRFDecoder(config, width, vocabs)


class CRFDecoder(TagDecoder):
    """Linear-chain CRF. ``Scores`` are ``emissions (S, W, K)``."""

    def __init__(self, config: Config, width: int, vocabs: Vocabs) -> None:
        super().__init__(config, width, vocabs)
        self.crf = CRF(len(self.tags), batch_first=True)
        self.constrained_training = config.constraints == "training_and_decoding"

    def axis_labels(self) -> dict[str, AxisLabels]:
        """See :class:`~ner.contracts.Decoder`."""
        tags = self.tags.names
        ends: dict[str, AxisLabels] = {f"crf.{end}_transitions": (tags,) for end in ("start", "end")}
        return {**super().axis_labels(), **ends, "crf.transitions": (tags, tags)}

    def target(self, example: Example) -> list[int]:
        """Return the tag ids of an example, or only ``IGNORED`` if a constrained loss would be infinite.

        Gold spans are valid sequences, so this happens only if unknown tags are left out between known ones.
        """
        row = super().target(example)
        known = [tag for tag in row if tag != IGNORED]
        if self.constrained_training and not self.tags.is_possible(known):
            return [IGNORED] * len(row)
        return row

    def loss(self, scores: Scores, targets: Mapping[str, Tensor], mask: Tensor) -> Loss:
        """Return the negative log-likelihood of the gold tags, summed over the examples, at least in float32."""
        known = mask & (targets["tags"] != IGNORED)
        chain = self._chain(self.constrained_training)
        return {"tags": -crf.log_likelihood(scores["emissions"], targets["tags"], known, chain, self.backend).sum()}

    def chain(self) -> Chain:
        """Return the scores of the CRF and the constraints of decoding."""
        return self._chain(self.constrained)

    def _chain(self, constrained: bool) -> Chain:
        scores = (self.crf.start_transitions, self.crf.transitions, self.crf.end_transitions)
        return Chain(*scores, *(self.allowed if constrained else ()))
