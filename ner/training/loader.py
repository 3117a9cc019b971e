"""Training batches: the micro-batches of each optimizer step, determined by the seed and the epoch alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, overload

import numpy as np
import torch

from ner.config.training import BatchConfig
from ner.data import batching
from ner.model.model import Model
from ner.runtime.distributed import ProcessGroup
from ner.types import Batch, Document, Example


class MicroBatch(NamedTuple):
    """Tensors of one forward pass.

    Attributes:
        gold: The examples in words, also if the model labels word pieces.
        sync_only: True if its loss counts 0. It is computed only because every process must take part in each
            collective operation.
    """

    batch: Batch
    gold: list[Example]
    sync_only: bool = False


@dataclass
class StepBatch:
    """Micro-batches of one optimizer step in this process.

    Attributes:
        groups, sentences: Size of the step over all processes.
        amounts: ``words``, ``pieces`` and ``cells`` of this process, for the throughput.
    """

    groups: int
    sentences: int
    micro_batches: list[MicroBatch] = field(default_factory=list)
    amounts: Counter[str] = field(default_factory=lambda: Counter(words=0, pieces=0, cells=0))

    def counts(self) -> Counter[str]:
        """Return the number of words or examples that this process adds to each part of the loss."""
        counts: Counter[str] = Counter()
        for micro_batch in self.micro_batches:
            for name, count in micro_batch.batch.counts.items():
                counts[name] += 0 if micro_batch.sync_only else count
        return counts

    def examples(self) -> list[Example]:
        """Return the examples of all micro-batches."""
        return [example for micro_batch in self.micro_batches for example in micro_batch.batch.examples]


def max_group_size(batch: BatchConfig) -> int | None:
    """Return the most sentences that a group may have so that it fits into a micro-batch."""
    return batch.max_micro_size if batch.measure == "sentences" else None


def group_documents(model: Model, documents: Iterable[Document], batch: BatchConfig) -> np.ndarray:
    """Group the examples of documents for the encoder."""
    return batching.group_documents(map(model.to_units, documents), model.input_maker.plan, max_group_size(batch))


class TrainLoader:
    """Training documents in groups, and the batches of each epoch.

    Args:
        model: Groups and encodes the examples.
        documents: In words.
        batch: The configuration section; its size is a number. Schedules count steps of this size.
        seed: Seed of order and augmentation.
        process_group: Processes that share each batch.
        groups: Result of :func:`group_documents`, if it is already available.
    """

    def __init__(
        self,
        model: Model,
        documents: Sequence[Document],
        batch: BatchConfig,
        seed: int,
        process_group: ProcessGroup | None = None,
        groups: np.ndarray | None = None,
    ) -> None:
        self.model, self.documents, self.batch, self.seed = model, documents, batch, seed
        self.process_group = process_group or ProcessGroup()
        self.groups = group_documents(model, documents, batch) if groups is None else groups
        self.sentences = batching.count_sentences(self.groups)

    @cached_property
    def mean_sentences_per_step(self) -> float:
        """Mean number of sentences of a step of the configured size."""
        return self.sentences / max(1, len(self.epoch(0, self.batch)))

    def epoch(self, epoch: int, batch: BatchConfig) -> list[np.ndarray]:
        """Return the batches of an epoch as positions of groups."""
        return batching.epoch_batches(self.groups, batch.measure, batch.max_size, self.seed, epoch)

    def steps(
        self, batches: Sequence[np.ndarray], epoch: int, batch: BatchConfig, device: torch.device
    ) -> Iterator[StepBatch]:
        """Yield the share of this process in each batch, on the CPU; in pinned memory if ``device`` is a GPU."""
        for positions in batches:
            step_batch = StepBatch(len(positions), batching.count_sentences(self.groups[positions]))
            own = self.process_group.shard(positions)
            for chosen in batching.cut_batches(self.groups, own, batch.measure, batch.max_micro_size):
                tensors, gold = self._encode(chosen, epoch, device)
                step_batch.amounts.update(_amounts(tensors))
                step_batch.micro_batches.append(MicroBatch(tensors, gold))
            if not step_batch.micro_batches:  # fewer groups than processes
                step_batch.micro_batches.append(MicroBatch(*self._encode(positions[:1], epoch, device), sync_only=True))
            yield step_batch

    def _encode(self, positions: np.ndarray, epoch: int, device: torch.device) -> tuple[Batch, list[Example]]:
        gold, units, numbers = [], [], list[int]()
        for document, start, stop, _, _, first in self.groups[positions].tolist():
            examples = self.documents[document].examples[start:stop]
            gold += examples
            units.append(self.model.units.split(examples))
            numbers += range(first, first + stop - start)
        batch = self.model.batch(units, ExampleGenerators(self.seed, epoch, numbers))
        return batch.pin_memory() if device.type == "cuda" else batch, gold


class ExampleGenerators(Sequence[np.random.Generator]):
    """Random generators of examples, made when they are used, because few models use all of them.

    Args:
        seed: Seed of the training.
        epoch: Epoch.
        numbers: Number of each example in the training data.
    """

    def __init__(self, seed: int, epoch: int, numbers: Sequence[int]) -> None:
        self.seed, self.epoch, self.numbers = seed, epoch, numbers
        self.made: dict[int, np.random.Generator] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, position: int) -> np.random.Generator: ...

    @overload
    def __getitem__(self, position: slice) -> list[np.random.Generator]: ...

    def __getitem__(self, position: int | slice) -> np.random.Generator | list[np.random.Generator]:
        """Return a generator; the encoders of a concatenation continue the same one."""
        if isinstance(position, slice):
            return [self[number] for number in range(len(self))[position]]
        number = self.numbers[position]
        if number not in self.made:
            self.made[number] = np.random.default_rng([self.seed, self.epoch, number])
        return self.made[number]


def _amounts(batch: Batch) -> Counter[str]:
    """Return the numbers of words, of pieces (words if there are none), and of the tensor cells that hold them."""
    words = int(batch.inputs["mask"].sum())
    mask = [*batch.piece_masks, batch.inputs["mask"]][0]
    return Counter(words=words, pieces=int(mask.sum()), cells=mask.numel())
