"""Linear-chain conditional random fields (Lafferty, McCallum and Pereira, 2001): one recursion, three backends.

All functions take ``emissions (S, W, K)`` (sentences, words, tags) in any float dtype, a ``mask (S, W)`` in any pattern
(words where it is false are skipped) and a :class:`~ner.model.kernels.chain.Chain`. Padding may hold any value. The
backends compute equal numbers; :func:`choose` selects one of them. Entropy and k best paths are computed in torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from types import ModuleType
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ner.model.kernels import crf_torch
from ner.model.kernels.chain import BadExampleError, Chain, check_paths
from ner.model.kernels.left_alignment import LeftAlignment
from ner.model.kernels.markov import markov_chain

Backend = Literal["auto", "torch", "numba", "triton"]

MAX_CELLS_IN_TORCH = 256
"""Largest batch, padding included, that torch decodes while Numba is not loaded; loading it takes half a second."""


@cache
def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@cache
def choose(backend: Backend, device: torch.device) -> Backend:
    """Return the backend for a device: the requested one, or for ``auto`` the fastest that is installed.

    Raises:
        ValueError: If the requested backend cannot run here.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"expected a backend ({', '.join(get_args(Backend))}), found '{backend}'")
    native: Backend = "numba" if device.type == "cpu" else "triton" if device.type == "cuda" else "torch"
    if backend == "auto":
        return native if _installed(native) else "torch"
    if backend not in ("torch", native):
        raise ValueError(f"the backend {backend} does not run on {device.type}; choose torch or {native}")
    if not _installed(backend):
        raise ValueError(f"the backend {backend} requires a package: pip install {backend}, or choose torch")
    return backend


@cache
def _backend(backend: Backend, device: torch.device) -> ModuleType:
    name = choose(backend, device)
    try:
        return importlib.import_module(f"ner.model.kernels.crf_{name}")
    except ImportError as error:
        raise ImportError(f"the backend {name} cannot be loaded ({error}); set decoder.backend=torch") from error


class _LogLikelihood(torch.autograd.Function):
    """Log-probability of tags by a backend, as a single autograd node for any length."""

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, tags: Tensor, mask: Tensor, module: ModuleType, *chain: Any) -> Tensor:
        gradient = any(ctx.needs_input_grad)
        log_likelihood, ctx.saved = module.forward(emissions, tags, mask, Chain(*chain), gradient)
        ctx.save_for_backward(tags, mask, *chain)
        ctx.module, ctx.dtype = module, emissions.dtype
        return log_likelihood.to(torch.promote_types(emissions.dtype, torch.float32))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tags, mask, *tables = ctx.saved_tensors
        chain = Chain(*tables)
        emissions, *scores = ctx.module.backward(ctx.saved, tags, mask, chain, gradients[0], ctx.dtype)
        scores = [gradient.to(score.dtype) for gradient, score in zip(scores, chain[:3], strict=True)]
        return emissions, None, None, None, *scores, None, None, None


