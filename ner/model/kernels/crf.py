"""Linear-chain conditional random fields (Lafferty, McCallum and Pereira, 2001): one recursion, three backends.

All functions take ``emissions (S, W, K)`` in any float dtype, a ``mask (S, W)`` in any pattern (words where it is false
are skipped) and a :class:`~ner.model.kernels.chain.Chain`. Padding may hold any value. The backends compute equal
numbers; :func:`choose` selects one of them. Entropy, span probabilities and k best paths are computed in torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ner.model.kernels import crf_torch
from ner.model.kernels.chain import BadExampleError, Chain, check_paths
from ner.model.kernels.markov import markov_chain

Backend = Literal["auto", "torch", "numba", "triton"]

FEW_WORDS = 256
"""Largest batch that is decoded in torch while Numba is not loaded yet, because loading it takes half a second."""

MAX_STEPS = 1 << 21
"""Transitions between tags that are held at once for the probabilities of spans: 16 MiB."""


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
    chosen = choose(backend, device)
    try:
        return importlib.import_module(f"ner.model.kernels.crf_{chosen}")
    except ImportError as error:
        raise ImportError(f"the backend {chosen} cannot be loaded ({error}); set decoder.backend=torch") from error


class _Alignment:
    """Order in which the words of each row come first; rows have at least one column.

    Args:
        mask: ``(S, W)`` true on words.
        emissions: ``(S, W, K)``.
        any_mask: Keep the words where they are.
    """

    def __init__(self, mask: Tensor, emissions: Tensor, any_mask: bool = False) -> None:
        if emissions.ndim != 3 or mask.shape != emissions.shape[:2] or mask.dtype != torch.bool:
            shapes = f"{tuple(emissions.shape)} and {mask.dtype} {tuple(mask.shape)}"
            raise ValueError(f"expected emissions (S, W, K) and a boolean mask (S, W), found {shapes}")
        self.width = mask.shape[1]
        self.order: Tensor | None = None
        if not any_mask and (mask.device.type != "cpu" or bool((mask[:, 1:] & ~mask[:, :-1]).any())):
            self.order = torch.argsort((~mask).to(torch.int8), dim=1, stable=True)
        self.mask = self.move(mask)

    def move(self, values: Tensor) -> Tensor:
        """Return values ``(S, W, ...)`` in this order."""
        if not self.width:
            return torch.cat([values, values.new_zeros((len(values), 1, *values.shape[2:]))], 1)
        return values if self.order is None else values.gather(1, self._index(self.order, values))

    def restore(self, values: Tensor) -> Tensor:
        """Return values ``(S, W, ...)`` at the original positions of their words."""
        if self.order is not None and self.width:
            values = torch.zeros_like(values).scatter(1, self._index(self.order, values), values)
        return values if self.width else values[:, :0]

    @staticmethod
    def _index(order: Tensor, values: Tensor) -> Tensor:
        return order.view(*order.shape, *[1] * (values.ndim - 2)).expand_as(values)


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
    words = _Alignment(mask, emissions, module.ANY_MASK)
    tags = words.move(tags)
    if not module.ANY_MASK:
        tags = tags.masked_fill(~words.mask, 0)
    if not on_cuda:  # compiled code would read outside its tables
        wrong = ((tags < 0) | (tags >= num_tags)).any(1)
        if bool(wrong.any()):
            raise BadExampleError(f"example {{}} has a tag id outside 0 to {num_tags - 1}", int(wrong.int().argmax()))
    with torch.autocast(emissions.device.type, enabled=False):
        result: Tensor = _LogLikelihood.apply(words.move(emissions), tags, words.mask, module, *chain)
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
    if backend == "auto" and mask.device.type == "cpu" and mask.numel() <= FEW_WORDS and "numba" not in sys.modules:
        backend = "torch"  # the same tags in less time than loading Numba takes
    module = _backend(backend, emissions.device)
    words = _Alignment(mask, emissions, module.ANY_MASK)
    path, score = module.viterbi(words.move(emissions), words.mask, chain)
    if emissions.device.type != "cuda":
        check_paths(score, mask)
    return words.restore(path), score


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
    words = _Alignment(mask, emissions)
    tags = markov_chain(words.move(emissions), words.mask, chain)
    unary = tags.unary
    example, before = words.mask[:, 1:].nonzero(as_tuple=True)
    following = tags.steps(example, before + 1)  # (M, K, K)
    later = (unary[example, before] * torch.xlogy(following, following).sum(-1)).sum(-1)
    return -torch.xlogy(unary[:, 0], unary[:, 0]).sum(-1).index_add(0, example, later).clamp(max=0)


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
    words = _Alignment(mask, emissions)
    if not spans:
        return torch.zeros(0, dtype=torch.float64)
    tags = markov_chain(words.move(emissions), words.mask, chain)
    inside, lengths = begins.any(1) | continues.any(1), mask.sum(1)  # (N, K): the tags within spans of a label
    width = int(inside.sum(1).max())
    tags_of_label = inside.long().argsort(dim=1, descending=True, stable=True)[:, :width]  # (N, C)
    everything = torch.arange(inside.shape[1], device=mask.device)
    size = max(1, MAX_STEPS // (inside.shape[1] * width))
    found = []
    for first in range(0, len(spans), size):
        example, start, end, label = torch.tensor(list(spans[first : first + size]), device=mask.device).T
        own, before = tags_of_label[label], everything.expand(len(label), -1)  # (M, C), (M, K)
        labels, after = label[:, None, None], own.unsqueeze(1)
        opened = tags.step(example, start, before, own) * begins[labels, before.unsqueeze(2), after]
        opened = (tags.unary[example, (start - 1).clamp(min=0)].unsqueeze(1) @ opened).squeeze(1)
        at_start = tags.unary[example, 0].gather(1, own) * begins[label.unsqueeze(1), -1, own]
        mass = torch.where((start == 0).unsqueeze(1), at_start, opened)  # (M, C)
        continued = continues[labels, own.unsqueeze(2), after]
        for offset in range(1, int((end - start).max())):
            word = start + offset
            on = (mass.unsqueeze(1) @ (tags.step(example, word, own, own) * continued)).squeeze(1)
            mass = torch.where((word < end).unsqueeze(1), on, mass)
        leaves = 1 - (tags.step(example, end, own, own) * continued).sum(-1)  # (M, C)
        at_end = (end >= lengths[example]).unsqueeze(1)
        found.append((mass * torch.where(at_end, 1.0, leaves)).sum(1))
    return torch.cat(found).cpu().double()


@torch.no_grad()
def run_probabilities(
    emissions: Tensor, mask: Tensor, chain: Chain, ranges: Sequence[tuple[int, int, int]], tag: int
) -> Tensor:
    """Return the probability that all words of a range have one tag.

    Args:
        emissions: ``(S, W, K)``.
        mask: ``(S, W)`` true on words.
        chain: Scores and constraints.
        ranges: Example, first word and end (exclusive, in words of the mask) of each range.
        tag: The tag.

    Returns:
        ``(len(ranges),)`` float64 on the CPU.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    words = _Alignment(mask, emissions)
    if not ranges:
        return torch.zeros(0, dtype=torch.float64)
    tags = markov_chain(words.move(emissions), words.mask, chain)
    example, start, end = torch.tensor(list(ranges), device=mask.device).T
    mass, same = tags.unary[example, start, tag], torch.full_like(example, tag).unsqueeze(1)
    for offset in range(1, int((end - start).max())):
        word = start + offset
        mass = torch.where(word < end, mass * tags.step(example, word, same, same)[:, 0, 0], mass)
    return mass.cpu().double()


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
    words = _Alignment(mask, emissions)
    paths, scores = crf_torch.k_best(words.move(emissions), words.mask, chain, k)
    check_paths(scores[:, 0], mask)
    return words.restore(paths.transpose(1, 2)).transpose(1, 2), scores
