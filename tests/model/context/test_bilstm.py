from __future__ import annotations

import pytest
import torch

from ner.model.context.bilstm import BiLSTM, Config, build
from ner.runtime.device import has_bf16
from ner.types import Encoding


def layer(**options: object) -> BiLSTM:
    return build(Config(**{"hidden_size": 3, "dropout": 0, **options}), 4)


def encoding(length: int) -> Encoding:
    return Encoding(torch.randn(1, length, 4), torch.ones(1, length, dtype=torch.bool))


def reached(part: BiLSTM, length: int, changed: int) -> list[bool]:
    """Which words look different when one word has another vector."""
    before = encoding(length)
    words = before.words.clone()
    words[0, changed] += 1
    after = part(Encoding(words, before.mask)).words
    return ((after - part(before).words).abs().sum(-1)[0] > 1e-7).tolist()


@pytest.mark.parametrize("changed", [0, 2, 4])
def test_every_word_sees_every_word_of_its_example(changed: int) -> None:
    assert reached(layer(), 5, changed) == [True] * 5


def test_each_direction_reads_one_way() -> None:
    part = layer()
    before = encoding(5)
    words = before.words.clone()
    words[0, 2] += 1
    differs = (part(Encoding(words, before.mask)).words - part(before).words).abs() > 1e-7
    ahead, back = differs[0, :, :3].any(-1), differs[0, :, 3:].any(-1)
    assert ahead.tolist() == [False, False, True, True, True]
    assert back.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("layers", [1, 3])
def test_the_parameters_are_those_of_lstms_in_two_directions(layers: int) -> None:
    part = layer(layers=layers)
    assert part.width == 6
    each = [4 * 3 * (width + 3 + 2) for width in [4] + [6] * (layers - 1)]
    assert sum(parameter.numel() for parameter in part.parameters()) == 2 * sum(each)
    assert part(encoding(2)).words.shape == (1, 2, 6)


def test_the_question_travels_on_and_the_summary_does_not() -> None:
    given = encoding(3)
    given.pooled, given.question_mask = torch.zeros(1, 4), torch.tensor([[True, False, False]])
    found = layer()(given)
    assert found.pooled is None
    assert found.question_mask is given.question_mask


def test_dropout_acts_in_training_only() -> None:
    part, given = layer(dropout=0.5), encoding(6)
    assert not torch.equal(part(given).words, part(given).words)
    part.eval()
    assert torch.equal(part(given).words, part(given).words)


@pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="needs a processor with bf16")
def test_half_precision_around_it_is_bearable() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(layer()(encoding(4)).words).all()
