"""A sample of the experiments on the service; those of speed need a quiet machine and run only as a whole."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from tests.reliability import service


@pytest.mark.parametrize("kind", service.FUZZ)
def test_hostile_requests_have_their_status_and_the_next_request_is_right(kind: str) -> None:
    service.fuzzed(kind, 3)


def test_answers_are_the_same_alone_and_in_batches() -> None:
    service.same_answers("tiny")


@pytest.mark.thorough
def test_no_accepted_request_is_lost_by_a_restart() -> None:
    assert service.restarts(1, times=1).startswith("0 of ")
