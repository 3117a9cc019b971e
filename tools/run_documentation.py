"""Run the code blocks of the README and of the documentation: ``python tools/run_documentation.py [PAGE ...]``.

Blocks marked ``sh`` and ``python`` run in a temporary directory with the shipped configurations, the sample data, a
trained run ``runs/mine`` and column files ``my/train.txt``, ``my/dev.txt`` and ``my/test.txt``. The shell blocks of a
page run in their order, then its python blocks, which share their variables. A comment ``<!-- not run: REASON -->``
before a block excludes it. Trainings are shortened to one epoch, and some to the recipe ``tiny``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<language>sh|python)\n(?P<code>.*?)```", re.DOTALL)
SHORTER = (
    (re.compile(r"epochs=\d+"), "epochs=1"),
    (re.compile(r"--config (?:configs/)?(?:bert_crf|bilstm_crf)(?:\.yaml)?\b"), "--config tiny"),
    (re.compile(r"(?<=--config )(\S+)"), r"\1 training.epochs=1"),
    (re.compile(r"""ner\.train\(\s*["'](?:bert_crf|bilstm_crf|chinese)["']"""), 'ner.train("tiny"'),
    (re.compile(r"\bpython (train|evaluate)\.py"), rf"{sys.executable} \1.py"),
    (re.compile(r"(?m)(^|[|;&] ?)ner "), rf"\1{sys.executable} -m ner "),
)
"""Replacements that shorten a training, and that run the commands in this environment."""


EXCLUDED = {"model-card.md", "README.zh.md"}
"""The model card of a run that is not part of the project, and a translation, which has the code of the original."""


class Block(NamedTuple):
    """A code block of a page."""

    line: int
    language: str
    code: str
    reason: str | None

    def shortened(self) -> str:
        """Return the code with shorter trainings."""
        code = self.code
        for pattern, replacement in SHORTER:
            code = pattern.sub(replacement, code)
        return code


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, or the code cells of a notebook with their numbers."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return [Block(number, "python", f"{cell['source']}\n", None) for number, cell in enumerate(cells, 1)]
    return [
        Block(text.count("\n", 0, match.start()) + 1, match["language"], match["code"], match["reason"])
        for match in BLOCK.finditer(text)
    ]


def pages() -> list[Path]:
    """Return the pages with code blocks."""
    candidates = [
        *sorted(ROOT.glob("README*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *ROOT.glob("examples/*.ipynb"),
    ]
    return [page for page in candidates if blocks(page) and page.name not in EXCLUDED]


def prepare(folder: Path) -> None:
    """Create the working directory of the blocks."""
    for name in ("configs", "data", "train.py", "evaluate.py"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "my").mkdir()
    for name, split in (("train", "train"), ("dev", "valid"), ("test", "test")):
        shutil.copy(ROOT / "data" / "sample" / "en" / f"{split}.conll", folder / "my" / f"{name}.txt")
    (folder / "report.txt").write_text(
        "Colby flew from Paris to St. Louis.\nShe met Ada Brown there.\n", encoding="utf-8"
    )
    command = [
        sys.executable,
        "-m",
        "ner",
        "train",
        "--config",
        "configs/tiny.yaml",
        "--run",
        "runs/mine",
        "training.epochs=2",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment())


def environment() -> dict[str, str]:
    """Return the environment of the blocks."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(page: Path, template: Path) -> list[str]:
    """Run the blocks of a page in a copy of a working directory; return a message for each failure."""
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(template, folder, symlinks=True, dirs_exist_ok=True)
        chosen = []
        for block in blocks(page):
            if block.reason:
                print(f"{page.relative_to(ROOT)}:{block.line}: not run: {block.reason}")
            else:
                chosen.append(block)
        python = [block for block in chosen if block.language == "python"]
        steps = [
            ([block.line], ["bash", "-euo", "pipefail", "-c", block.shortened()])
            for block in chosen
            if block not in python
        ]
        if python:
            code = "".join(
                f"exec(compile({block.shortened()!r}, 'line {block.line}', 'exec'), globals())\n" for block in python
            )
            steps.append(([block.line for block in python], [sys.executable, "-c", code]))
        for lines, command in steps:
            place = f"{page.relative_to(ROOT)}:{','.join(map(str, lines))}"
            start = time.perf_counter()
            result = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
            print(f"{place}: {'failed' if result.returncode else 'passed'} in {time.perf_counter() - start:.1f} s")
            if result.returncode:
                failures.append(f"{place}\n{command[-1]}\n{result.stdout[-1500:]}{result.stderr[-3000:]}")
    return failures


def main() -> int:
    """Run the blocks of the named pages, or of all pages; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path)
    arguments = parser.parse_args()
    chosen = [page.resolve() for page in arguments.pages] or pages()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        failures = [failure for page in chosen for failure in run(page, Path(folder))]
    print("\n\n".join(failures))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
