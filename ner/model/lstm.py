"""Bidirectional LSTM without packed sequences.

``pack_padded_sequence`` needs the lengths on the host and disables the fused CPU kernel. Here each sequence is reversed
for the backward direction, so padding never affects a word.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ner.model import lstm_inference
from ner.model.kernels.crf_torch import reverse
from ner.model.length_groups import length_groups
from ner.types import DistinctWords

SEGMENT = 8192
"""Words of one call outside training, so that the gates of a longer text need no more memory."""


class BidirectionalLSTM(nn.Module):
    """LSTM layers in both directions (Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005).

    Args:
        width: ``H`` of the input.
        hidden: Size of each direction; the output is twice as wide.
        layers: Number of layers.
        dropout: Dropout between layers.
        orthogonal: Initialize with orthogonal recurrent weights (Saxe et al., 2014) and open forget gates (Jozefowicz
            et al., 2015) instead of torch's defaults.
    """

    def __init__(self, width: int, hidden: int, layers: int = 1, dropout: float = 0.0, orthogonal: bool = True) -> None:
        super().__init__()
        widths = [width] + [2 * hidden] * (layers - 1)
        self.ahead = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in widths)
        self.back = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in widths)
        self.dropout = nn.Dropout(dropout)
        for lstm in (*self.ahead, *self.back) if orthogonal else ():
            for name, parameter in lstm.named_parameters():
                if name.startswith("bias"):
                    nn.init.zeros_(parameter)
                    continue
                initialize = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
                for gate in parameter.data.chunk(4):
                    initialize(gate)
            nn.init.ones_(lstm.get_parameter("bias_ih_l0").data[hidden : 2 * hidden])  # forget gate

    def forward(self, inputs: Tensor | DistinctWords, mask: Tensor) -> Tensor:
        """Return the concatenated states of both directions ``(S, W, 2 * hidden)``, zero at padding.

        Args:
            inputs: ``(S, W, H)``, or distinct vectors, which make inference on CPUs faster.
            mask: ``(S, W)`` true on words, which come first in each row.
        """
        if isinstance(inputs, DistinctWords):
            if self._can_infer(mask) and lstm_inference.is_faster(inputs, mask):
                states = lstm_inference.bidirectional_states(self.ahead[0], self.back[0], inputs, mask)
                return self._layers(states, mask, start=1)
            inputs = inputs.vectors[inputs.positions]
        if mask.device.type != "cpu" or is_recorded():  # lengths are on the host only for CPUs
            return self._layers(inputs, mask)
        lengths = mask.sum(1)
        groups = length_groups(lengths.tolist())
        if len(groups) <= 1:
            return self._layers(inputs, mask)
        order, parts = torch.argsort(lengths, stable=True), []
        for rows, width in zip(order.split([size for size, _ in groups]), [width for _, width in groups], strict=True):
            part = self._layers(inputs[rows, :width], mask[rows, :width])
            parts.append(F.pad(part, (0, 0, 0, inputs.shape[1] - width)))
        return torch.cat(parts)[torch.argsort(order)]

    def _can_infer(self, mask: Tensor) -> bool:
        """Return whether :mod:`ner.model.lstm_inference` can compute the states of the first layer."""
        if mask.device.type != "cpu" or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or is_recorded():
            return False
        return all(lstm_inference.is_plain(lstm) for lstm in (self.ahead[0], self.back[0]))

    def _layers(self, inputs: Tensor, mask: Tensor, start: int = 0) -> Tensor:
        """Return the states of the last layer; ``inputs`` are those of layer ``start``."""
        states = inputs
        for depth in range(start, len(self.ahead)):
            forward_lstm, backward_lstm = self.ahead[depth], self.back[depth]
            if depth:
                states = self.dropout(states)
            forward = _run(forward_lstm, states)
            backward = _run(backward_lstm, reverse(states, mask))
            states = torch.cat([forward, reverse(backward, mask)], dim=-1) * mask.unsqueeze(-1)
        return states


def is_recorded() -> bool:
    """Return whether an export or a compiler records the operations, whose shapes must not depend on the values."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def _run(lstm: nn.Module, inputs: Tensor) -> Tensor:
    """Return the states of one direction."""
    if torch.jit.is_tracing():  # an exported graph reads any length in one call
        states: Tensor = lstm(inputs)[0]
        return states
    size = inputs.shape[1] if torch.is_grad_enabled() else SEGMENT
    outputs, state = [], None
    for segment in inputs.split(max(1, size), dim=1):
        output, state = lstm(segment, state)
        outputs.append(output)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
