from __future__ import annotations

import pytest
import torch

from ner.config.parts import ConfigError, parse_component
from ner.errors import InputError
from ner.model.context.rtransformer import Config, build
from ner.types import Encoding


def test_the_local_network_reads_a_window_that_ends_at_the_word() -> None:
    block = build(Config(layers=1, heads=2, window=3, dropout=0), 8).blocks[0]
    for layer in (block.join, block.feed_forward[-1]):  # attention and feed-forward layer add nothing
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    words, mask = torch.randn(1, 9, 8), torch.ones(1, 9, dtype=torch.bool)
    changed = words.clone()
    changed[0, 4] = torch.randn(8)  # a constant would vanish in the norm
    before, after = (block(values, mask) - values for values in (words, changed))
    differs = (before - after).abs().sum(-1)[0] > 1e-4
    assert differs.tolist() == [4 <= position < 4 + 3 for position in range(9)]


def test_attention_sees_the_whole_example_and_no_padding() -> None:
    layer = build(Config(layers=1, heads=2, window=1, dropout=0), 8).eval()
    words = torch.randn(1, 6, 8)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    before = layer(Encoding(words, mask)).words
    for position, reaches in ((0, True), (5, False)):
        changed = words.clone()
        changed[0, position] = torch.randn(8)  # a constant would vanish in the norm
        after = layer(Encoding(changed, mask)).words
        assert bool((after[0, 1:4] - before[0, 1:4]).abs().sum() > 1e-6) == reaches


def test_parameters_are_those_of_the_three_layers() -> None:
    width, inner = 8, 32
    layer = build(Config(layers=2, heads=2), width)
    gru = 6 * (width * width + width)
    attention = 4 * (width * width + width)
    feed_forward = 2 * width * inner + inner + width
    norms = 3 * 2 * width
    expected = 2 * (gru + attention + feed_forward + norms) + 2 * width
    assert sum(parameter.numel() for parameter in layer.parameters()) == expected


def test_another_width_is_reached_by_a_linear_layer() -> None:
    layer = build(Config(width=4, heads=2, layers=1), 8)
    assert layer.width == 4
    assert layer(Encoding(torch.randn(1, 2, 8), torch.ones(1, 2, dtype=torch.bool))).words.shape == (1, 2, 4)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="context.heads must divide context.width, found 3 and 8"):
        parse_component("context", {"name": "rtransformer", "width": 8, "heads": 3})
    with pytest.raises(InputError, match="config.context.heads: 3 does not divide the encoder's width 8"):
        build(Config(heads=3), 8)
