"""Imports go down a ladder only, parts do not know each other, and nothing is unpickled."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "ner"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
PARTS = ("formats", "encoders", "context", "decoders", "metrics")

# Each step may import from the steps before it; files on one step only when they are listed as steps of their own.
LADDER = [
    ["ner.types", "ner.kernels.chain", "ner.kernels.lanes", "ner.kernels.recurrent"],
    ["ner.kernels.crf_plain"],
    ["ner.kernels.crf_cpu", "ner.kernels.crf_cuda"],
    ["ner.kernels.crf"],
    ["ner.runtime", "ner.files", "ner.cli", "ner.distributed", "ner.fonts", "ner.memory", "ner.text"],
    ["ner.events", "ner.store", "ner.pretrained"],
    ["ner.cache", "ner.tags", "ner.windows", "ner.vectors", "ner.report", "ner.tensorboard"],
    ["ner.vocab", "ner.units", "ner.questions", "ner.rows"],
    ["ner.decoder"],
    ["ner.contracts", "ner.tagging", "ner.answers"],
    ["ner.training_config"],
    ["ner.config"],
    ["ner.config_file", "ner.fit"],
    ["ner.run_files"],
    ["ner.card"],
    [f"ner.{folder}" for folder in PARTS],
    ["ner.batching"],
    ["ner.model"],
    ["ner.predict"],
    ["ner.optimize", "ner.overlap", "ner.regularize", "ner.warm"],
    ["ner.checkpoint"],
    ["ner.loader"],
    ["ner.corpus"],
    ["ner.learner"],
    ["ner.steering", "ner.training", "ner.scoring"],
    ["ner.batch_size"],
    ["ner.session"],
    ["ner.commands.train"],
    ["ner.commands"],
]
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
        if isinstance(node, ast.ImportFrom) and node.module in ("ner", "ner.kernels"):
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


@pytest.mark.parametrize("file", [f for f in FILES if f.startswith("kernels/") or f in ("runtime.py", "files.py")])
def test_the_bottom_knows_the_types_alone(file: str) -> None:
    assert all(module == "ner.types" or module.startswith("ner.kernels.") for module in imports(PACKAGE / file))


@pytest.mark.parametrize("folder", [*PARTS, "commands", "kernels"])
def test_the_packages_of_parts_are_empty(folder: str) -> None:
    assert not (PACKAGE / folder / "__init__.py").read_text()


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
