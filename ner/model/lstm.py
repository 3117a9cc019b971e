"""Bidirectional LSTM without packed sequences.

``pack_padded_sequence`` needs the lengths on the host and disables the fused CPU kernel. Here each sequence is reversed
for the backward direction, so padding never affects a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ner.model.kernels.crf_torch import reverse

SEGMENT = 8192
"""Words of one call outside training, so that the gates of a longer text need no more memory."""
STEP_COST = 4
"""Cost of a time step on a CPU, in sentences."""
CALL_COST = 80
"""Cost of a call on a CPU, in time steps of one sentence."""


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

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Return the concatenated states of both directions.

        Args:
            inputs: ``(S, W, H)``.
            mask: ``(S, W)`` true on words, which come first in each row.

        Returns:
            ``(S, W, 2 * hidden)``; values at padding are undefined.
        """
        if mask.device.type != "cpu" or torch.jit.is_tracing() or torch.compiler.is_compiling():
            return self._layers(inputs, mask)  # lengths are on the host only for CPUs
        lengths = mask.sum(1)
        groups = length_groups(lengths.tolist())
        if len(groups) <= 1:
            return self._layers(inputs, mask)
        order, parts = torch.argsort(lengths, stable=True), []
        for rows, width in zip(order.split([size for size, _ in groups]), [width for _, width in groups], strict=True):
            part = self._layers(inputs[rows, :width], mask[rows, :width])
            parts.append(F.pad(part, (0, 0, 0, inputs.shape[1] - width)))
        return torch.cat(parts)[torch.argsort(order)]

    def _layers(self, inputs: Tensor, mask: Tensor) -> Tensor:
        states = inputs
        for depth, (forward_lstm, backward_lstm) in enumerate(zip(self.ahead, self.back, strict=True)):
            if depth:
                states = self.dropout(states)
            forward = _run(forward_lstm, states)
            backward = _run(backward_lstm, reverse(states, mask))
            states = torch.cat([forward, reverse(backward, mask)], dim=-1)
        return states


def length_groups(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Return the fastest division of sentences into calls of an LSTM: number of sentences and width of each call.

    Sentences of a document differ in length, and more than half of their common tensor may be padding. The calls take
    the sentences by increasing length. Their cost on a CPU is about ``width * (sentences + STEP_COST) + CALL_COST``.

    Args:
        lengths: Number of words of each sentence.
    """
    counts = sorted(Counter(max(1, length) for length in lengths).items())
    costs, starts = [0.0], [0]  # of the best division of the first distinct lengths, and the start of its last group
    for end in range(1, len(counts) + 1):
        width, size, best = counts[end - 1][0], 0, (float("inf"), 0)
        for start in reversed(range(end)):
            size += counts[start][1]
            best = min(best, (costs[start] + width * (size + STEP_COST) + CALL_COST, start))
        costs.append(best[0])
        starts.append(best[1])
    groups: list[tuple[int, int]] = []
    end = len(counts)
    while end:
        start = starts[end]
        groups.insert(0, (sum(count for _, count in counts[start:end]), counts[end - 1][0]))
        end = start
    return groups


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
