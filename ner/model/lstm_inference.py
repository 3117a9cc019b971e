"""States of a bidirectional LSTM layer without gradients, for CPUs.

The fused LSTM of torch projects the vector of every word, and computes padding. Here a vector is projected once for all
words that share it, and each step computes only the sentences that have a word there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ner.types import DistinctWords

MAX_VECTORS = 8192
"""Distinct vectors of a call. The projection of a vector is four times as large as the hidden state of a direction."""
MAX_SHARE = 0.6
"""Largest share of distinct vectors among the words of a call."""
MIN_SENTENCES = 64
"""Smallest number of sentences of a call, on average over the steps. With one thread and hidden sizes from 25 to 400,
torch was faster with 32 sentences, and slower with 200 if less than half of the vectors were distinct."""
CANDIDATE = 2
"""Position of the candidate among the gates of torch, the only one with tanh."""


def is_faster(words: DistinctWords, mask: Tensor) -> bool:
    """Return whether :func:`bidirectional_states` is faster than torch for ``mask (S, W)``, and fits into memory."""
    num_vectors, num_words = len(words.vectors), int(mask.sum())
    is_large = num_words >= MIN_SENTENCES * mask.shape[1] > 0
    return is_large and num_vectors <= min(MAX_VECTORS, MAX_SHARE * num_words)


def is_plain(lstm: nn.Module) -> bool:
    """Return whether a layer is neither quantized nor observed, and has the weights that the steps below read."""
    if type(lstm) is not nn.LSTM or lstm._forward_hooks or lstm._forward_pre_hooks:
        return False
    has_usual_weights = lstm.bias and not lstm.proj_size and lstm.num_layers == 1 and not lstm.bidirectional
    return has_usual_weights and lstm.weight_hh_l0.dtype in (torch.float32, torch.float64)


def bidirectional_states(ahead: Any, back: Any, words: DistinctWords, mask: Tensor) -> Tensor:
    """Return the states of both directions ``(S, W, 2 * hidden)``, zero at padding.

    Args:
        ahead: ``nn.LSTM``, see :func:`is_plain`.
        back: The same for the other direction.
        words: Input vectors ``(U, H)`` and positions ``(S, W)``.
        mask: ``(S, W)`` true on words, which come first in each row.
    """
    lengths, hidden = mask.sum(1), ahead.hidden_size
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
    lstm: Any,
    vectors: Tensor,
    positions: Tensor,
    num_sentences: Sequence[int],
    states: Tensor,
    steps: Iterable[int],
) -> None:
    """Write the states of one direction to ``states (W, S, hidden)``, which are zero before.

    Sentences that have no word at a step keep zeros there. These are the initial states of those that begin later,
    which happens backwards.

    Args:
        lstm: Layer of the direction.
        vectors: ``(U, H)``.
        positions: ``(W, S)`` the vector of each word; sentences are in descending order of length.
        num_sentences: Number of sentences with a word at each step.
        states: Result.
        steps: Steps in reading order.
    """
    scale = vectors.new_ones(4, states.shape[2])
    scale[CANDIDATE] = 2
    scale = scale.flatten()
    bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0) * scale
    projected = torch.addmm(bias, vectors, (lstm.weight_ih_l0 * scale.unsqueeze(1)).t())
    recurrent = (lstm.weight_hh_l0 * scale.unsqueeze(1)).t()
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
