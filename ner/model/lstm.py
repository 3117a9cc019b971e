"""Bidirectional LSTM without packed sequences.

``pack_padded_sequence`` needs the lengths on the host and disables the fused CPU kernel. Here an index reverses each
sequence for the backward direction, so padding never affects a word.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BidirectionalLSTM(nn.Module):
    """LSTM layers in both directions (Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005).

    Args:
        width: ``H`` of the input.
        hidden: Size of each direction; the output is twice as wide.
        layers: Number of layers.
        dropout: Dropout between layers.
        orthogonal: Initialize with orthogonal recurrent weights and open forget gates instead of torch's defaults.
    """

    def __init__(self, width: int, hidden: int, layers: int = 1, dropout: float = 0.0, orthogonal: bool = True) -> None:
        super().__init__()
        widths = [width] + [2 * hidden] * (layers - 1)
        self.ahead = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in widths)
        self.back = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in widths)
        self.dropout = nn.Dropout(dropout)
        if orthogonal:
            for lstm in (*self.ahead, *self.back):
                _start_orthogonal(lstm)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Return the concatenated states of both directions.

        Args:
            inputs: ``(S, W, H)``.
            mask: ``(S, W)`` true on words, which come first in each row.

        Returns:
            ``(S, W, 2 * hidden)``; values at padding are undefined.
        """
        reverse = reversal(mask)
        states = inputs
        for depth, (ahead, back) in enumerate(zip(self.ahead, self.back, strict=True)):
            if depth:
                states = self.dropout(states)
            forward, _ = ahead(states)
            backward, _ = back(_take(states, reverse))
            states = torch.cat([forward, _take(backward, reverse)], dim=-1)
        return states


def _start_orthogonal(lstm: nn.LSTM) -> None:
    """Initialize recurrent weights (Saxe et al., 2014) and forget gates (Jozefowicz et al., 2015)."""
    for name, parameter in lstm.named_parameters():
        if name.startswith("weight_hh"):
            for gate in parameter.data.chunk(4):
                nn.init.orthogonal_(gate)
        elif name.startswith("weight_ih"):
            for gate in parameter.data.chunk(4):
                nn.init.xavier_uniform_(gate)
        else:
            nn.init.zeros_(parameter)
    nn.init.ones_(lstm.get_parameter("bias_ih_l0").data[lstm.hidden_size : 2 * lstm.hidden_size])


def reversal(mask: Tensor) -> Tensor:
    """Return the index ``(S, W)`` that reverses the words of each row and keeps the padding; it is its own inverse."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    lengths = mask.sum(1, keepdim=True)
    return torch.where(mask, lengths - 1 - positions, positions)


def _take(states: Tensor, index: Tensor) -> Tensor:
    return states.gather(1, index.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
