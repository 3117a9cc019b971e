"""Packages import in one direction only, files of a package without cycles, and nothing is unpickled."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ner"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
MODULES = {f"ner/{file}".removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in FILES}

ORDER = [
    {"chinese", "highlight"},
    {"errors", "types"},
    {"runtime", "config"},
    {"data", "contracts"},
    {"runs"},
    {"model"},
    {"inference", "evaluation"},
    {"portable"},
    {"export"},
    {"training", "report"},
    {"conformance", "integrations", "service", "bulk"},
    {"commands"},
    {"api"},
]
"""Packages and modules below ``ner``. Each may import from the rows above it and from itself."""

SEPARATE = {"errors": {"types"}, "runtime": {"types", "config"}}
"""Imports that are forbidden although the order permits them, or that would start a cycle within a row."""

FORBIDDEN = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml"}


def package(module: str) -> str:
    return module.split(".")[1]


def level(module: str) -> int:
    return next(number for number, names in enumerate(ORDER) if package(module) in names)


def imports(file: str) -> set[str]:
    """Return the modules of the project that a file imports, without those under ``TYPE_CHECKING``."""
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    guarded = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
        for statement in branch.body
        for node in ast.walk(statement)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            for name in node.names:
                below = f"{node.module}.{name.name}"
                found.add(below if below in MODULES else node.module or "")
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {module for module in found if module.startswith("ner.")}


@pytest.mark.slow
@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("ner", "ner.__main__")])
def test_packages_import_in_one_direction(module: str) -> None:
    for other in imports(MODULES[module]):
        assert level(other) <= level(module), f"{module} imports {other}"
        assert level(other) < level(module) or package(other) == package(module), f"{module} imports {other}"
        assert package(other) not in SEPARATE.get(package(module), ()), f"{module} imports {other}"


def test_contributors_read_the_order_that_is_checked() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    order = text[text.index("`chinese`, `highlight` →") : text.index("`tests/test_imports.py` checks this order")]
    assert [set(re.findall("`([a-z]+)`", names)) for names in order.split("→")] == ORDER


@pytest.mark.slow
def test_files_import_each_other_without_cycles() -> None:
    graph = {module: imports(file) & MODULES.keys() for module, file in MODULES.items()}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert set(order) == set(MODULES)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("model/kernels/")])
def test_kernels_import_nothing_but_kernels(file: str) -> None:
    assert all(module.startswith("ner.model.kernels.") for module in imports(file))


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith("/__init__.py")])
def test_the_init_files_of_packages_are_empty(file: str) -> None:
    assert not (PACKAGE / file).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "forbidden"),
    [
        ("config", {"torch", "numpy", "transformers"}),
        ("runs", {"torch", "transformers"}),
        ("data", {"transformers"}),
    ],
)
def test_packages_do_not_import_what_they_must_not_need(name: str, forbidden: set[str]) -> None:
    for file in FILES:
        if file.startswith(f"{name}/"):
            for node in ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body:
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                    assert not forbidden & {module.split(".")[0] for module in names}, file


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
