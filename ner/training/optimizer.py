"""Parameter groups, optimizers, learning-rate schedules, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ner.config.training import AveragingConfig, TrainingConfig
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


def schedule(name: str, done: float, after: float, warmup: float) -> float:
    """Return the factor of the learning rates in a step.

    Args:
        name: ``constant``, ``linear``, ``cosine`` or ``inverse_sqrt``.
        done: Fraction of the training before the step, by sentences.
        after: Fraction of the training after the step.
        warmup: Fraction of the training in which the rates rise from 0.
    """
    if after <= warmup:
        return after / warmup
    if name == "constant":
        return 1.0
    if name == "inverse_sqrt":
        start = max(warmup, after - done)  # without warm-up the rate falls from the first step
        return min(1.0, math.sqrt(start / after))
    left = min(1.0, max(0.0, (1 - done) / (1 - warmup))) if warmup < 1 else 1.0
    return left if name == "linear" else (1 - math.cos(math.pi * left)) / 2


class AveragedWeights:
    """Exponential moving average (EMA) or stochastic weight average (SWA) of the trained parameters.

    ``torch.optim.swa_utils.AveragedModel`` copies the whole module and has no warm-up of the decay.
    """

    def __init__(self, model: nn.Module, config: AveragingConfig) -> None:
        self.config = config
        self.weights: dict[str, Tensor] = {}
        self.count = 0
        self.model = model

    def after_step(self, epochs: int) -> None:
        """Update an EMA after a step; ``epochs`` are finished."""
        if self.config.kind == "ema" and epochs >= self.config.start:
            self._update(min(self.config.decay, (self.count + 1) / (self.count + 11)))

    def after_epoch(self, epochs: int) -> None:
        """Update an SWA after an epoch; ``epochs`` are finished, this one included."""
        if self.config.kind == "swa" and epochs > self.config.start:
            self._update(self.count / (self.count + 1))

    @torch.no_grad()
    def _update(self, decay: float) -> None:
        self.count += 1
        for name, parameter in self.model.named_parameters():
            if name in self.weights:
                self.weights[name].lerp_(parameter.detach(), 1 - decay)
            else:
                self.weights[name] = parameter.detach().clone()

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Let the model hold the averaged weights inside the block; before the first update its own."""
        own = {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}
        try:
            self._load(self.weights)
            yield
        finally:
            self._load(own)

    @torch.no_grad()
    def _load(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
