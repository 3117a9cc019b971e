"""Several encoders side by side: characters and shape beside an uncased BERT, say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from numpy.random import Generator
from pydantic import ConfigDict, SerializeAsAny, model_validator
from torch import Tensor, nn

from ner.config.base import ComponentConfig
from ner.config.parts import ConfigError, load_component, parse_component
from ner.config.schema import WindowsConfig
from ner.contracts import Encoder
from ner.data.vocab import Vocabs
from ner.types import AxisLabels, Document, Encoding, Example


class Config(ComponentConfig):
    """Concatenation of several encoders: each further key is an encoder and the default of its ``name``."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SerializeAsAny[ComponentConfig]]

    name: Literal["concat"] = "concat"
    """Name of the file in ner/model/encoders."""

    @model_validator(mode="before")
    @classmethod
    def _members(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        found = {}
        for key, member in value.items():
            if key != "name" and not isinstance(member, ComponentConfig):
                try:
                    member = parse_component(
                        "encoders", {"name": key, **member} if isinstance(member, Mapping) else member
                    )
                except ConfigError as error:
                    raise error.with_prefix(key) from None
            found[key] = member
        if len(found.keys() - {"name"}) < 1:
            raise ConfigError((), "concat needs at least one encoder below it")
        return found

    @property
    def members(self) -> dict[str, Any]:
        """The encoders by their keys."""
        return dict(self.__pydantic_extra__)


def build(
    config: Config, vocabs: Vocabs, windows: WindowsConfig, files: Mapping[str, bytes] | None = None
) -> ConcatEncoder:
    """Each member from its own files, which stand below its key."""
    members = {}
    for key, member in config.members.items():
        own = None
        if files is not None:
            own = {name.removeprefix(f"{key}/"): data for name, data in files.items() if name.startswith(f"{key}/")}
        members[key] = load_component("encoders", member.name).build(member, vocabs, windows, own)
    return ConcatEncoder(members)


class ConcatEncoder(nn.Module):
    """Vectors of the members one after the other."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        super().__init__()
        self.keys = list(members)
        for key, member in members.items():
            self.add_module(key, member)
        self.width: int = sum(member.width for member in members.values())

    @property
    def members(self) -> list[Encoder]:
        """In the order of the configuration."""
        return [self.get_submodule(key) for key in self.keys]  # type: ignore[misc]  # modules that follow the contract

    def plan(self, document: Document, limit: int | None) -> list[tuple[int, int, int]]:
        """As the first member with a window does, or the first."""
        limited = [member for member in self.members if hasattr(member, "windows")]
        return [*limited, *self.members][0].plan(document, limit)

    def input_warnings(self, document: Document) -> Counter[str]:
        """Of all members."""
        return sum((member.input_warnings(document) for member in self.members), Counter[str]())

    def layers(self) -> list[nn.Module]:
        """Of the first member; the others count as its lowest layer."""
        first, *others = self.members
        return [*others, *first.layers()]  # type: ignore[list-item]  # modules that follow the contract

    def asset_files(self) -> dict[str, bytes]:
        """Each member's files below its key."""
        return {
            f"{key}/{name}": data
            for key, member in zip(self.keys, self.members, strict=True)
            for name, data in member.asset_files().items()
        }

    def axis_labels(self) -> dict[str, AxisLabels]:
        """Of the members."""
        return {
            f"{key}.{name}": axes
            for key, member in zip(self.keys, self.members, strict=True)
            for name, axes in member.axis_labels().items()
        }

    def inputs(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None
    ) -> dict[str, Tensor]:
        """Each member's inputs below its key; the mask is one."""
        found: dict[str, Tensor] = {}
        for key, member in zip(self.keys, self.members, strict=True):
            tensors = member.inputs(groups, generators)
            found["mask"] = tensors.pop("mask")
            found.update({f"{key}/{name}": tensor for name, tensor in tensors.items()})
        return found

    def forward(self, inputs: Mapping[str, Tensor]) -> Encoding:
        """``(S, W, width)``; ``summary`` where every member has one."""
        encodings = []
        for key in self.keys:
            own = {name.removeprefix(f"{key}/"): t for name, t in inputs.items() if name.startswith(f"{key}/")}
            encodings.append(self.get_submodule(key)({**own, "mask": inputs["mask"]}))
        summaries = [encoding.pooled for encoding in encodings]
        summary = torch.cat(summaries, dim=-1) if all(one is not None for one in summaries) else None
        words = torch.cat([encoding.words for encoding in encodings], dim=-1)
        return Encoding(words, inputs["mask"], summary, encodings[0].query)
