"""Probe: the first steps of a training, examined for a collapse."""

from __future__ import annotations

import math
from itertools import islice

from ner.data.findings import Finding
from ner.errors import NonFiniteLossError
from ner.inference.annotate import annotate
from ner.runtime.device import resolve_precision
from ner.training import loop
from ner.training.run import TrainingRun

STEPS = 50
"""Steps of a probe."""
WINDOW = 10
"""Steps over which losses are averaged."""
SAMPLE = 200
"""Training documents that are annotated after the steps."""


def probe(run: TrainingRun, steps: int = STEPS) -> list[Finding]:
    """Train for some steps and return what went wrong: gradients that explode, a loss that does not fall, only ``O``.

    Args:
        run: A run after :meth:`~ner.training.run.TrainingRun.build` that keeps the last epoch, without early stopping
            and plateau; its model is changed, nothing is written.
        steps: Number of steps, at most.
    """
    losses: list[float] = []
    try:
        for progress in loop.train(run.state, run.loader, None, run.config.metrics, run.device, run.process_group):
            if progress.epoch_record is None:
                losses.append(progress.loss)
            if len(losses) >= steps:
                break
    except NonFiniteLossError as error:
        return [
            Finding(
                "exploding-gradients",
                "error",
                f"after {len(losses)} steps, {error}",
                "Lower training.learning_rate, add training.warmup_ratio, or set training.max_grad_norm.",
                len(losses),
            )
        ]
    return [*describe_losses(losses), *_only_outside(run, len(losses))]


def describe_losses(losses: list[float]) -> list[Finding]:
    """Compare the first and the last losses, one per step."""
    size = min(WINDOW, len(losses) // 2)
    if not size:
        return []
    first, last = sum(losses[:size]) / size, sum(losses[-size:]) / size
    course = f"loss {first:.3g} in the first and {last:.3g} in the last {size} of {len(losses)} steps"
    advice = "Lower training.learning_rate or add training.warmup_ratio."
    if not math.isfinite(last) or last > 2 * max(losses[0], 1e-6):
        return [Finding("exploding-gradients", "error", f"the loss explodes: {course}", advice, len(losses))]
    if last > 0.98 * first:
        advice = "Change training.learning_rate by a factor of 10 in both directions, and check the labels."
        return [Finding("loss-not-falling", "warning", f"the loss does not fall: {course}", advice, len(losses))]
    return [Finding("loss", "info", f"the loss falls: {course}")]


def _only_outside(run: TrainingRun, steps: int) -> list[Finding]:
    """Annotate a sample of the training documents and count the entities."""
    documents = list(islice(run.documents["train"], SAMPLE))
    gold = sum(len(e.spans) for document in documents for e in document.examples if not e.query_length)
    if not gold:
        return []
    precision = resolve_precision(run.config.training.precision, run.device)
    chunks = annotate(run.state.model, documents, run.state.batch_config, run.device, precision, loss=False)
    found = sum(len(e.spans) for chunk in chunks for document in chunk.predicted for e in document.examples)
    where = f"after {steps} steps, in a sample with {gold} gold entities"
    if found:
        return [Finding("entities", "info", f"{found} entities are predicted {where}")]
    return [
        Finding(
            "only-outside",
            "warning",
            f"the model predicts O for every word {where}",
            "Raise training.learning_rate (of the decoder above all), train longer, or check the tags; with slow "
            "schedules, this may pass after the first epoch.",
            gold,
        )
    ]
