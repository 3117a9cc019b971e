"""Beam search over sequences of pieces, for any function that scores the next piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Cache = list[tuple[Tensor, Tensor]]
"""Tensors ``(S, G, ...)`` that a step keeps for the next one, such as keys and values of each layer."""

Step = Callable[[Tensor, Cache], tuple[Tensor, Cache]]
"""Function from pieces ``(S, G, P)`` and the cache of all but the last piece to the log-probabilities ``(S, G, V)`` of
the next piece and the cache of all pieces."""


class Hypotheses(NamedTuple):
    """Finished sequences, best first. G is the number of beams, M the maximum length.

    Attributes:
        pieces: ``(S, G, M)`` pieces without the end; only the first ``lengths - 1`` are valid.
        lengths: ``(S, G)`` number of pieces including the end.
        logs: ``(S, G)`` log-probabilities; -inf where fewer sequences were found.
    """

    pieces: Tensor
    lengths: Tensor
    logs: Tensor

    def scores(self, length_penalty: float) -> Tensor:
        """Return ``(S, G)`` log-probabilities divided by the length to the power of ``length_penalty``."""
        return self.logs / self.lengths**length_penalty


@torch.no_grad()
def beam_search(
    step: Step,
    size: int,
    *,
    beams: int,
    max_length: int,
    end: int,
    forbidden: Tensor,
    length_penalty: float = 0.0,
    all_beams: bool = False,
) -> Hypotheses:
    """Return the best sequences by log-probability over length to the power of ``length_penalty``.

    Each step extends ``beams`` prefixes by one piece, and every prefix may also end. The search stops when no prefix
    can become better than the sequences that are returned.

    Args:
        step: Scores the next piece.
        size: S, the number of examples.
        beams: G, the number of prefixes and of sequences.
        max_length: Maximum number of pieces including the end.
        end: Id of the end.
        forbidden: Ids that never occur in a sequence, on the device of the search.
        length_penalty: 0 prefers the most probable sequence, larger values prefer longer ones.
        all_beams: True if all sequences must be final, false if only the best one.
    """
    device = forbidden.device
    logs = torch.full((size, beams), -torch.inf, device=device)
    logs[:, :1] = 0.0
    pieces = torch.zeros((size, beams, 0), dtype=torch.long, device=device)
    best = Hypotheses(
        torch.zeros((size, beams, max_length), dtype=torch.long, device=device),
        torch.ones((size, beams), dtype=torch.long, device=device),
        torch.full((size, beams), -torch.inf, device=device),
    )
    cache: Cache = []
    for position in range(max_length):
        next_logs, cache = step(pieces, cache)
        next_logs[..., forbidden] = -torch.inf
        if position:
            best = _merge(best, pieces, logs + next_logs[..., end], length_penalty)
        next_logs[..., end] = -torch.inf
        bound = logs.amax(1) / max_length**length_penalty
        worst = best.scores(length_penalty)[:, beams - 1 if all_beams else 0]
        if position + 1 == max_length or bool((worst >= bound).all()):
            break
        logs, flat_index = (logs[..., None] + next_logs).flatten(1).topk(beams, dim=1)
        beam, piece = flat_index // next_logs.shape[2], flat_index % next_logs.shape[2]
        pieces = torch.cat([_select(pieces, beam), piece[..., None]], dim=2)
        cache = [(_select(keys, beam), _select(values, beam)) for keys, values in cache]
    return best


def _merge(best: Hypotheses, pieces: Tensor, logs: Tensor, length_penalty: float) -> Hypotheses:
    """Return the best of the sequences so far and of the prefixes that end here."""
    max_length, size = best.pieces.shape[2], pieces.shape[2]
    merged = Hypotheses(
        torch.cat([best.pieces, F.pad(pieces, (0, max_length - size))], dim=1),
        torch.cat([best.lengths, torch.full_like(best.lengths, size + 1)], dim=1),
        torch.cat([best.logs, logs], dim=1),
    )
    order = merged.scores(length_penalty).topk(logs.shape[1], dim=1).indices
    return Hypotheses(*(_select(tensor, order) for tensor in merged))


def _select(tensor: Tensor, index: Tensor) -> Tensor:
    """Select ``(S, G, ...)`` from ``(S, N, ...)`` by an index ``(S, G)``."""
    return tensor[torch.arange(len(tensor), device=tensor.device)[:, None], index]
