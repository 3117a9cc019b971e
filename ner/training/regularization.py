"""What makes learning harder so that less is learned by heart: worst-case embeddings, two passes that must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ner.config.training import AdversarialConfig
from ner.types import Loss, Scores


def embeddings(encoder: nn.Module) -> list[nn.Parameter]:
    """The trained tables of an encoder that hold words, pieces and characters; positions and segments stay."""
    found: list[nn.Parameter] = []
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Embedding) and module.weight.requires_grad:
            kind = name.rpartition(".")[2]
            if "position" not in kind and "token_type" not in kind and isinstance(module.weight, nn.Parameter):
                found.append(module.weight)
    return found


def adversarial(
    parameters: Sequence[nn.Parameter],
    tables: Sequence[nn.Parameter],
    config: AdversarialConfig,
    again: Callable[[], object],
) -> None:
    """Add the gradient at embeddings moved in the direction of their own gradient.

    Args:
        parameters: All that are trained, with the gradient of the batch.
        tables: Those that are moved, see :func:`embeddings`; afterwards they are as before.
        config: Length and number of the moves.
        again: Adds the gradients of the same batch once more.
    """
    if not tables:
        return
    moves, length = (1, config.radius) if config.kind == "fgm" else (config.steps, config.step_size)
    kept = {parameter: parameter.grad.clone() for parameter in parameters if parameter.grad is not None}
    with _restored(tables) as origin:
        for _ in range(moves):
            _move(tables, origin, length, config.radius)
            for parameter in parameters:
                parameter.grad = None
            again()
    for parameter, gradient in kept.items():
        if parameter.grad is None:
            parameter.grad = gradient
        else:
            parameter.grad += gradient


@contextmanager
def _restored(tables: Sequence[nn.Parameter]) -> Iterator[list[Tensor]]:
    origin = [table.detach().clone() for table in tables]
    try:
        yield origin
    finally:
        with torch.no_grad():
            for table, values in zip(tables, origin, strict=True):
                table.copy_(values)


@torch.no_grad()
def _move(tables: Sequence[nn.Parameter], origin: Sequence[Tensor], length: float, radius: float) -> None:
    """A step along the gradient, each table's kept within the radius around its origin."""
    for table, start in zip(tables, origin, strict=True):
        if table.grad is None:
            continue
        norm = table.grad.norm()
        if not bool(torch.isfinite(norm)) or not bool(norm > 0):
            continue
        table.add_(table.grad, alpha=float(length / norm))
        away = table - start
        if bool(away.norm() > radius):
            table.copy_(start + away * (radius / away.norm()))


def disagreement(first: Scores, second: Scores, mask: Tensor, shares: Mapping[str, tuple[str, float]]) -> Loss:
    """Symmetric Kullback-Leibler divergence of the distributions of two passes, summed by part of the loss.

    Args:
        first: Scores of a pass.
        second: Of the other pass.
        mask: ``(S, W)``; ``emissions (S, W, K)`` are summed over it, other tensors over all that comes before the last
            dimension.
        shares: A decoder's ``distributions``.
    """
    found: Loss = {}
    for name, (part, weight) in shares.items():
        ours, theirs = (F.log_softmax(scores[name].float(), dim=-1) for scores in (first, second))
        if name == "emissions":
            ours, theirs = ours[mask], theirs[mask]
        apart = (_divergence(ours, theirs) + _divergence(theirs, ours)) / 2
        found[part] = found.get(part, 0) + weight * apart
    return found


def _divergence(ours: Tensor, theirs: Tensor) -> Tensor:
    return F.kl_div(ours, theirs, reduction="sum", log_target=True)
