"""Export of encoder, context layer and decoder scores to an ONNX graph with dynamic sizes.

The graph is traced by torch's TorchScript exporter. The newer exporter (``torch.export``) unrolls LSTMs, and takes a
minute for a small encoder.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ner.export.attention import OPSET, single_operator_attention
from ner.model.decoders.classifier import ClassifierDecoder
from ner.model.encoders.concat import ConcatEncoder
from ner.model.encoders.embedding import EmbeddingEncoder
from ner.model.encoders.transformer import ACCEPT_4D_MASKS, TransformerEncoder
from ner.model.last_layer import selected_states
from ner.model.model import Model
from ner.model.tag_decoder import TagDecoder
from ner.types import Encoding

DIMENSIONS = {
    **dict.fromkeys(("mask", "words", "positions", "state_positions"), ("examples", "words")),
    **dict.fromkeys(("bigram_ids", "segment_positions"), ("examples", "words")),
    "short_sentences": ("short_examples", "short_width"),
    "long_sentences": ("long_examples", "long_width"),
    **dict.fromkeys(("pieces", "piece_mask"), ("rows", "pieces")),
    **dict.fromkeys(("word_ids", "shape_ids"), ("distinct_words",)),
    "characters": ("short_words", "characters"),
    "long_characters": ("long_words", "long_characters"),
    **dict.fromkeys(("word_pieces", "piece_words", "piece_weights"), ("word_pieces",)),
    **dict.fromkeys(("rows", "row_examples", "row_weights"), ("example_rows",)),
}
"""Names of the dynamic dimensions of each input; those of ``concat`` are prefixed with the key of their member."""
OUTPUTS = {"emissions": ("examples", "words"), "classes": ("examples",)}
"""Names of the dynamic dimensions of each output."""
KINDS = {"emissions": TagDecoder, "classes": ClassifierDecoder}
"""Decoders of the outputs."""


class Graph(nn.Module):
    """A model as a function from named arrays to the scores of its decoder."""

    def __init__(self, model: Model, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, list(names)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the scores in the order of :data:`OUTPUTS`."""
        inputs = dict(zip(self.names, tensors, strict=True))
        encoding = encode(self.model.encoder, inputs)
        if self.model.has_context:
            encoding = contextualize(self.model.context, encoding, inputs)
        scores = self.model.decoder(encoding)
        return tuple(scores[name] for name in OUTPUTS if name in scores)


def encode(encoder: nn.Module, inputs: Mapping[str, Tensor]) -> Encoding:
    """Return the encoding from the arrays of :mod:`ner.portable.inputs`."""
    mask = inputs["mask"]
    if isinstance(encoder, ConcatEncoder):
        encodings = []
        for key, member in encoder.members.items():
            member_inputs = {
                name.removeprefix(f"{key}."): t for name, t in inputs.items() if name.startswith(f"{key}.")
            }
            encodings.append(encode(member, {**member_inputs, "mask": mask}))
        vectors = [encoding.pooled for encoding in encodings if encoding.pooled is not None]
        pooled = torch.cat(vectors, dim=-1) if len(vectors) == len(encodings) else None
        return Encoding(torch.cat([encoding.words for encoding in encodings], dim=-1), mask, pooled)
    if isinstance(encoder, EmbeddingEncoder):
        default_inputs = {
            "known": torch.ones_like(mask),
            "query_lengths": mask.sum(1) * 0,
            "word_ids": inputs["words"][0],
        }
        encoding: Encoding = encoder({**default_inputs, **inputs})
        return Encoding(encoding.words, mask)
    assert isinstance(encoder, TransformerEncoder), "other encoders are refused"
    piece_mask = inputs["piece_mask"]
    attention_mask: Tensor = piece_mask.long()
    if encoder.model.config.model_type in ACCEPT_4D_MASKS:  # a mask (B, T) would be checked while tracing
        attention_mask = (1.0 - piece_mask[:, None, None].float()) * torch.finfo(torch.float32).min
    pieces, word_pieces = inputs["pieces"], inputs["word_pieces"]
    positions = word_pieces
    if "rows" in inputs:
        positions = torch.cat([word_pieces, torch.arange(pieces.shape[0]) * pieces.shape[1]])
    model_inputs = {"input_ids": pieces, "attention_mask": attention_mask}
    states = selected_states(encoder.model, positions, encoder.selects_pieces, model_inputs)
    word_states, first_states = states[: word_pieces.shape[0]], states[word_pieces.shape[0] :]
    if "positions" in inputs:
        words = word_states[inputs["positions"]] * mask.unsqueeze(-1)
    else:
        words = bag(word_states, inputs["piece_words"], inputs["piece_weights"], mask.reshape(-1))
        words = words.reshape(*mask.shape, encoder.width)
    pooled = None
    if "rows" in inputs:
        pooled = bag(first_states[inputs["rows"]], inputs["row_examples"], inputs["row_weights"], mask[:, 0])
    return Encoding(words, mask, pooled)


