"""Checks of encoders."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ner.config.schema import WindowsConfig
from ner.conformance import models
from ner.conformance.component import (
    SENTENCES,
    Check,
    Component,
    document,
    expect,
    expect_close,
    vocabs,
)
from ner.conformance.configuration import described_configuration
from ner.data.vocab import Vocabs
from ner.types import Document, Example

WINDOWS = WindowsConfig(max_length=24)
LONGEST = max(map(len, SENTENCES))


def build(component: Component) -> Any:
    """Build the encoder in evaluation mode."""
    return component.module.build(component.config, vocabs(), WINDOWS).eval()


def _groups(examples: list[Example]) -> list[list[Example]]:
    return [[example] for example in examples]


def result_shapes(component: Component) -> None:
    """Return one vector per word, and zeros at padding."""
    encoder, examples = build(component), document().examples
    encoding = encoder(encoder.inputs(_groups(examples)))
    expected = (len(examples), LONGEST, encoder.width)
    expect(encoding.words.shape == expected, f"expected words {expected}, found {tuple(encoding.words.shape)}")
    expect(encoding.mask.dtype == torch.bool, f"expected a boolean mask, found {encoding.mask.dtype}")
    lengths = [len(words) for words in SENTENCES]
    expect(encoding.mask.sum(1).tolist() == lengths, f"expected {lengths} words, found {encoding.mask.sum(1).tolist()}")
    expect((encoding.words[~encoding.mask] == 0).all(), "expected zeros where the mask is false")
    expect(encoding.words[encoding.mask].abs().sum(-1).min() > 0, "expected a vector for each word, found zeros")
    pooled = encoding.pooled
    if pooled is not None:
        per_example = (len(examples), encoder.width)
        expect(pooled.shape == per_example, f"expected a pooled vector {per_example}, found {tuple(pooled.shape)}")


def complete_plan(component: Component) -> None:
    """Plan every example once and in order, with at most as many in a group as allowed."""
    encoder, source = build(component), document()
    groups = encoder.plan(source, None)
    order = [position for start, stop, _ in groups for position in range(start, stop)]
    expect(order == [*range(len(SENTENCES))], f"expected all examples in order, found {order}")
    expect(all(isinstance(number, int) for group in groups for number in group), "expected integers in the plan")
    expect(encoder.plan(Document([]), None) == [], "expected an empty plan for a document without examples")
    expect(
        all(stop - start <= 2 for start, stop, _ in encoder.plan(source, 2)), "expected groups of at most 2 examples"
    )


def any_groups(component: Component) -> None:
    """Accept any groups of examples, none, and an example without words."""
    encoder, examples = build(component), document().examples
    shape = encoder(encoder.inputs([examples[:3], examples[3:]])).words.shape[:2]
    expect(shape == (len(examples), LONGEST), f"expected {len(examples)} examples of 2 groups, found {tuple(shape)}")
    for empty in ([], [[Example([])]]):
        words = encoder(encoder.inputs(empty)).words
        expected = (len(empty), 0, encoder.width)
        expect(words.shape == expected, f"expected words {expected}, found {tuple(words.shape)}")


def batch_independence(component: Component) -> None:
    """Return the same vectors in any batch, order and padding."""
    encoder, examples = build(component), document().examples
    batched = encoder(encoder.inputs(_groups(examples[::-1]))).words.flip(0)
    for position, example in enumerate(examples):
        single = encoder(encoder.inputs([[example]])).words
        expect_close(single[0], batched[position, : len(example.words)], f"example {position} alone and in a batch")


def determinism(component: Component) -> None:
    """Return the same vectors for the same input in evaluation mode."""
    encoder, groups = build(component), _groups(document().examples)
    first, second = (encoder(encoder.inputs(groups)).words for _ in range(2))
    expect(torch.equal(first, second), "expected equal vectors of two passes")


def faithful_reload(component: Component) -> None:
    """Return the same vectors after it is built again from its files and weights."""
    encoder, groups = build(component), _groups(document().examples)
    files = encoder.asset_files()
    expect(all(isinstance(data, bytes) for data in files.values()), "expected bytes in asset_files")
    loaded = component.module.build(component.config, Vocabs(), WINDOWS, files).eval()
    loaded.load_state_dict(encoder.state_dict())
    expect_close(loaded(loaded.inputs(groups)).words, encoder(encoder.inputs(groups)).words, "before and after loading")


def input_warnings(component: Component) -> None:
    """Count the words that are truncated or replaced; counts of examples add up."""
    encoder, long_word = build(component), "x" * 90
    unusual = Document([Example(["in", "\u200b", long_word]), Example([long_word])])
    for ordinary in (Document([]), Document([Example(["in", "the"])])):
        expect(not encoder.input_warnings(ordinary), f"expected no warning, found {encoder.input_warnings(ordinary)}")
    counts = encoder.input_warnings(unusual)
    expect(all(reason and type(count) is int for reason, count in counts.items()), f"expected counts, found {counts}")
    doubled = encoder.input_warnings(Document([*unusual.examples, *unusual.examples]))
    expect(
        doubled == {reason: 2 * count for reason, count in counts.items()}, f"expected twice {counts}, found {doubled}"
    )


def complete_gradients(component: Component) -> None:
    """Pass a gradient to every layer and every trainable parameter."""
    encoder = build(component).train()
    generators = [np.random.default_rng(position) for position in range(len(SENTENCES))]
    encoding = encoder(encoder.inputs(_groups(document().examples), generators))
    (encoding.words.square().sum() + (0 if encoding.pooled is None else encoding.pooled.sum())).backward()
    layers = encoder.layers()
    expect(layers, "expected layers for freezing and for learning rates by depth, found none")
    for number, layer in enumerate(layers):
        has_gradient = any(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
        expect(has_gradient, f"expected a gradient in layer {number}")
    without_gradient = [name for name, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    expect(not without_gradient, f"expected gradients of all parameters, found none of {', '.join(without_gradient)}")


def whole_model(component: Component) -> None:
    """Annotate alike in a whole model: alone, in batches, in any order, saved and loaded."""
    for scope in ("sentence", "document"):
        models.check(models.configure(encoder=component.config, scope=scope))


CHECKS: tuple[Check, ...] = (
    described_configuration,
    result_shapes,
    complete_plan,
    any_groups,
    batch_independence,
    determinism,
    complete_gradients,
    faithful_reload,
    input_warnings,
    whole_model,
)
