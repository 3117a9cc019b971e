from __future__ import annotations

from typing import Any

import pytest

from ner.config.parts import validate
from ner.config.schema import RunConfig
from ner.data.config_checks import check_settings, check_warmup


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, None),
        ({"learning_rate": 0}, "learning-rate"),
        ({"learning_rate": 0.5}, "learning-rate"),
        ({"learning_rate": 1e-9}, "learning-rate"),
        ({"epochs": 1}, "steps"),
        ({"warmup_steps": 100_000}, None),
    ],
)
def test_settings_that_cannot_work_are_found(options: dict[str, Any], name: str | None) -> None:
    raw = {"data": {"train": "a", "valid": "b"}, "encoder": {"name": "embedding", "dimension": 4}, "training": options}
    assert [found.name for found in check_settings(validate(RunConfig, raw), 1000)] == ([name] if name else [])


def test_a_rate_for_small_models_is_too_high_for_a_pretrained_encoder() -> None:
    raw: dict[str, Any] = {"data": {"train": "a", "valid": "b"}, "encoder": {"name": "transformer", "model": "x"}}
    for rates, count in ((1e-3, 1), (3e-5, 0), ({"": 1e-3, "encoder": 3e-5}, 0), ({"encoder": 1e-3}, 1)):
        found = check_settings(validate(RunConfig, {**raw, "training": {"learning_rate": rates}}), 100_000)
        assert len(found) == count
        assert all("pretrained encoder" in one.message for one in found)


@pytest.mark.parametrize(("steps", "names"), [(None, []), (640, []), (641, ["warm-up"])])
def test_a_warm_up_longer_than_the_training_is_found(steps: int | None, names: list[str]) -> None:
    raw = {"data": {"train": "a", "valid": "b"}, "encoder": {"name": "embedding", "dimension": 4}}
    training = {"warmup_steps": steps, "epochs": 20}
    config = validate(RunConfig, {**raw, "training": training, "batch": {"size": 32}})
    assert [found.name for found in check_warmup(config, 1000)] == names
    by_words = validate(RunConfig, {**raw, "training": training, "batch": {"size": 32, "measure": "words"}})
    assert check_warmup(by_words, 1000) == []
