"""Each configuration that is shipped loads and trains a step, with a tiny encoder where it names a pretrained one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ner.config.load import load_config, read_raw
from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.inference.annotate import annotate
from ner.runtime.device import has_bf16
from ner.training import loader, loop
from ner.training.state import initial_state
from ner.types import Document
from tests.builders import build
from tests.conftest import ROOT, SAMPLE

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT / "configs")))
def test_the_files_of_a_configuration_are_bundled_or_explained(path: Path) -> None:
    """The page on data names folder and file of each corpus, and every format."""
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    config, _ = load_config(path)
    assert f"`data.format.name: {config.data.format.name}`" in page
    for name in filter(
        None, (config.data.train, config.data.valid, config.data.test, getattr(config.encoder, "vectors", None))
    ):
        source = Path(name)
        if (ROOT / source).exists():
            continue
        assert source.parts[0] == "data"
        if source.parts[1] == "vectors":
            assert f"`{name}`" in page
        else:
            assert f"| `{source.parts[1]}/` |" in page
            assert f"`{source.name}`" in page


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT / "configs")))
def test_a_shipped_configuration_does_not_depend_on_the_defaults_of_its_rates(path: Path) -> None:
    assert {"learning_rate", "schedule"} <= read_raw(path)["training"].keys()


def some_documents(config: RunConfig, folder: Path) -> list[Document]:
    """A few, of the bundled file that a configuration names, or made up in its format where users bring their own."""
    form = load_component("formats", config.data.format.name)
    options = config.data.format
    bundled = ROOT / config.data.train
    if config.data.valid and (ROOT / config.data.valid).exists():
        bundled = ROOT / config.data.valid
    if bundled.exists():
        source = str(bundled)
    elif options.name == "conll":
        source = str(SAMPLE / ("zh" if config.data.word_split == "characters" else "en") / "valid.conll")
        options = options.model_copy(update={"strip_position_digit": False})
    else:
        source = str(folder / "made")
        MADE[options.name](Path(source))
    documents = list(form.read(source, options, config.data.word_split))
    return documents[: 30 if len(documents) > 30 else 3]  # sentences or whole documents


def _lines(path: Path) -> None:
    value = {"text": "北京的人", "label": {"address": {"北京": [[0, 1]]}}}
    path.write_text(f"{json.dumps(value)}\n", encoding="utf-8")


def _questions(path: Path) -> None:
    answers = [{"text": "北京", "answer_start": 0}]
    questions = [{"id": "1", "question": "人在哪里？", "answers": answers}]
    value = {"data": [{"paragraphs": [{"id": "a", "context": "北京的人", "qas": questions}]}]}
    path.write_text(json.dumps(value), encoding="utf-8")


def _table(path: Path) -> None:
    path.write_text("label\ttext_a\n1\t北京的人\n0\t中国\n", encoding="utf-8")


def _requests(path: Path) -> None:
    path.mkdir()
    for name, text in {"seq.in": "to boston\nfares", "seq.out": "O B-city\nO", "label": "flight\nfare"}.items():
        (path / name).write_text(f"{text}\n", encoding="utf-8")


MADE: dict[str, Callable[[Path], None]] = {
    "jsonl": _lines,
    "slot_filling": _requests,
    "squad": _questions,
    "tsv": _table,
}
"""Format -> writes a file of it, for configurations whose data are not bundled."""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT / "configs")))
def test_a_shipped_configuration_trains_a_step(path: Path, tiny_bert: str, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# python train.py --config {path.relative_to(ROOT)}\n")
    config, _ = load_config(path)
    small = []
    if config.unit.name == "piece":
        small.append(f"unit.tokenizer={tiny_bert}")
    if config.encoder.name == "transformer":
        small.append(f"encoder.model={tiny_bert}")
    if config.encoder.name == "concat":
        small.append(f"encoder.transformer.model={tiny_bert}")
        if config.encoder.transformer.num_layers is not None:
            small.append("encoder.transformer.num_layers=1")
    if getattr(config.encoder, "vectors", None):
        vectors = tmp_path / "vectors.txt"
        vectors.write_text(f"的 {' '.join(['0.5'] * config.encoder.dimension)}\n", encoding="utf-8")
        small.append(f"encoder.vectors={vectors}")
    if config.windows.max_length is not None:
        small.append("windows.max_length=64")
    if config.training.precision == "bf16" and not has_bf16(torch.device("cpu")):
        small.append("training.precision=fp32")
    config, notes = load_config(path, small)
    assert not notes
    documents = some_documents(config, tmp_path)
    model = build(config, documents)
    cpu = torch.device("cpu")
    data = loader.TrainLoader(model, documents, config.batch, config.seed)
    state = initial_state(model, config.training, config.batch, config.metrics, cpu)
    steps = loop.train(state, data, documents, config.metrics, cpu)
    assert next(iter(steps)).loss > 0
    (chunk,) = annotate(model, documents, config.batch, torch.device("cpu"))
    for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
        assert [e.words for e in gold.examples] == [e.words for e in predicted.examples]
        for left, right in zip(gold.examples, predicted.examples, strict=True):
            assert left.tags is None or len(right.tags or []) == len(left.words)
            assert not left.labels or right.labels or "accuracy" not in config.metrics
            assert not left.answers or right.answers
