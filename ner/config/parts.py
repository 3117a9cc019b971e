"""Components by name, and validation with one-line errors."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError
from pydantic_core import PydanticCustomError

from ner.config import plugins, renamed
from ner.config.base import FOLDERS, ComponentConfig, ConfigSection, DecoderConfig, EncoderConfig, shipped_names
from ner.errors import InputError, unknown_key


class ConfigError(InputError):
    """Invalid key or value of a configuration; the message starts with the path of the key."""

    def __init__(self, path: Sequence[str], message: str) -> None:
        self.path, self.message = tuple(path), message
        super().__init__(f"{'.'.join(('config', *self.path))}: {message}")

    def with_prefix(self, *path: str) -> ConfigError:
        """Return the same error with a path that starts further up."""
        return ConfigError((*path, *self.path), self.message)


def component_names(folder: str) -> list[str]:
    """Return the names of the components of a folder and of the loaded plug-ins of that kind, sorted."""
    return sorted([*shipped_names(folder), *plugins.names(folder)])


def load_component(folder: str, name: str) -> ModuleType:
    """Import the module of a component. Attributes that it omits have the defaults of its kind.

    Args:
        folder: A key of ``FOLDERS``.
        name: Name of the file, or of a plug-in.

    Raises:
        ConfigError: If there is no such component; the message lists the existing ones.
        InputError: If a plug-in cannot be imported.
    """
    if name in shipped_names(folder):
        module = importlib.import_module(f"ner.{FOLDERS[folder].replace('/', '.')}.{name}")
    elif (plugin := plugins.find(folder, name)) is not None:
        module = plugin.module
    else:
        raise _unknown(folder, name)
    for attribute, default in plugins.OPTIONAL.get(folder, {}).items():
        vars(module).setdefault(attribute, default)
    return module


def _unknown(folder: str, name: str) -> ConfigError:
    """Return the error about a component that does not exist."""
    known_names = sorted({*shipped_names(folder), *plugins.names(folder, installed=True)})
    new_name = renamed.COMPONENTS.get(f"{folder}/{name}")
    if new_name in known_names:
        return ConfigError((), f"'{name}' was renamed to '{new_name}'")
    similar = difflib.get_close_matches(name, known_names, 1)
    hint = f" (did you mean {similar[0]}?)" if similar else ""
    names = ", ".join(known_names)
    return ConfigError(
        (), f"no file named '{name}' in ner/{FOLDERS[folder]}; there are: {names}{hint}; or a file with --plugin"
    )


def parse_component(folder: str, value: Any) -> Any:
    """Return the ``Config`` of a component from its name or from a mapping with the key ``name``.

    Raises:
        ConfigError: If there is no such component, or a key or value is invalid.
    """
    if isinstance(value, ComponentConfig):
        return value
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        known_names = ", ".join(component_names(folder))
        raise ConfigError((), f"expected the name of a component ({known_names}) or a mapping with 'name'")
    return validate(load_component(folder, value["name"]).Config, dict(value))


def _parser(folder: str, default: str | None = None) -> BeforeValidator:
    """Return the validator of a field that holds a component; mappings without ``name`` are of the default."""

    def parse(value: Any) -> Any:
        if value is None:
            return None
        if default is not None and isinstance(value, Mapping):
            value = {"name": default, **value}
        try:
            return parse_component(folder, value)
        except ConfigError as error:  # pydantic adds the path of the field
            details = {"path": error.path, "message": error.message}
            raise PydanticCustomError("component", "{message}", details) from None

    return BeforeValidator(parse)


def _schema(folder: str) -> Any:
    return Field(json_schema_extra={"component": folder})


AnyComponent = SerializeAsAny[ComponentConfig]
AnyEncoder = Annotated[SerializeAsAny[EncoderConfig], _parser("encoders"), _schema("encoders")]
AnyContext = Annotated[AnyComponent, _parser("context"), _schema("context")]
AnyDecoder = Annotated[SerializeAsAny[DecoderConfig], _parser("decoders", "crf"), _schema("decoders")]
AnyClassifier = Annotated[SerializeAsAny[DecoderConfig], _parser("decoders", "classifier"), _schema("decoders")]
AnyFormat = Annotated[AnyComponent, _parser("formats", "conll"), _schema("formats")]


def validate(section: type[ConfigSection], value: Any) -> Any:
    """Return a section built from plain values; only the first problem is reported.

    Raises:
        ConfigError: With the path, the expected and the actual value, and the closest known key.
    """
    try:
        return section.model_validate(value)
    except ValidationError as error:
        problems = [
            (_path(problem["loc"], value, problem["type"]), problem) for problem in error.errors(include_url=False)
        ]
    folders = {f"ner.{path.replace('/', '.')}": folder for folder, path in FOLDERS.items()}
    package, _, name = section.__module__.rpartition(".")
    is_component = package in folders and issubclass(section, ComponentConfig)
    prefix = [f"{folders[package]}/{name}"] if is_component else []  # as in ner.config.renamed
    for path, problem in problems:
        explanation = renamed.explain(".".join([*prefix, *path]), problem["input"])
        if explanation is not None and problem["type"] in ("extra_forbidden", "literal_error"):
            raise ConfigError(path, explanation)
    path, problem = problems[0]
    if problem["type"] == "invalid_key":
        raise ConfigError(path or [str(problem["input"])], "keys should be strings; quote the key, or correct it")
    if problem["type"] == "component":
        raise ConfigError([*path, *problem["ctx"]["path"]], problem["ctx"]["message"])
    if problem["type"] == "extra_forbidden":
        for key in path[:-1]:
            field = section.model_fields.get(key)
            if (
                field is None
                or not isinstance(field.annotation, type)
                or not issubclass(field.annotation, ConfigSection)
            ):
                break
            section = field.annotation
        raise ConfigError(path, unknown_key(path[-1], list(section.model_fields)))
    message, actual = problem["msg"].removeprefix("Value error, ").partition(", unable to parse")[0], problem["input"]
    omits_value = isinstance(actual, (dict, ConfigSection)) or problem["type"] == "value_error"
    raise ConfigError(path, message[0].lower() + message[1:] + ("" if omits_value else f", found {actual!r}"))


def _path(location: Sequence[int | str], value: Any, kind: str) -> list[str]:
    """Return the path of an error without the names that pydantic adds for the members of a union."""
    path: list[str] = []
    for key in location:
        if not isinstance(value, Mapping) or (key not in value and kind != "missing"):
            break
        path.append(str(key))
        value = value.get(key)
    return path
