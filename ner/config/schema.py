"""The configuration: YAML = class = command line. Defaults live in the classes only."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ner.config.training import BatchConfig, ProcessesConfig, TrainingConfig
from ner.contracts import Part, Section
from ner.data.words import WordRule
from ner.errors import InputError


class ConfigError(InputError):
    """A value of the configuration; the message begins with its path."""

    def __init__(self, path: Sequence[str], message: str) -> None:
        self.path, self.message = tuple(path), message
        super().__init__(f"{'.'.join(('config', *self.path))}: {message}")

    def under(self, *path: str) -> ConfigError:
        """The same error seen from further up."""
        return ConfigError((*path, *self.path), self.message)


FOLDERS = {
    "formats": "data/formats",
    "encoders": "model/encoders",
    "context": "model/context",
    "decoders": "model/decoders",
    "metrics": "evaluation/metrics",
}
"""Kind of part -> its folder below ``ner/``."""


def names(folder: str) -> list[str]:
    """The parts in a folder."""
    return sorted(path.stem for path in (Path(__file__).parents[1] / FOLDERS[folder]).glob("[!_]*.py"))


def component(folder: str, name: str) -> ModuleType:
    """The file of a part, of one of ``FOLDERS``.

    Raises:
        ConfigError: If there is no such file; those that there are get named.
    """
    if name not in names(folder):
        known = ", ".join(names(folder))
        raise ConfigError((), f"no file named '{name}' in ner/{FOLDERS[folder]}; there are: {known}")
    return importlib.import_module(f"ner.{FOLDERS[folder].replace('/', '.')}.{name}")


def part(folder: str, value: Any) -> Any:
    """The ``Config`` of a part from its YAML: a name, or a mapping with the key ``name``."""
    if isinstance(value, Part):
        return value
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ConfigError((), f"expected the name of a part ({', '.join(names(folder))}) or a mapping with 'name'")
    return validate(component(folder, value["name"]).Config, dict(value))


def validate(section: type[Section], value: Any) -> Any:
    """A section from plain values; the first problem becomes one sentence.

    Raises:
        ConfigError: With the path, what was expected, what was found, and the nearest known key.
    """
    try:
        return section.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = _path(first["loc"], value, first["type"])
        if first["type"] == "part":
            raise ConfigError([*path, *first["ctx"]["path"]], first["ctx"]["message"]) from None
        if first["type"] == "extra_forbidden":
            known = _keys_at(section, path[:-1])
            near = difflib.get_close_matches(path[-1], known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(path, f"unknown key; {hint}") from None
        message = first["msg"].removeprefix("Value error, ")
        found = first.get("input")
        shown = "" if isinstance(found, (dict, Section)) or first["type"] == "value_error" else f", found {found!r}"
        raise ConfigError(path, message[0].lower() + message[1:] + shown) from None


def _path(location: Sequence[int | str], value: Any, kind: str) -> list[str]:
    """Where an error is, without the names that pydantic gives to the members of a union."""
    path: list[str] = []
    for key in location:
        if not isinstance(value, Mapping) or (key not in value and kind != "missing"):
            break
        path.append(str(key))
        value = value.get(key)
    return path


def _keys_at(section: type[Section], path: Sequence[str]) -> list[str]:
    for key in path:
        field = section.model_fields.get(key)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, Section):
            break
        section = field.annotation
    return list(section.model_fields)


def _part_of(folder: str, default: str | None = None) -> BeforeValidator:
    def validator(value: Any) -> Any:
        if value is None:
            return None
        if default is not None and isinstance(value, Mapping):
            value = {"name": default, **value}
        try:
            return part(folder, value)
        except ConfigError as error:  # as an error of pydantic, which knows the path above
            raise PydanticCustomError("part", "{message}", {"path": error.path, "message": error.message}) from None

    return BeforeValidator(validator)


EncoderPart = Annotated[SerializeAsAny[Part], _part_of("encoders"), Field(json_schema_extra={"part": "encoders"})]
ContextPart = Annotated[SerializeAsAny[Part], _part_of("context"), Field(json_schema_extra={"part": "context"})]
DecoderPart = Annotated[
    SerializeAsAny[Part], _part_of("decoders", "crf"), Field(json_schema_extra={"part": "decoders"})
]
ClassifierPart = Annotated[
    SerializeAsAny[Part], _part_of("decoders", "classifier"), Field(json_schema_extra={"part": "decoders"})
]
FormatPart = Annotated[SerializeAsAny[Part], _part_of("formats", "conll"), Field(json_schema_extra={"part": "formats"})]


class DataConfig(Section):
    """Where the text is and how it is read."""

    train: str
    """File to learn from."""
    valid: str | None = None
    """File that chooses the best epoch."""
    test: str | None = None
    """File that is scored once, at the end."""
    format: FormatPart = Field(default="conll", validate_default=True)
    """Form of the files: a file of ner/data/formats."""
    store: str | None = "auto"
    """Folder in which the training file is kept as memory-mapped arrays, so that it may outgrow the memory. auto does
    so for files above 200 MB, in the user's cache; null for never."""
    words: WordRule = "space"
    """How raw text is split into words: at white space, also at punctuation, into characters, or into Chinese
    characters and runs of other letters."""


