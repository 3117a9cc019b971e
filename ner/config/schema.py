"""Schema of a run's configuration: every key of the YAML file is a field. Defaults are defined here only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ner.config.base import ConfigSection, SliceName
from ner.config.data import DataConfig
from ner.config.parts import AnyContext, AnyDecoder, AnyEncoder, ConfigError, load_component
from ner.config.training import BatchConfig, ProcessesConfig, TrainingConfig


class UnitConfig(ConfigSection):
    """Tagging unit."""

    name: Literal["word", "piece"] = "word"
    """Words of the file, or word pieces of a tokenizer."""
    tokenizer: str | None = None
    """Model whose tokenizer splits words into pieces."""

    @model_validator(mode="after")
    def _tokenizer_for_pieces(self) -> UnitConfig:
        if (self.name == "piece") != (self.tokenizer is not None):
            raise ValueError("unit.tokenizer and unit.name=piece require each other: give both or neither")
        return self


class WindowsConfig(ConfigSection):
    """Input windows of an encoder with a maximum length; other encoders ignore this section."""

    scope: Literal["sentence", "document"] = "sentence"
    """One sentence per window, or as many consecutive sentences of a document as fit."""
    max_length: int | None = Field(None, ge=8)
    """Maximum number of pieces in a window, including special tokens; null for the model's maximum."""
    max_query_length: int = Field(64, ge=1)
    """Maximum number of pieces of a question with its earlier turns. Longer questions lose their beginning."""
    overlap: int | None = Field(None, ge=0)
    """Number of pieces that two windows of a long example share; null for a quarter of a window."""
    doc_stride: int | None = Field(None, ge=1)
    """Number of pieces from the start of one window to the start of the next, instead of overlap. No piece is
    skipped."""

    @model_validator(mode="after")
    def _overlap_or_stride(self) -> WindowsConfig:
        if self.overlap is not None and self.doc_stride is not None:
            raise ValueError("windows.overlap and windows.doc_stride exclude each other; give one")
        return self

    def overlap_of(self, capacity: int) -> int:
        """Return the number of shared pieces for windows with ``capacity`` pieces of text."""
        if self.doc_stride is not None:
            return max(0, capacity - self.doc_stride)
        return min(self.overlap if self.overlap is not None else capacity // 4, capacity - 1)


class RunConfig(ConfigSection):
    """Configuration of a run."""

    data: DataConfig
    """Data files and their format."""
    unit: UnitConfig = UnitConfig()
    """Tagging unit."""
    encoder: AnyEncoder
    """Encoder of the words: a file of ner/model/encoders."""
    context: AnyContext | None = None
    """Optional layer between encoder and decoder: a file of ner/model/context."""
    decoder: AnyDecoder = Field(default="crf", validate_default=True)
    """Decoder: a file of ner/model/decoders."""
    windows: WindowsConfig = WindowsConfig()
    """Input windows of an encoder with a maximum length."""
    batch: BatchConfig = BatchConfig()
    """Batch size and micro-batches."""
    training: TrainingConfig = TrainingConfig()
    """Optimization, schedules, checkpoints and model selection."""
    processes: ProcessesConfig = ProcessesConfig()
    """Distributed training with torchrun."""
    metrics: tuple[str, ...] = ("tag", "entity")
    """Metrics: files of ner/evaluation/metrics."""
    score_by: tuple[str, ...] = ()
    """Metadata fields, such as domain; final scores are also reported for each of their values."""
    slices: tuple[SliceName, ...] = ()
    """Properties of mentions by which entities are also scored at the end: entity_length, sentence_length, seen_mention
    (in the training data), ambiguous_mention (with several types there), casing."""
    seed: int = Field(1, ge=0, lt=2**62)
    """Random seed."""
    device: str = "auto"
    """Device: cpu, cuda, cuda:1, ...; auto uses a GPU if there is one."""

    @model_validator(mode="after")
    def _metrics_and_callbacks_exist(self) -> RunConfig:
        for folder, path, names in (
            ("metrics", ("metrics",), self.metrics),
            ("callbacks", ("training", "callbacks"), self.training.callbacks),
        ):
            for name in names:
                try:
                    load_component(folder, name)
                except ConfigError as error:
                    raise error.with_prefix(*path) from None
        return self

    @model_validator(mode="after")
    def _monitored_scores_exist(self) -> RunConfig:
        for key, path in self.training.watched.items():
            if self.data.valid is None:
                hint = "; give the file or training.keep_epoch=last" if key == "monitor" else "; give the file"
                raise ValueError(f"training.{'keep_epoch=best' if key == 'monitor' else key} needs data.valid{hint}")
            if path.split(".")[0] not in (*self.metrics, "loss"):
                raise ValueError(f"training.{key} is '{path}' but metrics has no '{path.split('.')[0]}'")
        return self

    @model_validator(mode="after")
    def _decoder_may_run_encoder(self) -> RunConfig:
        if self.decoder.runs_encoder:
            for key, excluded, hint in (
                ("context", self.context, "set it to null"),
                ("processes.fsdp", self.processes.fsdp, "set it to false (DDP)"),
            ):
                if excluded:
                    raise ValueError(f"decoder {self.decoder.name} runs the encoder itself and excludes {key}; {hint}")
        return self

    @model_validator(mode="after")
    def _same_pieces(self) -> RunConfig:
        members = {f"encoder.{key}": member for key, member in self.encoder.members.items()}
        for path, encoder in {"encoder": self.encoder, **members}.items():
            model = encoder.pretrained_model
            if self.unit.name == "piece" and model not in (None, self.unit.tokenizer):
                raise ValueError(
                    f"unit.tokenizer is '{self.unit.tokenizer}' but {path}.model is '{model}': pieces differ"
                )
        return self
