from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner.commands import contract, predict, train
from ner.config import plugins
from tests.commands.test_cli import refused
from tests.conftest import ROOT, SAMPLE

LAYER = ROOT / "examples" / "gated_conv" / "gated_conv.py"
WITHOUT_PLUGINS = {"card", "push", "export"}
"""Commands with ``--run`` or ``--config`` that build no component, or accept only the components of this project."""


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from loguru import logger

    monkeypatch.setattr(plugins, "LOADED", {})
    yield
    logger.remove()


def test_the_example_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert contract.main([str(LAYER)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("pass  ") for line in lines[:-1])
    assert lines[-1] == f"context/gated_conv: {len(lines) - 1} properties, 0 failed"


def test_a_failed_property_is_a_line_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = LAYER.read_text(encoding="utf-8")
    (tmp_path / "gated_conv.py").write_text(source.replace(") * mask", ")"), encoding="utf-8")
    assert contract.main([str(tmp_path / "gated_conv.py")]) == 1
    out = capsys.readouterr().out
    assert "FAIL  zeros at padding: Return zeros at padding.\n      expected zeros where the mask is false\n" in out
    assert "pass  complete gradients: " in out


def test_options_and_built_in_components(capsys: pytest.CaptureFixture[str]) -> None:
    assert contract.main(["context/bilstm", "hidden_size=3"]) == 0
    assert refused(capsys, contract.main, "context/bilstm", "hidden=3").startswith("config.hidden: was renamed to")
    assert "expected a file such as my_layer.py" in refused(capsys, contract.main, "layers/bilstm")
    assert "are not covered" in refused(capsys, contract.main, "decoders/unilm")


def test_every_command_that_reads_a_run_accepts_plugins() -> None:
    for path in sorted((ROOT / "ner" / "commands").glob("[a-z]*.py")):
        parsers: list[argparse.ArgumentParser] = []

        class Stop(Exception):
            pass

        def parse(parser: argparse.ArgumentParser, *_: object, parsers: list = parsers, stop: type = Stop) -> None:
            parsers.append(parser)
            raise stop

        module = importlib.import_module(f"ner.commands.{path.stem}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ner.runtime.cli.parse_arguments", parse)
            with pytest.raises(Stop):
                module.main([])
        options = {option for action in parsers[0]._actions for option in action.option_strings}
        if {"--run", "--config"} & options and path.stem not in WITHOUT_PLUGINS:
            assert "--plugin" in options, f"ner {path.stem}: call ner.commands._plugins.add_option"


@pytest.mark.slow
def test_a_plugin_is_trained_and_used_for_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    run, plugin = str(tmp_path / "run"), ["--plugin", str(LAYER)]
    small = ["training.epochs=1", "encoder.dimension=4", "data.test=null", f"data.train={SAMPLE}/en/valid.conll"]
    config = str(LAYER.with_suffix(".yaml"))
    assert "there are: bilstm" in refused(capsys, train.main, "--config", config, "--run", run)
    assert train.main(["--config", config, "--run", run, *plugin, *small]) == 0
    assert f"--plugin {LAYER}" in capsys.readouterr().out
    text = tmp_path / "text"
    text.write_text("Ada lives in Berlin\n", encoding="utf-8")
    monkeypatch.setattr(plugins, "LOADED", {})
    arguments = ["--run", run, "--format", "text", "--input", str(text)]
    assert "needs the plug-in context/gated_conv" in refused(capsys, predict.main, *arguments)
    assert predict.main([*arguments, *plugin]) == 0
    assert '"text": "Ada lives in Berlin"' in capsys.readouterr().out
