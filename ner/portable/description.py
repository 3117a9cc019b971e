"""Files of an export, and the description of its model that the runtime reads.

An export may come from an untrusted source: everything is checked before it is used, and no name in it is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from ner.errors import InputError
from ner.runtime.json_files import read_json

DESCRIPTION = "export.json"
GRAPH = "model.onnx"
POTENTIALS = "potentials.safetensors"
LABELS = "labels.json"
WORDS = "words.json"
PARITY = "parity.jsonl"
VERSION = 3
"""Version of the layout of an export."""

Id = Annotated[int, Field(ge=0, lt=1 << 31)]
Count = Annotated[int, Field(ge=1, lt=1 << 31)]


@dataclass(frozen=True)
class Pieces:
    """Special pieces of a tokenizer, see :class:`ner.model.piece_tokenizer.PieceTokenizer`."""

    prefix: list[Id]
    suffix: list[Id]
    pair_separator: list[Id]
    padding: Id
    unknown: Id
    size: Count | None = None


@dataclass(frozen=True)
class WordEncoder:
    """Input of the embedding encoder, see :class:`ner.model.words.WordInputs`."""

    kind: Literal["words"]
    key: str
    tables: list[Literal["words", "characters", "shapes"]]
    lowercase: bool
    normalize_digits: bool
    max_length: Count
    num_buckets: Annotated[int, Field(ge=0, le=1 << 30)] = 0
    uses_segments: bool = False


@dataclass(frozen=True)
class PieceEncoder:
    """Input of the transformer encoder, see :class:`ner.model.pieces.PieceInputs`; ``overlap`` is in pieces."""

    kind: Literal["pieces"]
    key: str
    row_length: Count
    scope: Literal["sentence", "document"]
    overlap: Id
    pooling: Literal["first", "last", "mean"]
    pieces: Pieces


@dataclass(frozen=True)
class Tags:
    """Output of a tag decoder.

    Attributes:
        scheme: Tagging scheme; ``none`` for plain tags.
        temperature: Divisor of the scores for probabilities.
        independent: True if the probability of a span is the product of those of its tags.
    """

    scheme: Literal["none", "bio", "bioes", "bmes", "bilou", "io"]
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    independent: bool


@dataclass(frozen=True)
class Classes:
    """Output of a classifier."""

    multi_label: bool
    threshold: Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Parity:
    """Agreement with the torch model at the time of the export.

    Attributes:
        equal: Share of the sentences of ``parity.jsonl`` with the same spans and labels.
        difference: Largest difference of a probability in these sentences.
    """

    equal: Annotated[float, Field(ge=0, le=1)]
    difference: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Description:
    """Contents of ``export.json``.

    Attributes:
        format: Version of the layout.
        decoder: Name of the decoder, for messages.
        precision: Precision of the weights in the graph.
        encoders: Inputs, in the order of the configuration; the first one with pieces plans the batches.
        has_context: True if the graph has a context layer, which reads short and long sentences separately.
        tags, classes: Outputs.
        unit: Tokenizer whose pieces are the units, or None for words.
        measure, batch_size: Size of prediction batches.
        data: Section ``data`` of the configuration.
        parity: Agreement with torch.
        model_sha256: SHA-256 of the weights of the run.
    """

    format: Count
    decoder: str
    precision: Literal["fp32", "int8"]
    encoders: Annotated[list[WordEncoder | PieceEncoder], Field(min_length=1)]
    has_context: bool
    tags: Tags | None
    classes: Classes | None
    unit: Pieces | None
    measure: Literal["sentences", "words", "pieces"]
    batch_size: Count
    data: dict[str, Any]
    parity: Parity
    model_sha256: str


@dataclass(frozen=True)
class Version:
    """The part of ``export.json`` that all versions have."""

    format: Count


DESCRIPTIONS = TypeAdapter(Description)
VERSIONS = TypeAdapter(Version)


def is_export(directory: str | Path) -> bool:
    """Return whether a directory is an export and not a run."""
    try:
        return (Path(directory) / DESCRIPTION).is_file()
    except (OSError, ValueError):
        return False


def read_description(directory: Path) -> Description:
    """Read ``export.json``.

    Raises:
        InputError: If it is missing, malformed, of another version, or describes no output.
    """
    path = directory / DESCRIPTION
    version = read_json(path, VERSIONS, 1 << 20).format
    if version != VERSION:
        remedy = "export the run again" if version < VERSION else "install the version that wrote it"
        raise InputError(f"{path}: expected an export of format {VERSION}, found {version}; {remedy}")
    description = read_json(path, DESCRIPTIONS, 1 << 20)
    if description.tags is None and description.classes is None:
        raise InputError(f"{path}: expected an output (tags or classes), found none")
    return description
