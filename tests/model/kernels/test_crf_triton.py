"""The Triton kernels: on a GPU where there is one, else by Triton's interpreter, which runs them on the CPU."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

if importlib.util.find_spec("triton") is None:
    pytest.skip("needs triton", allow_module_level=True)
GPU = torch.cuda.is_available()
if not GPU:
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported

from ner.model.kernels import crf, crf_torch, crf_triton
from ner.model.kernels.chain import Chain
from tests.builders import random_chain, random_mask
from tests.conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy, in the interpreter, where a GPU says nothing
DEVICE = torch.device("cuda" if GPU else "cpu")


def on_device(chain: Chain) -> Chain:
    return Chain(*(None if table is None else table.to(DEVICE) for table in chain))


def both(emissions: torch.Tensor, lengths: torch.Tensor, chain: Chain) -> list[tuple[torch.Tensor, ...]]:
    """Log-partition, marginals, steps, of plain torch and of Triton."""
    found = []
    for machine, device in ((crf_torch, torch.device("cpu")), (crf_triton, DEVICE)):
        place = Chain(*(None if table is None else table.to(device) for table in chain))
        part = emissions.to(device), lengths.to(device), place
        passed = machine.forward(*part)
        tags, score = machine.viterbi(*part)
        unary, pairs = machine.backward(*part, passed)
        found.append(tuple(t.cpu() for t in (passed.log_partition, unary, pairs, tags, score)))
    return found


def of_tags(emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor, chain: Chain, fused: bool) -> list[Any]:
    """Log-likelihood and its gradients, with a weight for each sentence; tags and score of the best path."""
    device = DEVICE if fused else torch.device("cpu")
    place = Chain(*(None if table is None else table.to(device) for table in chain))
    for table in place[:3]:
        table.requires_grad_()
    given_ = emissions.to(device).requires_grad_()
    weights = torch.arange(1.0, len(tags) + 1, device=device)
    if fused:
        found = crf_triton.log_likelihood(given_, tags.to(device), mask.to(device), place)
        path, score = crf_triton.best_path(given_.detach(), mask.to(device), place)
    else:
        found = crf.log_likelihood(given_, tags, mask, place, "torch")
        path, score = crf.best_path(given_.detach(), mask, place, "torch")
    gradients = torch.autograd.grad((found * weights).sum(), [given_, *place[:3]])
    return [value.detach().cpu() for value in (found, *gradients, path, score)]


@given(
    st.integers(0, 10_000),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 24),
    st.booleans(),
    st.sampled_from([1.0, 20.0, 1e3]),
)
@settings(max_examples=20)
def test_one_launch_is_as_good_as_many(
    seed: int, k: int, size: int, words: int, constrained: bool, scale: float
) -> None:
    torch.manual_seed(seed)
    emissions, mask = torch.randn(size, words, k) * scale, torch.rand(size, words) < 0.7
    chain = random_chain(k, constrained)
    tags, _ = crf.best_path(torch.randn(size, words, k), mask, chain, "torch")
    tags[~mask] = -100
    for expected, found in zip(*(of_tags(emissions, tags, mask, chain, fused) for fused in (False, True)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wrong", [-1, 3, 1000])
def test_a_tag_that_is_none_is_marked(wrong: int) -> None:
    chain, mask = random_chain(3), torch.ones(2, 4, dtype=torch.bool)
    tags = torch.tensor([[0, 1, 2, 0], [0, wrong, 2, 0]])
    found = crf_triton.log_likelihood(
        torch.randn(2, 4, 3, device=DEVICE), tags.to(DEVICE), mask.to(DEVICE), on_device(chain)
    )
    assert found.isnan().tolist() == [False, True]


def test_forbidden_gold_has_no_likelihood() -> None:
    chain = on_device(random_chain(3, constrained=True))
    assert chain.allowed is not None
    chain.allowed[0, 1] = False
    tags = torch.tensor([[0, 1]], device=DEVICE)
    mask = torch.ones(1, 2, dtype=torch.bool, device=DEVICE)
    assert crf_triton.log_likelihood(torch.randn(1, 2, 3, device=DEVICE), tags, mask, chain).tolist() == [-math.inf]


@given(
    st.integers(0, 10_000),
    st.integers(1, 20),
    st.lists(st.integers(0, 9), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([1.0, 20.0, 1e3]),
)
@settings(max_examples=20)
def test_the_numbers_are_those_of_plain_torch(
    seed: int, k: int, lengths: list[int], constrained: bool, scale: float
) -> None:
    torch.manual_seed(seed)
    emissions = torch.randn(len(lengths), max(lengths), k) * scale
    chain = random_chain(k, constrained)
    plain, ours = both(emissions, torch.tensor(lengths), chain)
    for expected, found in zip(plain, ours, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_emissions_of_any_dtype(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    emissions = (torch.randn(2, 9, 5) * 4).to(dtype)
    plain, ours = both(emissions, torch.tensor([9, 4]), random_chain(5))
    for expected, found in zip(plain, ours, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_padding_may_hold_anything_and_what_is_not_finite_is_marked() -> None:
    torch.manual_seed(2)
    emissions, lengths = torch.randn(4, 6, 3), torch.tensor([6, 2, 0, 5])
    emissions[1, 2:] = math.nan
    emissions[3, 1, 2] = math.inf
    plain, ours = both(emissions, lengths, random_chain(3, constrained=True))
    assert ours[0].isnan().tolist() == ours[4].isnan().tolist() == [False, False, False, True]
    assert ours[0][2] == ours[4][2] == 0
    for expected, found in zip(plain[:3], ours[:3], strict=True):
        torch.testing.assert_close(found, expected, equal_nan=True)
    torch.testing.assert_close(ours[3][:3], plain[3][:3])


def test_no_path_is_marked() -> None:
    every, nothing = torch.ones(2, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool)
    chain = Chain(torch.zeros(2), torch.zeros(2, 2), torch.zeros(2), every, nothing, every)
    _, ours = both(torch.zeros(2, 3, 2), torch.tensor([1, 3]), chain)
    assert ours[0].tolist() == [pytest.approx(math.log(2)), -math.inf]
    assert ours[4].tolist() == [0, -math.inf]
    assert (ours[1][1] == 0).all()


def test_a_path_that_is_all_but_lost_comes_back() -> None:
    every = torch.ones(2, dtype=torch.bool)
    chain = Chain(torch.zeros(2), torch.zeros(2, 2), torch.zeros(2), every, torch.eye(2, dtype=torch.bool), every)
    emissions = torch.zeros(1, 41, 2)
    emissions[0, 0, 0], emissions[0, 1:, 1] = 900.0, 25.0
    plain, ours = both(emissions, torch.tensor([41]), chain)
    assert float(ours[1][0, :, 1].min()) == pytest.approx(1)
    torch.testing.assert_close(ours[0], plain[0])


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (1, 1, 1), (1, 3, 130)])
def test_shapes_at_the_edge(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(3)
    plain, ours = both(torch.randn(shape), torch.full((shape[0],), shape[1]), random_chain(shape[2]))
    for expected, found in zip(plain, ours, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_the_decoder_uses_triton_on_a_gpu() -> None:
    assert crf.choose("auto", DEVICE) == "triton"
    torch.manual_seed(4)
    chain, mask, tags = random_chain(9, True), random_mask([50, 3, 17]), torch.zeros(3, 50, dtype=torch.long)
    found = []
    for device in (torch.device("cpu"), DEVICE):
        emissions = torch.randn(3, 50, 9, generator=torch.Generator().manual_seed(1)).to(device).requires_grad_()
        place = Chain(*(table.to(device) for table in chain))
        likelihood = crf.log_likelihood(emissions, tags.to(device), mask.to(device), place)
        (gradient,) = torch.autograd.grad(likelihood.sum(), emissions)
        found.append((likelihood.cpu(), gradient.cpu(), crf.best_path(emissions, mask.to(device), place)[0].cpu()))
    for ours, expected in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, expected)


def test_the_kernels_compile_for_a_gpu_that_is_not_there() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.model.kernels.compile_for_gpu"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 24
