"""What is trained and how fast: parameter groups, optimizers, schedules, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ner.config.training import AveragingConfig
from ner.errors import InputError
from ner.runtime.distributed import is_spread


def parameter_groups(
    model: nn.Module,
    learning_rate: float | Mapping[str, float],
    weight_decay: float,
    layer_decay: float = 1.0,
    trained: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Groups by rate and by whether weights decay: biases and norms do not.

    Args:
        model: With ``layer_decay`` its ``encoder`` has ``layers()``.
        learning_rate: One rate, or rates by path; the longest path that a parameter's name begins with wins.
        weight_decay: Of the others.
        layer_decay: Each layer of the encoder has this share of the rate of the layer above it.
        trained: Names of the parameters to group; by default those that are not frozen.

    Returns:
        Each with ``name`` (its path, and how far below the top layer it is), ``params``, their ``names``,
        ``weight_decay`` and ``base``: the rate that a schedule starts from.

    Raises:
        InputError: If a parameter has no rate, or a path matches nothing.
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
        above = depths.get(id(parameter), 0)
        decays = parameter.ndim > 1
        group = groups.setdefault(
            (path, above, decays, is_spread(parameter)),
            {
                "name": f"{path or 'all'}{f' {above} below the top' if above else ''}",
                "params": [],
                "names": [],
                "base": rates[path] * layer_decay**above,
                "lr": rates[path] * layer_decay**above,
                "weight_decay": weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
        group["names"].append(name)
    check_paths(model, set(rates) - used, "training.learning_rate")
    return list(groups.values())


def in_module(name: str, path: str) -> bool:
    """Whether a parameter belongs to the part of the model at a path; the empty path is the whole model."""
    return not path or name == path or name.startswith(f"{path}.")


def check_paths(model: nn.Module, paths: Iterable[str], key: str) -> None:
    """That every path is one of the model.

    Raises:
        InputError: If no parameter is below one of them.
    """
    names = [name for name, _ in model.named_parameters()]
    for path in sorted(paths):
        if not any(in_module(name, path) for name in names):
            parts = ", ".join(sorted({name.split(".")[0] for name in names}))
            raise InputError(f"config.{key}: '{path}' is the path of no parameter; paths begin with {parts}")


def _depths(model: nn.Module) -> dict[int, int]:
    """How many layers of the encoder lie above a parameter, by its identity."""
    layers = model.encoder.layers()  # type: ignore[union-attr, operator]  # an encoder by contract
    top = len(layers) - 1
    return {id(p): top - number for number, layer in enumerate(layers) for p in layer.parameters()}


def build_optimizer(name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """``adamw``, ``adam`` or ``sgd``."""
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return (torch.optim.AdamW if name == "adamw" else torch.optim.Adam)(groups, fused=True)


def replace_param_groups(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> None:
    """Give an optimizer other groups of the same parameters; what it remembers of each parameter stays."""
    optimizer.param_groups.clear()
    for group in groups:
        optimizer.add_param_group(group)


def schedule(name: str, done: float, after: float, warmup: float) -> float:
    """Factor of the rates in a step.

    Args:
        name: ``constant``, ``linear``, ``cosine`` or ``inverse_sqrt``.
        done: Share of all sentences that were seen before the step.
        after: The same after the step.
        warmup: Share in which the rates rise from 0.
    """
    if after <= warmup:
        return after / warmup
    if name == "constant":
        return 1.0
    if name == "inverse_sqrt":
        start = max(warmup, after - done)  # without a warm-up it falls from the first step
        return min(1.0, math.sqrt(start / after))
    left = max(0.0, (1 - done) / (1 - warmup)) if warmup < 1 else 1.0
    left = min(1.0, left)
    return left if name == "linear" else (1 - math.cos(math.pi * left)) / 2


class Average:
    """A mean of weights over the training.

    Args:
        model: Whose trained parameters are averaged.
        config: Which mean.
    """

    def __init__(self, model: nn.Module, config: AveragingConfig) -> None:
        self.config = config
        self.weights: dict[str, Tensor] = {}
        self.count = 0
        self.model = model

    def after_step(self, epochs: int) -> None:
        """Take in the weights after a step, with so many epochs finished."""
        if self.config.kind == "ema" and epochs >= self.config.start:
            self._add(min(self.config.decay, (self.count + 1) / (self.count + 11)))

    def after_epoch(self, epochs: int) -> None:
        """Take in the weights after the last step of an epoch, with so many epochs finished."""
        if self.config.kind == "swa" and epochs > self.config.start:
            self._add(self.count / (self.count + 1))

    @torch.no_grad()
    def _add(self, keep: float) -> None:
        self.count += 1
        for name, parameter in self.model.named_parameters():
            if name in self.weights:
                self.weights[name].lerp_(parameter.detach(), 1 - keep)
            else:
                self.weights[name] = parameter.detach().clone()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averaged weights inside the block, if there are any yet."""
        own = {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}
        try:
            self._set(self.weights)
            yield
        finally:
            self._set(own)

    @torch.no_grad()
    def _set(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
