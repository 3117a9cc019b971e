"""Recursions of a linear-chain CRF. Plain torch on any device."""

from __future__ import annotations

import torch
from torch import Tensor


def compress(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The index that moves the marked positions of each row to its front, in order, and the mask after the move.

    Args:
        mask: ``(S, W)`` true on words, in any pattern.
    """
    order = torch.argsort((~mask).to(torch.int8), dim=1, stable=True)
    return order, mask.gather(1, order)


def viterbi(emissions: Tensor, mask: Tensor, first: Tensor, transitions: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Best path (Viterbi, 1967), batched; -inf forbids.

    Args:
        emissions: ``(S, W, K)`` scores of each tag at each word.
        mask: ``(S, W)`` true on words, all in front of the padding.
        first: ``(K,)`` score of each tag at the first word.
        transitions: ``(K, K)`` score from previous tag to next tag.
        last: ``(K,)`` score of each tag at the last word.

    Returns:
        ``(S, W)`` tag ids, 0 on padding, and ``(S,)`` the score of the path, 0 for rows without words.

    Raises:
        ValueError: If an emission is not finite; the first such example is named by its position.
    """
    bad = ~torch.isfinite(emissions).all(-1) & mask
    if bool(bad.any()):
        raise ValueError(f"emissions of example {int(bad.any(1).int().argmax())} are not finite")
    size, length, _ = emissions.shape
    if length == 0:
        return mask.new_zeros((size, 0), dtype=torch.long), emissions.new_zeros(size)
    best = first + emissions[:, 0]  # (S, K): best score of a path that ends in each tag
    pointers = []
    for position in range(1, length):
        scores, previous = (best.unsqueeze(2) + transitions).max(1)  # (S, K): over the previous tag
        best = torch.where(mask[:, position, None], scores + emissions[:, position], best)
        pointers.append(previous)
    score, tag = (best + last).max(1)  # (S,)
    tags = [tag]
    for position in range(length - 1, 0, -1):
        before = pointers[position - 1].gather(1, tag.unsqueeze(1)).squeeze(1)
        tag = torch.where(mask[:, position], before, tag)  # on padding the last word's tag waits
        tags.append(tag)
    path = torch.stack(tags[::-1], dim=1)
    return path.masked_fill(~mask, 0), score.masked_fill(~mask.any(1), 0.0)
