"""Linear-chain conditional random fields (Lafferty, McCallum and Pereira, 2001): one recursion, three backends.

All functions take ``emissions (S, W, K)`` in any float dtype, a ``mask (S, W)`` in any pattern (words where it is false
are skipped) and a :class:`~ner.model.kernels.chain.Chain`. Padding may hold any value. The backends compute equal
numbers; :func:`choose` selects one of them. Span probabilities and k best paths are always computed in torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from ner.model.kernels import crf_torch
from ner.model.kernels.chain import BadExampleError, Chain

Backend = Literal["auto", "torch", "numba", "triton"]

FEW_WORDS = 256
"""Largest batch that is decoded in torch while Numba is not loaded yet, because loading it takes half a second."""

_MODULES = {"torch": ("crf_torch", "torch"), "numba": ("crf_numba", "numba"), "triton": ("crf_triton", "triton")}
"""Backend -> its file and the package that it requires."""


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
        return native if _installed(_MODULES[native][1]) else "torch"
    if backend not in ("torch", native):
        raise ValueError(f"the backend {backend} does not run on {device.type}; choose torch or {native}")
    if not _installed(_MODULES[backend][1]):
        extra = "pip install 'ner-crf[compiled]'" if backend == "numba" else f"pip install {_MODULES[backend][1]}"
        raise ValueError(f"the backend {backend} requires the package {_MODULES[backend][1]}: {extra}, or choose torch")
    return backend


@cache
def _backend(backend: Backend, device: torch.device) -> ModuleType:
    chosen = choose(backend, device)
    try:
        return importlib.import_module(f"ner.model.kernels.{_MODULES[chosen][0]}")
    except ImportError as error:
        raise ImportError(f"the backend {chosen} cannot be loaded ({error}); set decoder.backend=torch") from error


def compress(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index that moves the words of each row to its front, in order, and the mask after the move.

    Args:
        mask: ``(S, W)`` true on words, in any pattern.
    """
    order = torch.argsort((~mask).to(torch.int8), dim=1, stable=True)
    return order, mask.gather(1, order)


