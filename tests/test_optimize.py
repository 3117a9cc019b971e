from __future__ import annotations

import pytest
import torch
from torch import nn

from ner.optimize import build_optimizer, build_schedule, parameter_groups
from ner.types import InputError


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"transformer": nn.Linear(2, 2), "embedding": nn.Embedding(3, 2)})
        self.decoder = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))


def rates(model: nn.Module, learning_rate: float | dict[str, float]) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, learning_rate, 0.1)
    return {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}


def test_one_rate_is_for_all() -> None:
    assert set(rates(Parts(), 0.5).values()) == {0.5}


def test_the_longest_path_wins() -> None:
    found = rates(Parts(), {"encoder": 1.0, "encoder.transformer": 2.0, "decoder.0.bias": 3.0, "decoder": 4.0})
    assert found["encoder.transformer.weight"] == 2
    assert found["encoder.embedding.weight"] == 1
    assert found["decoder.0.bias"] == 3
    assert found["decoder.0.weight"] == found["decoder.1.weight"] == 4


def test_a_part_without_a_rate_is_named() -> None:
    with pytest.raises(InputError, match="no rate for decoder.0.weight; add one for 'decoder' to the map"):
        parameter_groups(Parts(), {"encoder": 1.0}, 0)


def test_a_path_that_matches_nothing_is_named() -> None:
    with pytest.raises(InputError, match="'decodre' is the path of no parameter; paths begin with decoder, encoder"):
        parameter_groups(Parts(), {"encoder": 1.0, "decoder": 1.0, "decodre": 1.0}, 0)


def test_frozen_parameters_are_left_out_and_their_path_is_still_known() -> None:
    model = Parts()
    model.encoder.requires_grad_(False)
    groups = parameter_groups(model, {"encoder": 1.0, "decoder": 1.0}, 0)
    assert {group["name"] for group in groups} == {"decoder"}


def test_biases_and_norms_do_not_decay() -> None:
    for group in parameter_groups(Parts(), 1.0, 0.1):
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_every_optimizer_makes_a_step_downhill(name: str) -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = build_optimizer(name, [{"params": [weight], "lr": 0.1, "weight_decay": 0.0}])
    weight.square().sum().backward()
    optimizer.step()
    assert (weight < 1).all()


@pytest.mark.parametrize(
    ("name", "warmup", "expected"),
    [
        ("constant", 0.0, [1, 1, 1, 1, 1]),
        ("constant", 0.4, [0.5, 1, 1, 1, 1]),
        ("linear", 0.0, [1, 0.8, 0.6, 0.4, 0.2]),
        ("linear", 0.4, [0.5, 1, 1, 2 / 3, 1 / 3]),
        ("linear", 1.0, [0.2, 0.4, 0.6, 0.8, 1]),
    ],
)
def test_a_schedule_gives_the_factor_of_each_step(name: str, warmup: float, expected: list[float]) -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = build_optimizer("sgd", [{"params": [weight], "lr": 1.0}])
    schedule = build_schedule(name, optimizer, 5, warmup)
    found = []
    for _ in range(5):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert found == pytest.approx(expected)
