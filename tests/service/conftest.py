from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from ner.model.saving import save
from tests.builders import build, documents, settings

collect_ignore_glob = [] if all(find_spec(name) for name in ("starlette", "uvicorn", "prometheus_client")) else ["*"]


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands set up the log of the process; afterwards it is as it was."""
    from loguru import logger

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    yield
    logger.remove()


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a BiLSTM-CRF with random weights."""
    folder = tmp_path_factory.mktemp("service")
    config = settings(decoder={"name": "crf", "scheme": "bioes"}, data={"train": "a", "word_split": "punctuation"})
    save(build(config, documents()).eval(), config, folder / "run")
    return folder / "run"


@pytest.fixture(scope="session")
def export_directory(run_directory: Path) -> Path:
    """The export of that run."""
    pytest.importorskip("onnx")
    from ner.export.export import export

    export(run_directory, run_directory.parent / "export")
    return run_directory.parent / "export"
