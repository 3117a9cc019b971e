"""A bidirectional LSTM over the words of each example."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from ner.config.base import ComponentConfig
from ner.model.lstm import BidirectionalLSTM
from ner.types import Encoding


class Config(ComponentConfig):
    """A bidirectional LSTM over the words of each example."""

    name: Literal["bilstm"] = "bilstm"
    """File of ner/model/context."""
    hidden: int = Field(200, ge=1)
    """Width of each direction."""
    layers: int = Field(1, ge=1)
    """Layers on top of each other."""
    initial: Literal["orthogonal", "uniform"] = "orthogonal"
    """Recurrent weights at the start: orthogonal with open forget gates, or uniform as torch has them."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Of the input, between layers and of the result."""


def build(config: Config, width: int) -> BiLSTM:
    """For vectors of ``width``."""
    return BiLSTM(config, width)


class BiLSTM(nn.Module):
    """See the file; it has no ``summary``."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.lstm = BidirectionalLSTM(
            width, config.hidden, config.layers, config.dropout, orthogonal=config.initial == "orthogonal"
        )
        self.dropout = nn.Dropout(config.dropout)
        self.width = 2 * config.hidden

    def forward(self, encoding: Encoding) -> Encoding:
        """``(S, W, 2 * hidden)``."""
        mask = encoding.mask.unsqueeze(-1)
        if not encoding.mask.numel():
            words = encoding.words.new_zeros((*encoding.mask.shape, self.width))
        else:
            words = self.dropout(self.lstm(self.dropout(encoding.words), encoding.mask)) * mask
        return Encoding(words, encoding.mask, None, encoding.question_mask)
