"""Dropout with cheap random numbers on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 1 << 16
"""Number of values of the integers that are drawn."""


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al., 2014) that draws 16 random bits per element on CPUs.

    torch draws a random number of 64 bits for each element, which takes most of the time of its dropout. Here the
    probability is rounded to a multiple of 2 ** -16, and the remaining elements are scaled by the rounded value, so
    that their mean is kept. Other devices use torch's dropout.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return a tensor like ``input`` with random zeros in training."""
        if not self.training or not self.p or input.device.type != "cpu":
            return super().forward(input)
        dropped_levels = round(self.p * LEVELS)
        if not 0 < dropped_levels < LEVELS:
            return super().forward(input)
        size = input.numel()
        words = torch.empty((size + 3) // 4, dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
        levels = words.view(torch.int16)[:size].view(input.shape)  # uniform over all values of int16
        scale = (levels >= dropped_levels - LEVELS // 2).to(input.dtype).mul_(LEVELS / (LEVELS - dropped_levels))
        return input * scale


def replace_dropout(model: nn.Module) -> None:
    """Replace the dropout of a module and its children by that of this file."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))
