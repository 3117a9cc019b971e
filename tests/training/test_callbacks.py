from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ner.commands import train
from ner.config.load import load_config
from ner.config.parts import ConfigError
from ner.errors import InputError
from ner.runs.directory import METRICS
from ner.training.callbacks import mlflow, wandb
from tests.conftest import ROOT, SAMPLE

CONFIG = str(ROOT / "configs" / "tiny.yaml")
SMALL = [f"data.{split}={SAMPLE}/en/valid.conll" for split in ("train", "valid")] + ["data.test=null"]


class Recorder:
    """A callback that records its calls, and fails at one of them on request."""

    def __init__(self, fails: str = "", stops: bool = False) -> None:
        self.calls: list[str] = []
        self.fails, self.stops = fails, stops

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails:
            raise ValueError("no connection")

    def on_start(self, run: Any) -> None:
        self.run = run
        self._call("start")

    def on_step(self, progress: Any) -> None:
        self._call("step")

    def on_epoch(self, progress: Any) -> None:
        self._call("epoch")
        self.run.stop_requested = self.stops

    def on_end(self, scores: Mapping[str, Any] | None) -> None:
        self._call("stopped" if scores is None else f"end {sorted(scores)}")


def fake(name: str, calls: list[Any]) -> ModuleType:
    """A module whose functions record their calls."""

    class Fake(ModuleType):
        def __getattr__(self, function: str) -> Any:
            if function.startswith("__"):
                raise AttributeError(function)

            def call(*arguments: Any, **options: Any) -> Any:
                calls.append((function, arguments, options))
                return SimpleNamespace(log=self.log, finish=self.finish, summary={})

            return call

    return Fake(name)


@pytest.mark.slow
def test_a_training_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "mlflow", fake("mlflow", calls))
    good, bad, run = Recorder(), Recorder("epoch"), tmp_path / "run"
    command = ["--config", CONFIG, "--run", str(run), *SMALL, "training.epochs=2", "training.callbacks=[mlflow]"]
    assert train.main(command, [good, bad]) == 0
    reported = [call for call in good.calls if call != "step"]
    assert reported == ["start", "epoch", "epoch", "end ['epoch', 'train', 'valid']"]
    assert good.calls.index("step") == 1
    assert bad.calls == good.calls[: good.calls.index("epoch") + 1]
    assert "Recorder failed and is left out from now on: ValueError: no connection" in (run / "train.log").read_text()
    names = [name for name, _, _ in calls]
    assert names == ["start_run", "log_params", "log_metrics", "log_metrics", "log_metrics", "end_run"]
    assert calls[1][1][0]["training.epochs"] == "2"
    assert calls[2][1][0]["valid.entity.micro.f1"] >= 0
    assert calls[2][2] == {"step": 1}
    assert calls[-1][1] == ("FINISHED",)


def test_a_callback_that_cannot_start_ends_the_training_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--config", CONFIG, "--run", str(tmp_path / "run"), *SMALL]
    assert train.main(command, [Recorder("start")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: callback Recorder could not start: ValueError: no connection"
    )


@pytest.mark.slow
def test_a_callback_may_stop_the_training(tmp_path: Path) -> None:
    recorder = Recorder(stops=True)
    assert train.main(["--config", CONFIG, "--run", str(tmp_path / "run"), *SMALL], [recorder]) == 0
    assert recorder.calls[-2:] == ["epoch", "stopped"]
    assert not (tmp_path / "run" / METRICS).exists()


def test_wandb_receives_steps_epochs_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "wandb", fake("wandb", calls))
    callback = wandb.build()
    config = SimpleNamespace(model_dump=lambda mode: {"seed": 1})
    callback.on_start(SimpleNamespace(directory=Path("runs/a"), config=config))  # type: ignore[arg-type]
    callback.on_step(SimpleNamespace(step=3, loss=0.5, learning_rates={"all": 0.1}))  # type: ignore[arg-type]
    callback.on_end({"test": {"entity": {"f1": 0.5}}})
    assert [name for name, _, _ in calls] == ["init", "log", "finish"]
    assert calls[0][2]["config"] == {"seed": 1}
    assert calls[1][1] == ({"step/loss": 0.5, "step/rate.all": 0.1},)
    assert callback.run.summary == {"final.test.entity.f1": 0.5}


@pytest.mark.parametrize(("module", "name"), [(mlflow, "mlflow"), (wandb, "wandb")])
def test_a_library_that_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=f"{name} is not installed; pip install {name}"):
        module.build()


def test_an_unknown_callback_is_refused() -> None:
    with pytest.raises(ConfigError, match="no file named 'mlfow' in ner/training/callbacks; there are: mlflow, wandb"):
        load_config(CONFIG, ["training.callbacks=[mlfow]"])
