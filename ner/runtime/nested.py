"""Values of nested mappings, such as scores and configurations, by their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the value of each leaf; an empty mapping has none. Names of a path may contain dots."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, (*above, name))
        else:
            yield (*above, name), value


def flat(values: Mapping[str, Any], *above: str) -> dict[str, Any]:
    """Return the leaves by dotted paths, such as ``entity.micro.f1``, below the names ``above``."""
    return {".".join(path): value for path, value in leaves(values, above)}