def contextualize(context: nn.Module, encoding: Encoding, inputs: Mapping[str, Tensor]) -> Encoding:
    """Apply a context layer to short and to long sentences, see :func:`ner.portable.inputs.context_arrays`."""
    words, mask = encoding.words.flatten(0, 1), encoding.mask.flatten()
    states = []
    for name in ("short_sentences", "long_sentences"):
        positions = inputs[name]
        contextualized: Encoding = context(Encoding(words[positions], mask[positions]))
        states.append(contextualized.words.flatten(0, 1))
    return Encoding(torch.cat(states)[inputs["state_positions"]] * encoding.mask.unsqueeze(-1), encoding.mask)


def bag(vectors: Tensor, bag_ids: Tensor, weights: Tensor, like: Tensor) -> Tensor:
    """Return the weighted sums of rows of ``vectors (N, H)`` by bag, one for each element of ``like``."""
    values = vectors * weights.unsqueeze(-1)
    sums = torch.zeros_like(like, dtype=values.dtype).unsqueeze(-1).expand(-1, values.shape[-1])
    return sums.scatter_add(0, bag_ids.unsqueeze(-1).expand_as(values), values)


def write_graph(model: Model, arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Trace a model with the arrays of a batch and write the graph; the sizes of the arrays are dynamic.

    Args:
        model: Model in evaluation mode on the CPU, in float32.
        arrays: Inputs of the graph; no size may be 1, because tracing would fix it.
        path: Target.
    """
    names = list(arrays)
    graph = Graph(model, names).eval()
    tensors = tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays.values())
    outputs = [
        name
        for name, decoder_type in KINDS.items()
        if any(isinstance(module, decoder_type) for module in model.decoder.modules())
    ]
    dynamic_axes: dict[str, Any] = {name: dict(enumerate(OUTPUTS[name])) for name in outputs}
    for name, array in arrays.items():
        base_name = name.rpartition(".")[2]
        prefix = name.removesuffix(base_name) if DIMENSIONS[base_name] != DIMENSIONS["mask"] else ""
        dynamic_axes[name] = {
            number: f"{prefix}{size}" for number, size in enumerate(DIMENSIONS[base_name][: array.ndim])
        }
    encoders = [
        module.model
        for module in model.modules()
        if isinstance(module, TransformerEncoder) and module.model.config.model_type in ACCEPT_4D_MASKS
    ]
    with torch.no_grad(), warnings.catch_warnings(), single_operator_attention(encoders):
        warnings.simplefilter("ignore")  # the exporter is deprecated, and warns of every condition that it traces
        torch.onnx.export(
            graph,
            tensors,
            str(path),
            dynamo=False,
            input_names=names,
            output_names=outputs,
            opset_version=OPSET,
            dynamic_axes=dynamic_axes,
        )
