"""States of a bidirectional LSTM layer without gradients, for CPUs.

The fused LSTM of torch projects the vector of every word, and computes padding. Here a vector is projected once for all
words that share it, and each step computes only the sentences that have a word there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ner.types import DistinctWords

MAX_VECTORS = 8192
"""Distinct vectors of a call. The projections of a vector need as much memory as eight hidden states."""
MAX_SHARE = 0.75
"""Largest share of distinct vectors among the words for which these steps are faster than the fused LSTM of torch."""
MIN_SENTENCES = 32
"""Smallest number of sentences, on average over the steps, for which they are."""
CANDIDATE = 2
"""Position of the candidate among the gates of torch, the only one with tanh."""


def is_faster(words: DistinctWords, mask: Tensor) -> bool:
    """Return whether :func:`bidirectional_states` is faster than torch for ``mask (S, W)``, and fits into memory."""
    num_vectors, num_words = len(words.vectors), int(mask.sum())
    is_large = num_words >= MIN_SENTENCES * mask.shape[1] > 0
    return is_large and num_vectors <= min(MAX_VECTORS, MAX_SHARE * num_words)


def bidirectional_states(ahead: nn.Module, back: nn.Module, words: DistinctWords, mask: Tensor) -> Tensor:
    """Return the states of both directions ``(S, W, 2 * hidden)``, zero at padding.

    Args:
        ahead: ``nn.LSTM`` with one layer and one direction.
        back: The same for the other direction.
        words: Input vectors ``(U, H)`` and positions ``(S, W)``.
        mask: ``(S, W)`` true on words, which come first in each row.
    """
    lengths, hidden = mask.sum(1), ahead.get_parameter("weight_hh_l0").shape[1]
    order = torch.argsort(lengths, descending=True, stable=True)
    positions = words.positions[order].t().contiguous()
    num_sentences = mask.sum(0).tolist()  # with a word at each step: the first ones of the order
    states = words.vectors.new_zeros(*mask.shape, 2 * hidden)
    by_step = states.transpose(0, 1)
    steps = range(mask.shape[1])
    _fill(ahead, words.vectors, positions, num_sentences, by_step[..., :hidden], steps)
    _fill(back, words.vectors, positions, num_sentences, by_step[..., hidden:], reversed(steps))
    return states if bool((lengths[1:] <= lengths[:-1]).all()) else states[torch.argsort(order)]


def _fill(
    lstm: nn.Module,
    vectors: Tensor,
    positions: Tensor,
    num_sentences: Sequence[int],
    states: Tensor,
    steps: Iterable[int],
) -> None:
    """Write the states of one direction to ``states (W, S, hidden)``; ``steps`` are the positions in reading order."""
    scale = vectors.new_ones(4, states.shape[2])
    scale[CANDIDATE] = 2
    scale = scale.flatten()
    input_weight, recurrent_weight, input_bias, recurrent_bias = lstm.parameters()
    projected = torch.addmm((input_bias + recurrent_bias) * scale, vectors, (input_weight * scale.unsqueeze(1)).t())
    recurrent = (recurrent_weight * scale.unsqueeze(1)).t()
    gates = vectors.new_empty(states.shape[1], len(scale))
    cells, squashed = vectors.new_zeros(states.shape[1:]), vectors.new_empty(states.shape[1:])
    previous: Tensor | None = None
    for step in steps:
        size = num_sentences[step]
        gate, cell, tanh = gates[:size], cells[:size], squashed[:size]
        torch.index_select(projected, 0, positions[step, :size], out=gate)
        if previous is not None:
            gate.addmm_(previous[:size], recurrent)
        # all four gates at once, because tanh(x) = 2 * sigmoid(2x) - 1
        entrance, forget, candidate, output = gate.sigmoid_().chunk(4, dim=1)
        cell.mul_(forget).addcmul_(entrance, candidate, value=2).sub_(entrance)
        torch.mul(torch.tanh(cell, out=tanh), output, out=states[step, :size])
        previous = states[step]
