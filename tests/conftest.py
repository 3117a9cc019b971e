"""What all tests share: one thread, no network, and a tiny BERT with random weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported, by whatever test comes first

from hypothesis import settings

from ner.data.store import Store, open_store, write
from tests.builders import sentences

torch.set_num_threads(1)
settings.register_profile("ner", deadline=None)  # a busy machine is no failure
settings.load_profile("ner")

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "data" / "sample"
SLOW = {
    "test_api.py",
    "commands/test_init.py",
    "training/test_checkpoint.py",
    "model/decoders/test_unilm.py",
    "model/kernels/test_crf_triton.py",  # in an interpreter
    "model/kernels/test_simd.py",  # compiles for other processors
}
"""Files of unit tests that take minutes."""
NEED_GPU = ("tests.end_to_end.test_gpu", "tests.model.kernels.test_crf_triton")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="run long tests, and those that repeat others with further settings"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tiers: tests that take minutes, and tests that start several processes. The longest files come first."""
    for item in items:
        path = item.path.relative_to(ROOT / "tests").as_posix()
        if path == "end_to_end/test_distributed.py" or path.startswith("reliability/"):
            item.add_marker("processes")
        elif path.startswith("end_to_end/") or path in SLOW:
            item.add_marker("training")
    if not config.getoption("--thorough"):
        repeated = [item for item in items if item.get_closest_marker("thorough")]
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=repeated)
    items.sort(key=lambda item: [not item.get_closest_marker(name) for name in ("processes", "training", "slow")])


@pytest.fixture(autouse=True, scope="module")
def on_the_cpu(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests compute on the CPU, where equal numbers are promised; those of ``NEED_GPU`` on a GPU if there is one."""
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__ not in NEED_GPU:
            patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Directory of a two-layer BERT with random weights and a vocabulary of letters and a few words."""
    from tests.builders import make_bert

    return make_bert(tmp_path_factory.mktemp("tiny_bert"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of ``configs/tiny.yaml``, two epochs."""
    from ner.commands import train

    run = tmp_path_factory.mktemp("runs") / "tiny"
    files = [f"data.{split}={SAMPLE / 'en' / 'valid.conll'}" for split in ("train", "valid", "test")]
    assert (
        train.main(
            ["--config", str(ROOT / "configs/tiny.yaml"), "--run", str(run), "training.epochs=2", "device=cpu", *files]
        )
        == 0
    )
    return run


@pytest.fixture
def saved(tmp_path: Path) -> Store:
    """A store of two documents in ``store``."""
    write(sentences(), tmp_path / "store")
    return open_store(tmp_path / "store")
