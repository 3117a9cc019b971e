"""Checks of whole models: annotations are independent of batches, and survive saving and loading."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ner.config.parts import load_component, validate
from ner.config.schema import RunConfig
from ner.conformance.component import document, expect, expect_close
from ner.data.question_answering import UNKNOWN
from ner.model import model, saving
from ner.model.model import Model
from ner.training.corpus import count_vocabs
from ner.types import Annotation, Example

PARTS = {"encoder": {"name": "embedding", "dimension": 8}, "context": None, "decoder": "crf"}
"""Components of a model besides the one that is checked."""
Groups = list[list[Example]]


def configure(scope: str = "sentence", **parts: Any) -> RunConfig:
    """Return the configuration of a model with the given components."""
    raw = {"data": {"train": "a", "valid": "a"}, "windows": {"scope": scope, "max_length": 24}, **PARTS, **parts}
    config: RunConfig = validate(RunConfig, raw)
    return config


def check(config: RunConfig, reload: bool = True) -> None:
    """Check a model that is built from a configuration.

    Args:
        config: Configuration of a run.
        reload: Also save and load the model.

    Raises:
        Violation: If annotations or scores of an example depend on the batch, or change by saving and loading.
    """
    source = document()
    if "answers" in load_component("decoders", config.decoder.name).OUTPUTS:
        source.examples[0].labels = [UNKNOWN]
    network = model.build(config, count_vocabs([source])).eval()
    groups = [source.examples[start:stop] for start, stop, _ in network.input_maker.plan(source, None)]
    with torch.inference_mode():
        batched = _annotate(network, [groups])
        for batches in ([[group] for group in groups], [groups[::-1]], [groups[::2], groups[1::2]]):
            _compare(_annotate(network, batches), batched, "another batch")
        if reload:
            with tempfile.TemporaryDirectory() as folder:
                saving.save(network, config, Path(folder))
                _compare(_annotate(saving.load(folder)[0], [groups]), batched, "saving and loading")


def _annotate(network: Model, batches: list[Groups]) -> dict[int, tuple[Annotation, dict[str, Tensor]]]:
    """Return the annotation and the scores of each example, without the places of padding."""
    word_tensors = _tensors_per_word(network, [group for batch in batches for group in batch])
    results = {}
    for batch in batches:
        tensors = network.batch(batch)
        scores = network(tensors)[1]
        mask = tensors.inputs["mask"]
        expect(scores, "expected scores, found none")
        expect(all(len(tensor) == len(mask) for tensor in scores.values()), "expected a row of scores per example")
        annotations = network.decoder.decode(scores, mask)
        for row, (example, annotation) in enumerate(zip(tensors.examples, annotations, strict=True)):
            num_padding = mask.shape[1] - len(example.words)
            example_scores = {
                name: tensor[row, : tensor.shape[1] - (num_padding if name in word_tensors else 0)]
                for name, tensor in scores.items()
            }
            results[id(example)] = annotation, example_scores
    return results


def _tensors_per_word(network: Model, groups: Groups) -> set[str]:
    """Return the names of the scores whose second dimension grows with the number of words."""
    wide, narrow = (network(network.batch(batch, targets=False))[1] for batch in (groups, [[Example([])]]))
    longest = max(len(example.words) for group in groups for example in group)
    growth = {name: wide[name].shape[1] - narrow[name].shape[1] for name in wide}
    expect({*growth.values()} <= {0, longest}, f"expected scores per word or per example, found {growth}")
    return {name for name, words in growth.items() if words}


def _compare(
    actual: dict[int, tuple[Annotation, dict[str, Tensor]]],
    expected: dict[int, tuple[Annotation, dict[str, Tensor]]],
    change: str,
) -> None:
    for key, (annotation, scores) in actual.items():
        expect(scores.keys() == expected[key][1].keys(), f"expected the same scores after {change}")
        for name, tensor in scores.items():
            expect_close(tensor, expected[key][1][name], f"scores '{name}' after {change}")
        expect(annotation == expected[key][0], f"expected the same annotation after {change}")