def log_likelihood(emissions: Tensor, tags: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> Tensor:
    """Return the log-probability of tags, differentiable by the emissions and the scores of the chain.

    Args:
        emissions: ``(S, W, K)``.
        tags: ``(S, W)`` tag ids; ignored where ``mask`` is false.
        mask: ``(S, W)`` true on words.
        chain: Scores and constraints.
        backend: See :func:`choose`.

    Returns:
        ``(S,)`` float32 (float64 for float64 emissions), at most 0.

    Raises:
        BadExampleError: If an emission is not finite, a tag id is out of range, or the constraints forbid the tags or
            every path; it holds the position of the first such example. On CUDA the function does not synchronize:
            the result is NaN or -inf instead.
    """
    on_cuda, num_tags = emissions.device.type == "cuda", emissions.shape[-1]
    module = _backend(backend, emissions.device)
    alignment = LeftAlignment(mask, emissions, module.ACCEPTS_ANY_MASK)
    tags = alignment.move(tags)
    if not module.ACCEPTS_ANY_MASK:
        tags = tags.masked_fill(~alignment.mask, 0)
    if not on_cuda:  # compiled code would read outside its tables
        invalid = ((tags < 0) | (tags >= num_tags)).any(1)
        if bool(invalid.any()):
            raise BadExampleError(f"example {{}} has a tag id outside 0 to {num_tags - 1}", int(invalid.int().argmax()))
    with torch.autocast(emissions.device.type, enabled=False):
        result: Tensor = _LogLikelihood.apply(alignment.move(emissions), tags, alignment.mask, module, *chain)
    if not on_cuda and not bool(torch.isfinite(result).all()):
        best_path(emissions, mask, chain, backend)  # raises if the tags are not the cause
        raise BadExampleError("the constraints forbid the tags of example {}", int((~result.isfinite()).int().argmax()))
    return result


@torch.no_grad()
def best_path(emissions: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> tuple[Tensor, Tensor]:
    """Return the most probable tags (Viterbi, 1967).

    Returns:
        ``(S, W)`` tag ids, 0 where ``mask`` is false, and ``(S,)`` scores of the paths, 0 for rows without words. On
        CUDA the function does not synchronize: pass the scores to :func:`~ner.model.kernels.chain.check_paths` after
        they have been copied.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    if (
        backend == "auto"
        and mask.device.type == "cpu"
        and mask.numel() <= MAX_CELLS_IN_TORCH
        and "numba" not in sys.modules
    ):
        backend = "torch"  # the same tags in less time than loading Numba takes
    module = _backend(backend, emissions.device)
    alignment = LeftAlignment(mask, emissions, module.ACCEPTS_ANY_MASK)
    path, score = module.viterbi(alignment.move(emissions), alignment.mask, chain)
    if emissions.device.type != "cuda":
        check_paths(score, mask)
    return alignment.restore(path), score


def token_marginals(emissions: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> Tensor:
    """Return the ``(S, W, K)`` probability of each tag at each word, 0 where ``mask`` is false; not differentiable.

    Sums and result are float64 where the device supports it.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    emissions = emissions.detach().to(crf_torch.work_type(emissions.device)).requires_grad_()
    path, score = best_path(emissions, mask, chain, backend)
    check_paths(score, mask)
    with torch.enable_grad():
        total = log_likelihood(emissions, path, mask, chain, backend).sum()
    (difference,) = torch.autograd.grad(total, emissions)  # tags minus their marginals
    tags = torch.zeros_like(difference).scatter_(2, path.unsqueeze(-1), mask.unsqueeze(-1).to(difference))
    return tags - difference


@torch.no_grad()
def entropy(emissions: Tensor, mask: Tensor, chain: Chain) -> Tensor:
    """Return the ``(S,)`` float64 entropy of the distribution over tag sequences, in nats; not differentiable.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    alignment = LeftAlignment(mask, emissions)
    distribution = markov_chain(alignment.move(emissions), alignment.mask, chain)
    tag_marginals = distribution.tag_marginals
    example, previous_word = alignment.mask[:, 1:].nonzero(as_tuple=True)
    steps = distribution.steps(example, previous_word + 1)  # (M, K, K): each pair of neighbouring words
    negative_entropies = (tag_marginals[example, previous_word] * torch.xlogy(steps, steps).sum(-1)).sum(-1)
    return (
        -torch.xlogy(tag_marginals[:, 0], tag_marginals[:, 0])
        .sum(-1)
        .index_add(0, example, negative_entropies)
        .clamp(max=0)
    )


@torch.no_grad()
def k_best(emissions: Tensor, mask: Tensor, chain: Chain, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` most probable tag sequences, best first.

    Returns:
        ``(S, k, W)`` tag ids, 0 where ``mask`` is false, and ``(S, k)`` scores, -inf where fewer sequences exist.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
        ValueError: If ``k`` is not positive.
    """
    if k < 1:
        raise ValueError(f"expected k of at least 1, found {k}")
    alignment = LeftAlignment(mask, emissions)
    paths, scores = crf_torch.k_best(alignment.move(emissions), alignment.mask, chain, k)
    check_paths(scores[:, 0], mask)
    return alignment.restore(paths.transpose(1, 2)).transpose(1, 2), scores
