"""Configuration files in YAML 1.2 with overrides from the command line or from Python."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.scanner import Scanner

from ner.config import recipes
from ner.config.base import ConfigSection
from ner.config.parts import ConfigError, load_component, validate
from ner.config.schema import RunConfig
from ner.errors import InputError

MAX_CHARACTERS = 1 << 17
"""Characters of a configuration."""
MAX_VALUES = 2_000
"""Values of a configuration, with every alias counted as the values that it stands for."""
MAX_DEPTH = 50
"""Levels of a configuration."""


class _Scanner(Scanner):
    """Scanner of YAML that stops at :data:`MAX_DEPTH`; its time grows with the square of the depth."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        """Read the start of a list or mapping."""
        if self.flow_level >= MAX_DEPTH:
            raise MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels", problem_mark=self.reader.get_mark())
        super().fetch_flow_collection_start(TokenClass, to_push)


class _Composer(Composer):
    """Composer of YAML that stops at the limits; the time to read a configuration is that of its values."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self.values = self.depth = 0
        self.sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node."""
        is_alias = self.parser.check_event(AliasEvent)
        values_before, self.depth = self.values, self.depth + 1
        mark = self.parser.peek_event().start_mark
        if self.depth > MAX_DEPTH:
            raise MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if is_alias and id(node) not in self.sizes:
            raise MarkedYAMLError(problem="a value contains itself", problem_mark=mark)
        self.values += self.sizes.get(id(node), 0) if is_alias else 1
        self.sizes[id(node)] = self.values - values_before
        if self.values > MAX_VALUES:
            raise MarkedYAMLError(problem=f"more than {MAX_VALUES:,} values", problem_mark=mark)
        return node


def read_yaml(text: str, source: str) -> Any:
    """Read YAML 1.2 into plain values: ``5e-5`` is a number, ``NO`` a string.

    Raises:
        InputError: If the text is not YAML, contains a duplicate key, or is too large.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{source}: more than {MAX_CHARACTERS:,} characters; expected a configuration")
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Scanner, yaml.Composer = _Scanner, _Composer
        return yaml.load(text)
    except (YAMLError, RecursionError, ValueError, TypeError, OverflowError) as error:  # ValueError: the 13th month
        mark = getattr(error, "problem_mark", None)
        location = f"{source}:{mark.line + 1}" if mark else source
        reason = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise InputError(f"{location}: not YAML: {reason.splitlines()[0]}") from None


def write_yaml(config: RunConfig) -> str:
    """Return the resolved configuration with all keys as YAML."""
    yaml = YAML()
    yaml.default_flow_style = False
    stream = io.StringIO()
    yaml.dump(config.model_dump(mode="json"), stream)
    return stream.getvalue()


