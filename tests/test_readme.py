"""What people read is what is run."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from ner.commands import evaluate, predict, train
from tests.conftest import ROOT
from tools import run_documentation

README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def shell_blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def test_ci_runs_the_two_commands_as_the_readme_prints_them() -> None:
    commands = [line for block in shell_blocks() for line in block.splitlines() if " && " in line]
    assert len(commands) == 2
    lines = [line.strip() for line in CI.splitlines()]
    for command in commands:
        assert any(line == command or line.startswith(f"{command} -") for line in lines), command


def test_every_file_that_the_readme_links_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_every_option_that_the_readme_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    helps = ""
    for command in (train, evaluate, predict):
        with pytest.raises(SystemExit):
            command.main(["--help"])
        helps += capsys.readouterr().out
    for option in set(re.findall(r"`(--[a-z]+)", README)):
        assert option in helps, option


def test_the_translation_has_the_code_of_the_readme() -> None:
    translation = (ROOT / "README.zh.md").read_text(encoding="utf-8")
    assert re.findall(r"```python\n(.*?)```", README, re.DOTALL) == re.findall(
        r"```python\n(.*?)```", translation, re.DOTALL
    )


def test_code_blocks_of_all_pages_can_be_parsed() -> None:
    count = 0
    for page in run_documentation.pages():
        for block in run_documentation.blocks(page):
            count += 1
            place = f"{page}:{block.line}"
            if block.language == "python":
                compile(block.shortened(), place, "exec")
            else:
                parsed = subprocess.run(
                    ["bash", "-n", "-c", block.shortened()], capture_output=True, text=True, check=False
                )
                assert parsed.returncode == 0, f"{place}: {parsed.stderr}"
    assert count > 30


@pytest.mark.slow
def test_documents_are_those_of_the_figures() -> None:
    found = subprocess.run([sys.executable, "results/render.py", "--check"], cwd=ROOT, check=False)
    assert found.returncode == 0, "run: make results"


def test_constraints_pin_every_version_without_a_local_suffix() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", pin) for pin in pins)
