"""Each configuration that is shipped loads and trains a step, with a tiny encoder where it names a pretrained one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ner import loader, training
from ner.config import component
from ner.config_file import load_config
from ner.model import build
from ner.predict import annotate
from tests.conftest import ROOT, SAMPLE

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT / "configs")))
def test_a_shipped_configuration_trains_a_step(path: Path, tiny_bert: str) -> None:
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
    if config.windows.max_length is not None:
        small.append("windows.max_length=64")
    config, notes = load_config(path, small)
    assert not notes
    form = component("formats", config.data.format.name)
    language = "zh" if config.data.words == "characters" else "en"
    source = str(SAMPLE / ("intent/valid" if config.data.format.name == "parallel" else f"{language}/valid.conll"))
    documents = list(form.read(source, config.data.format, config.data.words))
    documents = documents[: 30 if len(documents) > 30 else 3]  # sentences or whole documents
    model = build(config, documents)
    cpu = torch.device("cpu")
    data = loader.Data(model, documents, config.batch, config.seed)
    state = training.begin(model, config.training, config.batch, config.metrics, cpu)
    steps = training.train(state, data, documents, config.metrics, cpu)
    assert next(iter(steps)).loss > 0
    (chunk,) = annotate(model, documents, config.batch, torch.device("cpu"))
    for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
        assert [e.words for e in gold.examples] == [e.words for e in predicted.examples]
        assert all(len(example.tags or []) == len(example.words) for example in predicted.examples)
