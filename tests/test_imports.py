"""Imports go down a ladder only, parts do not know each other, and nothing is unpickled."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "ner"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
PARTS = ("data/formats", "model/encoders", "model/context", "model/decoders", "evaluation/metrics")
PACKAGES = {
    "ner",
    *(f"ner.{path.parent.relative_to(PACKAGE)}".replace("/", ".") for path in PACKAGE.rglob("*/__init__.py")),
}

# Each step may import from the steps before it; files on one step only when they are listed as steps of their own.
LADDER = [
    ["ner.config.base", "ner.types", "ner.errors", "ner.model.kernels.chain", "ner.model.kernels.simd", "ner.model.lstm"],
    ["ner.model.kernels.crf_torch"],
    ["ner.model.kernels.crf_numba", "ner.model.kernels.crf_triton"],
    ["ner.model.kernels.crf"],
    [
        "ner.runtime.device",
        "ner.runtime.text_files",
        "ner.runtime.cli",
        "ner.runtime.distributed",
        "ner.runs.fonts",
        "ner.model.prefix_attention",
        "ner.data.words",
    ],
    ["ner.runs.events", "ner.data.store.reader", "ner.model.pretrained"],
    [
        "ner.data.store.cache",
        "ner.data.tags",
        "ner.model.windows",
        "ner.data.word_vectors",
        "ner.runs.plot",
        "ner.commands._tensorboard",
    ],
    ["ner.data.vocab", "ner.model.units", "ner.data.question_answering"],
    ["ner.model.decoder"],
    ["ner.contracts", "ner.model.tag_decoder", "ner.data.question_answering"],
    ["ner.config.training", "ner.config.parts"],
    ["ner.config.schema"],
    ["ner.config.load", "ner.data.tasks"],
    ["ner.runs.record"],
    ["ner.runs.model_card"],
    [f"ner.{folder.replace('/', '.')}" for folder in PARTS],
    ["ner.data.batching"],
    ["ner.model.model"],
    ["ner.inference.annotate"],
    ["ner.training.optimizer", "ner.data.seen", "ner.training.regularization", "ner.training.warm_start"],
    ["ner.training.checkpoint"],
    ["ner.training.loader"],
    ["ner.training.corpus"],
    ["ner.training.step"],
    ["ner.training.control", "ner.training.loop", "ner.evaluation.evaluator"],
    ["ner.training.batch_size"],
    ["ner.training.run"],
    ["ner.commands.train"],
    ["ner.commands"],
]
BOTTOM = ("runtime/device.py", "runtime/text_files.py", "model/lstm.py")
FORBIDDEN = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml"}


def step(module: str) -> int:
    return next(
        i for i, names in enumerate(LADDER) for name in names if module == name or module.startswith(f"{name}.")
    )


def module_of(file: str) -> str:
    return "ner." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: Path) -> list[str]:
    """Modules of ours that a file imports, those for type checkers only left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.ImportFrom) and node.module in PACKAGES:
            found += [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ner."):
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.startswith("ner.")]
    return found


@pytest.mark.parametrize("file", [file for file in FILES if file not in ("__init__.py", "__main__.py")])
def test_imports_go_down_the_ladder(file: str) -> None:
    here = module_of(file)
    for module in imports(PACKAGE / file):
        assert step(module) < step(here), f"{here} imports {module}"


@pytest.mark.parametrize("file", [f for f in FILES if f.startswith("model/kernels/") or f in BOTTOM])
def test_the_bottom_knows_the_types_alone(file: str) -> None:
    assert all(module in ("ner.types", "ner.errors") or module.startswith("ner.model.kernels.") for module in imports(PACKAGE / file))


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith("/__init__.py")])
def test_the_packages_of_rooms_are_empty(file: str) -> None:
    assert not (PACKAGE / file).read_text()


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_unpickled_or_evaluated(file: str) -> None:
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            assert not FORBIDDEN & {name.split(".")[0] for name in names}
            assert names[0] != "torch" or not {"load", "save"} & {name.name for name in node.names}
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "torch.load", "torch.save", "compile", "__import__")
            for keyword in node.keywords:
                if keyword.arg in ("allow_pickle", "trust_remote_code"):
                    assert ast.unparse(keyword.value) == "False"
