"""Parameter groups and optimizers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ner.config.training import TrainingConfig
from ner.errors import InputError
from ner.runtime.distributed import is_sharded


def parameter_groups(
    model: nn.Module,
    learning_rate: float | Mapping[str, float],
    weight_decay: float,
    layer_decay: float = 1.0,
    trained: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Return optimizer groups by learning rate and weight decay; biases and norms do not decay.

    Args:
        model: Its ``encoder`` has ``layers()`` if ``layer_decay`` is below 1.
        learning_rate: One rate, or rates by module path; the longest matching path applies.
        weight_decay: Decay of all parameters but biases and norms.
        layer_decay: Rate of an encoder layer divided by the rate of the layer above it.
        trained: Names of the parameters to group; by default those that require a gradient.

    Returns:
        Groups with ``name`` (module path and depth below the top layer), ``params``, their ``names``, ``weight_decay``
        and ``base``, the rate before the schedule is applied.

    Raises:
        InputError: If a parameter has no rate, or a path matches no parameter.
    """
    rates = {"": learning_rate} if isinstance(learning_rate, (int, float)) else dict(learning_rate)
    depths = _depths(model) if layer_decay < 1 else {}
    used: set[str] = set()
    groups: dict[tuple[str, int, bool, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        matching = [path for path in rates if in_module(name, path)]
        if not matching:
            raise InputError(
                f"config.training.learning_rate: no rate for {name}; add one for '{name.split('.')[0]}' to the map"
            )
        path = max(matching, key=len)
        used.add(path)
        if not (parameter.requires_grad if trained is None else name in trained):
            continue
        depth = depths.get(id(parameter), 0)
        decays = parameter.ndim > 1
        group = groups.setdefault(
            (path, depth, decays, is_sharded(parameter)),
            {
                "name": f"{path or 'all'}{f' {depth} below the top' if depth else ''}",
                "params": [],
                "names": [],
                "base": rates[path] * layer_decay**depth,
                "lr": rates[path] * layer_decay**depth,
                "weight_decay": weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
        group["names"].append(name)
    check_paths(model, set(rates) - used, "training.learning_rate")
    return list(groups.values())


def config_groups(
    model: nn.Module, training: TrainingConfig, trained: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Return the :func:`parameter_groups` of a configuration."""
    return parameter_groups(model, training.learning_rate, training.weight_decay, training.layer_decay, trained)


def in_module(name: str, path: str) -> bool:
    """Return whether a parameter belongs to the module at a path; the empty path is the whole model."""
    return not path or name == path or name.startswith(f"{path}.")


def check_paths(model: nn.Module, paths: Iterable[str], key: str) -> None:
    """Check that every module path contains a parameter.

    Raises:
        InputError: If one does not; the message contains ``key``, the key of the configuration.
    """
    names = [name for name, _ in model.named_parameters()]
    for path in sorted(paths):
        if not any(in_module(name, path) for name in names):
            parts = ", ".join(sorted({name.split(".")[0] for name in names}))
            raise InputError(f"config.{key}: no parameter matches the path '{path}'; the top-level modules are {parts}")


def _depths(model: nn.Module) -> dict[int, int]:
    """Return the number of encoder layers above each parameter, by ``id`` of the parameter."""
    layers = model.encoder.layers()  # type: ignore[union-attr, operator]  # an encoder by contract
    top = len(layers) - 1
    return {id(p): top - number for number, layer in enumerate(layers) for p in layer.parameters()}


def build_optimizer(name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Return an ``adamw``, ``adam`` or ``sgd`` optimizer."""
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return (torch.optim.AdamW if name == "adamw" else torch.optim.Adam)(groups, fused=True)


def replace_param_groups(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> None:
    """Regroup the parameters of an optimizer; its state per parameter stays."""
    optimizer.param_groups.clear()
    for group in groups:
        optimizer.add_param_group(group)
