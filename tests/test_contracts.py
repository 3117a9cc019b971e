"""Checks of every component file against its interface in ner.contracts, with ner.conformance."""

from __future__ import annotations

import ast
import importlib
from typing import Any

import pytest
import torch

from ner import contracts
from ner.config import plugins
from ner.config.base import FOLDERS
from ner.config.parts import component_names, load_component, parse_component, validate
from ner.config.schema import RunConfig
from ner.conformance import encoders, models
from ner.conformance.component import SENTENCES, Check, Component, document, run, title
from ner.data import tasks
from ner.types import Document, Example
from tests.builders import build, settings_of
from tests.conftest import ROOT

GENERATIVE = [name for name in component_names("decoders") if load_component("decoders", name).Config.runs_encoder]
DECODERS = [name for name in component_names("decoders") if name not in GENERATIVE]
KINDS = [folder for folder in FOLDERS if folder != "callbacks"]
CHECKS = {folder: importlib.import_module(f"ner.conformance.{folder}").CHECKS for folder in KINDS}


def component(folder: str, name: str, bert: str) -> Component:
    return Component.parse(folder, name, settings_of(folder, name, bert))


def configured(folder: str, name: str, bert: str) -> Any:
    return parse_component(folder, {"name": name, **settings_of(folder, name, bert)})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "name", "check"),
    [
        pytest.param(folder, name, check, id=f"{folder}-{name}-{check.__name__}")
        for folder, checks in CHECKS.items()
        for name in component_names(folder)
        for check in (checks[:1] if name in GENERATIVE else checks)
    ],
)
def test_a_component_has_the_properties_of_its_kind(folder: str, name: str, check: Check, tiny_bert: str) -> None:
    (result,) = run(component(folder, name, tiny_bert), [check])
    assert result.problem is None
    assert result.property == title(check)


@pytest.mark.parametrize("name", component_names("encoders"))
def test_an_encoder_reports_words_without_pieces_and_long_words(name: str, tiny_bert: str) -> None:
    encoder = encoders.build(component("encoders", name, tiny_bert))
    long = "x" * 90
    found = encoder.input_warnings(Document([Example(["in", "\u200b", long]), Example([long])]))
    uses_pieces = any("tokenizer" in name for name in encoder.asset_files())
    assert sorted(found.values()) == ([1, 2] if uses_pieces else [])  # a word without a piece, a long one twice


def test_outputs_have_the_same_names_in_decoders_formats_and_metrics() -> None:
    assert {*tasks.OUTPUTS} == {"tags", "labels", "answers"}
    for folder, attribute in (("decoders", "OUTPUTS"), ("formats", "STORES"), ("metrics", "REQUIRES")):
        for name in component_names(folder):
            found = getattr(load_component(folder, name), attribute)
            assert isinstance(found, frozenset)
            assert found
            assert found <= {*tasks.OUTPUTS}


@pytest.mark.slow
def test_formats_are_used_by_the_names_of_their_contract_only() -> None:
    names = {*contracts.Format.__annotations__, *vars(contracts.Format)}
    assert {*plugins.REQUIRED["formats"], *plugins.OPTIONAL["formats"]} == {n for n in names if not n.startswith("_")}
    for name, default in plugins.OPTIONAL["formats"].items():
        promised = getattr(contracts.Format, name)
        assert (promised({}) == default({})) if callable(default) else (promised == default)
    used = set()
    for path in (ROOT / "ner").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in (
                "format_module",
                "self.format_module",
                "load_component('formats', name)",
            ):
                used.add(node.attr)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("hasattr", "getattr"):
                asked = ast.unparse(node.args[0])
                assert not asked.startswith(
                    ("format_module", "self.format_module", "load_component", "component.module")
                ), path
    assert used - {"Config"} <= names
    assert {"read", "write", "export", "forbidden_characters", "output_extension", "STORES"} <= used


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATIVE)
def test_a_decoder_that_runs_the_encoder_reads_plans_and_learns_as_the_two_together(name: str, tiny_bert: str) -> None:
    source = document()
    for number, example in enumerate(source.examples):
        example.answers = ["in Berlin"] if number else []
    raw = {
        "data": {"train": "a", "valid": "a"},
        "encoder": configured("encoders", "transformer", tiny_bert),
        "decoder": configured("decoders", name, tiny_bert),
        "windows": {"max_length": 24},
    }
    model = build(validate(RunConfig, raw), [source])
    assert model.input_maker is model.decoder
    assert not [key for key in model.state_dict() if key.startswith("decoder.") and "encoder" in key]
    groups = model.input_maker.plan(source, None)
    assert [p for start, stop, _ in groups for p in range(start, stop)] == list(range(len(SENTENCES)))
    assert all(isinstance(number, int) for group in groups for number in group)
    assert all(count > 0 for count in model.input_maker.input_warnings(source).values())
    batch = model.batch([source.examples[start:stop] for start, stop, _ in groups])
    assert batch.inputs["mask"].sum(1).tolist() == [len(words) for words in SENTENCES]
    losses, scores = model.train()(batch)
    assert losses.keys() == batch.counts.keys()
    assert all(isinstance(count, int) for count in batch.counts.values())
    assert all(len(tensor) == len(SENTENCES) for tensor in scores.values())
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    detached = {key: tensor.detach() for key, tensor in scores.items()}
    assert model.decoder.decode(detached, batch.inputs["mask"]) == []
    with torch.inference_mode():
        whole, scores = model.eval()(batch)
        together = model.decoder.decode(scores, batch.inputs["mask"])
        parts = dict.fromkeys(whole, 0.0)
        for example, annotation in zip(source.examples, together, strict=True):
            alone = model.batch([[example]])
            own, scores = model(alone)
            assert model.decoder.decode(scores, alone.inputs["mask"]) == [annotation]
            assert annotation.answers
            parts = {key: parts[key] + float(own[key]) for key in parts}
        for key, total in whole.items():
            assert float(total) == pytest.approx(parts[key], rel=1e-4)
        empty = model.batch([])
        assert model.decoder.decode(model(empty)[1], empty.inputs["mask"]) == []


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["sentence", "document"])
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("context", [None, *component_names("context")])
@pytest.mark.parametrize("encoder", component_names("encoders"))
def test_a_whole_model_answers_alike_alone_in_batches_and_shuffled(
    encoder: str, context: str | None, decoder: str, scope: str, tiny_bert: str
) -> None:
    parts = {"encoder": configured("encoders", encoder, tiny_bert), "decoder": decoder}
    parts["context"] = context and configured("context", context, tiny_bert)
    models.check(models.configure(scope, **parts), reload=False)
