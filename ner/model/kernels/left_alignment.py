"""Order of words without holes, which the backends of the CRF require."""

from __future__ import annotations

import torch
from torch import Tensor


class LeftAlignment:
    """Order in which the words of each row come first, in front of all padding; rows have at least one column.

    Args:
        mask: ``(S, W)`` true on words.
        emissions: ``(S, W, K)``.
        any_mask: Keep the words where they are.
    """

    def __init__(self, mask: Tensor, emissions: Tensor, any_mask: bool = False) -> None:
        if emissions.ndim != 3 or mask.shape != emissions.shape[:2] or mask.dtype != torch.bool:
            shapes = f"{tuple(emissions.shape)} and {mask.dtype} {tuple(mask.shape)}"
            raise ValueError(f"expected emissions (S, W, K) and a boolean mask (S, W), found {shapes}")
        self.width = mask.shape[1]
        self.order: Tensor | None = None
        if not any_mask and (mask.device.type != "cpu" or bool((mask[:, 1:] & ~mask[:, :-1]).any())):
            self.order = torch.argsort((~mask).to(torch.int8), dim=1, stable=True)
        self.mask = self.move(mask)

    def move(self, values: Tensor) -> Tensor:
        """Return values ``(S, W, ...)`` in this order."""
        if not self.width:
            return torch.cat([values, values.new_zeros((len(values), 1, *values.shape[2:]))], 1)
        return values if self.order is None else values.gather(1, self._index(self.order, values))

    def restore(self, values: Tensor) -> Tensor:
        """Return values ``(S, W, ...)`` at the original positions of their words."""
        if self.order is not None and self.width:
            values = torch.zeros_like(values).scatter(1, self._index(self.order, values), values)
        return values if self.width else values[:, :0]

    @staticmethod
    def _index(order: Tensor, values: Tensor) -> Tensor:
        return order.view(*order.shape, *[1] * (values.ndim - 2)).expand_as(values)
