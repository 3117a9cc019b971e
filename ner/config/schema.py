"""The configuration: YAML = class = command line. Defaults live in the classes only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from ner.config.base import ComponentConfig, ConfigSection, WordRule
from ner.config.parts import AnyContext, AnyDecoder, AnyEncoder, AnyFormat, ConfigError, load_component
from ner.config.training import BatchConfig, ProcessesConfig, TrainingConfig


class DataConfig(ConfigSection):
    """Where the text is and how it is read."""

    train: str
    """File to learn from."""
    valid: str | None = None
    """File that chooses the best epoch."""
    test: str | None = None
    """File that is scored once, at the end."""
    format: AnyFormat = Field(default="conll", validate_default=True)
    """Form of the files: a file of ner/data/formats."""
    store: str | None = "auto"
    """Folder in which the training file is kept as memory-mapped arrays, so that it may outgrow the memory. auto does
    so for files above 200 MB, in the user's cache; null for never."""
    words: WordRule = "space"
    """How raw text is split into words: at white space, also at punctuation, into characters, or into Chinese
    characters and runs of other letters."""


class UnitConfig(ConfigSection):
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


class WindowsConfig(ConfigSection):
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


class RunConfig(ConfigSection):
    """Everything that makes a run."""

    data: DataConfig
    """Files and their form."""
    unit: UnitConfig = UnitConfig()
    """What gets a tag."""
    encoder: AnyEncoder
    """From words to vectors: a file of ner/model/encoders."""
    context: AnyContext | None = None
    """Optional layer between encoder and decoder: a file of ner/model/context."""
    decoder: AnyDecoder = Field(default="crf", validate_default=True)
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
                load_component("metrics", name)
            except ConfigError as error:
                raise error.with_prefix("metrics") from None
        for key, path in self.training.watched.items():
            if self.data.valid is None:
                hint = "; give the file or training.select=last" if key == "monitor" else "; give the file"
                raise ValueError(f"training.{'select=best' if key == 'monitor' else key} needs data.valid{hint}")
            if path.split(".")[0] not in (*self.metrics, "loss"):
                raise ValueError(f"training.{key} is '{path}' but metrics has no '{path.split('.')[0]}'")
        if hasattr(load_component("decoders", self.decoder.name), "attach"):
            reasons = {
                "context": (self.context, "nothing can stand between them; leave it out"),
                "processes.shard": (self.processes.shard, "its weights must be whole; use DDP (shard: false)"),
                "training.rdrop": (self.training.rdrop, "two passes have no scores to compare; leave it out"),
            }
            for key, (given, reason) in reasons.items():
                if given:
                    raise ValueError(f"decoder {self.decoder.name} runs the encoder itself, so with {key} {reason}")
        members: Mapping[str, ComponentConfig] = getattr(self.encoder, "members", {})
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
