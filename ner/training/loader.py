"""Training documents as the batches of an epoch: functions of the seed and the epoch alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from ner.config.training import BatchConfig
from ner.data import batching
from ner.model.model import Model
from ner.runtime.distributed import World
from ner.types import Batch, Document, Example


def group_limit(batch: BatchConfig) -> int | None:
    """Most sentences of a group, so that it fits into a pass."""
    return batch.units_at_once if batch.unit == "sentences" else None


def group(model: Model, documents: Iterable[Document], batch: BatchConfig) -> batching.GroupTable:
    """Groups of documents, as the encoder wants them."""
    return batching.group_documents(map(model.split, documents), model.reader.plan, group_limit(batch))


class TrainLoader:
    """Training documents in groups, and the batches of an epoch: functions of the seed and the epoch alone.

    Args:
        model: Says how documents are read.
        documents: In words.
        batch: Section of the configuration, its size a number: what a step is where steps are counted ahead.
        seed: Of order and augmentation.
        world: Processes that share each batch.
        groups: If they are known already.
    """

    def __init__(
        self,
        model: Model,
        documents: Sequence[Document],
        batch: BatchConfig,
        seed: int,
        world: World | None = None,
        groups: batching.GroupTable | None = None,
    ) -> None:
        self.model, self.documents, self.seed, self.world = model, documents, seed, world or World()
        self.groups = group(model, documents, batch) if groups is None else groups
        self.sentences = int(self.groups.sentences.sum())
        self.batch = batch

    @cached_property
    def per_step(self) -> float:
        """Sentences of a step of the configured size, on average."""
        return self.sentences / max(1, len(self.epoch(0, self.batch)))

    def epoch(self, epoch: int, batch: BatchConfig) -> list[np.ndarray]:
        """Batches of an epoch, as positions of groups."""
        return batching.epoch_batches(self.groups, batch.unit, batch.units, self.seed, epoch)

    def steps(
        self, batches: Sequence[np.ndarray], epoch: int, batch: BatchConfig, device: torch.device
    ) -> Iterator[StepBatch]:
        """What this process learns from in some batches; in page-locked memory if it is to go to a GPU."""
        for positions in batches:
            made = StepBatch(len(positions), int(self.groups.sentences[positions].sum()))
            mine = self.world.share(positions)
            for chosen in batching.cut_batches(self.groups, mine, batch.unit, batch.units_at_once):
                tensors, gold = self._tensors(chosen, epoch, device)
                made.amounts.update(_amounts(tensors))
                made.parts.append(Part(tensors, gold))
            if not made.parts:  # the others have all there is; this process must take part all the same
                tensors, gold = self._tensors(positions[:1], epoch, device)
                made.parts.append(Part(tensors, gold, weight=0.0))
            yield made

    def _tensors(self, positions: np.ndarray, epoch: int, device: Any) -> tuple[Batch, list[Example]]:
        chosen = [self.groups[position] for position in positions]
        words = [self.documents[group.document].examples[group.start : group.stop] for group in chosen]
        generators = [
            np.random.default_rng([self.seed, epoch, group.first + number])
            for group in chosen
            for number in range(group.sentences)
        ]
        tensors = self.model.batch([self.model.units.split(group) for group in words], generators)
        gold = [example for group in words for example in group]
        return tensors.pin_memory() if device.type == "cuda" else tensors, gold


class Part(NamedTuple):
    """Tensors of one pass through the model, and the examples in words; without weight they keep others company."""

    batch: Batch
    gold: list[Example]
    weight: float = 1.0


@dataclass
class StepBatch:
    """What a process learns from in one step, and the size of the step in groups and sentences of all processes."""

    groups: int
    sentences: int
    parts: list[Part] = field(default_factory=list)
    amounts: Counter[str] = field(default_factory=lambda: Counter(words=0, pieces=0, cells=0))

    def counts(self) -> Counter[str]:
        """What each part of the loss is summed over in this process."""
        found: Counter[str] = Counter()
        for part in self.parts:
            found.update({name: count * int(part.weight) for name, count in part.batch.counts.items()})
        return found

    def examples(self) -> list[Example]:
        """Of all passes."""
        return [example for part in self.parts for example in part.batch.examples]


def _amounts(batch: Batch) -> Counter[str]:
    """Words, pieces (words where there are none), and the cells of the tensors that they fill."""
    words = int(batch.inputs["mask"].sum())
    masks = [mask for name, mask in batch.inputs.items() if name.endswith("piece_mask")] or [batch.inputs["mask"]]
    return Counter(words=words, pieces=int(masks[0].sum()), cells=masks[0].numel())
