"""Limit on the memory that building a model may allocate, for configurations of unknown origin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ner.errors import InputError

FACTORIES = frozenset(
    {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange, torch.eye}
)

PER_TENSOR = 1000
"""Elements that each tensor counts in addition to its own, so that their number is limited, too."""


class AllocationLimit(TorchFunctionMode):
    """Context manager in which new tensors may have a limited number of elements, in all; four flags count as one.

    The sizes of a saved model follow from its weights, so a configuration that asks for more is not that of the model.

    Args:
        elements: The limit.
        message: Message of the error if more are created.
    """

    def __init__(self, elements: int, message: str) -> None:
        super().__init__()
        self.elements, self.message = elements, message

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch after checking the size of the tensor that it creates."""
        if func in FACTORIES:
            sizes = (
                args[0] if args and isinstance(args[0], (tuple, list)) else args[: 1 if func is torch.full else None]
            )
            self.elements -= PER_TENSOR
            dimensions = [size for size in (sizes or (kwargs or {}).get("size", ())) if isinstance(size, int)]
            count = max(dimensions, default=0) if func is torch.arange else math.prod(dimensions)
            self.elements -= count // 4 if (kwargs or {}).get("dtype") is torch.bool else count
            if func is torch.eye and len(dimensions) == 1:
                self.elements -= dimensions[0] ** 2
            if self.elements < 0:
                raise InputError(self.message)
        return func(*args, **(kwargs or {}))
