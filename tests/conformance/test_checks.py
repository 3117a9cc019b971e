"""Each check fails for a component without the property."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from ner.config.base import FOLDERS
from ner.config.parts import load_component
from ner.conformance.component import Component, random_encoding, run
from ner.types import Encoding


def problems(component: Component) -> dict[str, str]:
    """Return the problems of a component by the name of the check."""
    checks = importlib.import_module(f"ner.conformance.{component.folder}").CHECKS
    results = run(component, checks)
    return {check.__name__: result.problem for check, result in zip(checks, results, strict=True) if result.problem}


class Layer(nn.Module):
    """A linear layer as a context layer, with a function that changes its words."""

    def __init__(self, width: int, change: Callable[[torch.Tensor, Encoding], torch.Tensor]) -> None:
        super().__init__()
        self.linear, self.width, self.change = nn.Linear(width, width), width, change

    def forward(self, encoding: Encoding) -> Encoding:
        words = self.linear(encoding.words) * encoding.mask.unsqueeze(-1)
        return Encoding(self.change(words, encoding), encoding.mask, None, encoding.question_mask)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (lambda words, _: words, set()),
        (lambda words, _: words[..., :-1], {"result_shapes"}),
        (lambda words, _: words + 1, {"zeros_at_padding"}),
        (lambda words, encoding: words + words.sum(1, keepdim=True) * encoding.mask.unsqueeze(-1), set()),
        (
            lambda words, encoding: words + words.sum(0, keepdim=True) * encoding.mask.unsqueeze(-1),
            {"batch_independence"},
        ),
        (lambda words, encoding: words / max(1, words.shape[1]), {"batch_independence", "whole_model"}),
        (
            lambda words, _: words * torch.rand(()),
            {"batch_independence", "determinism", "faithful_reload", "whole_model"},
        ),
        (lambda words, _: words.detach() + 0 * words.sum().detach(), {"complete_gradients"}),
    ],
)
def test_a_context_layer_without_a_property_is_found(
    monkeypatch: pytest.MonkeyPatch, change: Callable[..., torch.Tensor], failed: set[str]
) -> None:
    module = load_component("context", "bilstm")
    monkeypatch.setattr(module, "build", lambda config, width: Layer(width, change))
    found = problems(Component.parse("context", "bilstm", {}))
    assert failed <= found.keys()
    assert bool(failed) == bool(found)


def changed(monkeypatch: pytest.MonkeyPatch, folder: str, name: str, method: str, function: Any) -> dict[str, str]:
    """Return the problems of a component whose built module has another method."""
    component = Component.parse(folder, name, {"dimension": 4} if folder == "encoders" else {})
    kind = type(importlib.import_module(f"ner.conformance.{folder}").build(component))
    with monkeypatch.context() as patch:
        patch.setattr(kind, method, function(getattr(kind, method)))
        return problems(component)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "function", "failed"),
    [
        ("plan", lambda old: lambda self, document, limit: old(self, document, limit)[::-1], "complete_plan"),
        ("layers", lambda old: lambda self: [], "complete_gradients"),
        ("asset_files", lambda old: lambda self: {}, "faithful_reload"),
        ("input_warnings", lambda old: lambda self, document: Counter({"words": 1}), "input_warnings"),
        (
            "forward",
            lambda old: lambda self, inputs: replace(old(self, inputs), words=old(self, inputs).words + 1),
            "result_shapes",
        ),
    ],
)
def test_an_encoder_without_a_property_is_found(
    monkeypatch: pytest.MonkeyPatch, method: str, function: Any, failed: str
) -> None:
    assert failed in changed(monkeypatch, "encoders", "embedding", method, function)


@pytest.mark.parametrize(
    ("method", "function", "failed"),
    [
        ("targets", lambda old: lambda self, examples: (old(self, examples)[0], {}), "finite_losses"),
        (
            "loss",
            lambda old: lambda self, *arguments: {k: v + 1 for k, v in old(self, *arguments).items()},
            "additive_losses",
        ),
        (
            "loss",
            lambda old: (
                lambda self, *arguments: {k: v.detach().requires_grad_() for k, v in old(self, *arguments).items()}
            ),
            "complete_gradients",
        ),
        ("annotations", lambda old: lambda self, *arguments: old(self, *arguments)[:-1], "result_shapes"),
    ],
)
def test_a_decoder_without_a_property_is_found(
    monkeypatch: pytest.MonkeyPatch, method: str, function: Any, failed: str
) -> None:
    assert failed in changed(monkeypatch, "decoders", "softmax", method, function)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "name", "attribute", "value", "failed"),
    [
        ("formats", "conll", "STORES", {"tags"}, {"declarations"}),
        ("formats", "conll", "read", lambda *_, **__: iter(()), {"round_trip"}),
        ("formats", "conll", "write", lambda path, *_: Path(path).write_text("a O"), {"complete_files", "round_trip"}),
        ("metrics", "entity", "REQUIRES", frozenset({"spans"}), {"declarations"}),
        ("metrics", "entity", "count", lambda *_: Counter({"gold": 0.5}), {"integer_counts", "finite_empty_scores"}),
        ("metrics", "entity", "scores", lambda counts: {"f1": float("nan")}, {"positive_perfect_score"}),
        ("metrics", "entity", "lines", lambda scores: [1.0], {"text_lines"}),
        ("decoders", "softmax", "OUTPUTS", frozenset({"labels"}), {"declared_outputs"}),
    ],
)
def test_a_module_without_a_property_is_found(
    monkeypatch: pytest.MonkeyPatch, folder: str, name: str, attribute: str, value: Any, failed: set[str]
) -> None:
    monkeypatch.setattr(load_component(folder, name), attribute, value)
    assert failed <= problems(Component.parse(folder, name, {})).keys()


def test_an_exception_is_a_problem_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(config: Any, width: int) -> Any:
        raise RuntimeError("no\nlayer")

    monkeypatch.setattr(load_component("context", "bilstm"), "build", build)
    found = problems(Component.parse("context", "bilstm", {}))
    assert found.keys() >= {"result_shapes", "zeros_at_padding", "whole_model"}
    assert found["result_shapes"].startswith("RuntimeError: no (test_checks.py:")


def test_every_kind_of_component_has_checks_with_different_names() -> None:
    for folder in FOLDERS.keys() - {"callbacks"}:
        module: ModuleType = importlib.import_module(f"ner.conformance.{folder}")
        names = [check.__name__ for check in module.CHECKS]
        assert len(names) == len({*names}) >= 4
    assert random_encoding([1, 3]).mask.tolist() == [[True, False, False], [True] * 3]
