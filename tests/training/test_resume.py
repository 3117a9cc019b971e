from __future__ import annotations

from pathlib import Path

import pytest

from ner.config.load import write_yaml
from ner.errors import InputError
from ner.runs.directory import CONFIG
from ner.training.resume import resumed_config
from tests.builders import settings


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / CONFIG).write_text(write_yaml(settings()), encoding="utf-8")
    return tmp_path


def test_outputs_of_a_resumed_run_are_those_of_its_new_start(directory: Path) -> None:
    given = settings(training__callbacks=["mlflow"], training__tensorboard=True)
    config, changes = resumed_config(directory, given, [])
    assert (config.training.callbacks, config.training.tensorboard, changes) == (("mlflow",), True, [])


def test_live_settings_of_a_resumed_run_become_changes(directory: Path) -> None:
    config, changes = resumed_config(directory, settings(training__epochs=7), ["training.epochs=7"])
    assert (config.training.epochs, changes) == (5, ["training.epochs=7"])


def test_other_settings_of_a_resumed_run_are_refused(directory: Path) -> None:
    with pytest.raises(InputError, match=r"config\.training\.averaging"):
        resumed_config(directory, settings(training__averaging={"kind": "ema"}), [])
