from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from ner.runtime.distributed import ProcessGroup, clip, full_cpu_tensor, is_sharded, shard_like, total_norm
from ner.runtime.heartbeat import Heartbeat

TIMEOUT = 0.3


class DictStore:
    """The three methods of a store of torch that heartbeats need."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def check(self, keys: list[str]) -> bool:
        return all(key in self.values for key in keys)

    def get(self, key: str) -> bytes:
        return self.values[key].encode()


def eventually(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def two_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Heartbeat, Heartbeat, list[int]]]:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    store = DictStore()
    pair = Heartbeat(store, 0, 2, TIMEOUT), Heartbeat(store, 1, 2, TIMEOUT)
    try:
        eventually(lambda: pair[0].seen and pair[1].seen)
        yield *pair, codes
    finally:
        for heartbeat in pair:
            heartbeat.stop()


@pytest.mark.slow
def test_a_silent_process_is_named_with_its_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with two_processes(monkeypatch) as (first, second, codes):
        second.beat(7)
        eventually(lambda: first.seen[1][0].split(" ")[1] == "7")
        with first.during("busy"):
            eventually(lambda: codes)
        assert codes[0] == 75
        assert first.silent(TIMEOUT)[0].startswith("process 1 on ")
    said = capsys.readouterr().err
    assert f"(last seen at step 7) sent no heartbeat for {TIMEOUT:.0f} s; process 0 on " in said


@pytest.mark.slow
def test_long_work_and_a_process_that_waits_for_it_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with two_processes(monkeypatch) as (first, second, codes), first.during("waiting"), second.during("busy"):
        time.sleep(3 * TIMEOUT)
        assert codes == []


@pytest.mark.slow
def test_processes_that_all_wait_for_each_other_give_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with two_processes(monkeypatch) as (first, second, codes), first.during("waiting"), second.during("waiting"):
        eventually(lambda: codes)
    assert "the network between the processes" in capsys.readouterr().err


@pytest.mark.slow
def test_a_process_that_ends_in_order_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    with two_processes(monkeypatch) as (first, second, codes):
        second.stop()
        eventually(first.left)
        with first.during("busy"):
            time.sleep(2 * TIMEOUT)
        assert first.left() == ["process 1"]
        assert first.silent(0) == []
        assert codes == []


def test_a_single_process_needs_no_communication() -> None:
    group = ProcessGroup()
    group.start(torch.device("cpu"), 1)
    group.heartbeat(1)
    model = nn.Linear(2, 2)
    with group.keep_alive(), group.name_lost_process(), group.no_sync(model, last=False):
        assert group.wrap_ddp(model) is model
    assert group.is_main
    assert group.shard([1, 2, 3]) == [1, 2, 3]
    assert group.all_gather_object({"a": 0.1}) == [{"a": 0.1}]
    assert group.broadcast("x") == "x"
    assert group.all_reduce_sum([1, 2]) == group.all_reduce_max([1, 2]) == [1, 2]
    group.fully_shard(model, [model], torch.device("cpu"))
    assert not group.shards_weights
    assert not is_sharded(model.weight)
    group.end()


def test_items_are_sharded_by_rank() -> None:
    shards = [ProcessGroup(rank, 3).shard(list(range(8))) for rank in range(3)]
    assert shards == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_the_environment_of_torchrun_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    group = ProcessGroup.from_environment()
    assert (group.rank, group.size, group.local_rank, group.is_main) == (3, 8, 1, False)


def test_plain_tensors_are_clipped_and_copied_like_those_of_torch() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([0.0, 3.0, 4.0])
    norm = total_norm([parameter.grad])
    assert float(norm) == 5
    clip([parameter], 1.0, norm)
    assert float(parameter.grad.norm()) == pytest.approx(1)
    assert shard_like(torch.ones(3), parameter).tolist() == [1, 1, 1]
    assert not full_cpu_tensor(parameter).requires_grad
