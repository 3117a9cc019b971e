from __future__ import annotations

import pytest
import torch
from torch import nn

from ner.config.training import AveragingConfig
from ner.errors import InputError
from ner.training.averaged_weights import AveragedWeights
from ner.training.optimizer import build_optimizer, parameter_groups, replace_param_groups
from ner.training.schedule import schedule


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
    with pytest.raises(
        InputError, match="no parameter matches the path 'decodre'; the top-level modules are decoder, encoder"
    ):
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
        ("cosine", 0.0, [1, 0.9045, 0.6545, 0.3455, 0.0955]),
        ("cosine", 0.4, [0.5, 1, 1, 0.75, 0.25]),
        ("inverse_sqrt", 0.0, [1, 2**-0.5, 3**-0.5, 0.5, 5**-0.5]),
        ("inverse_sqrt", 0.4, [0.5, 1, (2 / 3) ** 0.5, 0.5**0.5, 0.4**0.5]),
    ],
)
def test_a_schedule_gives_the_factor_of_each_step(name: str, warmup: float, expected: list[float]) -> None:
    found = [schedule(name, step / 5, (step + 1) / 5, warmup) for step in range(5)]
    assert found == pytest.approx(expected, abs=1e-4)


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2), nn.Linear(2, 2))
        self.encoder.layers = lambda: list(self.encoder)
        self.decoder = nn.Linear(2, 2)


def test_lower_layers_learn_more_slowly() -> None:
    model = Layers()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, {"encoder": 1.0, "decoder": 8.0}, 0, layer_decay=0.5)
    found = {names[id(parameter)]: group["base"] for group in groups for parameter in group["params"]}
    assert [found[f"encoder.{layer}.weight"] for layer in range(3)] == [0.25, 0.5, 1.0]
    assert found["encoder.2.bias"] == 1.0
    assert found["decoder.weight"] == 8.0
    assert {group["name"] for group in groups} == {
        "encoder",
        "encoder 1 below the top",
        "encoder 2 below the top",
        "decoder",
    }


def test_other_groups_keep_what_the_optimizer_remembers() -> None:
    model = nn.Linear(2, 2)
    optimizer = build_optimizer("adamw", parameter_groups(model, 0.1, 0.1))
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    before = {id(p): dict(state) for p, state in optimizer.state.items()}
    replace_param_groups(optimizer, parameter_groups(model, {"weight": 0.5, "bias": 0.2}, 0.1))
    assert {id(p): dict(state) for p, state in optimizer.state.items()} == before
    assert {group["lr"] for group in optimizer.param_groups} == {0.5, 0.2}


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_averages_are_means_of_the_weights(kind: str) -> None:
    model = nn.Linear(1, 1, bias=False)
    average = AveragedWeights(model, AveragingConfig(kind=kind, decay=0.5, start=1))
    values = [1.0, 2.0, 4.0, 8.0]
    for epoch, value in enumerate(values):
        nn.init.constant_(model.weight, value)
        average.after_step(epoch)
        average.after_epoch(epoch + 1)
    expected = 14 / 3 if kind == "swa" else None
    if kind == "ema":  # 2, then a mean that keeps 2/12 and 3/13 of itself
        expected = 2.0
        for count, value in enumerate(values[2:], 1):
            keep = min(0.5, (count + 1) / (count + 11))
            expected = keep * expected + (1 - keep) * value
    with average.swapped_in():
        assert float(model.weight.detach()) == pytest.approx(expected)
    assert float(model.weight.detach()) == 8.0
