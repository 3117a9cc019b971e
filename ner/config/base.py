"""Base classes of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

WordRule = Literal["space", "punctuation", "characters", "chinese"]
"""Rule by which raw text is split into words, see :func:`ner.data.words.split_words`."""


class ConfigSection(BaseModel):
    """Section of a configuration: every key is a field with a description, other keys are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class ComponentConfig(ConfigSection):
    """Configuration of a component; each ``Config`` narrows ``name`` to the name of its file."""

    name: str
    """Name of the component's file."""


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
