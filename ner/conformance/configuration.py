"""Check of the ``Config`` of a component of any kind."""

from __future__ import annotations

from ner.config.base import ComponentConfig
from ner.config.parts import parse_component
from ner.conformance.component import Component, expect


def described_configuration(component: Component) -> None:
    """Narrow the name, describe every key, and read a saved configuration back."""
    config: ComponentConfig = component.config
    expect(config.name == component.name, f"expected the name {component.name}, found {config.name}")
    expect((type(config).__doc__ or "").strip(), "expected a docstring of Config")
    for key, field in type(config).model_fields.items():
        has_description = (field.description or "").endswith(".")
        expect(has_description, f"expected a docstring with a period below the key {key} of Config")
    loaded = parse_component(component.folder, config.model_dump(mode="json"))
    expect(loaded == config, f"expected {config!r} after saving, found {loaded!r}")
