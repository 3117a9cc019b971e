"""Annotation of documents by a model, shared by evaluation, prediction and the Python interface."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, count
from typing import Any

import torch

from ner.config.training import BatchConfig
from ner.data import batching
from ner.data.batching import CHUNK
from ner.data.notices import Notice
from ner.data.prefetch import PAUSE, prefetch, with_pauses
from ner.errors import NonFiniteLossError
from ner.model.kernels.chain import BadExampleError
from ner.model.model import Model
from ner.model.tag_probabilities import tag_probabilities
from ner.runtime.device import HostCopy, autocast, check_threads
from ner.runtime.distributed import ProcessGroup
from ner.types import (
    Alternative,
    AnnotatedChunk,
    Annotation,
    Batch,
    Coverage,
    Document,
    Example,
    RawTags,
    Span,
    TagProbabilities,
    TagQuery,
)


def annotate(
    model: Model,
    documents: Iterable[Document],
    batch: BatchConfig,
    device: Any,
    precision: Any = None,
    loss: bool = True,
    probabilities: bool = False,
    process_group: ProcessGroup | None = None,
    query: TagQuery | None = None,
    interactive: bool = False,
) -> Iterator[AnnotatedChunk]:
    """Yield annotated copies of documents in chunks, in order.

    Args:
        model: Model on ``device``; set to evaluation mode meanwhile.
        documents: Read lazily, in chunks of at least ``CHUNK`` examples.
        batch: Batch configuration. It affects speed and memory; annotations are the same up to rounding. On CPUs only
            ``micro_size`` has an effect, see :meth:`~ner.config.training.BatchConfig.inference_batches`.
        device: Device to compute on.
        precision: Dtype of autocast, or None.
        loss: Compute the loss of the gold annotations.
        probabilities: Compute the probabilities of spans, labels and answers.
        process_group: Processes that share the batches. Each of them yields all documents.
        query: Further probabilities to compute, if the decoder predicts tags.
        interactive: Read the documents in a thread, and end a chunk when their source pauses.

    Raises:
        InputError: If the process is a fork that lacks the threads of torch.
        NonFiniteLossError: If scores or losses are not finite.
    """
    check_threads()
    training = model.training
    if training:  # setting the mode of each module takes a third of a millisecond
        model.eval()
    try:
        for chunk in batching.chunks(with_pauses(documents, PAUSE, CHUNK) if interactive else documents, CHUNK):
            yield _annotate(
                model, chunk, batch, device, precision, loss, probabilities, process_group or ProcessGroup(), query
            )
    finally:
        if training:
            model.train()


@contextmanager
def name_bad_example(examples: Sequence[Example], step: int | None = None) -> Iterator[None]:
    """Convert a :class:`BadExampleError`, which holds a position in the batch, into an error that names the example.

    Raises:
        NonFiniteLossError: In place of the decoder's error.
    """
    try:
        yield
    except BadExampleError as error:
        raise NonFiniteLossError("the output of the model", step, [examples[error.position]]) from error


@torch.inference_mode()
def _annotate(
    model: Model,
    documents: list[Document],
    batch: BatchConfig,
    device: Any,
    precision: Any,
    loss: bool,
    probabilities: bool,
    process_group: ProcessGroup,
    query: TagQuery | None,
) -> AnnotatedChunk:
    in_units = [model.to_units(document) for document in documents]
    examples = [example for document in in_units for example in document.examples]  # numbered within the chunk
    groups = batching.group_documents(in_units, model.input_maker.plan)
    batches = batching.sorted_batches(groups, *batch.inference_batches(device.type, model.inference_pieces))

    def ranges(number: int) -> list[range]:
        """Return the numbers of the examples of a batch, by group."""
        return batching.example_ranges(groups[batches[number]])

    def collate(number: int) -> Batch:
        return model.batch([examples[indices.start : indices.stop] for indices in ranges(number)], targets=loss)

    split_batches = process_group.size > 1 and not process_group.shards_weights
    local_batches = process_group.shard(range(len(batches))) if split_batches else range(len(batches))
    collated = prefetch(map(collate, local_batches), batch.prefetch_depth(device.type))
    outputs: dict[int, _BatchOutput] = {}
    output_stream = _outputs(model, collated, device, precision, probabilities, query)
    for number, output in zip(local_batches, output_stream, strict=True):
        outputs[number] = output
        process_group.heartbeat()
    if split_batches:
        encoded_outputs = {number: output.to_json() for number, output in outputs.items()}
        for process_outputs in process_group.all_gather_object(list(encoded_outputs.items())):
            outputs.update((number, _BatchOutput.from_json(value)) for number, value in process_outputs)

    chunk = AnnotatedChunk(documents, [])
    if loss and model.single_label_at is not None:
        chunk.gold = [replace(document, examples=model.mark_unlabelled(document.examples)) for document in documents]
    annotations: dict[int, Annotation] = {}
    for number in range(len(batches)):  # sums do not depend on the number of processes
        annotations.update(zip(chain.from_iterable(ranges(number)), outputs[number].annotations, strict=True))
        for loss_name, loss_sum in outputs[number].losses.items():
            chunk.losses[loss_name] = chunk.losses.get(loss_name, 0.0) + loss_sum
        chunk.counts.update(outputs[number].counts)
    chunk.coverage = Coverage(
        sentences=len(examples),
        words=sum(len(example.words) for document in documents for example in document.examples),
        characters=sum(len(word) for document in documents for example in document.examples for word in example.words),
        windows=sum(output.windows for output in outputs.values()),
        missing=sum(len(example.words) for example in examples) - sum(output.words for output in outputs.values()),
        without_piece=sum(model.input_warnings(document)[Notice.NO_PIECES] for document in documents),
    )
    example_numbers = count()
    for document, units in zip(documents, in_units, strict=True):
        predicted_examples = [example.with_prediction(annotations[next(example_numbers)]) for example in units.examples]
        chunk.predicted.append(replace(document, examples=model.units.merge(document.examples, predicted_examples)))
    return chunk


@dataclass
class _BatchOutput:
    """Annotations, loss sums and counts of a batch. Processes exchange it as JSON, which preserves floats exactly."""

    annotations: list[Annotation]
    losses: dict[str, float]
    counts: dict[str, int]
    words: int = 0
    windows: int = 0

    def to_json(self) -> list[Any]:
        annotations = [asdict(annotation) for annotation in self.annotations]
        return [annotations, self.losses, self.counts, self.words, self.windows]

    @classmethod
    def from_json(cls, value: list[Any]) -> _BatchOutput:
        annotations = [
            Annotation(
                **{
                    **annotation,
                    "spans": [Span(**span) for span in annotation["spans"]],
                    "answers": [Span(**item) if isinstance(item, dict) else item for item in annotation["answers"]],
                    "probabilities": _probabilities(annotation["probabilities"]),
                    "raw_tags": RawTags(*annotation["raw_tags"]) if annotation["raw_tags"] else None,
                }
            )
            for annotation in value[0]
        ]
        return cls(annotations, *value[1:])


def _probabilities(value: dict[str, Any] | None) -> TagProbabilities | None:
    if value is None:
        return None
    alternatives = [Alternative(tags, [Span(**span) for span in spans], p) for tags, spans, p in value["n_best"]]
    return TagProbabilities(**{**value, "n_best": alternatives})


def _outputs(
    model: Model, batches: Iterable[Batch], device: Any, precision: Any, probabilities: bool, query: TagQuery | None
) -> Iterator[_BatchOutput]:
    """Yield the output of each batch.

    Without probabilities and query, it is decoded on the CPU while the device computes the next batch.
    """
    pending: tuple[Batch, list[Annotation] | None, HostCopy] | None = None
    for batch in batches:
        tensors = batch.to(device)
        annotations, predicted = None, {}
        with name_bad_example(batch.examples), autocast(device, precision):
            losses, scores = model(tensors)
            if probabilities or query is not None:
                mask, tag_decoder = tensors.inputs["mask"], model.tag_decoder
                annotations = model.decoder.decode(scores, mask, probabilities)
                if query is not None and tag_decoder is not None:
                    tag_details = tag_probabilities(tag_decoder, scores, mask, query, batch.examples)
                    for annotation, values in zip(annotations, tag_details, strict=True):
                        annotation.probabilities = values
            else:
                predicted = model.decoder.predict(scores, tensors.inputs["mask"])
        host_copy = HostCopy({**predicted, **{f"loss.{loss_name}": loss_sum for loss_name, loss_sum in losses.items()}})
        if pending is not None:
            yield _read(model, *pending)
        pending = batch, annotations, host_copy
    if pending is not None:
        yield _read(model, *pending)


def _read(model: Model, batch: Batch, annotations: list[Annotation] | None, host_copy: HostCopy) -> _BatchOutput:
    """Wait for a batch and decode it; batches with probabilities are already decoded."""
    host_tensors = host_copy.get()
    losses = {
        name.removeprefix("loss."): float(host_tensors[name]) for name in host_tensors if name.startswith("loss.")
    }
    for loss_name, loss_sum in losses.items():
        if not math.isfinite(loss_sum):
            raise NonFiniteLossError(f"the loss of the model's {loss_name}", None, batch.examples)
    if annotations is None:
        with name_bad_example(batch.examples):
            annotations = model.decoder.annotations(host_tensors, batch.inputs["mask"])
    mask = batch.inputs["mask"]
    row_mask = [*batch.piece_masks, mask][0]
    return _BatchOutput(annotations, losses, batch.counts, int(mask.sum()), len(row_mask))