def log_likelihood(emissions: Tensor, tags: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> Tensor:
    """Return the log-probability of tags, differentiable by the emissions and the scores of the chain.

    The function is a single autograd node for any length: the gradient is the gold tags minus their marginals.

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
    if emissions.device.type == "cuda" and choose(backend, emissions.device) == "triton":
        _check_shapes(mask, emissions)
        with torch.autocast("cuda", enabled=False):
            fused: Tensor = _backend(backend, emissions.device).log_likelihood(emissions, tags, mask, chain)
        return fused
    aligned = _left_align(mask, emissions, tags)
    emissions, tags, lengths = aligned.emissions, aligned.others[0], aligned.lengths
    inside = crf_torch.word_mask(lengths, tags.shape[1])
    tags = tags.masked_fill(~inside, 0)
    module = _backend(backend, emissions.device)
    if emissions.device.type != "cuda":
        _check_tags(tags, emissions.shape[2])
    with torch.autocast(emissions.device.type, enabled=False):
        found: Tensor = _LogLikelihood.apply(emissions, tags, lengths, module, *chain)
    if emissions.device.type != "cuda" and not bool(torch.isfinite(found).all()):
        _raise_cause(emissions, lengths, chain)
        example = int((~torch.isfinite(found)).int().argmax())
        raise BadExampleError("the constraints forbid the tags of example {}", example)
    return found


@torch.no_grad()
def best_path(emissions: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> tuple[Tensor, Tensor]:
    """Return the most probable tags (Viterbi, 1967).

    Returns:
        ``(S, W)`` tag ids, 0 where ``mask`` is false, and ``(S,)`` scores of the paths, 0 for rows without words. On
        CUDA the function does not synchronize: pass the scores to :func:`~ner.model.kernels.crf_torch.check` after
        they have been copied.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    if emissions.device.type == "cuda" and choose(backend, emissions.device) == "triton":
        _check_shapes(mask, emissions)
        fused: tuple[Tensor, Tensor] = _backend(backend, emissions.device).best_path(emissions, mask, chain)
        return fused
    aligned = _left_align(mask, emissions)
    if backend == "auto" and mask.device.type == "cpu" and mask.numel() <= FEW_WORDS and "numba" not in sys.modules:
        backend = "torch"  # the same tags in less time than loading Numba takes
    path, score = _backend(backend, emissions.device).viterbi(aligned.emissions, aligned.lengths, chain)
    if emissions.device.type != "cuda":
        crf_torch.check(score, aligned.lengths)
    return aligned.restore(path), score


@torch.no_grad()
def token_marginals(emissions: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> Tensor:
    """Return the ``(S, W, K)`` float64 probability of each tag at each word, 0 where ``mask`` is false.

    Not differentiable.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    aligned = _left_align(mask, emissions)
    _, unary, _ = _posterior(aligned, chain, backend)
    return aligned.restore(unary)


@torch.no_grad()
def entropy(emissions: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> Tensor:
    """Return the ``(S,)`` float64 entropy of the distribution over tag sequences, in nats; not differentiable.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    aligned = _left_align(mask, emissions)
    log_partition, unary, pairs = _posterior(aligned, chain, backend)
    first, transitions, last = (table.detach().to(unary) for table in chain[:3])
    inside = crf_torch.word_mask(aligned.lengths, unary.shape[1])
    scores = aligned.emissions.to(unary).masked_fill(~inside.unsqueeze(-1), 0)
    expected = (unary * scores).sum((1, 2)) + (pairs * transitions).sum((1, 2))
    if unary.shape[1]:
        expected = expected + unary[:, 0] @ first + crf_torch.at_end(unary.transpose(0, 1), aligned.lengths) @ last
    return (log_partition - expected).clamp(min=0)


@torch.no_grad()
def span_probabilities(
    emissions: Tensor,
    mask: Tensor,
    chain: Chain,
    spans: Sequence[tuple[int, int, int, int]],
    begins: Tensor,
    continues: Tensor,
) -> Tensor:
    """Return the probability of spans: the mass of all tag sequences that contain exactly them.

    The distribution of tags is a Markov chain. The mass of a span therefore follows from the marginals at the word
    before it, a constrained forward pass over its words, and one step out of it.

    Args:
        emissions: ``(S, W, K)``.
        mask: ``(S, W)`` true on words.
        chain: Scores and constraints.
        spans: Example, first word, end (exclusive, in words of the mask) and label of each span.
        begins: ``(N, K + 1, K)`` true where a tag after another (row ``K``: at the first word) begins a span.
        continues: ``(N, K, K)`` true where a tag after another continues a span of a label.

    Returns:
        ``(len(spans),)`` float64 on the CPU.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    aligned = _left_align(mask, emissions)
    if not spans:
        return torch.zeros(0, dtype=torch.float64)
    unary, step = crf_torch.as_markov_chain(aligned.emissions, aligned.lengths, chain)
    example, start, end, label = torch.tensor(list(spans), device=unary.device).T
    begins, continues = begins.to(unary), continues.to(unary)
    before = unary[example, (start - 1).clamp(min=0)]  # (M, K)
    inner = (before.unsqueeze(1) @ (step(example, start) * begins[label, :-1])).squeeze(1)
    mass = torch.where((start == 0).unsqueeze(1), unary[example, 0] * begins[label, -1], inner)  # (M, K)
    for offset in range(1, int((end - start).max())):
        word = start + offset
        on = (mass.unsqueeze(1) @ (step(example, word) * continues[label])).squeeze(1)
        mass = torch.where((word < end).unsqueeze(1), on, mass)
    leaves = 1 - (step(example, end) * continues[label]).sum(-1)  # (M, K)
    at_end = (end >= aligned.lengths[example]).unsqueeze(1)
    return (mass * torch.where(at_end, 1.0, leaves)).sum(1).cpu().double()


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
    aligned = _left_align(mask, emissions)
    paths, scores = crf_torch.k_best(aligned.emissions, aligned.lengths, chain, k)
    crf_torch.check(scores[:, 0], aligned.lengths)
    return aligned.restore(paths.transpose(1, 2)).transpose(1, 2), scores


class _LeftAligned(NamedTuple):
    """Sentences with their words first in each row; ``order`` is None if no word had to be moved."""

    emissions: Tensor
    others: list[Tensor]
    lengths: Tensor
    order: Tensor | None

    def restore(self, values: Tensor) -> Tensor:
        """Return values ``(S, W, ...)`` at the original positions of their words."""
        if self.order is None:
            return values
        index = self.order.view(*self.order.shape, *[1] * (values.ndim - 2)).expand_as(values)
        return torch.zeros_like(values).scatter(1, index, values)


def _check_shapes(mask: Tensor, emissions: Tensor) -> None:
    if emissions.ndim != 3 or mask.shape != emissions.shape[:2] or mask.dtype != torch.bool:
        shapes = f"{tuple(emissions.shape)} and {mask.dtype} {tuple(mask.shape)}"
        raise ValueError(f"expected emissions (S, W, K) and a boolean mask (S, W), found {shapes}")


def _left_align(mask: Tensor, emissions: Tensor, *others: Tensor) -> _LeftAligned:
    _check_shapes(mask, emissions)
    lengths = mask.sum(1)
    if mask.device.type == "cpu" and not bool((mask[:, 1:] & ~mask[:, :-1]).any()):
        return _LeftAligned(emissions, list(others), lengths, None)
    order, _ = compress(mask)
    moved = [other.gather(1, order) for other in others]
    return _LeftAligned(emissions.gather(1, order.unsqueeze(-1).expand_as(emissions)), moved, lengths, order)


def _posterior(aligned: _LeftAligned, chain: Chain, backend: Backend) -> tuple[Tensor, Tensor, Tensor]:
    module = _backend(backend, aligned.emissions.device)
    emissions = aligned.emissions.to(crf_torch.work_type(aligned.emissions.device))
    forward_pass = module.forward(emissions, aligned.lengths, chain)
    crf_torch.check(forward_pass.log_partition, aligned.lengths)
    return forward_pass.log_partition, *module.backward(emissions, aligned.lengths, chain, forward_pass)


def _check_tags(tags: Tensor, num_tags: int) -> None:
    """Raise if a tag id is out of range; compiled code would read outside its tables."""
    wrong = ((tags < 0) | (tags >= num_tags)).any(1)
    if bool(wrong.any()):
        raise BadExampleError(f"example {{}} has a tag id outside 0 to {num_tags - 1}", int(wrong.int().argmax()))


@torch.no_grad()
def _raise_cause(emissions: Tensor, lengths: Tensor, chain: Chain) -> None:
    """Raise if the emissions, or the constraints without the tags, are the cause."""
    crf_torch.check(crf_torch.forward(emissions.detach(), lengths, chain).log_partition, lengths)


class _LogLikelihood(torch.autograd.Function):
    """Score of the tags minus the log-partition; words come first in each row, tags are 0 on padding."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        tags: Tensor,
        lengths: Tensor,
        module: ModuleType,
        first: Tensor,
        transitions: Tensor,
        last: Tensor,
        *allowed: Tensor | None,
    ) -> Tensor:
        chain = Chain(first, transitions, last, *allowed)
        forward_pass = module.forward(emissions, lengths, chain, any(ctx.needs_input_grad))
        ctx.save_for_backward(emissions, tags, lengths, first, transitions, last)
        ctx.module, ctx.allowed, ctx.forward_pass = module, allowed, forward_pass
        score = module.path_score(emissions, tags, lengths, chain)
        return (score - forward_pass.log_partition).to(torch.promote_types(emissions.dtype, torch.float32))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        emissions, tags, lengths, *scored = ctx.saved_tensors
        chain = Chain(*scored, *ctx.allowed)
        forward_pass, ctx.forward_pass = ctx.forward_pass, None
        if forward_pass is None:  # a second backward pass: ``gradients`` has overwritten the first one's
            forward_pass = ctx.module.forward(emissions, lengths, chain)
        unary, pairs = ctx.module.backward(emissions, lengths, chain, forward_pass)
        found = ctx.module.gradients(unary, pairs, tags, lengths, gradients[0], emissions.dtype)
        scores = (gradient.to(score) for gradient, score in zip(found[1:], chain[:3], strict=True))
        return found[0], None, None, None, *scores, None, None, None
