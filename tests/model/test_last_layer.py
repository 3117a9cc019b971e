"""The last layer of a pretrained encoder, computed only for the pieces that are read."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ner.model.last_layer import selected_states, support_selection

PIECES = torch.tensor([[2, 7, 9, 11, 3], [2, 5, 3, 0, 0]])
POSITIONS = torch.tensor([1, 3, 6, 0, 5])


@pytest.fixture
def model(tiny_bert: str) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(tiny_bert).eval()


def states(model: Any, selects: bool) -> Tensor:
    return selected_states(model, POSITIONS, selects, {"input_ids": PIECES, "attention_mask": (PIECES > 0).long()})


def test_selected_states_and_their_gradients_are_those_of_the_whole_layer(model: Any) -> None:
    whole = copy.deepcopy(model)
    assert support_selection(model)
    found, expected = states(model, True), states(whole, False)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    weights = torch.randn_like(expected)
    for result in (found, expected):
        (result * weights).sum().backward()
    for (name, left), (_, right) in zip(model.named_parameters(), whole.named_parameters(), strict=True):
        if "pooler" not in name:
            torch.testing.assert_close(left.grad, right.grad, rtol=1e-4, atol=1e-6)


def test_the_feed_forward_network_of_the_last_layer_reads_the_selected_pieces_only(model: Any) -> None:
    shapes = []

    def record(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        shapes.append(tuple(inputs[0].shape[:2]))

    support_selection(model)
    support_selection(model)  # of a shared model
    for layer in model.encoder.layer:
        layer.intermediate.register_forward_hook(record)
    states(model, True)
    assert shapes == [*[(2, 5)] * (len(shapes) - 1), (1, 5)]
    shapes.clear()
    model(input_ids=PIECES)
    assert set(shapes) == {(2, 5)}


def test_other_models_compute_all_pieces() -> None:
    from transformers import DistilBertConfig, DistilBertModel

    model = DistilBertModel(DistilBertConfig(vocab_size=20, dim=8, hidden_dim=16, n_layers=1, n_heads=2)).eval()
    assert not support_selection(model)
    everything = model(input_ids=PIECES, attention_mask=(PIECES > 0).long()).last_hidden_state.flatten(0, 1)
    torch.testing.assert_close(states(model, False), everything[POSITIONS])


@pytest.mark.slow
def test_a_compiled_encoder_stays_one_graph(model: Any) -> None:
    support_selection(model)
    found = torch._dynamo.explain(states)(model, True)
    assert (found.graph_count, found.graph_break_count) == (1, 0)
