"""Sequence tagging with interchangeable encoders and a CRF; see the README.

``ner.load(run)`` gives a :class:`ner.inference.tagger.Tagger`. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ner.inference.tagger import Precision, Tagger
    from ner.types import Document, Example, Span

__version__ = "0.1.0"
__all__ = ["Document", "Example", "Span", "Tagger", "load"]


def load(run: str, device: str = "auto", precision: Precision = "run") -> Tagger:
    """The tagger of a run directory; fetches nothing. See :class:`ner.inference.tagger.Tagger` for the arguments.

    Raises:
        ner.errors.InputError: If the directory does not hold a whole model.
    """
    from ner.inference.tagger import Tagger

    return Tagger.load(run, device, precision)


def __getattr__(name: str) -> Any:
    import importlib

    modules = {"Tagger": "ner.inference.tagger", "Document": "ner.types", "Example": "ner.types", "Span": "ner.types"}
    if name in modules:
        return getattr(importlib.import_module(modules[name]), name)
    raise AttributeError(f"module 'ner' has no attribute '{name}'")
