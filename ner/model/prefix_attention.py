"""Key-value cache of BERT layers for a source and its continuations (UniLM, Dong et al., 2019).

A source attends to itself only, so it is encoded once, and its keys and values are cached for each layer. Pieces of a
continuation attend to the cache and to visible pieces of the continuation; their keys and values are cached in turn.

==  ============================  ==  =====================================
A   heads of a layer              D   width of a head
G   continuations of a source     P   pieces of a continuation so far
R   new pieces
==  ============================  ==  =====================================
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ner.errors import InputError
from ner.model.beam_search import Cache

FAMILY = ("bert", "camembert", "electra", "roberta", "xlm-roberta")
"""Model types with the layers of BERT."""


def check(model: Any, name: str) -> None:
    """Check that a model supports the functions of this module.

    Raises:
        InputError: If it does not have the layers of BERT.
    """
    model_type = model.config.model_type
    width = model.get_input_embeddings().embedding_dim
    if model_type not in FAMILY or width != model.config.hidden_size or model.config.is_decoder:
        raise InputError(
            f"config.encoder.model: {name} has the model type {model_type}; the decoder unilm requires the layers of "
            f"BERT ({', '.join(FAMILY)}, with embeddings as wide as the layers)"
        )


def read(model: Any, pieces: Tensor, mask: Tensor) -> Cache:
    """Return the keys and values ``(S, A, T, D)`` of a source in each layer.

    Args:
        model: A model that passes :func:`check`; the last layer computes keys and values only.
        pieces: ``(S, T)``.
        mask: ``(S, T)`` true on pieces.
    """
    positions = torch.arange(pieces.shape[1], device=pieces.device).expand_as(pieces)
    hidden = _embedded(model, pieces, positions, 0)  # (S, T, H)
    cache: Cache = []
    layers = model.encoder.layer
    for number, layer in enumerate(layers):
        attention = layer.attention.self
        keys, values = (_heads(linear(hidden), attention) for linear in (attention.key, attention.value))
        cache.append((keys, values))
        if number + 1 < len(layers):
            query = _heads(attention.query(hidden), attention)
            visible = mask[:, None, None]
            if query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad:
                scores = (query @ keys.transpose(-1, -2)).float() / query.shape[-1] ** 0.5
                scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
                context = attention.dropout(scores.softmax(-1)).to(values.dtype) @ values
            else:  # the fused kernel; in bf16 on CPUs its backward pass is slow
                rate = attention.dropout.p if attention.training else 0.0
                context = F.scaled_dot_product_attention(query, keys, values, visible, rate)
            hidden = _finish(layer, context.transpose(1, 2).flatten(2), hidden)  # context is (S, A, T, D)
    return cache


def write(
    model: Any, pieces: Tensor, positions: Tensor, visible: Tensor, source: Cache, mask: Tensor, past: Cache
) -> tuple[Tensor, Cache]:
    """Encode new pieces of continuations.

    Args:
        model: A model that passes :func:`check`.
        pieces: ``(S, G, R)``, encoded as second segment if the model has one.
        positions: ``(S, G, R)`` counted from the first piece of the source.
        visible: ``(R, P + R)`` true where a piece attends to a piece of its continuation.
        source: Result of :func:`read`.
        mask: ``(S, T)`` true on pieces of the source.
        past: Keys and values ``(S, G, A, P, D)`` of the pieces of each continuation so far; empty at its start.

    Returns:
        Vectors ``(S, G, R, H)``, and keys and values ``(S, G, A, P + R, D)`` of all pieces.
    """
    hidden = _embedded(model, pieces, positions, 1)  # (S, G, R, H)
    attention_mask = torch.cat(
        [mask[:, None, None].expand(*pieces.shape, -1), visible.expand(*pieces.shape, -1)], dim=-1
    )
    present: Cache = []
    for number, layer in enumerate(model.encoder.layer):
        attention = layer.attention.self
        query, keys, values = (
            _heads(linear(hidden), attention) for linear in (attention.query, attention.key, attention.value)
        )  # (S, G, A, R, D)
        if past:
            keys, values = (torch.cat(pair, dim=-2) for pair in zip(past[number], (keys, values), strict=True))
        present.append((keys, values))
        context = _attend(query, source[number], (keys, values), attention_mask, attention)
        hidden = _finish(layer, context.transpose(2, 3).flatten(3), hidden)
    return hidden, present


def _attend(
    query: Tensor,
    source: tuple[Tensor, Tensor],
    continuation: tuple[Tensor, Tensor],
    attention_mask: Tensor,
    attention: Any,
) -> Tensor:
    """Return ``(S, G, A, R, D)``, one softmax over the shared source and the continuation itself."""
    flat_query = query.transpose(1, 2).flatten(2, 3)  # (S, A, G * R, D)
    shape = (query.shape[1], query.shape[3])
    source_scores = (flat_query @ source[0].transpose(-1, -2)).unflatten(2, shape).transpose(1, 2)  # (S, G, A, R, T)
    scores = (
        torch.cat([source_scores, query @ continuation[0].transpose(-1, -2)], dim=-1).float() / query.shape[-1] ** 0.5
    )
    scores = scores.masked_fill(~attention_mask.unsqueeze(2), torch.finfo(scores.dtype).min)
    weights: Tensor = attention.dropout(scores.softmax(-1)).to(query.dtype)
    size = source[0].shape[-2]
    source_context = weights[..., :size].transpose(1, 2).flatten(2, 3) @ source[1]  # (S, A, G * R, D)
    return source_context.unflatten(2, shape).transpose(1, 2) + weights[..., size:] @ continuation[1]


def _embedded(model: Any, pieces: Tensor, positions: Tensor, segment: int) -> Tensor:
    """Return the embeddings of pieces; the positions of RoBERTa start after its padding id."""
    embeddings = model.embeddings
    padding = embeddings.position_embeddings.padding_idx
    first = 0 if padding is None else padding + 1
    segments = torch.full_like(pieces, min(segment, embeddings.token_type_embeddings.num_embeddings - 1))
    flat = (tensor.reshape(-1, pieces.shape[-1]) for tensor in (pieces, segments, positions + first))
    embedded: Tensor = embeddings(**dict(zip(("input_ids", "token_type_ids", "position_ids"), flat, strict=True)))
    return embedded.view(*pieces.shape, embedded.shape[-1])


def _heads(projected: Tensor, attention: Any) -> Tensor:
    """Return ``(..., A, T, D)`` for ``(..., T, A * D)``."""
    return projected.unflatten(-1, (attention.num_attention_heads, -1)).transpose(-2, -3)


def _finish(layer: Any, context: Tensor, hidden: Tensor) -> Any:
    """Apply the rest of a layer after its attention."""
    attended = layer.attention.output(context, hidden)
    return layer.output(layer.intermediate(attended), attended)
