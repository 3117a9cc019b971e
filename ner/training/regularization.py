"""Adversarial training with the fast gradient method (FGM)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ner.runtime.distributed import is_sharded


def adversarial_embeddings(encoder: nn.Module) -> list[nn.Parameter]:
    """Return all trainable embedding tables except those of positions and segments."""
    tables: list[nn.Parameter] = []
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Embedding) and module.weight.requires_grad:
            kind = name.rpartition(".")[2]
            if "position" not in kind and "token_type" not in kind and isinstance(module.weight, nn.Parameter):
                tables.append(module.weight)
    return tables


@contextmanager
def perturbed(
    model: nn.Module, tables: Sequence[nn.Parameter], radius: float, synchronizes: bool = False
) -> Iterator[None]:
    """Move embeddings along their gradient inside the block (Miyato et al., 2017).

    The gradients that the block computes are added to those from before it. The embeddings are restored afterwards.

    Args:
        model: Its parameters have the gradient of the batch.
        tables: Embeddings to move, see :func:`adversarial_embeddings`.
        radius: L2 norm of the move of each table.
        synchronizes: True if processes sum up gradients inside the block; those from before it, which are sums already,
            are then kept apart.
    """
    moves = [move for table in tables if (move := _Move.along_gradient(table, radius)) is not None]
    earlier: dict[nn.Parameter, Tensor] = {}
    if synchronizes:
        earlier = {parameter: parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None}
    try:
        with torch.no_grad():
            for move in moves:
                move.put(move.moved)
        for parameter in earlier:
            parameter.grad = None
        yield
    finally:
        with torch.no_grad():
            for move in moves:
                move.put(move.original)
    for parameter, gradient in earlier.items():
        if parameter.grad is not None:
            gradient += parameter.grad
        parameter.grad = gradient  # the other tensor may be memory of a Lookup, which resets the rows that it knows


class _Move(NamedTuple):
    """A change of some rows of a table.

    Attributes:
        table: Embeddings.
        rows: Ids of the rows; None for the whole table.
        original, moved: Their values.
    """

    table: nn.Parameter
    rows: Tensor | None
    original: Tensor
    moved: Tensor

    @classmethod
    def along_gradient(cls, table: nn.Parameter, radius: float) -> _Move | None:
        """Return the move along the gradient of a table, or None if there is no gradient, or it is not finite."""
        if table.grad is None:
            return None
        values, gradient, rows = table.detach(), table.grad, None
        if not is_sharded(table):  # the rows of a sharded table are on several processes
            rows = torch.linalg.vector_norm(gradient, dim=1).nonzero().squeeze(1)
            values, gradient = values[rows], gradient[rows]
        norm = gradient.norm()
        if not bool(torch.isfinite(norm)) or not bool(norm > 0):
            return None
        original = values.clone() if rows is None else values
        return cls(table, rows, original, torch.add(values, gradient, alpha=float(radius / norm)))

    def put(self, values: Tensor) -> None:
        """Set the rows to values."""
        if self.rows is None:
            self.table.copy_(values)
        else:
            self.table.index_copy_(0, self.rows, values)
