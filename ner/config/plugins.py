"""Plug-ins: components from a Python file of the user, or from an installed distribution.

A file is loaded with ``--plugin my_layer.py``. Its name without the extension is the name of the component, and its
contents show its kind. A distribution declares entry points in the groups ``ner.encoders``, ``ner.context``,
``ner.decoders``, ``ner.formats``, ``ner.metrics`` and ``ner.callbacks``: the name in a configuration, and a module.

Code runs only if the command line names the file or the user has installed the distribution. A run directory contains
the names and checksums of the plug-ins that it needs, never their code or a path to import.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from ner.config.base import FOLDERS, ComponentConfig, ConfigSection, DecoderConfig, EncoderConfig, shipped_names
from ner.errors import InputError, summary

FILE = "plugins.json"
"""File of a run directory: the plug-ins that the run needs."""
REQUIRED = {
    "encoders": ("Config", "build"),
    "context": ("Config", "build"),
    "decoders": ("Config", "OUTPUTS"),
    "formats": ("Config", "read", "write", "output_extension", "probabilities", "STORES"),
    "metrics": ("count", "scores", "lines", "REQUIRES"),
    "callbacks": ("build",),
}
"""Kind of component -> attributes that its module must have, see :mod:`ner.contracts`."""
OPTIONAL: dict[str, dict[str, Any]] = {
    "formats": {"ROUND_TRIP": "gold", "export": None, "forbidden_characters": lambda config: {}},
}
"""Kind of component -> attributes that its module may omit, with their defaults."""
CONFIGS = {"encoders": EncoderConfig, "decoders": DecoderConfig}
"""Kind of component -> base class of its ``Config``, if it is not ``ComponentConfig``."""


class Record(TypedDict):
    """Entry of ``plugins.json``."""

    origin: Annotated[str, Field(max_length=300)]
    """Name of the file, or name and version of the distribution."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the Python file of the module."""


RECORDS: TypeAdapter[dict[str, Record]] = TypeAdapter(Annotated[dict[str, Record], Field(max_length=100)])
"""Contents of ``plugins.json``: ``kind/name`` -> record."""


@dataclass(frozen=True)
class Plugin:
    """A loaded plug-in.

    Attributes:
        folder: Kind of component, a key of :data:`~ner.config.base.FOLDERS`.
        name: Name in configurations.
        module: The component.
        origin: Name of its file, or name and version of its distribution.
        installed: True if it is part of an installed distribution.
        sha256: Checksum of the Python file of the module.
    """

    folder: str
    name: str
    module: ModuleType
    origin: str
    installed: bool
    sha256: str


LOADED: dict[tuple[str, str], Plugin] = {}
"""Kind and name -> plug-in."""


def load_file(path: str | Path) -> Plugin:
    """Load a plug-in from a Python file; a file that is already loaded is not executed again.

    Raises:
        InputError: If the file cannot be imported, is not a component, or its name is that of another component.
    """
    path = Path(path)
    try:
        source = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    checksum = hashlib.sha256(source).hexdigest()
    name = path.stem
    for plugin in LOADED.values():
        if (plugin.name, plugin.origin, plugin.sha256) == (name, path.name, checksum):
            return plugin
    if path.suffix != ".py" or not name.isidentifier():
        raise InputError(f"{path}: expected a Python file with the name of a component, such as my_layer.py")
    spec = importlib.util.spec_from_file_location(f"ner_plugins.{name}", path)
    assert spec is not None, "Python files have a loader"
    assert spec.loader is not None, "Python files have a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic and dataclasses search the annotations of a class there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise InputError(f"{path}: cannot be imported: {_reason(error, path)}") from error
    return _register(Plugin(_kind(module, path), name, module, path.name, False, checksum), str(path))


def find(folder: str, name: str) -> Plugin | None:
    """Return a plug-in that is loaded or installed, or None.

    Raises:
        InputError: If it is installed and cannot be imported, or two distributions declare it.
    """
    if (folder, name) in LOADED:
        return LOADED[folder, name]
    entries = [*metadata.entry_points(group=f"ner.{folder}", name=name)]
    if not entries:
        return None
    origins = [_distribution(entry) for entry in entries]
    if len({*origins}) > 1:
        raise InputError(f"{folder}/{name}: declared by {' and '.join(sorted(origins))}; uninstall one of them")
    try:
        module = entries[0].load()
    except Exception as error:
        reason = _reason(error, None)
        raise InputError(f"{origins[0]}: the plug-in {folder}/{name} cannot be imported: {reason}") from error
    if not isinstance(module, ModuleType):
        raise InputError(f"{origins[0]}: expected a module as the plug-in {folder}/{name}, found {entries[0].value}")
    path = getattr(module, "__file__", None)
    checksum = hashlib.sha256(Path(path).read_bytes() if path else b"").hexdigest()
    return _register(Plugin(folder, name, module, origins[0], True, checksum), origins[0])


