"""Adversarial training with the fast gradient method (FGM)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


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
def perturbed(model: nn.Module, tables: Sequence[nn.Parameter], radius: float) -> Iterator[None]:
    """Move embeddings along their gradient inside the block (Miyato et al., 2017).

    The gradients that the block computes are added to those from before it. The embeddings are restored afterwards.

    Args:
        model: Its parameters have the gradient of the batch.
        tables: Embeddings to move, see :func:`adversarial_embeddings`.
        radius: L2 norm of the move of each table.
    """
    parameters = list(model.parameters())
    gradients = {parameter: parameter.grad.clone() for parameter in parameters if parameter.grad is not None}
    original = [table.detach().clone() for table in tables]
    try:
        with torch.no_grad():
            for table in tables:
                _move(table, radius)
        for parameter in parameters:
            parameter.grad = None
        yield
    finally:
        with torch.no_grad():
            for table, values in zip(tables, original, strict=True):
                table.copy_(values)
    for parameter, gradient in gradients.items():
        if parameter.grad is not None:
            gradient += parameter.grad
        parameter.grad = gradient  # the other tensor may be memory of a Lookup, which resets the rows that it knows


def _move(table: nn.Parameter, radius: float) -> None:
    if table.grad is None:
        return
    norm = table.grad.norm()
    if bool(torch.isfinite(norm)) and bool(norm > 0):
        table.add_(table.grad, alpha=float(radius / norm))
