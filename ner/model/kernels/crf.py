"""Linear-chain conditional random fields (Lafferty, McCallum and Pereira, 2001): one recursion on three machines.

Everything takes ``emissions (S, W, K)`` in any float dtype, a ``mask (S, W)`` in any pattern (words that it leaves out
are not there), and a :class:`~ner.model.kernels.chain.Chain`. Padding may hold anything. The numbers of the three
machines are equal; which of them runs is the choice of :func:`choose`. Span probabilities and k best paths are computed
in plain torch everywhere.
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
"""A call that decodes no more does not load Numba, which takes half a second; once loaded it is used for all."""

_MODULES = {"torch": ("crf_torch", "torch"), "numba": ("crf_numba", "numba"), "triton": ("crf_triton", "triton")}
"""Backend -> its file, and the package that it stands on."""


@cache
def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@cache
def choose(backend: Backend, device: torch.device) -> Backend:
    """The backend that runs on a device: the fastest that is installed, or the one that is asked for.

    Raises:
        ValueError: If it is asked for and cannot run here.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"expected a backend ({', '.join(get_args(Backend))}), found '{backend}'")
    native: Backend = "numba" if device.type == "cpu" else "triton" if device.type == "cuda" else "torch"
    if backend == "auto":
        return native if _installed(_MODULES[native][1]) else "torch"
    if backend not in ("torch", native):
        raise ValueError(f"the backend {backend} does not run on {device.type}; there are: plain, {native}")
    if not _installed(_MODULES[backend][1]):
        extra = "pip install 'ner-crf[compiled]'" if backend == "numba" else f"pip install {_MODULES[backend][1]}"
        raise ValueError(f"the backend {backend} needs the package {_MODULES[backend][1]}: {extra}, or choose plain")
    return backend


@cache
def _backend(backend: Backend, device: torch.device) -> ModuleType:
    chosen = choose(backend, device)
    try:
        return importlib.import_module(f"ner.model.kernels.{_MODULES[chosen][0]}")
    except ImportError as error:
        raise ImportError(f"the backend {chosen} cannot be loaded ({error}); set decoder.backend=plain") from error


def compress(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The index that moves the marked positions of each row to its front, in order, and the mask after the move.

    Args:
        mask: ``(S, W)`` true on words, in any pattern.
    """
    order = torch.argsort((~mask).to(torch.int8), dim=1, stable=True)
    return order, mask.gather(1, order)


def log_likelihood(emissions: Tensor, tags: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> Tensor:
    """Log-probability of tags; differentiable by the emissions and the scores of the chain.

    Whatever the length, it is one node of autograd: the gradient is the tags less their marginals.

    Args:
        emissions: ``(S, W, K)``.
        tags: ``(S, W)`` tag ids; ignored where ``mask`` is false.
        mask: ``(S, W)`` true on words.
        chain: Scores and constraints.
        backend: See :func:`choose`.

    Returns:
        ``(S,)`` float32 (float64 for float64 emissions), at most 0.

    Raises:
        BadExampleError: If an emission is not finite, a tag is none, or the constraints forbid the tags or every path; the
            first such example is named by its position. On CUDA nothing is waited for: the result is NaN, or -inf.
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
    """The most probable tags (Viterbi, 1967).

    Returns:
        ``(S, W)`` tag ids, 0 where ``mask`` is false, and ``(S,)`` the score of the path, 0 for rows without words. On
        CUDA nothing is waited for: :func:`~ner.model.kernels.crf_torch.check` may be called when the tags have been
        copied.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    if emissions.device.type == "cuda" and choose(backend, emissions.device) == "triton":
        _check_shapes(mask, emissions)
        fused: tuple[Tensor, Tensor] = _backend(backend, emissions.device).best_path(emissions, mask, chain)
        return fused
    aligned = _left_align(mask, emissions)
    if backend == "auto" and mask.device.type == "cpu" and mask.numel() <= FEW_WORDS and "numba" not in sys.modules:
        backend = "torch"  # the same tags, sooner than Numba is loaded
    path, score = _backend(backend, emissions.device).viterbi(aligned.emissions, aligned.lengths, chain)
    if emissions.device.type != "cuda":
        crf_torch.check(score, aligned.lengths)
    return aligned.restore(path), score


@torch.no_grad()
def token_marginals(emissions: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> Tensor:
    """``(S, W, K)`` float64 probability of each tag at each word, 0 where ``mask`` is false; not differentiable.

    Raises:
        BadExampleError: As :func:`log_likelihood`.
    """
    aligned = _left_align(mask, emissions)
    _, unary, _ = _posterior(aligned, chain, backend)
    return aligned.restore(unary)


@torch.no_grad()
def entropy(emissions: Tensor, mask: Tensor, chain: Chain, backend: Backend = "auto") -> Tensor:
    """``(S,)`` float64 entropy of the distribution over all sequences of tags, in nats; not differentiable.

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
    """Probability of spans: the mass of all sequences that hold exactly them.

    The distribution of tags is a Markov chain, so from the marginals at the word before a span a constrained forward
    pass over its words, and a step out of it, give its mass; the rest of the sentence is not looked at again.

    Args:
        emissions: ``(S, W, K)``.
        mask: ``(S, W)`` true on words.
        chain: Scores and constraints.
        spans: Example, first word, past the last word (counted in words of the mask), label.
        begins: ``(N, K + 1, K)`` whether a tag after another (the last: after nothing) begins a span of a label.
        continues: ``(N, K, K)`` whether a tag after another goes on with a span of a label.

    Returns:
        One float64 per span, on the CPU.

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
    """The ``k`` most probable sequences of tags, the best first.

    Returns:
        ``(S, k, W)`` tag ids, 0 where ``mask`` is false, and ``(S, k)`` their scores, -inf for sequences that there
        are not.

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
    """Sentences with their words in front; ``order`` is None where they stood there already."""

    emissions: Tensor
    others: list[Tensor]
    lengths: Tensor
    order: Tensor | None

    def restore(self, values: Tensor) -> Tensor:
        """Values ``(S, W, ...)`` of the words at their places."""
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
    """Raise if a tag is none; compiled code would read beside its tables."""
    wrong = ((tags < 0) | (tags >= num_tags)).any(1)
    if bool(wrong.any()):
        raise BadExampleError(f"example {{}} has a tag that is none of the {num_tags}", int(wrong.int().argmax()))


@torch.no_grad()
def _raise_cause(emissions: Tensor, lengths: Tensor, chain: Chain) -> None:
    """Raise if the emissions or the constraints alone are at fault."""
    crf_torch.check(crf_torch.forward(emissions.detach(), lengths, chain).log_partition, lengths)


class _LogLikelihood(torch.autograd.Function):
    """Score of the tags less the log-partition; words stand in front, tags are 0 on padding."""

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
        forward_pass, ctx.forward_pass = ctx.forward_pass, None  # which is used up; asked again, it is computed again
        if forward_pass is None:
            forward_pass = ctx.module.forward(emissions, lengths, chain)
        unary, pairs = ctx.module.backward(emissions, lengths, chain, forward_pass)
        found = ctx.module.gradients(unary, pairs, tags, lengths, gradients[0], emissions.dtype)
        scores = (gradient.to(score) for gradient, score in zip(found[1:], chain[:3], strict=True))
        return found[0], None, None, None, *scores, None, None, None
