"""Configuration files in YAML 1.2 with overrides from the command line."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ner.config.parts import ConfigError, validate
from ner.config.schema import RunConfig
from ner.errors import InputError

MAX_BYTES = 1 << 20
"""Bytes of a configuration."""
MAX_VALUES = 100_000
"""Values of a configuration, with every alias counted as what it stands for."""


def read_yaml(text: str, source: str) -> Any:
    """Read YAML 1.2 into plain values: ``5e-5`` is a number, ``NO`` a string.

    Raises:
        InputError: If the text is not YAML, contains a duplicate key, or is too large.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > MAX_BYTES:
        raise InputError(f"{source}: more than {MAX_BYTES:,} characters; expected a configuration")
    try:
        yaml = YAML(typ="safe", pure=True)
        if "&" in text and _size(yaml.compose(text), {}) > MAX_VALUES:  # an alias may stand for any number of values
            raise InputError(f"{source}: more than {MAX_VALUES:,} values; expected a configuration")
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, RecursionError, ValueError) as error:  # ValueError: the 13th month
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        reason = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise InputError(f"{place}: not YAML: {reason.splitlines()[0]}") from None


def _size(node: Any, sizes: dict[int, int]) -> int:
    """Return the number of values below a node of YAML; a node that contains itself has more than allowed."""
    if id(node) not in sizes:
        sizes[id(node)] = MAX_VALUES + 1
        below = node.value if isinstance(getattr(node, "value", None), list) else []
        parts = (part for item in below for part in (item if isinstance(item, tuple) else (item,)))
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(node)]


def write_yaml(config: RunConfig) -> str:
    """Return the resolved configuration with all keys as YAML."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(config.model_dump(mode="json"), stream)
    return stream.getvalue()


def read_text(path: str | Path) -> str:
    """Read a configuration file.

    Raises:
        InputError: If it cannot be read or is larger than :data:`MAX_BYTES`.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(4 * MAX_BYTES + 1)  # at most four bytes for a character
        if len(content) > 4 * MAX_BYTES:
            raise InputError(f"{path}: more than {MAX_BYTES:,} characters; expected a configuration")
        return content.decode()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> tuple[RunConfig, list[str]]:
    """Read a configuration file and apply ``key.sub=value`` overrides.

    Returns:
        The configuration, and a note for each override that discarded options.

    Raises:
        InputError: If the file is missing or not YAML, or a key or value is invalid.
    """
    raw = read_yaml(read_text(path), str(path))
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected keys and values, found {type(raw).__name__}")
    notes = [note for text in overrides for note in override(raw, text)]
    return validate(RunConfig, raw), notes


def _value(text: str, key: str) -> Any:
    """Parse an override's value as YAML; a single punctuation character other than ``~`` is a string."""
    if not text:
        return None
    if len(text) == 1 and not text.isalnum() and text != "~":
        return text
    hint = f"quote strings with special characters, also for the shell: \"{key}='...'\""
    try:
        value = read_yaml(text, f"{key}={text}")
    except InputError as error:
        raise InputError(f"{error}; {hint}") from None
    if value is None and text not in ("~", "null", "Null", "NULL"):
        raise InputError(f"{key}={text}: empty in YAML; {hint}")
    return value


def override(raw: dict[str, Any], change: str) -> list[str]:
    """Set one key in plain values and return notes on discarded options.

    Selecting another component discards the options of the old one.

    Raises:
        InputError: If the override is not ``key.sub=value`` or its key is below a value.
    """
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise InputError(f"{change}: expected key.sub=value")
    value = _value(text, key)
    *parents, last = key.split(".")
    section: Any = raw
    for position, name in enumerate(parents):
        below = section.get(name)
        if parents[: position + 1] == ["training", "learning_rate"] and isinstance(below, (int, float)):
            below = {"": below}  # for all other modules
        if isinstance(below, str):  # short form of a component
            below = {"name": below}
        elif below is None:
            below = {}
        if not isinstance(below, dict):
            raise ConfigError(parents[: position + 1], f"is not a section, so {change} cannot be set")
        section[name] = below
        section = below
    notes: list[str] = []
    if isinstance(section.get(last), dict) and "name" in section[last] and isinstance(value, str):
        section, key, last = section[last], f"{key}.name", "name"  # short form of a component
    if last == "name" and section.get("name") not in (None, value):
        dropped = sorted(name for name in section if name != "name")
        if dropped:
            notes.append(f"{key}={value} replaces '{section['name']}' and discards its {', '.join(dropped)}")
        section.clear()
    section[last] = value
    return notes
