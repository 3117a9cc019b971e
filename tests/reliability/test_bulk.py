"""A sample of the experiment on bulk tagging."""

from __future__ import annotations

import sys

import pytest

from tests.reliability import bulk


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_job_that_is_killed_continues_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SHARDS": 16, "KILLS": 3, "STARTS": 4}.items():
        monkeypatch.setattr(bulk, name, value)
    assert "shards repeated" in bulk.killed("local", 1)
