"""R-Transformer (Wang, Ma, Liu and Tang, 2019): blocks of a local RNN, multi-head attention and a feed-forward layer.

The local RNN reads a short window that ends at each word, which replaces position embeddings. Attention covers the
whole example and is not causal, because tagging uses both sides of a word.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.base import ComponentConfig
from ner.errors import InputError
from ner.types import Encoding


class Config(ComponentConfig):
    """R-Transformer: blocks of a local RNN, self-attention and a feed-forward layer."""

    name: Literal["rtransformer"] = "rtransformer"
    """Name of the file in ner/model/context."""
    width: int | None = Field(None, ge=1)
    """Size of the blocks; null for the size of the encoder. Another size adds a linear projection."""
    layers: int = Field(2, ge=1)
    """Number of blocks."""
    window: int = Field(7, ge=1)
    """Number of words that the local RNN reads, up to the word itself."""
    heads: int = Field(4, ge=1)
    """Number of attention heads."""
    ffn_size: int | None = Field(None, ge=1)
    """Size inside the feed-forward layer; null for four times the block size."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of each sublayer before the residual connection."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Config:
        if self.width is not None and self.width % self.heads:
            raise ValueError(f"context.heads must divide context.width, found {self.heads} and {self.width}")
        return self


def build(config: Config, width: int) -> RTransformer:
    """Build the layer for vectors of ``width``.

    Raises:
        InputError: If the width is not divisible by the number of heads.
    """
    return RTransformer(config, width)


class Block(nn.Module):
    """Local RNN, attention and feed-forward layer, each with layer norm and a residual connection."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.window = config.window
        self.heads = config.heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        inner = config.ffn_size or 4 * width
        self.feed_forward = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """Return ``(S, W, H)`` for words of the same shape."""
        size, length, width = words.shape
        padded = F.pad(self.norms[0](words), (0, 0, self.window - 1, 0))  # (S, window - 1 + W, H)
        if torch.jit.is_tracing():  # the exporter cannot express an unfold of a dynamic length
            windows = torch.stack([padded[:, start : start + length] for start in range(self.window)], 2)
        else:
            windows = padded.unfold(1, self.window, 1).transpose(2, 3)  # (S, W, window, H)
        _, state = self.recurrent(windows.reshape(size * length, self.window, width))
        words = words + self.dropout(state[-1].view(size, length, width))

        split = self.project(self.norms[1](words)).view(size, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (S, heads, W, H / heads) each
        # Padding attends to itself: attention over an empty set would be NaN.
        position = torch.arange(length, device=mask.device)
        visible = (mask[:, None, :] | (position == position[:, None])).unsqueeze(1)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        words = words + self.dropout(self.join(attended.transpose(1, 2).reshape(size, length, width)))

        return words + self.dropout(self.feed_forward(self.norms[2](words)))


class RTransformer(nn.Module):
    """R-Transformer; the result has no pooled vector."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.width = config.width or width
        if self.width % config.heads:
            raise InputError(f"config.context.heads: {config.heads} does not divide the encoder's width {width}")
        self.enter = nn.Identity() if self.width == width else nn.Linear(width, self.width)
        self.blocks = nn.ModuleList(Block(config, self.width) for _ in range(config.layers))
        self.norm = nn.LayerNorm(self.width)

    def forward(self, encoding: Encoding) -> Encoding:
        """Return words ``(S, W, width)``."""
        words = self.enter(encoding.words)
        if encoding.mask.numel():
            for block in self.blocks:
                words = block(words, encoding.mask)
            words = self.norm(words)
        return Encoding(words * encoding.mask.unsqueeze(-1), encoding.mask, None, encoding.question_mask)