def read_text(path: str | Path) -> str:
    """Read a configuration file.

    Raises:
        InputError: If it cannot be read or is larger than :data:`MAX_CHARACTERS`.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(4 * MAX_CHARACTERS + 1)  # at most four bytes for a character
        if len(content) > 4 * MAX_CHARACTERS:
            raise InputError(f"{path}: more than {MAX_CHARACTERS:,} characters; expected a configuration")
        return content.decode()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def load_config(
    source: str | Path | RunConfig, overrides: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> tuple[RunConfig, list[str]]:
    """Read a configuration and apply overrides.

    Args:
        source: A YAML file, the name of a recipe (see :mod:`ner.config.recipes`), or a configuration.
        overrides: ``key.sub=value`` as on the command line.
        settings: Values by dotted keys or by short names, see :func:`full_key`.

    Returns:
        The configuration, and notes: overrides that discarded options, and sample data beside other training data.

    Raises:
        InputError: If the file is missing or not YAML, or a key or value is invalid.
    """
    raw = read_raw(source)
    notes = [note for text in overrides for note in override(raw, text)]
    for name, value in (settings or {}).items():
        key = full_key(raw, name)
        notes += assign(raw, key, deepcopy(value), f"{key}={value!r}")
    if any(text.startswith("data.train=") for text in overrides):
        notes += recipes.sample_notes(raw)
    if not isinstance(source, RunConfig):
        recipes.use_sample(raw, recipes.find(source))
    return validate(RunConfig, raw), notes


def read_raw(source: str | Path | RunConfig) -> dict[str, Any]:
    """Read a configuration as plain values; ``source`` as for :func:`load_config`.

    Raises:
        InputError: If the file is missing or does not contain keys and values.
    """
    if isinstance(source, RunConfig):
        return source.model_dump(mode="json")
    path = recipes.find(source)
    raw = read_yaml(read_text(path), str(path))
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected keys and values, found {type(raw).__name__}")
    return raw


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
    return assign(raw, key, _value(text, key), change)


def assign(raw: dict[str, Any], key: str, value: Any, change: str) -> list[str]:
    """Set one dotted key in plain values and return notes on discarded options; ``change`` is for messages.

    Raises:
        InputError: If the key is below a value.
    """
    *parents, last = key.split(".")
    section: Any = raw
    for position, name in enumerate(parents):
        subsection = section.get(name)
        if parents[: position + 1] == ["training", "learning_rate"] and isinstance(subsection, (int, float)):
            subsection = {"": subsection}  # for all other modules
        if isinstance(subsection, str):  # short form of a component
            subsection = {"name": subsection}
        elif subsection is None:
            subsection = {}
        if not isinstance(subsection, dict):
            raise ConfigError(parents[: position + 1], f"is not a section, so {change} cannot be set")
        section[name] = subsection
        section = subsection
    notes: list[str] = []
    if isinstance(section.get(last), dict) and "name" in section[last] and isinstance(value, str):
        section, key, last = section[last], f"{key}.name", "name"  # short form of a component
    if last == "name" and section.get("name") not in (None, value):
        discarded = sorted(name for name in section if name != "name")
        if discarded:
            notes.append(f"{key}={value} replaces '{section['name']}' and discards its {', '.join(discarded)}")
        section.clear()
    section[last] = value
    return notes


def full_key(raw: Mapping[str, Any], name: str) -> str:
    """Return the dotted key of a short name, such as ``training.epochs`` for ``epochs``.

    Keys with a dot and keys of the top level are returned unchanged. Any other name has to be the last part of exactly
    one key among the sections and the components that the configuration selects.

    Raises:
        InputError: If no key or more than one ends with the name; the message lists the candidates.
    """
    if "." in name or name in RunConfig.model_fields:
        return name
    keys = list(dict.fromkeys(_keys(raw)))
    matches = [key for key in keys if key.rpartition(".")[2] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(
            f"{name}: several keys have this name ({', '.join(matches)}); pass one of them in a dictionary"
        )
    last_parts = {key.rpartition(".")[2] for key in keys} | {*RunConfig.model_fields}
    similar = difflib.get_close_matches(name, last_parts, 1)
    hint = f"; did you mean {similar[0]}?" if similar else "; ner schema --markdown lists all keys"
    raise InputError(f"{name}: no key of the configuration has this name{hint}")


def _keys(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted keys of all sections and of the selected components, one level deep."""
    for section, field in RunConfig.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, ConfigSection):
            yield from (f"{section}.{key}" for key in field.annotation.model_fields)
    selected = {
        "encoder": ("encoders", raw.get("encoder"), None),
        "context": ("context", raw.get("context"), None),
        "decoder": ("decoders", raw.get("decoder"), "crf"),
        "data.format": ("formats", (raw.get("data") or {}).get("format"), "conll"),
    }
    for path, (folder, value, default) in selected.items():
        name = value.get("name", default) if isinstance(value, Mapping) else value or default
        if isinstance(name, str):
            yield from (f"{path}.{key}" for key in load_component(folder, name).Config.model_fields)
