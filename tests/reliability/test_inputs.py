"""A sample of the experiments on inputs and on Unicode."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.reliability import inputs, unicode
from tests.reliability.report import Case

SAMPLE = 20
"""One of as many cases runs here; the experiment runs all."""


@pytest.fixture(scope="module", autouse=True)
def folder() -> Iterator[None]:
    """The folder of the experiment is the current one."""
    before = os.getcwd()
    os.chdir(inputs.workspace())
    yield
    os.chdir(before)


@pytest.mark.parametrize("case", [*inputs.cases()][::SAMPLE], ids=lambda case: f"{case.kind}: {case.name}"[:60])
def test_an_odd_input_is_read_or_refused_in_one_line(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", [*unicode.cases(20)][::9], ids=lambda case: f"{case.kind}: {case.name}")
def test_characters_of_all_planes_come_back(case: Case) -> None:
    case.check()
