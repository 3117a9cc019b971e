"""Progress reports of a training and the measurement of its time."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ner.model.model import Model
from ner.runtime.device import peak_memory
from ner.training.epoch_record import EpochRecord
from ner.training.loader import StepBatch
from ner.types import Encoding

PENDING_EVENTS = 256
"""CUDA events that a stopwatch keeps before it reads the finished ones."""


@dataclass
class Progress:
    """Report after each step and after each epoch.

    Attributes:
        epoch: Current epoch, counted from 1.
        step: Steps so far.
        fraction: Sentences seen so far divided by those of the whole training.
        loss: Loss of the step; NaN if the step was skipped.
        learning_rates: Rates of the step, by parameter group.
        epoch_record: Results of the epoch; None after a step.
        timing: Empty after a step. After an epoch: ``seconds`` of training, ``evaluation_seconds``,
            ``words_per_second``, ``pieces_per_second``, ``padding`` (fraction of the computed cells),
            ``peak_memory_mb``, and the fraction of the seconds spent on each part of a step.
    """

    epoch: int
    step: int
    fraction: float
    loss: float
    learning_rates: dict[str, float]
    epoch_record: EpochRecord | None = None
    timing: dict[str, float] = field(default_factory=dict)


class Stopwatch:
    """Accumulated seconds by name; its memory does not grow with the number of marks.

    On a GPU it records CUDA events and never waits for the device before :meth:`totals`.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = torch.cuda if device.type == "cuda" else None
        self._pending: deque[tuple[str, Any]] = deque()
        self._totals: dict[str, float] = {}
        self._last: Any = self._now()

    def _now(self) -> Any:
        if self._cuda is None:
            return time.perf_counter()
        event = self._cuda.Event(enable_timing=True)
        event.record()
        return event

    def mark(self, name: str) -> None:
        """Add the time since the last mark to ``name``."""
        now = self._now()
        if self._cuda is None:
            self._add(name, now)
            return
        self._pending.append((name, now))
        while len(self._pending) > PENDING_EVENTS and self._pending[0][1].query():
            self._add(*self._pending.popleft())

    def _add(self, name: str, now: Any) -> None:
        seconds = now - self._last if self._cuda is None else self._last.elapsed_time(now) / 1000
        self._totals[name] = self._totals.get(name, 0.0) + seconds
        self._last = now

    def totals(self) -> dict[str, float]:
        """Return the seconds by name since the last call, and reset them."""
        if self._cuda is not None:
            self._cuda.synchronize()
        while self._pending:
            self._add(*self._pending.popleft())
        totals, self._totals = self._totals, {}
        return totals


class StepTimer:
    """Time of an epoch by part of a step (``data``, ``encoder``, ``context``, ``decoder``, ``optimizer``, ``scores``).

    Hooks on the model measure the forward pass and the backward pass of decoder and context. The training step marks
    the rest. :meth:`finish` removes the hooks.
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        self.device = device
        self.stopwatch = Stopwatch(device)
        self.mark = self.stopwatch.mark
        self.amounts: Counter[str] = Counter()
        self._handles = [
            model.register_forward_pre_hook(lambda module, inputs: self.mark("data")),
            model.register_forward_hook(lambda module, inputs, output: self.mark("decoder")),
        ]
        before_decoder = "encoder"
        if model.has_context:
            self._handles.append(model.context.register_forward_pre_hook(self._boundary("encoder", "context")))
            before_decoder = "context"
        self._handles.append(model.decoder.register_forward_pre_hook(self._boundary(before_decoder, "decoder")))

    def _boundary(self, before: str, after: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        """Return a hook that marks the end of a forward pass, and that of the next backward pass."""

        def end_backward(gradient: Tensor) -> None:
            self.mark(after)

        def end_forward(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if isinstance(inputs[0], Encoding):  # not for a decoder that runs the encoder itself
                self.mark(before)
                if inputs[0].words.requires_grad:
                    inputs[0].words.register_hook(end_backward)

        return end_forward

    def start_step(self, step_batch: StepBatch) -> None:
        """Record the time spent waiting for data, and count the words of the step."""
        self.mark("data")
        self.amounts.update(step_batch.amounts)

    def finish(self) -> dict[str, float]:
        """Remove the hooks and return ``Progress.timing``."""
        for handle in self._handles:
            handle.remove()
        parts = self.stopwatch.totals()
        seconds = max(sum(parts.values()), 1e-9)
        cells = self.amounts["cells"]
        timing = {"seconds": seconds, "evaluation_seconds": 0.0}
        timing |= {f"{kind}_per_second": self.amounts[kind] / seconds for kind in ("words", "pieces")}
        timing["padding"] = 1 - self.amounts["pieces"] / cells if cells else 0.0
        timing["peak_memory_mb"] = peak_memory(self.device) / 2**20
        names = ("data", "encoder", "context", "decoder", "optimizer", "scores")
        return timing | {name: parts.get(name, 0.0) / seconds for name in names}
