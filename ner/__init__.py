"""Sequence tagging with interchangeable encoders and decoders; see the README.

``ner.load(run)`` returns a :class:`ner.inference.tagger.Tagger`. Heavy libraries are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ner.inference.tagger import Precision, Tagger
    from ner.types import Document, Example, Span

__version__ = "0.1.0"
__all__ = ["Document", "Example", "Span", "Tagger", "load"]


def load(run: str, device: str = "auto", precision: Precision = "run") -> Tagger:
    """Load the tagger of a run directory, without downloads; see :class:`ner.inference.tagger.Tagger`.

    Raises:
        ner.errors.InputError: If the directory does not contain a complete model.
    """
    from ner.inference.tagger import Tagger

    return Tagger.load(run, device, precision)


def __getattr__(name: str) -> Any:
    import importlib

    modules = {"Tagger": "ner.inference.tagger", "Document": "ner.types", "Example": "ner.types", "Span": "ner.types"}
    if name in modules:
        return getattr(importlib.import_module(modules[name]), name)
    raise AttributeError(f"module 'ner' has no attribute '{name}'")
