"""The Triton kernels: on a GPU where there is one, else by Triton's interpreter, which runs them on the CPU."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

if importlib.util.find_spec("triton") is None:
    pytest.skip("needs triton", allow_module_level=True)
GPU = torch.cuda.is_available()
from ner.model.kernels import crf, crf_torch, crf_triton
from ner.model.kernels.chain import Chain
from ner.model.kernels.left_alignment import LeftAlignment
from tests.builders import random_chain, random_mask
from tests.conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy, in the interpreter, where a GPU says nothing
DEVICE = torch.device("cuda" if GPU else "cpu")


def on_device(chain: Chain) -> Chain:
    return Chain(*(None if table is None else table.to(DEVICE) for table in chain))


def triton_log_likelihood(
    emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor, chain: Chain
) -> torch.Tensor:
    """On the CPU too, which ``crf.log_likelihood`` refuses."""
    return crf._LogLikelihood.apply(emissions, tags, mask, crf_triton, *chain)


def both(
    emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor, chain: Chain
) -> list[tuple[torch.Tensor, ...]]:
    """Log-likelihood, its gradients with a weight for each sentence, tags and score of the best path: torch, Triton."""
    results = []
    for backend, device in ((crf_torch, torch.device("cpu")), (crf_triton, DEVICE)):
        place = Chain(*(None if table is None else table.to(device) for table in chain))
        weights = torch.arange(1.0, len(tags) + 1, device=device)
        words = LeftAlignment(mask.to(device), emissions.to(device), backend.ACCEPTS_ANY_MASK)
        moved, gold = words.move(emissions.to(device)), words.move(tags.to(device))
        if not backend.ACCEPTS_ANY_MASK:
            gold = gold.masked_fill(~words.mask, 0)
        likelihood, saved = backend.forward(moved, gold, words.mask, place, True)
        gradient, *others = backend.backward(saved, gold, words.mask, place, weights, torch.float64)
        path, score = backend.viterbi(moved, words.mask, place)
        tensors = likelihood, words.restore(gradient), *others, words.restore(path), score
        results.append(tuple(tensor.cpu() for tensor in tensors))
    return results


def random_gold(mask: torch.Tensor, chain: Chain) -> torch.Tensor:
    """Tags that the constraints allow; -100 on padding."""
    tags, _ = crf.best_path(torch.randn(*mask.shape, len(chain.first)), mask, chain, "torch")
    return tags.masked_fill(~mask, -100)


@given(
    st.integers(0, 10_000),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 24),
    st.booleans(),
    st.sampled_from([1.0, 20.0, 1e3]),
)
@settings(max_examples=10)  # the interpreter takes seconds for each
def test_the_numbers_are_those_of_torch(
    seed: int, k: int, size: int, words: int, constrained: bool, scale: float
) -> None:
    torch.manual_seed(seed)
    emissions, mask = torch.randn(size, words, k) * scale, torch.rand(size, words) < 0.7
    chain = random_chain(k, constrained)
    for expected, found in zip(*both(emissions, random_gold(mask, chain), mask, chain), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_the_autograd_node_has_the_gradients_of_torch() -> None:
    torch.manual_seed(5)
    emissions, mask, chain = torch.randn(3, 7, 4), random_mask([7, 2, 5]), random_chain(4, True)
    tags = random_gold(mask, chain)
    gradients = []
    for function, device in ((triton_log_likelihood, DEVICE), (crf.log_likelihood, torch.device("cpu"))):
        place = Chain(*(table.to(device) for table in chain))
        leaves = [emissions.to(device).requires_grad_(), *(table.requires_grad_() for table in place[:3])]
        total = function(leaves[0], tags.to(device), mask.to(device), place).sum()
        gradients.append([gradient.cpu() for gradient in torch.autograd.grad(total, leaves)])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("wrong", [-1, 3, 1000])
def test_a_tag_that_is_none_is_marked(wrong: int) -> None:
    chain, mask = random_chain(3), torch.ones(2, 4, dtype=torch.bool)
    tags = torch.tensor([[0, 1, 2, 0], [0, wrong, 2, 0]])
    found = triton_log_likelihood(
        torch.randn(2, 4, 3, device=DEVICE), tags.to(DEVICE), mask.to(DEVICE), on_device(chain)
    )
    assert found.isnan().tolist() == [False, True]


def test_forbidden_gold_has_no_likelihood() -> None:
    chain = on_device(random_chain(3, constrained=True))
    assert chain.allowed is not None
    chain.allowed[0, 1] = False
    tags = torch.tensor([[0, 1]], device=DEVICE)
    mask = torch.ones(1, 2, dtype=torch.bool, device=DEVICE)
    assert triton_log_likelihood(torch.randn(1, 2, 3, device=DEVICE), tags, mask, chain).tolist() == [-math.inf]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_emissions_of_any_dtype(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    emissions, mask, chain = (torch.randn(2, 9, 5) * 4).to(dtype), random_mask([9, 4]), random_chain(5)
    for expected, found in zip(*both(emissions, random_gold(mask, chain), mask, chain), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_padding_may_hold_anything_and_what_is_not_finite_is_marked() -> None:
    torch.manual_seed(2)
    emissions, mask, chain = torch.randn(4, 6, 3), random_mask([6, 2, 0, 5]), random_chain(3, constrained=True)
    emissions[1, 2:] = math.nan
    emissions[3, 1, 2] = math.inf
    plain, ours = both(emissions, random_gold(mask, chain), mask, chain)
    assert ours[0].isnan().tolist() == ours[-1].isnan().tolist() == [False, False, False, True]
    assert ours[0][2] == ours[-1][2] == 0
    torch.testing.assert_close(ours[0], plain[0], equal_nan=True)
    torch.testing.assert_close(ours[1][:3], plain[1][:3])
    torch.testing.assert_close(ours[-2][:3], plain[-2][:3])


def test_no_path_is_marked() -> None:
    every, nothing = torch.ones(2, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool)
    chain = Chain(torch.zeros(2), torch.zeros(2, 2), torch.zeros(2), every, nothing, every)
    for found in both(torch.zeros(2, 3, 2), torch.zeros(2, 3, dtype=torch.long), random_mask([1, 3]), chain):
        assert float(found[0][0]) == pytest.approx(-math.log(2))
        assert not math.isfinite(float(found[0][1]))
        assert found[-1].tolist() == [0, -math.inf]
        assert torch.isfinite(found[1]).all()


def test_a_path_that_is_all_but_lost_comes_back() -> None:
    every = torch.ones(2, dtype=torch.bool)
    chain = Chain(torch.zeros(2), torch.zeros(2, 2), torch.zeros(2), every, torch.eye(2, dtype=torch.bool), every)
    emissions = torch.zeros(1, 41, 2)
    emissions[0, 0, 0], emissions[0, 1:, 1] = 900.0, 25.0
    plain, ours = both(emissions, torch.zeros(1, 41, dtype=torch.long), torch.ones(1, 41, dtype=torch.bool), chain)
    assert float(ours[1][0, :, 1].max()) == pytest.approx(-1)  # tags of zeros minus marginals
    torch.testing.assert_close(ours[0], plain[0])


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (1, 1, 1), (1, 3, 130)])
def test_shapes_at_the_edge(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(3)
    mask, chain = torch.ones(shape[:2], dtype=torch.bool), random_chain(shape[2])
    for expected, found in zip(*both(torch.randn(shape), random_gold(mask, chain), mask, chain), strict=True):
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
