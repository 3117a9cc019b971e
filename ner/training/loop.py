"""The training loop, a generator of progress reports.

Between two reports the state is complete: a checkpoint saved there resumes to the same bytes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing

import numpy as np
import torch

from ner.data.prefetch import prefetch
from ner.errors import NonFiniteLossError
from ner.evaluation.evaluation import Evaluation
from ner.evaluation.scorer import Scorer
from ner.runtime.distributed import ProcessGroup
from ner.training.early_stopping import select_epoch, stop_early
from ner.training.epoch_record import EpochRecord
from ner.training.loader import TrainLoader
from ner.training.progress import Progress, StepTimer
from ner.training.schedule import adapt_to_plateau, set_learning_rates
from ner.training.state import State
from ner.training.step import StepContext, out_of_memory, train_step
from ner.training.validation import check_monitored, evaluate
from ner.types import Document

Watcher = Callable[[Sequence[Document]], Iterable[Document]]
"""Iterates over documents, for example behind a progress bar."""


def train(
    state: State,
    data: TrainLoader,
    valid: Sequence[Document] | None,
    metrics: Sequence[str],
    device: torch.device,
    process_group: ProcessGroup | None = None,
    watch: Watcher = lambda documents: documents,
) -> Iterator[Progress]:
    """Train a model in place, from the position of its state to the end.

    Args:
        state: Initial or restored from a checkpoint; changed in place.
        data: Training batches.
        valid: Documents to score after each epoch, or None.
        metrics: Names of files in ``ner/evaluation/metrics``.
        device: Device of the model.
        process_group: Processes that share the work.
        watch: Wraps the validation documents.

    Yields:
        A report after each step, and after each epoch one with its evaluations. Train scores come from the forward
        passes of the steps.

    Raises:
        NonFiniteLossError: Before the step that would have damaged the weights.
        InputError: If a monitored score does not exist, or a step does not fit into memory.
    """
    process_group = process_group or ProcessGroup()
    if valid is not None:
        check_monitored(valid, metrics, state.training_config)  # a misspelt path must not cost an epoch
    if state.training_config.compile:
        state.model.encoder.compile(dynamic=True)
    context = StepContext(state, device, process_group)
    while state.position or (state.epoch < state.training_config.epochs and not state.ended):
        timer = StepTimer(state.model, device)
        loss = math.nan
        state.model.train()
        batches = data.epoch(state.epoch, state.batch_config)
        first = int(np.searchsorted(np.cumsum([0, *map(len, batches)]), state.position))
        steps = data.steps(batches[first:], state.epoch, state.batch_config, device)
        with closing(prefetch(steps, state.batch_config.prefetch_depth(device.type))) as prefetched:
            for step_batch in prefetched:
                timer.start_step(step_batch)
                context.apply_settings()
                set_learning_rates(state, data, step_batch.sentences)
                try:
                    loss = train_step(context, step_batch, timer)
                except NonFiniteLossError as error:
                    _skip_step(state, error)
                    loss = math.nan
                except torch.OutOfMemoryError as error:
                    raise out_of_memory(step_batch, state.batch_config.max_micro_size) from error
                state.position += step_batch.groups
                state.sentences += step_batch.sentences
                process_group.heartbeat(state.step)
                fraction = state.sentences / (state.training_config.epochs * data.sentences)
                yield Progress(state.epoch + 1, state.step, fraction, loss, state.learning_rates)
        timing = timer.finish()
        started = time.perf_counter()
        if state.averaged_weights is not None:
            state.averaged_weights.after_epoch(state.epoch + 1)
        evaluations = {"train": state.train_scorer.all_reduce(process_group).result()}
        if valid is not None:
            evaluations["valid"] = evaluate(state, watch(valid), metrics, device, process_group)
        timing["evaluation_seconds"] = time.perf_counter() - started
        record = _finish_epoch(state, evaluations)
        state.train_scorer = Scorer(metrics)
        fraction = state.sentences / (state.training_config.epochs * data.sentences)
        yield Progress(state.epoch, state.step, fraction, loss, state.learning_rates, record, timing)


def _skip_step(state: State, error: NonFiniteLossError) -> None:
    """Discard the gradients of a step.

    Raises:
        NonFiniteLossError: If the configuration does not allow to skip it.
    """
    state.optimizer.zero_grad(set_to_none=True)
    if state.training_config.on_nonfinite == "stop":
        raise error
    state.skipped += 1
    state.record_event("skip", str(error))
    if state.skipped > state.training_config.max_skipped:
        raise error


def _finish_epoch(state: State, evaluations: dict[str, Evaluation]) -> EpochRecord:
    """Record an epoch, and let its scores select the model, change the learning rates and end the training."""
    state.epoch += 1
    state.position = 0
    best = select_epoch(state, evaluations)
    size, rates = state.batch_config.max_size, dict(state.learning_rates)
    record = EpochRecord(state.epoch, state.step, state.sentences, size, best, rates, evaluations)
    state.history.append(record)
    state.batch_config = state.next_batch_config
    adapt_to_plateau(state, evaluations)
    stop_early(state, evaluations)
    return record
