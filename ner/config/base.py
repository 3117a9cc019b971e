"""Base classes of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

FOLDERS = {
    "formats": "data/formats",
    "encoders": "model/encoders",
    "context": "model/context",
    "decoders": "model/decoders",
    "metrics": "evaluation/metrics",
    "callbacks": "training/callbacks",
}
"""Kind of component -> its folder below ``ner/``."""

WordRule = Literal["space", "punctuation", "characters", "chinese"]
"""Rule by which raw text is split into words, see :func:`ner.data.words.split_words`."""
SliceName = Literal["entity_length", "sentence_length", "seen_mention", "ambiguous_mention", "casing"]
"""Property by whose values entities are also scored, see :mod:`ner.evaluation.slices`."""
WordSplit = WordRule | Callable[[str], tuple[list[str], list[tuple[int, int]]]]
"""A rule, or a function from a text to its words and their offsets, see :mod:`ner.data.word_splitter`."""

OffsetUnit = Literal["auto", "characters", "utf16", "bytes"]
"""Unit of the positions in a file, see :mod:`ner.data.char_spans`."""
SpanFix = Literal["error", "expand", "shrink", "drop"]
"""Reaction to a span of characters that starts or ends inside a word."""
SpanOverlap = Literal["error", "longest", "keep"]
"""Reaction to spans that overlap."""


@cache
def shipped_names(folder: str) -> tuple[str, ...]:
    """Return the names of the components in a folder of this package, sorted."""
    files = (Path(__file__).parents[1] / FOLDERS[folder]).glob("[!_]*.py")
    return tuple(sorted(path.stem for path in files))


def _readable_by_line(encoding: str) -> str:
    try:
        if "a\n".encode(encoding).endswith(b"a\n"):
            return encoding
    except (LookupError, ValueError):
        raise ValueError(f"no text encoding is called '{encoding}'; choose one such as utf-8 or latin-1") from None
    raise ValueError(f"files in {encoding} cannot be read line by line; convert them to utf-8")


TextEncoding = Annotated[str, AfterValidator(_readable_by_line)]
"""Character encoding in which a line ends with the byte of ASCII, unlike in UTF-16."""


class ConfigSection(BaseModel):
    """Section of a configuration: every key is a field with a description, other keys are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class ComponentConfig(ConfigSection):
    """Configuration of a component; each ``Config`` narrows ``name`` to the name of its file."""

    name: str
    """Name of the component's file."""


class SpanFormatConfig(ComponentConfig):
    """Configuration of a format that stores spans of characters."""

    offsets: OffsetUnit = "auto"
    """Unit of the positions: characters (Unicode code points), utf16 (code units, as in JavaScript and Java) or bytes
    of UTF-8. auto finds the unit in which the positions fit the recorded words, and refuses ambiguous positions. Files
    that are written with auto have the unit of the program that the format belongs to."""
    on_misaligned: SpanFix = "error"
    """Reaction to a span that starts or ends inside a word: raise an error, expand it to whole words, shrink it to
    whole words, or drop it."""
    on_overlap: SpanOverlap = "error"
    """Reaction to spans that overlap: raise an error, keep the longest ones, or keep all. Taggers learn the longest
    ones."""


class EncoderConfig(ComponentConfig):
    """Configuration of an encoder."""

    @property
    def members(self) -> Mapping[str, EncoderConfig]:
        """Configurations of the encoders that it combines, by key."""
        return {}

    @property
    def pretrained_model(self) -> str | None:
        """Name of the pretrained model whose word pieces it reads, or None."""
        return None


class DecoderConfig(ComponentConfig):
    """Configuration of a decoder."""

    runs_encoder: ClassVar[bool] = False
    """True if the decoder runs the encoder itself; its file then has ``build_on`` instead of ``build``."""
