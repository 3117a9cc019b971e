"""Gated convolutions over the words of an example, a context layer for ner (Dauphin et al., 2017)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ner.config.base import ComponentConfig
from ner.types import Encoding


class Config(ComponentConfig):
    """Gated convolutions over the words of each example."""

    name: Literal["gated_conv"] = "gated_conv"
    """Name of the component."""
    layers: int = Field(2, ge=1)
    """Number of layers."""
    kernel_size: int = Field(3, ge=1)
    """Number of words that a layer reads for each word; an odd number."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Dropout of the input of each layer."""


def build(config: Config, width: int) -> GatedConvolutions:
    """Build the layers for vectors of ``width``."""
    return GatedConvolutions(config, width)


class GatedConvolutions(nn.Module):
    """Residual convolutions with gated linear units; the width does not change."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.width = width
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, 2 * width, config.kernel_size, padding="same") for _ in range(config.layers)
        )

    def forward(self, encoding: Encoding) -> Encoding:
        """Return words ``(S, W, width)``, zero at padding, so that a word depends on its own example only."""
        words: Tensor = encoding.words
        mask = encoding.mask.unsqueeze(-1)
        if encoding.mask.numel():
            for layer in self.layers:
                values, gates = layer(self.dropout(words).transpose(1, 2)).transpose(1, 2).chunk(2, dim=-1)
                words = (words + values * torch.sigmoid(gates)) * mask
        return Encoding(words, encoding.mask, None, encoding.question_mask)
