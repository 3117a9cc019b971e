"""Concatenation of several encoders, such as an uncased BERT and character features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from numpy.random import Generator
from pydantic import ConfigDict, SerializeAsAny, model_validator
from torch import Tensor, nn

from ner.config.base import ComponentConfig, EncoderConfig
from ner.config.parts import ConfigError, load_component, parse_component
from ner.config.schema import WindowsConfig
from ner.contracts import Encoder
from ner.data.vocab import Vocabs
from ner.types import AxisLabels, Document, Encoding, Example


class Config(EncoderConfig):
    """Concatenation of several encoders. Each further key holds the options of an encoder; without ``name``, the key is
    the name of the encoder, as in ``{name: concat, transformer: {...}, embedding: {...}}``.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SerializeAsAny[ComponentConfig]]

    name: Literal["concat"] = "concat"
    """Name of the file in ner/model/encoders."""

    @model_validator(mode="before")
    @classmethod
    def _members(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        members = {}
        for key, member in value.items():
            if key != "name" and not isinstance(member, ComponentConfig):
                try:
                    member = parse_component(
                        "encoders", {"name": key, **member} if isinstance(member, Mapping) else member
                    )
                except ConfigError as error:
                    raise error.with_prefix(key) from None
            members[key] = member
        if len(members.keys() - {"name"}) < 1:
            raise ConfigError((), "concat needs at least one encoder below it")
        return members

    @property
    def members(self) -> dict[str, Any]:
        """The encoders by their keys."""
        return dict(self.__pydantic_extra__)


def build(
    config: Config, vocabs: Vocabs, windows: WindowsConfig, files: Mapping[str, bytes] | None = None
) -> ConcatEncoder:
    """Build each member from its configuration, or from its saved files, whose names start with its key."""
    members = {}
    for key, member in config.members.items():
        member_files = None
        if files is not None:
            member_files = {
                name.removeprefix(f"{key}/"): data for name, data in files.items() if name.startswith(f"{key}/")
            }
        members[key] = load_component("encoders", member.name).build(member, vocabs, windows, member_files)
    return ConcatEncoder(members)


class ConcatEncoder(Encoder):
    """Concatenated vectors of several encoders."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        super().__init__()
        self.keys = list(members)
        for key, member in members.items():
            self.add_module(key, member)
        self.width: int = sum(member.width for member in members.values())

    @property
    def members(self) -> dict[str, Encoder]:
        """The encoders by their keys, in the order of the configuration."""
        return {key: getattr(self, key) for key in self.keys}

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """Return the groups of the first member with limited windows, or of the first member."""
        members = self.members.values()
        limited = (member for member in members if member.windows is not None)
        return next(limited, next(iter(members))).plan(document, limit)

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return the warnings of all members."""
        return sum((member.input_warnings(document) for member in self.members.values()), Counter[str]())

    def layers(self) -> list[nn.Module]:
        """Return the other members as the lowest layer, followed by the layers of the first member."""
        first, *others = self.members.values()
        return [*others, *first.layers()]

    def asset_files(self) -> dict[str, bytes]:
        """Return the files of all members; names start with the key of the member."""
        return {
            f"{key}/{name}": data for key, member in self.members.items() for name, data in member.asset_files().items()
        }

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Return the labels of all members."""
        return {
            f"{key}.{name}": axes for key, member in self.members.items() for name, axes in member.axis_labels().items()
        }

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """Return the tensors of all members with prefixed names, and one common mask."""
        inputs: dict[str, Tensor] = {}
        for key, member in self.members.items():
            tensors = member.inputs(groups, generators)
            inputs["mask"] = tensors.pop("mask")
            inputs.update({f"{key}/{name}": tensor for name, tensor in tensors.items()})
        return inputs

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoding:
        """Return words ``(S, W, width)``, and ``pooled`` if every member has a pooled vector."""
        encodings = []
        for key, member in self.members.items():
            member_inputs = {
                name.removeprefix(f"{key}/"): t for name, t in inputs.items() if name.startswith(f"{key}/")
            }
            encodings.append(member({**member_inputs, "mask": inputs["mask"]}))
        vectors = [encoding.pooled for encoding in encodings if encoding.pooled is not None]
        pooled = torch.cat(vectors, dim=-1) if len(vectors) == len(encodings) else None
        words = torch.cat([encoding.words for encoding in encodings], dim=-1)
        return Encoding(words, inputs["mask"], pooled, encodings[0].question_mask)
