"""A bidirectional LSTM over the words of each example."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from ner.config.base import ComponentConfig
from ner.model.lstm import BidirectionalLSTM
from ner.types import Encoding


class Config(ComponentConfig):
    """Bidirectional LSTM over the words of each example."""

    name: Literal["bilstm"] = "bilstm"
    """Name of the file in ner/model/context."""
    hidden_size: int = Field(200, ge=1)
    """Size of the hidden state in each direction."""
    layers: int = Field(1, ge=1)
    """Number of layers."""
    init: Literal["orthogonal", "uniform"] = "orthogonal"
    """Initialization of the recurrent weights: orthogonal with open forget gates, or uniform as in torch."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout of the input, between layers and of the output."""


def build(config: Config, width: int) -> BiLSTM:
    """Build the layer for vectors of ``width``."""
    return BiLSTM(config, width)


class BiLSTM(nn.Module):
    """Bidirectional LSTM; the result has no pooled vector."""

    inference_pieces = 4096  # an LSTM is faster with many sentences at once

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.lstm = BidirectionalLSTM(
            width, config.hidden_size, config.layers, config.dropout, orthogonal=config.init == "orthogonal"
        )
        self.dropout = nn.Dropout(config.dropout)
        self.width = 2 * config.hidden_size

    def forward(self, encoding: Encoding) -> Encoding:
        """``(S, W, 2 * hidden)``."""
        if not encoding.mask.numel():
            words = encoding.words.new_zeros((*encoding.mask.shape, self.width))
        else:
            inputs = encoding.distinct
            if inputs is None or self.dropout.training:
                inputs = self.dropout(encoding.words)
            words = self.dropout(self.lstm(inputs, encoding.mask))
        return Encoding(words, encoding.mask, None, encoding.question_mask)
