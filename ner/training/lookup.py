"""Embedding tables whose gradient costs as much as the rows that a batch uses, not as the whole table."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MIN_ELEMENTS = 1 << 18
"""Smaller tables stay as they are."""


class Lookup(nn.Embedding):
    """An embedding that keeps the memory of its gradient.

    torch creates a gradient of the size of the table in each step, almost all of it zero. Here only the rows of the
    last step are reset, and those of the batch are added. ``weight.grad`` has the same values; the first backward pass
    after ``zero_grad`` overwrites it.

    Args:
        table: Its weights and options are used.
    """

    def __init__(self, table: nn.Embedding) -> None:
        rows, size = table.weight.shape
        super().__init__(rows, size, padding_idx=table.padding_idx, _weight=table.weight.data)
        self.weight = table.weight
        self.train(table.training)
        self._buffer: Tensor | None = None  # memory of weight.grad; other rows than the following are zero
        self._used_rows: list[Tensor] = []
        self._is_dense = False  # a gradient of the whole table was added, as by tied weights
        if self.weight.requires_grad:
            self.weight.register_hook(self._on_dense_gradient)

    def __deepcopy__(self, memo: dict[int, Any]) -> Lookup:
        weight = copy.deepcopy(self.weight, memo)
        rows, size = weight.shape
        table = nn.Embedding(rows, size, _weight=weight.data)
        table.weight, table.padding_idx = weight, self.padding_idx
        return Lookup(table.train(self.training))

    def _on_dense_gradient(self, gradient: Tensor | None) -> None:
        self._is_dense |= gradient is not None

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(..., embedding_dim)`` for ids."""
        if not self.weight.requires_grad or not torch.is_grad_enabled():
            return super().forward(input)
        output: Tensor = _RowGradient.apply(self.weight, input, self)
        return output

    def add_gradient(self, ids: Tensor, gradient: Tensor) -> None:
        """Add a gradient ``(N, embedding_dim)`` of the rows ``ids (N,)`` to ``weight.grad``."""
        rows, positions = ids.long().unique(return_inverse=True)
        sums = torch.ops.aten.embedding_dense_backward(gradient, positions, len(rows), -1, False)
        if self.padding_idx is not None:
            sums.masked_fill_((rows == self.padding_idx).unsqueeze(1), 0)
        if self.weight.grad is None:
            self.weight.grad = self._clean_buffer()
        if self.weight.grad is self._buffer:
            self._used_rows.append(rows)
        self.weight.grad.index_add_(0, rows, sums)

    def _clean_buffer(self) -> Tensor:
        if self._buffer is None or self._buffer.device != self.weight.device:
            self._buffer = torch.zeros_like(self.weight)
        elif self._is_dense:
            self._buffer.zero_()
        elif self._used_rows:
            self._buffer.index_fill_(0, torch.cat(self._used_rows), 0)
        self._used_rows, self._is_dense = [], False
        return self._buffer


class _RowGradient(torch.autograd.Function):
    """Lookup whose backward pass adds to the gradient of the table itself."""

    @staticmethod
    def forward(context: Any, weight: Tensor, ids: Tensor, lookup: Lookup) -> Tensor:
        context.save_for_backward(ids)
        context.lookup = lookup
        return F.embedding(ids, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[None, None, None]:
        (ids,) = context.saved_tensors
        context.lookup.add_gradient(ids.reshape(-1), gradient.reshape(-1, gradient.shape[-1]))
        return None, None, None


def replace_embeddings(model: nn.Module) -> None:
    """Replace the large embedding tables of a module and its children; weights and their names stay.

    Tables that share their weights with another table stay as they are.
    """
    places = [
        (module, name, child)
        for module in model.modules()
        for name, child in module._modules.items()  # named_children leaves out a second name of a child
        if isinstance(child, nn.Embedding)
    ]
    uses = Counter(id(child.weight) for _, _, child in places)
    for module, name, child in places:
        has_options = child.max_norm is not None or child.scale_grad_by_freq or child.sparse
        is_large = child.weight.numel() >= MIN_ELEMENTS and uses[id(child.weight)] == 1
        if type(child) is nn.Embedding and is_large and not has_options:
            setattr(module, name, Lookup(child))
