from __future__ import annotations

import pytest
import torch
from torch import nn

from ner.training.dropout import Dropout, replace_dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_share_of_zeros_and_mean(probability: float) -> None:
    torch.manual_seed(0)
    output = Dropout(probability)(torch.ones(1000, 1001))
    assert float((output == 0).double().mean()) == pytest.approx(probability, abs=3e-3)
    assert float(output.double().mean()) == pytest.approx(1, abs=1e-2)
    assert len(output.unique()) == 2


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    kept = Dropout(0.5)(torch.ones(400_000)) != 0
    for distance in (1, 2, 3, 4, 8):
        assert float((kept[:-distance] == kept[distance:]).double().mean()) == pytest.approx(0.5, abs=5e-3)


def test_gradient_is_zero_where_the_output_is() -> None:
    values = torch.ones(3, 5, 7, requires_grad=True)
    output = Dropout(0.5)(values)
    output.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, output.detach())


def test_same_seed_same_mask_and_evaluation_changes_nothing() -> None:
    dropout, values = Dropout(0.3), torch.randn(6, 5)
    torch.manual_seed(3)
    first = dropout(values)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(values))
    assert dropout.eval()(values) is values
    assert Dropout(0.3)(torch.zeros(0, 4)).shape == (0, 4)


@pytest.mark.parametrize("probability", [0.0, 1e-9, 1.0])
def test_extreme_probabilities(probability: float) -> None:
    assert torch.equal(Dropout(probability)(torch.ones(50)), torch.full((50,), float(probability < 0.5)))


def test_replaced_in_all_children() -> None:
    model = nn.Sequential(nn.Dropout(0.2), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3)).eval())
    replace_dropout(model)
    found = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert [(type(module), module.p, module.training) for module in found] == [
        (Dropout, 0.2, True),
        (Dropout, 0.3, False),
    ]
