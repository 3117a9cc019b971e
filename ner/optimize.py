"""Parameter groups and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from ner.types import InputError


def parameter_groups(
    model: nn.Module, learning_rate: float | Mapping[str, float], weight_decay: float
) -> list[dict[str, Any]]:
    """Groups by rate and by whether weights decay: biases and norms do not.

    Args:
        model: Frozen parameters are left out.
        learning_rate: One rate, or rates by path; the longest path that a parameter's name begins with wins.
        weight_decay: Of the others.

    Raises:
        InputError: If a parameter has no rate, or a path matches nothing.
    """
    rates = {"": learning_rate} if isinstance(learning_rate, (int, float)) else dict(learning_rate)
    used: set[str] = set()
    groups: dict[tuple[str, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        matching = [path for path in rates if not path or name == path or name.startswith(f"{path}.")]
        if not matching:
            raise InputError(
                f"config.training.learning_rate: no rate for {name}; add one for '{name.split('.')[0]}' to the map"
            )
        path = max(matching, key=len)
        used.add(path)
        if not parameter.requires_grad:
            continue
        decays = parameter.ndim > 1
        group = groups.setdefault(
            (path, decays),
            {
                "name": path or "all",
                "params": [],
                "lr": rates[path],
                "weight_decay": weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
    unused = sorted(set(rates) - used)
    if unused:
        parts = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
        raise InputError(
            f"config.training.learning_rate: '{unused[0]}' is the path of no parameter; "
            f"paths begin with {', '.join(parts)}"
        )
    return list(groups.values())


def build_optimizer(name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """``adamw``, ``adam`` or ``sgd``."""
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return (torch.optim.AdamW if name == "adamw" else torch.optim.Adam)(groups, fused=True)


def build_schedule(name: str, optimizer: torch.optim.Optimizer, steps: int, warmup: float) -> LambdaLR:
    """Factor of the rates at each step: a linear rise over ``warmup * steps``, then constant or linear to 0."""
    rise = round(steps * warmup)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        if name == "constant":
            return 1.0
        return max(0.0, (steps - step) / max(1, steps - rise))

    return LambdaLR(optimizer, factor)