def names(folder: str, installed: bool = False) -> list[str]:
    """Return the names of the loaded plug-ins of a kind, with ``installed`` also of those that are not yet imported."""
    plugin_names = {name for kind, name in LOADED if kind == folder}
    if installed:
        plugin_names |= {entry.name for entry in metadata.entry_points(group=f"ner.{folder}")}
    return sorted(plugin_names)


def used_by(config: ConfigSection) -> dict[str, Record]:
    """Return the plug-ins that a configuration selects, as the contents of ``plugins.json``."""
    by_module = {plugin.module.__name__: plugin for plugin in LOADED.values()}
    plugins = []

    def walk(section: ConfigSection) -> None:
        if isinstance(section, ComponentConfig) and type(section).__module__ in by_module:
            plugins.append(by_module[type(section).__module__])
        for _, value in section:
            for nested in value.values() if isinstance(value, Mapping) else (value,):
                if isinstance(nested, ConfigSection):
                    walk(nested)

    walk(config)
    selected_keys = {("metrics", name) for name in getattr(config, "metrics", ())}
    selected_keys |= {("callbacks", name) for name in getattr(getattr(config, "training", None), "callbacks", ())}
    plugins += [plugin for key, plugin in LOADED.items() if key in selected_keys]
    return {
        f"{plugin.folder}/{plugin.name}": Record(origin=plugin.origin, sha256=plugin.sha256)
        for plugin in sorted(plugins, key=lambda plugin: (plugin.folder, plugin.name))
    }


def check(needed: dict[str, Record], directory: Path) -> Iterator[str]:
    """Check that the plug-ins of a run are loaded or installed.

    Args:
        needed: Contents of the run's ``plugins.json``.
        directory: The run directory, for messages.

    Yields:
        A warning for each plug-in whose code differs from that of the training.

    Raises:
        InputError: If a plug-in is missing; the message names it.
    """
    for key, record in needed.items():
        folder, _, name = key.partition("/")
        plugin = find(folder, name) if folder in FOLDERS else None
        origin, checksum = record["origin"], record["sha256"][:12]
        if plugin is None:
            remedy = f"pass --plugin {origin}" if origin.endswith(".py") else f"install {origin}"
            raise InputError(f"{directory}: needs the plug-in {key} of {origin} (SHA-256 {checksum}...); {remedy}")
        if plugin.sha256 != record["sha256"]:
            yield (
                f"{directory}: trained with another version of the plug-in {key}: {origin} (SHA-256 {checksum}...), "
                f"found {plugin.origin} ({plugin.sha256[:12]}...)"
            )


def _distribution(entry: metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def _register(plugin: Plugin, source: str) -> Plugin:
    """Add a plug-in to the loaded ones.

    Raises:
        InputError: If it lacks a part of its interface, or the name of its kind is taken.
    """
    folder, name, module = plugin.folder, plugin.name, plugin.module
    missing = [attribute for attribute in REQUIRED[folder] if not hasattr(module, attribute)]
    if missing:
        raise InputError(f"{source}: expected {missing[0]} in the module of {folder}/{name}; see ner.contracts")
    if "Config" in REQUIRED[folder]:
        base_class = CONFIGS.get(folder, ComponentConfig)
        if not (isinstance(module.Config, type) and issubclass(module.Config, base_class)):
            raise InputError(f"{source}: expected Config as a subclass of ner.config.base.{base_class.__name__}")
        declared = get_args(module.Config.model_fields["name"].annotation)
        if declared != (name,):
            declared_names = ", ".join(map(str, declared)) or "any name"
            raise InputError(f"{source}: expected Config.name to be Literal['{name}'], found {declared_names}")
    if name in shipped_names(folder):
        raise InputError(f"{source}: {folder}/{name} is a component of ner and cannot be replaced; choose another name")
    loaded = LOADED.get((folder, name))
    if loaded is not None:
        raise InputError(f"{source}: {folder}/{name} is already loaded from {loaded.origin}; choose another name")
    LOADED[folder, name] = plugin
    return plugin


def _kind(module: ModuleType, path: Path) -> str:
    """Return the kind of component that a module contains."""
    config: Any = getattr(module, "Config", None)
    for folder, base in CONFIGS.items():
        if isinstance(config, type) and issubclass(config, base):
            return folder
    for folder, attributes in (("formats", ("read", "write")), ("metrics", ("count", "scores"))):
        if all(hasattr(module, attribute) for attribute in attributes):
            return folder
    if hasattr(module, "build"):
        return "callbacks" if config is None else "context"
    raise InputError(
        f"{path}: expected a component: Config and build (encoder, context layer, decoder), read and write (format), "
        "count and scores (metric), or only build (callback); see ner.contracts"
    )


def _reason(error: Exception, path: Path | None) -> str:
    """Return the type and message of an error, with the line of the file in which it was raised."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    line_prefix = f"line {lines[-1]}: " if lines else ""
    return line_prefix + summary(error)
