"""Averaged weights for evaluation and for the saved model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ner.config.training import AveragingConfig


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
        trained = {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}
        try:
            self._load(self.weights)
            yield
        finally:
            self._load(trained)

    @torch.no_grad()
    def _load(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
