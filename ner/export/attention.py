"""Attention of an exported graph as one operator of onnxruntime instead of products, mask and softmax.

``MultiHeadAttention`` computes attention in blocks (FlashAttention: Dao et al., 2022), so its memory grows with the
length of a row and not with the square, but only if it has no mask. The mask is therefore a component of the vectors:
1 in each query, and in each key 0, or a large negative number if it is padding. The product of both adds the mask to
the score.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.onnx import register_custom_op_symbolic, symbolic_helper
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

OPSET = 17
"""Version of the ONNX operators of exported graphs."""
NAME = "onnxruntime"
"""Name of the attention in transformers."""


@torch.library.custom_op("ner_crf::multi_head_attention", mutates_args=())
def multi_head_attention(queries: Tensor, keys: Tensor, values: Tensor, num_heads: int, scaling: float) -> Tensor:
    """Return the attention ``(B, T, A * D)`` of ``A`` heads.

    Args:
        queries: ``(B, T, A * E)``, the vectors of the heads side by side.
        keys: ``(B, T, A * E)``.
        values: ``(B, T, A * D)``.
        num_heads: ``A``.
        scaling: Factor of the products of queries and keys.
    """
    query, key, value = (vectors.unflatten(-1, (num_heads, -1)).transpose(1, 2) for vectors in (queries, keys, values))
    return F.scaled_dot_product_attention(query, key, value, scale=scaling).transpose(1, 2).flatten(2)


@symbolic_helper.parse_args("v", "v", "v", "i", "f")
def _operator(graph: Any, queries: Any, keys: Any, values: Any, num_heads: int, scaling: float) -> Any:
    name = "com.microsoft::MultiHeadAttention"
    output = graph.op(name, queries, keys, values, num_heads_i=num_heads, scale_f=scaling)
    output.setType(values.type())
    return output


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Return the attention ``(B, T, A, D)`` for vectors ``(B, A, T, D)`` and a mask ``(B, 1, 1, T)``."""
    queries, keys, values = (vectors.transpose(1, 2) for vectors in (query, key, value))
    num_heads, size = queries.shape[2:]
    mask = attention_mask[:, 0, 0, :, None, None].expand(-1, -1, num_heads, 1)
    queries = torch.cat([queries, torch.ones_like(queries[..., :1])], dim=-1).flatten(2)
    keys = torch.cat([keys, mask], dim=-1).flatten(2)
    scaling = size**-0.5 if scaling is None else scaling
    states = multi_head_attention(queries, keys, values.flatten(2), num_heads, scaling)
    return states.unflatten(-1, (num_heads, size)), None


register_custom_op_symbolic("ner_crf::multi_head_attention", _operator, OPSET)
AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def single_operator_attention(encoders: list[PreTrainedModel]) -> Iterator[None]:
    """Let encoders that accept a mask ``(B, 1, 1, T)`` compute attention by one operator."""
    before = [encoder.config._attn_implementation for encoder in encoders]
    try:
        for encoder in encoders:
            encoder.set_attn_implementation(NAME)
        yield
    finally:
        for encoder, name in zip(encoders, before, strict=True):
            encoder.set_attn_implementation(name)
