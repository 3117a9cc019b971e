"""How large a batch may be: tried out on the longest sentences of the training file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ner.config.schema import RunConfig
from ner.data import batching
from ner.errors import InputError
from ner.model.model import Model
from ner.runtime.device import Clock
from ner.runtime.distributed import ProcessGroup
from ner.training import loop
from ner.training.loader import TrainLoader
from ner.training.step import Learner, OutOfMemory
from ner.types import Document


def trial(
    model: Model, documents: Sequence[Document], config: RunConfig, device: torch.device
) -> Callable[[int], bool]:
    """What tells :func:`find_size` whether a batch of the longest sentences fits: forward, backward, optimizer."""

    def fits(size: int) -> bool:
        batch = config.batch.model_copy(update={"size": size})
        data = TrainLoader(model, documents, batch, config.seed)
        state = loop.begin(model, config.training, batch, (), device)
        longest = batching.sorted_batches(data.groups, batch.unit, batch.units)[:1]
        generator = torch.get_rng_state()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        try:
            learner = Learner(state, data, device, ProcessGroup())
            learner.prepare()
            for made in data.steps(longest, 0, batch, device):
                learner.step(made, Clock(device))
        except (torch.OutOfMemoryError, OutOfMemory):
            return False
        finally:
            model.load_state_dict(before)
            torch.set_rng_state(generator)
            model.zero_grad(set_to_none=True)
            if device.type == "cuda":
                torch.cuda.empty_cache()
        return True

    return fits


def find_size(fits: Callable[[int], bool], start: int = 8, largest: int = 4096) -> int:
    """The largest power of two times ``start`` that fits.

    Args:
        fits: Tries a size out.
        start: The first size.
        largest: The last one.

    Raises:
        InputError: If not even the first one fits.
    """
    found = 0
    size = start
    while size <= largest and fits(size):
        found, size = size, 2 * size
    if not found:
        raise InputError(f"batch.size=auto: not even {start} fit into memory; give batch.size and batch.at_once")
    return found
