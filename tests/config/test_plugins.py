from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ner.config import plugins
from ner.config.load import load_config
from ner.config.parts import ConfigError, component_names, load_component, parse_component
from ner.data import conversion
from ner.errors import InputError
from ner.runs.directory import CONFIG, config_files, read_config
from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "gated_conv"
LAYER = EXAMPLE / "gated_conv.py"


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests start without plug-ins and leave none behind."""
    monkeypatch.setattr(plugins, "LOADED", {})
    yield
    for name in [*sys.modules]:
        if name.startswith("ner_plugins.") or name == "gated_conv":
            del sys.modules[name]


def install(monkeypatch: pytest.MonkeyPatch, *entries: importlib.metadata.EntryPoint) -> None:
    """Pretend that distributions with these entry points are installed."""

    def entry_points(**wanted: str) -> importlib.metadata.EntryPoints:
        return importlib.metadata.EntryPoints(entries).select(**wanted)

    monkeypatch.setattr(plugins.metadata, "entry_points", entry_points)
    monkeypatch.syspath_prepend(str(EXAMPLE))


def declared(value: str, name: str = "gated_conv", version: str = "0.1.0") -> Any:
    entry = importlib.metadata.EntryPoint(name, value, "ner.context")
    return entry._for(SimpleNamespace(name="ner-gated-conv", version=version))  # type: ignore[attr-defined]


def test_a_file_becomes_a_component_with_its_own_keys() -> None:
    plugin = plugins.load_file(LAYER)
    assert (plugin.folder, plugin.name, plugin.origin) == ("context", "gated_conv", "gated_conv.py")
    assert plugins.load_file(LAYER) is plugin
    assert "gated_conv" in component_names("context")
    assert load_component("context", "gated_conv") is plugin.module
    assert parse_component("context", {"name": "gated_conv", "layers": 3}).layers == 3
    with pytest.raises(ConfigError, match=r"^config.layer: unknown key; did you mean 'layers'\?"):
        parse_component("context", {"name": "gated_conv", "layer": 3})
    with pytest.raises(ConfigError, match=r"^config.layers: input should be greater than or equal to 1"):
        parse_component("context", {"name": "gated_conv", "layers": 0})


def test_an_installed_distribution_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, declared("gated_conv"))
    with pytest.raises(ConfigError, match="there are: bilstm, gated_conv, rtransformer"):
        load_component("context", "gated")
    assert "gated_conv" not in sys.modules
    assert parse_component("context", "gated_conv").kernel_size == 3
    plugin = plugins.find("context", "gated_conv")
    assert plugin is not None
    assert (plugin.origin, plugin.installed) == ("ner-gated-conv 0.1.0", True)


def test_the_example_declares_its_entry_point() -> None:
    import tomllib

    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"] == {"ner.context": {"gated_conv": "gated_conv"}}
    assert len((EXAMPLE / "README.md").read_text(encoding="utf-8").splitlines()) <= 22


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([declared("gated_conv"), declared("gated_conv", version="0.2.0")], "declared by ner-gated-conv 0.1.0 and "),
        ([declared("no_such_module")], "ner-gated-conv 0.1.0: the plug-in context/gated_conv cannot be imported: "),
        ([declared("gated_conv:build")], "expected a module as the plug-in context/gated_conv, found gated_conv:build"),
        ([declared("gated_conv", name="other")], "Config.name to be Literal['other'], found gated_conv"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, entries: list[Any], message: str
) -> None:
    install(monkeypatch, *entries)
    with pytest.raises(InputError) as caught:
        load_component("context", entries[0].name)
    assert message in str(caught.value)


def test_built_in_components_are_not_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, declared("gated_conv", name="bilstm"))
    assert load_component("context", "bilstm").__name__ == "ner.model.context.bilstm"
    path = tmp_path / "bilstm.py"
    path.write_text(LAYER.read_text(encoding="utf-8").replace("gated_conv", "bilstm"), encoding="utf-8")
    with pytest.raises(InputError, match="context/bilstm is a component of ner and cannot be replaced"):
        plugins.load_file(path)


CONFIG_CLASS = "from typing import Literal\nfrom ner.config.base import {base}\nclass Config({base}):\n    {body}\n"
NAMED = "name: Literal['part'] = 'part'"
CLASSES = {
    base: CONFIG_CLASS.format(base=base, body=NAMED) for base in ("ComponentConfig", "EncoderConfig", "DecoderConfig")
}
FORMAT = (
    "output_extension = 'x'\nprobabilities = False\nSTORES = frozenset({'tags'})\n"
    "def write(*_): pass\ndef read(*_): pass\n"
)
METRIC = "REQUIRES = frozenset({'tags'})\ndef count(*_): pass\ndef scores(*_): pass\ndef lines(*_): pass\n"


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        (CLASSES["ComponentConfig"] + "def build(*_): pass", "context"),
        (CLASSES["EncoderConfig"] + "def build(*_): pass", "encoders"),
        (CLASSES["DecoderConfig"] + "OUTPUTS = frozenset({'tags'})", "decoders"),
        (CLASSES["ComponentConfig"] + FORMAT, "formats"),
        (METRIC, "metrics"),
    ],
)
def test_the_contents_of_a_file_show_its_kind(tmp_path: Path, source: str, folder: str) -> None:
    (tmp_path / "part.py").write_text(source, encoding="utf-8")
    assert plugins.load_file(tmp_path / "part.py").folder == folder
    assert "part" in component_names(folder)


def test_a_format_may_omit_what_has_a_default(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text(CLASSES["ComponentConfig"] + FORMAT, encoding="utf-8")
    plugins.load_file(tmp_path / "part.py")
    form = load_component("formats", "part")
    assert (form.ROUND_TRIP, form.export, form.forbidden_characters(form.Config())) == ("gold", None, {})
    assert "part" not in conversion.targets()


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("none.py", None, "none.py: cannot be read: No such file or directory"),
        ("part.txt", "", "part.txt: expected a Python file with the name of a component"),
        ("my-part.py", "", "my-part.py: expected a Python file with the name of a component"),
        ("part.py", "", "part.py: expected a component: Config and build"),
        ("part.py", "\n1 / 0", "part.py: cannot be imported: line 2: ZeroDivisionError: division by zero"),
        ("part.py", "\n(", "part.py: cannot be imported: line 2: SyntaxError: "),
        ("part.py", "import no_such_module", "cannot be imported: line 1: ModuleNotFoundError: No module named"),
        ("part.py", CLASSES["DecoderConfig"], "expected OUTPUTS in the module of decoders/part"),
        ("part.py", METRIC.replace("lines", "line"), "expected lines in the module of metrics/part"),
        ("part.py", "Config = int\ndef build(*_): pass", "expected Config as a subclass of ner.config.base."),
        (
            "part.py",
            CONFIG_CLASS.format(base="ComponentConfig", body="pass") + "def build(*_): pass",
            "expected Config.name to be Literal['part'], found any name",
        ),
    ],
)
def test_a_file_that_is_no_component_is_one_sentence(
    tmp_path: Path, name: str, source: str | None, message: str
) -> None:
    if source is not None:
        (tmp_path / name).write_text(source, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        plugins.load_file(tmp_path / name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not plugins.LOADED


def run_directory(folder: Path) -> Path:
    """A directory with the configuration of a run that needs the example."""
    plugins.load_file(LAYER)
    for name, data in config_files(load_config(EXAMPLE / "gated_conv.yaml")[0]).items():
        (folder / name).write_bytes(data)
    return folder


def test_a_run_records_the_plugin_and_is_not_read_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    run = run_directory(tmp_path)
    (entry,) = json.loads((run / plugins.FILE).read_bytes()).items()
    assert entry == ("context/gated_conv", {"origin": "gated_conv.py", "sha256": plugins.load_file(LAYER).sha256})
    assert read_config(run).context is not None
    (run / LAYER.name).write_bytes(LAYER.read_bytes())  # code beside the data is never used
    monkeypatch.chdir(run)
    monkeypatch.setattr(plugins, "LOADED", {})
    with pytest.raises(InputError) as caught:
        read_config(run)
    checksum = entry[1]["sha256"][:12]
    assert str(caught.value) == (
        f"{run}: needs the plug-in context/gated_conv of gated_conv.py (SHA-256 {checksum}...); "
        "pass --plugin gated_conv.py"
    )
    assert not plugins.LOADED
    assert not recwarn


def test_a_changed_plugin_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_directory(tmp_path)
    changed = tmp_path / "elsewhere" / LAYER.name
    changed.parent.mkdir()
    changed.write_text(LAYER.read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"already loaded from gated_conv.py"):
        plugins.load_file(changed)
    monkeypatch.setattr(plugins, "LOADED", {})
    plugins.load_file(changed)
    with pytest.warns(UserWarning, match="trained with another version of the plug-in context/gated_conv"):
        read_config(run)


@pytest.mark.parametrize(
    "content", ["[]", '{"context/x": {}}', '{"context/x": {"origin": "x.py", "sha256": "0"}}', '{"a": 1}']
)
def test_a_damaged_record_is_one_sentence(tmp_path: Path, content: str) -> None:
    run = run_directory(tmp_path)
    (run / plugins.FILE).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=f"{plugins.FILE}: "):
        read_config(run)
    (run / plugins.FILE).write_text('{"os/system": {"origin": "x", "sha256": "' + "0" * 64 + '"}}', encoding="utf-8")
    with pytest.raises(InputError, match="needs the plug-in os/system of x "):
        read_config(run)


def test_a_run_without_plugins_has_no_record() -> None:
    config, _ = load_config(ROOT / "configs" / "tiny.yaml")
    assert [*config_files(config)] == [CONFIG]


def test_plugins_inside_other_components_and_metrics_are_recorded(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text(CLASSES["EncoderConfig"] + "def build(*_): pass", encoding="utf-8")
    plugins.load_file(tmp_path / "part.py")
    (tmp_path / "share.py").write_text(METRIC, encoding="utf-8")
    plugins.load_file(tmp_path / "share.py")
    config, _ = load_config(
        ROOT / "configs" / "tiny.yaml", ["encoder={name: concat, part: {}}", "metrics=[tag, entity, share]"]
    )
    assert [*plugins.used_by(config)] == ["encoders/part", "metrics/share"]
