"""What the layers of a BERT remember of a source, and pieces that go on from there (UniLM, Dong et al., 2019).

A source attends to itself alone, so it is read once: its keys and values in each layer are its memory. Pieces behind it
attend to that memory and to what they may see of each other; their own keys and values can be kept in turn.

==  ============================  ==  =====================================
A   heads of a layer              D   width of a head
G   continuations of a source     P   pieces of a continuation so far
R   pieces that are added
==  ============================  ==  =====================================
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ner.errors import InputError

Memory = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer: ``(S, A, T, D)`` of a source, ``(S, G, A, P, D)`` of its continuations."""

FAMILY = ("bert", "camembert", "electra", "roberta", "xlm-roberta")
"""Types of models whose layers are built like BERT's."""


def check(model: Any, name: str) -> None:
    """That a model can go on from what it has read.

    Raises:
        InputError: If its layers are not those of BERT.
    """
    kind = model.config.model_type
    width = model.get_input_embeddings().embedding_dim
    if kind not in FAMILY or width != model.config.hidden_size or model.config.is_decoder:
        raise InputError(
            f"config.encoder.model: {name} is of the kind {kind}; the decoder unilm needs layers as BERT has them "
            f"({', '.join(FAMILY)}, with embeddings as wide as the layers)"
        )


def read(model: Any, pieces: Tensor, mask: Tensor) -> Memory:
    """The memory of a source.

    Args:
        model: As :func:`check` wants it; of the last layer only keys and values are computed.
        pieces: ``(S, T)``.
        mask: ``(S, T)`` true on pieces.
    """
    positions = torch.arange(pieces.shape[1], device=pieces.device).expand_as(pieces)
    hidden = _embedded(model, pieces, positions, 0)  # (S, T, H)
    memory: Memory = []
    layers = model.encoder.layer
    for number, layer in enumerate(layers):
        attention = layer.attention.self
        keys, values = (_heads(part(hidden), attention) for part in (attention.key, attention.value))
        memory.append((keys, values))
        if number + 1 < len(layers):
            query = _heads(attention.query(hidden), attention)
            mixed = _attend_itself(query, keys, values, mask[:, None, None], attention)  # (S, A, T, D)
            hidden = _finish(layer, mixed.transpose(1, 2).flatten(2), hidden)
    return memory


def write(
    model: Any, pieces: Tensor, positions: Tensor, visible: Tensor, memory: Memory, mask: Tensor, past: Memory
) -> tuple[Tensor, Memory]:
    """Vectors of pieces that go on from a source, and the memory of each continuation with them.

    Args:
        model: As :func:`check` wants it.
        pieces: ``(S, G, R)``; they stand in the second segment where the model has one.
        positions: ``(S, G, R)`` counted from the first piece of the source.
        visible: ``(R, P + R)`` true where a piece sees one before it, or itself.
        memory: Of the source.
        mask: ``(S, T)`` true on pieces of the source.
        past: Of the pieces of each continuation so far, empty at its beginning.

    Returns:
        ``(S, G, R, H)``, and keys and values ``(S, G, A, P + R, D)``.
    """
    hidden = _embedded(model, pieces, positions, 1)  # (S, G, R, H)
    seen = torch.cat([mask[:, None, None].expand(*pieces.shape, -1), visible.expand(*pieces.shape, -1)], dim=-1)
    whole: Memory = []
    for number, layer in enumerate(model.encoder.layer):
        attention = layer.attention.self
        query, keys, values = (
            _heads(part(hidden), attention) for part in (attention.query, attention.key, attention.value)
        )  # (S, G, A, R, D)
        if past:
            keys, values = (torch.cat(pair, dim=-2) for pair in zip(past[number], (keys, values), strict=True))
        whole.append((keys, values))
        mixed = _attend(query, memory[number], (keys, values), seen, attention)
        hidden = _finish(layer, mixed.transpose(2, 3).flatten(3), hidden)
    return hidden, whole


def _attend_itself(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, attention: Any) -> Tensor:
    """Attention within the source; the fused kernel is slow backwards where CPUs compute in bf16."""
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad:
        scores = (query @ keys.transpose(-1, -2)).float() / query.shape[-1] ** 0.5
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights: Tensor = attention.dropout(scores.softmax(-1)).to(values.dtype)
        return weights @ values
    rate = attention.dropout.p if attention.training else 0.0
    return F.scaled_dot_product_attention(query, keys, values, mask, rate)


def _attend(
    query: Tensor, source: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor], seen: Tensor, attention: Any
) -> Tensor:
    """``(S, G, A, R, D)``: one softmax over the source, which all continuations share, and what each has of its own."""
    together = query.transpose(1, 2).flatten(2, 3)  # (S, A, G * R, D)
    shape = (query.shape[1], query.shape[3])
    over_source = (together @ source[0].transpose(-1, -2)).unflatten(2, shape).transpose(1, 2)  # (S, G, A, R, T)
    scores = torch.cat([over_source, query @ own[0].transpose(-1, -2)], dim=-1).float() / query.shape[-1] ** 0.5
    scores = scores.masked_fill(~seen.unsqueeze(2), torch.finfo(scores.dtype).min)
    weights: Tensor = attention.dropout(scores.softmax(-1)).to(query.dtype)
    size = source[0].shape[-2]
    of_source = weights[..., :size].transpose(1, 2).flatten(2, 3) @ source[1]  # (S, A, G * R, D)
    return of_source.unflatten(2, shape).transpose(1, 2) + weights[..., size:] @ own[1]


def _embedded(model: Any, pieces: Tensor, positions: Tensor, segment: int) -> Tensor:
    """Vectors of pieces before the first layer, in the shape of the pieces; RoBERTa counts from behind its padding."""
    embeddings = model.embeddings
    padding = embeddings.position_embeddings.padding_idx
    first = 0 if padding is None else padding + 1
    segments = torch.full_like(pieces, min(segment, embeddings.token_type_embeddings.num_embeddings - 1))
    flat = (tensor.reshape(-1, pieces.shape[-1]) for tensor in (pieces, segments, positions + first))
    found: Tensor = embeddings(**dict(zip(("input_ids", "token_type_ids", "position_ids"), flat, strict=True)))
    return found.view(*pieces.shape, found.shape[-1])


def _heads(projected: Tensor, attention: Any) -> Tensor:
    """``(..., A, T, D)`` from ``(..., T, A * D)``."""
    return projected.unflatten(-1, (attention.num_attention_heads, -1)).transpose(-2, -3)


def _finish(layer: nn.Module, mixed: Any, hidden: Any) -> Any:
    """What follows attention in a layer; its parts take three dimensions."""
    module: Any = layer
    attended = module.attention.output(mixed, hidden)
    return module.output(module.intermediate(attended), attended)
