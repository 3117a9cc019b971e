from __future__ import annotations

import random
import subprocess
import sys

import numpy
import pytest
import torch

from ner.errors import InputError
from ner.runtime import device
from ner.runtime.device import HostCopy, autocast, environment, peak_memory, resolve_device, resolve_precision, set_seed

CPU = torch.device("cpu")


def test_auto_selects_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(torch, "empty", lambda *size, device: None)
    assert [resolve_device("auto", number) for number in (0, 1, 2)] == [torch.device("cuda", i) for i in (0, 1, 0)]


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "mps:7"])
def test_a_device_that_does_not_exist_is_an_input_error(name: str) -> None:
    with pytest.raises(InputError, match=f"config.device: {name} cannot be used"):
        resolve_device(name)


def test_precisions_that_a_device_lacks_are_input_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_precision("auto", CPU) is None
    assert resolve_precision("fp32", CPU) is None
    with pytest.raises(InputError, match="config.training.precision: fp16 needs a GPU"):
        resolve_precision("fp16", CPU)
    monkeypatch.setattr(device, "has_bf16", lambda device: False)
    with pytest.raises(InputError, match="config.training.precision: .* bf16"):
        resolve_precision("bf16", CPU)
    with pytest.raises(InputError, match=r"^precision: expected auto, fp32, bf16, fp16, found 'float32'$"):
        resolve_precision("float32", CPU, "precision")
    monkeypatch.setattr(device, "has_bf16", lambda device: True)
    assert resolve_precision("bf16", CPU) is torch.bfloat16


def test_autocast_without_a_dtype_changes_nothing() -> None:
    left = torch.ones(2, 2)
    with autocast(CPU, None):
        assert (left @ left).dtype == torch.float32
    with autocast(CPU, torch.bfloat16):
        assert (left @ left).dtype == torch.bfloat16


def test_a_host_copy_has_no_gradient() -> None:
    weight = torch.ones(2, requires_grad=True)
    copies = HostCopy({"w": weight}).get()
    assert list(copies) == ["w"]
    assert not copies["w"].requires_grad


def test_a_seed_repeats_all_three_generators() -> None:
    draws = []
    for _ in range(2):
        set_seed(2**32 + 7)
        draws.append((random.random(), float(numpy.random.random()), float(torch.rand(1))))
    assert draws[0] == draws[1]


def test_the_environment_lists_versions_device_and_threads() -> None:
    found = environment(CPU)
    assert {"python", "torch", "numpy"} <= found["versions"].keys()
    assert found["device"]
    assert found["threads"] == torch.get_num_threads()
    assert 2**20 < peak_memory(CPU) < 2**50


FORK = """
import os, sys, torch
from ner.errors import InputError
from ner.runtime.device import check_threads
torch.set_num_threads(int(sys.argv[1]))
check_threads()
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
torch.set_num_threads(int(sys.argv[2]))
try:
    check_threads()
except InputError as error:
    print(error, flush=True)
    os._exit(2)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("parent", "child", "code"), [(2, 2, 2), (3, 2, 2), (2, 1, 0), (1, 1, 0), (1, 2, 0)])
def test_a_fork_that_lacks_the_threads_of_its_parent_is_refused(parent: int, child: int, code: int) -> None:
    quiet = ["-W", "ignore::DeprecationWarning"]  # Python 3.12 and later warn about forks of threads
    command = [sys.executable, *quiet, "-c", FORK, str(parent), str(child)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stderr) == (code, "")
    assert ("forked after torch had started 2 threads" in found.stdout) == (code == 2)
