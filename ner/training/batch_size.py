"""Automatic batch size: the largest one whose training step fits into GPU memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ner.config.schema import RunConfig
from ner.data import batching
from ner.errors import InputError, NonFiniteLossError
from ner.model.model import Model
from ner.runtime.distributed import ProcessGroup
from ner.training.loader import TrainLoader
from ner.training.progress import StepTimer
from ner.training.state import initial_state
from ner.training.step import StepContext, train_step
from ner.types import Document


def fits_in_memory(
    model: Model, documents: Sequence[Document], config: RunConfig, device: torch.device
) -> Callable[[int], bool]:
    """Return a predicate for :func:`largest_batch` that makes a training step on the longest sentences.

    The weights of the model and the random state of the CPU are restored after each trial.
    """

    def fits(size: int) -> bool:
        batch = config.batch.model_copy(update={"size": size})
        data = TrainLoader(model, documents, batch, config.seed)
        state = initial_state(model, config.training, batch, (), device)
        longest = batching.sorted_batches(data.groups, batch.measure, batch.max_size)[:1]
        generator = torch.get_rng_state()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        context, timer = StepContext(state, device, ProcessGroup()), StepTimer(model, device)
        try:
            context.apply_settings()
            for step_batch in data.steps(longest, 0, batch, device):
                train_step(context, step_batch, timer)
        except torch.OutOfMemoryError:
            return False
        except NonFiniteLossError:  # the training itself handles it
            pass
        finally:
            timer.finish()
            model.load_state_dict(before)
            torch.set_rng_state(generator)
            model.zero_grad(set_to_none=True)
            if device.type == "cuda":
                torch.cuda.empty_cache()
        return True

    return fits


def largest_batch(fits: Callable[[int], bool], start: int = 8, largest: int = 4096) -> int:
    """Return the largest size that fits among ``start``, ``2 * start``, ``4 * start``, ...

    Args:
        fits: Tries a size.
        start: Smallest size.
        largest: Largest size.

    Raises:
        InputError: If not even the smallest size fits.
    """
    size = start
    if not fits(size):
        raise InputError(f"batch.size=auto: not even {start} fit into memory; set batch.size and batch.micro_size")
    while 2 * size <= largest and fits(2 * size):
        size *= 2
    return size
