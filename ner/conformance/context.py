"""Checks of context layers."""

from __future__ import annotations

from typing import Any

import torch

from ner.conformance import models
from ner.conformance.component import (
    WIDTH,
    Check,
    Component,
    expect,
    expect_close,
    random_encoding,
)
from ner.conformance.configuration import described_configuration
from ner.types import Encoding


def build(component: Component) -> Any:
    """Build the layer in evaluation mode."""
    return component.module.build(component.config, WIDTH).eval()


def result_shapes(component: Component) -> None:
    """Return words (S, W, width) and the same mask, also without words and without examples."""
    layer, encoding = build(component), random_encoding([3, 0, 5])
    result = layer(encoding)
    expected = (3, 5, layer.width)
    expect(result.words.shape == expected, f"expected words {expected}, found {tuple(result.words.shape)}")
    expect(result.mask is encoding.mask, "expected the mask of the input")
    for shape in ((0, 0), (2, 0)):
        words = layer(Encoding(torch.zeros(*shape, WIDTH), torch.zeros(shape, dtype=torch.bool))).words
        expect(words.shape == (*shape, layer.width), f"expected words {(*shape, layer.width)}, found {words.shape}")


def zeros_at_padding(component: Component) -> None:
    """Return zeros at padding."""
    result = build(component)(random_encoding([3, 0, 5]))
    expect((result.words[~result.mask] == 0).all(), "expected zeros where the mask is false")


def batch_independence(component: Component) -> None:
    """Return the same words for an example alone and with others."""
    layer, encoding = build(component), random_encoding([3, 0, 5])
    single = layer(Encoding(encoding.words[:1, :3], encoding.mask[:1, :3]))
    expect_close(layer(encoding).words[0, :3], single.words[0], "an example in a batch and alone")


def determinism(component: Component) -> None:
    """Depend on the random seed only, and in evaluation mode on nothing random."""
    encoding, results = random_encoding([3, 5]), []
    for _ in range(2):
        torch.manual_seed(1)
        layer = component.module.build(component.config, WIDTH)
        results.append([layer(encoding).words, layer.eval()(encoding).words, layer(encoding).words])
    expect(torch.equal(results[0][1], results[0][2]), "expected equal words of two passes in evaluation mode")
    is_equal = all(torch.equal(left, right) for left, right in zip(*results, strict=True))
    expect(is_equal, "expected equal words of two layers that are built with the same seed")


def complete_gradients(component: Component) -> None:
    """Pass a gradient to every parameter and to the input."""
    layer, encoding = build(component).train(), random_encoding([3, 0, 5])
    encoding.words.requires_grad_()
    layer(encoding).words.square().sum().backward()
    without_gradient = [name for name, parameter in layer.named_parameters() if parameter.grad is None]
    expect(not without_gradient, f"expected gradients of all parameters, found none of {', '.join(without_gradient)}")
    expect(encoding.words.grad is not None and encoding.words.grad.abs().sum() > 0, "expected a gradient of the input")


def faithful_reload(component: Component) -> None:
    """Return the same words after weights are loaded into a new layer."""
    layer, loaded, encoding = build(component), build(component), random_encoding([3, 5])
    loaded.load_state_dict(layer.state_dict())
    expect(torch.equal(loaded(encoding).words, layer(encoding).words), "expected equal words before and after loading")


def whole_model(component: Component) -> None:
    """Annotate alike in a whole model: alone, in batches, in any order, saved and loaded."""
    models.check(models.configure(context=component.config))


CHECKS: tuple[Check, ...] = (
    described_configuration,
    result_shapes,
    zeros_at_padding,
    batch_independence,
    determinism,
    complete_gradients,
    faithful_reload,
    whole_model,
)
