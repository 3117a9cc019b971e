"""A tagger without errors on its words, and its run directory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ner.inference.tagger import Tagger
from ner.model import saving
from ner.training import loop
from tests.builders import CPU, documents, fresh, settings


def perfect(directory: Path | None = None) -> Tagger:
    """Return a tagger of the entities in ``tests.builders.documents``, and save its run on request."""
    torch.manual_seed(0)
    config = settings(encoder__dropout=0.0, encoder__word_dropout=0.0, context__dropout=0.0, training__epochs=20)
    state, data = fresh(config)
    for _ in loop.train(state, data, documents(), config.metrics, CPU):
        pass
    if directory is not None:
        saving.save(state.model, config, directory)
    return Tagger(state.model.eval(), config, "cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("run")
    perfect(directory)
    return str(directory)