class UnitConfig(Section):
    """What gets a tag."""

    name: Literal["word", "piece"] = "word"
    """Words of the file, or the pieces of a tokenizer."""
    tokenizer: str | None = None
    """Model whose tokenizer makes the pieces."""

    @model_validator(mode="after")
    def _tokenizer_for_pieces(self) -> UnitConfig:
        if (self.name == "piece") != (self.tokenizer is not None):
            raise ValueError("unit.tokenizer belongs to unit.name=piece: give both or neither")
        return self


class WindowsConfig(Section):
    """Rows of an encoder that reads a limited number of pieces; ignored by encoders without a limit."""

    unit: Literal["sentence", "document"] = "sentence"
    """One sentence a row, or as many neighbouring sentences of a document as fit."""
    max_length: int | None = Field(None, ge=8)
    """Pieces of a row, special ones included; by default what the model can read."""
    max_query_length: int = Field(64, ge=1)
    """Pieces of a question, earlier turns included, that each row repeats; of a longer one the last are read."""
    overlap: int | None = Field(None, ge=0)
    """Pieces that a row repeats of the one before it, in examples that are cut; by default a quarter of a row."""
    stride: int | None = Field(None, ge=1)
    """Pieces from the start of one row to the next, instead of overlap; never so far that something is skipped."""

    @model_validator(mode="before")
    @classmethod
    def _other_name_of_stride(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "doc_stride" in value:
            if "stride" in value:
                raise ValueError("stride and doc_stride are two names of one key; give one")
            value = {("stride" if key == "doc_stride" else key): item for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _one_way_to_step(self) -> WindowsConfig:
        if self.overlap is not None and self.stride is not None:
            raise ValueError("windows.overlap and windows.stride say the same thing in two ways; give one")
        return self

    def step_back(self, capacity: int) -> int:
        """Pieces of overlap in rows that hold ``capacity`` pieces of text."""
        if self.stride is not None:
            return max(0, capacity - self.stride)
        return min(self.overlap if self.overlap is not None else capacity // 4, capacity - 1)


class RunConfig(Section):
    """Everything that makes a run."""

    data: DataConfig
    """Files and their form."""
    unit: UnitConfig = UnitConfig()
    """What gets a tag."""
    encoder: EncoderPart
    """From words to vectors: a file of ner/model/encoders."""
    context: ContextPart | None = None
    """Optional layer between encoder and decoder: a file of ner/model/context."""
    decoder: DecoderPart = Field(default="crf", validate_default=True)
    """From vectors to tags: a file of ner/model/decoders."""
    windows: WindowsConfig = WindowsConfig()
    """How an encoder with a limit reads long and short texts."""
    batch: BatchConfig = BatchConfig()
    """How much text makes a batch."""
    training: TrainingConfig = TrainingConfig()
    """How the model learns."""
    processes: ProcessesConfig = ProcessesConfig()
    """Training in several processes, started by torchrun."""
    metrics: tuple[str, ...] = ("tag", "entity")
    """What is scored: files of ner/evaluation/metrics."""
    by: tuple[str, ...] = ()
    """Fields of the examples (domain, say) for whose values the final scores are also given."""
    seed: int = Field(1, ge=0)
    """All randomness of the run."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU if there is one."""

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        for name in self.metrics:
            try:
                component("metrics", name)
            except ConfigError as error:
                raise error.under("metrics") from None
        for key, path in self.training.watched.items():
            if self.data.valid is None:
                hint = "; give the file or training.select=last" if key == "monitor" else "; give the file"
                raise ValueError(f"training.{'select=best' if key == 'monitor' else key} needs data.valid{hint}")
            if path.split(".")[0] not in (*self.metrics, "loss"):
                raise ValueError(f"training.{key} is '{path}' but metrics has no '{path.split('.')[0]}'")
        if hasattr(component("decoders", self.decoder.name), "attach"):
            reasons = {
                "context": (self.context, "nothing can stand between them; leave it out"),
                "processes.shard": (self.processes.shard, "its weights must be whole; use DDP (shard: false)"),
                "training.rdrop": (self.training.rdrop, "two passes have no scores to compare; leave it out"),
            }
            for key, (given, reason) in reasons.items():
                if given:
                    raise ValueError(f"decoder {self.decoder.name} runs the encoder itself, so with {key} {reason}")
        members: Mapping[str, Part] = getattr(self.encoder, "members", {})
        for path, encoder in {
            "encoder": self.encoder,
            **{f"encoder.{key}": part for key, part in members.items()},
        }.items():
            model = getattr(encoder, "model", None)
            if self.unit.name == "piece" and model not in (None, self.unit.tokenizer):
                raise ValueError(
                    f"unit.tokenizer is '{self.unit.tokenizer}' but {path}.model is '{model}': pieces differ"
                )
        return self
