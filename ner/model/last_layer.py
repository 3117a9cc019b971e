"""The last layer of a pretrained encoder, computed only for the pieces that are read.

A tagger reads one piece of each word. What the last layer computes after its attention (projection, normalization and
feed-forward network) depends on a single piece, so the other pieces need none of it. In BERT and its relatives these
are three quarters of the layer's arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

SUPPORTED_MODELS = {"bert", "roberta", "xlm-roberta", "camembert", "electra"}
"""Models of transformers whose ``encoder.layer[-1].attention.output`` takes the attention and its residual input."""

_positions: ContextVar[Tensor | None] = ContextVar("positions", default=None)


def support_selection(model: Any) -> bool:
    """Let a model of transformers select pieces in its last layer; return whether it can."""
    layers = getattr(getattr(model, "encoder", None), "layer", None)
    if model.config.model_type not in SUPPORTED_MODELS or not layers:
        return False
    module = layers[-1].attention.output
    if _select not in module._forward_pre_hooks.values():  # the model may be shared
        module.register_forward_pre_hook(_select)
    return True


def _select(module: nn.Module, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
    """Reduce attention and residual input ``(B, T, H)`` to the selected pieces ``(1, P, H)``."""
    if torch.compiler.is_compiling():  # a context variable would break the graph
        return None
    positions = _positions.get()
    if positions is None:
        return None
    attention, residual = (states.flatten(0, 1).index_select(0, positions).unsqueeze(0) for states in inputs)
    return attention, residual


def selected_states(model: Any, positions: Tensor, supported: bool, model_inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the last hidden states ``(P, H)`` of selected pieces.

    Args:
        model: Encoder of transformers.
        positions: ``(P,)`` positions in the flattened pieces ``(B * T,)``.
        supported: Result of :func:`support_selection`. Otherwise all states are computed, as in a compiled model.
            Gradient checkpointing is not supported: it would run the layer again without the selection.
        model_inputs: Arguments of the model.
    """
    if not supported or torch.compiler.is_compiling() or not len(positions):  # the pooler of BERT needs a piece
        states: Tensor = model(**model_inputs).last_hidden_state
        return states.flatten(0, 1).index_select(0, positions)
    token = _positions.set(positions)
    try:
        selected: Tensor = model(**model_inputs).last_hidden_state
    finally:
        _positions.reset(token)
    return selected.squeeze(0)
