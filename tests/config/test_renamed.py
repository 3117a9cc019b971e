"""Every key and value of earlier versions is answered with the new one."""

from __future__ import annotations

from typing import Any

import pytest

from ner.config.base import ConfigSection
from ner.config.load import override
from ner.config.parts import ConfigError, component_names, load_component, validate
from ner.config.renamed import COMPONENTS, KEYS, REMOVED, VALUES, upgrade
from ner.config.schema import RunConfig

PLACES = {
    "encoders": ("encoder",),
    "context": ("context",),
    "decoders": ("decoder",),
    "formats": ("data", "format"),
    "metrics": ("metrics",),
}


def raw(folder: str = "", name: str = "") -> dict[str, Any]:
    """The smallest configuration, with a component."""
    config: dict[str, Any] = {
        "data": {"train": "a", "valid": "b"},
        "encoder": "embedding",
        "training": {"monitor": "loss"},
    }
    if name:
        *parents, last = PLACES[folder]
        section = config
        for key in parents:
            section = section[key]
        section[last] = {"name": name}
    return config


def parsed(path: str) -> tuple[dict[str, Any], str, type[ConfigSection]]:
    """A configuration, the path of a key in it, and the section of the key."""
    folder, slash, rest = path.partition("/")
    if not slash:
        return raw(), path, section_of(RunConfig, path.split(".")[:-1])
    name, *keys = rest.split(".")
    path = ".".join((*PLACES[folder], *keys))
    return raw(folder, name), path, section_of(load_component(folder, name).Config, keys[:-1])


def section_of(section: type[ConfigSection], keys: list[str]) -> type[ConfigSection]:
    for key in keys:
        kind = section.model_fields[key].annotation
        kinds = [kind, *getattr(kind, "__args__", ())]  # plateau may be null
        section = next(k for k in kinds if isinstance(k, type) and issubclass(k, ConfigSection))
    return section


def error(config: dict[str, Any], change: str) -> str:
    override(config, change)
    with pytest.raises(ConfigError) as caught:
        validate(RunConfig, config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("old", KEYS)
def test_an_old_key_is_answered_with_the_new_one(old: str) -> None:
    config, path, section = parsed(old)
    assert error(config, f"{path}=1") == f"config.{path}: was renamed to '{KEYS[old]}'"
    assert KEYS[old] in section.model_fields
    assert old.rpartition(".")[2] not in section.model_fields


@pytest.mark.parametrize(("path", "old", "new"), [(path, *pair) for path in VALUES for pair in VALUES[path].items()])
def test_an_old_value_is_answered_with_the_new_one(path: str, old: str, new: str) -> None:
    config, key, _ = parsed(path)
    assert error(config, f"{key}={old}") == f"config.{key}: '{old}' was renamed to '{new}'"
    config, key, _ = parsed(path)
    override(config, f"{key}={new}")
    validate(RunConfig, config)
    for older in KEYS:
        parent = older.rpartition(".")[0]
        if f"{parent}.{KEYS[older]}" == path:
            config, key, _ = parsed(older)
            message = f"config.{key}: was renamed to '{KEYS[older]}', and its value '{old}' to '{new}'"
            assert error(config, f"{key}={old}") == message


@pytest.mark.parametrize("path", REMOVED)
def test_a_removed_key_is_answered_with_the_reason(path: str) -> None:
    config, key, section = parsed(path)
    assert error(config, f"{key}=1") == f"config.{key}: was removed: {REMOVED[path]}"
    assert key.rpartition(".")[2] not in section.model_fields


@pytest.mark.parametrize("old", COMPONENTS)
def test_an_old_component_is_answered_with_the_new_one(old: str) -> None:
    folder, _, name = old.partition("/")
    assert COMPONENTS[old] in component_names(folder)
    assert name not in component_names(folder)
    with pytest.raises(ConfigError, match=f"'{name}' was renamed to '{COMPONENTS[old]}'"):
        validate(RunConfig, raw(folder, name))


def test_old_keys_of_nested_components_are_answered_too() -> None:
    config = raw()
    config["encoder"] = {"name": "concat", "embedding": {"shape": 3}}
    with pytest.raises(ConfigError, match=r"config\.encoder\.embedding\.shape: was renamed to 'shape_dimension'"):
        validate(RunConfig, config)
    config = raw("decoders", "joint")
    assert error(config, "decoder.tags.kernel=plain").startswith("config.decoder.tags.kernel: was renamed to 'backend'")
    config = raw("decoders", "joint")
    assert error(config, "decoder.classes.several=true").endswith("was renamed to 'multi_label'")


def test_an_old_key_is_reported_before_other_errors() -> None:
    config = raw()
    config["batch"] = {"size": 0.5, "unit": "words"}
    with pytest.raises(ConfigError, match=r"config\.batch\.unit: was renamed to 'measure'"):
        validate(RunConfig, config)


@pytest.mark.parametrize("old", KEYS)
def test_the_configuration_of_a_saved_run_is_converted(old: str) -> None:
    config, path, section = parsed(old)
    default = section.model_fields[KEYS[old]].get_default(call_default_factory=True)
    override(config, f"{path}=null")
    *parents, last = path.split(".")
    written = config
    for key in parents:
        written = written[key]
    written[last] = default
    upgraded = upgrade(config)
    for key in parents:
        upgraded = upgraded[key]
    assert upgraded[KEYS[old]] == default
    assert last not in upgraded


def test_values_components_and_removed_keys_of_a_saved_run_are_converted() -> None:
    config = raw()
    config["context"] = None
    config["decoder"] = {
        "name": "joint",
        "tags": {"name": "crf", "constrain": "both", "kernel": "compiled"},
        "classes": {"name": "classifier", "several": True, "pooling": "summary"},
    }
    config["encoder"] = {"name": "concat", "embedding": {"name": "embedding", "characters": {"kernel": 5}}}
    config["training"] |= {"rdrop": 0.0, "precision": "float32"}
    config["batch"] = {"unit": "words", "size": 100}
    converted = upgrade(config)
    assert converted["decoder"]["tags"] == {
        "name": "crf",
        "constraints": "training_and_decoding",
        "backend": "numba",
    }
    assert converted["decoder"]["classes"] == {"name": "classifier", "multi_label": True, "pooling": "cls"}
    assert converted["encoder"]["embedding"]["characters"] == {"kernel_size": 5}
    assert converted["training"] == {"monitor": "loss", "precision": "fp32"}
    assert upgrade(converted) == converted
    validate(RunConfig, converted)
    assert upgrade({"decoder": {"name": "span", "evidence": 1}}) == {
        "decoder": {"name": "extractive_qa", "evidence_weight": 1}
    }


def test_removed_keys_that_the_fast_gradient_method_did_not_use_are_left_out() -> None:
    config = raw()
    config["training"]["adversarial"] = {"kind": "fgm", "radius": 0.5, "steps": 3, "step_size": 0.3}
    upgraded = upgrade(config)
    assert upgraded["training"]["adversarial"] == {"kind": "fgm", "epsilon": 0.5}
    validate(RunConfig, upgraded)


def test_a_removed_key_that_was_used_is_not_ignored() -> None:
    config = raw()
    config["training"]["rdrop"] = 0.5
    with pytest.raises(ConfigError, match="rdrop: was removed"):
        validate(RunConfig, upgrade(config))
