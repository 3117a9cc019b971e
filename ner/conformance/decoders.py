"""Checks of decoders that do not run the encoder themselves."""

from __future__ import annotations

from typing import Any

import torch

from ner.config.parts import component_names, load_component
from ner.conformance import models
from ner.conformance.component import (
    WIDTH,
    Check,
    Component,
    document,
    expect,
    random_encoding,
    vocabs,
)
from ner.conformance.configuration import described_configuration
from ner.contracts import Decoder
from ner.data import tasks
from ner.types import Encoding, Example


def build(component: Component) -> Any:
    """Build the decoder."""
    return component.module.build(component.config, WIDTH, vocabs())


def _inputs(count: int = 4) -> tuple[list[Example], Encoding]:
    examples = document().examples[:count]
    return examples, random_encoding([len(example.words) for example in examples])


def declared_outputs(component: Component) -> None:
    """Predict the outputs that it declares, with formats and metrics that support them."""
    declared = component.module.OUTPUTS
    expect(isinstance(declared, frozenset) and declared, f"expected a frozenset OUTPUTS, found {declared!r}")
    expect(declared <= {*tasks.OUTPUTS}, f"expected outputs of {sorted(tasks.OUTPUTS)}, found {sorted(declared)}")
    expect(
        tasks.compatible_formats(tasks.decoder_outputs(component.name)),
        "expected a format that can store the outputs, found none",
    )
    for kind in declared:
        required = [load_component("metrics", name).REQUIRES for name in component_names("metrics")]
        expect(any(kind in kinds for kinds in required), f"expected a metric for {kind}, found none")
    decoder, encoding = build(component).eval(), random_encoding([3])
    (annotation,) = decoder.decode(decoder(encoding), encoding.mask)
    expect(("answers" in declared) == bool(annotation.answers), f"expected {sorted(declared)}, found {annotation}")
    if "answers" not in declared:  # an answer has a kind, which is its label, and a place, which is a span
        expect(
            ("tags" in declared) == (annotation.tags is not None), f"expected {sorted(declared)}, found {annotation}"
        )
        expect(("labels" in declared) == bool(annotation.labels), f"expected {sorted(declared)}, found {annotation}")
    if "labels" in declared:
        single = any(isinstance(part, Decoder) and part.single_label for part in decoder.modules())
        expect(single, "expected single_label=True: the decoder predicts one label per example")


def finite_losses(component: Component) -> None:
    """Return for each loss a finite number and a count of words or examples."""
    decoder = build(component)
    examples, encoding = _inputs()
    targets, counts = decoder.targets(examples)
    losses = decoder.loss(decoder(encoding), targets, encoding.mask)
    expect(losses.keys() == counts.keys(), f"expected a count for each loss, found {[*losses]} and {[*counts]}")
    expect(all(isinstance(count, int) for count in counts.values()), f"expected integers as counts, found {counts}")
    for name, loss in losses.items():
        expect(loss.shape == () and torch.isfinite(loss), f"expected a finite number as the loss {name}, found {loss}")


def complete_gradients(component: Component) -> None:
    """Pass a gradient to every parameter and to the input."""
    decoder = build(component)
    examples, encoding = _inputs()
    encoding.words.requires_grad_()
    losses = decoder.loss(decoder(encoding), decoder.targets(examples)[0], encoding.mask)
    sum(losses.values()).backward()
    without_gradient = [name for name, parameter in decoder.named_parameters() if parameter.grad is None]
    expect(not without_gradient, f"expected gradients of all parameters, found none of {', '.join(without_gradient)}")
    expect(encoding.words.grad is not None, "expected a gradient of the input")


def result_shapes(component: Component) -> None:
    """Return one annotation per example, with one tag per word and spans inside the example."""
    decoder = build(component).eval()
    examples, encoding = _inputs()
    with torch.no_grad():
        annotations = decoder.decode(decoder(encoding), encoding.mask, probabilities=True)
    expect(len(annotations) == len(examples), f"expected {len(examples)} annotations, found {len(annotations)}")
    for example, annotation in zip(examples, annotations, strict=True):
        words = len(example.words)
        if annotation.tags is not None:
            expect(len(annotation.tags) == words, f"expected {words} tags, found {len(annotation.tags)}")
        for span in annotation.spans:
            expect(0 <= span.start < span.end <= words, f"expected spans of {words} words, found {span}")
            expect(span.score is None or 0 <= span.score <= 1, f"expected a probability, found {span.score}")


def additive_losses(component: Component) -> None:
    """Return as the loss of a batch the sum over its examples, independent of padding."""
    decoder = build(component).eval()
    examples, encoding = _inputs(3)
    scores = decoder(encoding)
    batch_losses = decoder.loss(scores, decoder.targets(examples)[0], encoding.mask)
    sums = dict.fromkeys(batch_losses, 0.0)
    for row, example in enumerate(examples):
        example_scores = {key: tensor[row : row + 1] for key, tensor in scores.items()}
        padded, _ = decoder.targets([example, examples[-1]])
        gold = {key: tensor[:1] for key, tensor in padded.items()}
        for key, loss in decoder.loss(example_scores, gold, encoding.mask[row : row + 1]).items():
            sums[key] += loss.item()
    for key, loss in batch_losses.items():
        is_close = abs(loss.item() - sums[key]) <= 1e-4 * abs(sums[key]) + 1e-12
        expect(is_close, f"expected {sums[key]:.6g} as the loss {key}, found {loss.item():.6g}")


def determinism(component: Component) -> None:
    """Return the same annotations for the same vectors."""
    decoder = build(component).eval()
    _, encoding = _inputs()
    with torch.no_grad():
        first, second = (decoder.decode(decoder(encoding), encoding.mask, True) for _ in range(2))
    expect(first == second, "expected equal annotations of two passes")


def faithful_reload(component: Component) -> None:
    """Return the same annotations after weights are loaded into a new decoder."""
    decoder, loaded = build(component).eval(), build(component).eval()
    loaded.load_state_dict(decoder.state_dict())
    _, encoding = _inputs()
    with torch.no_grad():
        first, second = (instance.decode(instance(encoding), encoding.mask, True) for instance in (decoder, loaded))
    expect(first == second, "expected equal annotations before and after loading")


def whole_model(component: Component) -> None:
    """Annotate alike in a whole model: alone, in batches, in any order, saved and loaded."""
    for scope in ("sentence", "document"):
        models.check(models.configure(decoder=component.config, scope=scope))


CHECKS: tuple[Check, ...] = (
    described_configuration,
    declared_outputs,
    finite_losses,
    complete_gradients,
    result_shapes,
    additive_losses,
    determinism,
    faithful_reload,
    whole_model,
)
