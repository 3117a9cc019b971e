"""Contents of the files in a run directory, of any version and without building the model."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict  # pydantic requires it before Python 3.12

from ner.config.parts import ConfigError
from ner.data import tasks
from ner.data.question_answering import ANSWER, ANSWER_TYPES, EVIDENCE
from ner.errors import InputError
from ner.runs import events
from ner.runs.directory import CONFIG, HISTORY, LABELS, METRICS, WORDS, read_raw_config
from ner.runs.events import Event
from ner.runs.history import read_history
from ner.runtime.json_files import read_json


class Counts(TypedDict, total=False):
    """Part of ``labels.json`` that the model card needs."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # read by pydantic
    labels: dict[str, int]
    tags: dict[str, int]
    classes: dict[str, int]


class EntityScores(TypedDict, total=False):
    """Scores of entities, overall and by type."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # read by pydantic
    by_type: dict[str, dict[str, int | float]]


class LabelScores(TypedDict, total=False):
    """Scores of classes, overall and by class."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # read by pydantic
    by_label: dict[str, dict[str, int | float]]


class TagScores(TypedDict, total=False):
    """Scores of tags, overall and by tag."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # read by pydantic
    f1: dict[str, float]


class SplitScores(TypedDict, total=False):
    """Scores of a split, see :meth:`ner.evaluation.evaluation.Evaluation.to_json`."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # read by pydantic
    sentences: int
    words: int
    loss: float
    entity: EntityScores
    accuracy: LabelScores
    tag: TagScores
    by: dict[str, dict[str, dict[str, Any]]]


class Metrics(TypedDict, total=False):
    """Contents of ``metrics.json``."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # read by pydantic
    train: SplitScores
    valid: SplitScores
    test: SplitScores
    data: dict[str, str]
    versions: dict[str, str]
    seconds: float


COUNTS: TypeAdapter[Any] = TypeAdapter(Counts)
METRICS_FILE: TypeAdapter[Any] = TypeAdapter(Metrics)
OBJECT = TypeAdapter(dict[str, Any])
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d-]+")
"""Names of run directories that ``ner train`` creates."""


@dataclass(frozen=True)
class Run:
    """Contents of a run directory.

    Attributes:
        name: Name of the directory, with that of its parent in front if it is a time.
        config: Resolved configuration as plain values; another version may have written it.
        labels: Contents of ``labels.json``: counts in the training file by ``labels``, ``tags`` and ``classes``.
        metrics: Contents of ``metrics.json``; empty if the run is not finished.
        history: Epochs, see :func:`~ner.runs.history.read_history`.
        events: Changes during the training.
        learned_words: True if the splitting of raw text was learned from the words of the training data.
        lowercase: Descriptions of tokenizers and word tables that do not distinguish upper and lower case.
    """

    name: str
    config: Mapping[str, Any]
    labels: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    events: Sequence[Event]
    learned_words: bool
    lowercase: Sequence[str]

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section of the configuration; empty if it is missing."""
        section = self.config.get(name)
        return section if isinstance(section, Mapping) else {}

    @property
    def outputs(self) -> frozenset[str]:
        """Outputs of the decoder, see :mod:`ner.data.tasks`; inferred from the labels for an unknown decoder."""
        try:
            return tasks.decoder_outputs(str(self.section("decoder").get("name")))
        except ConfigError:
            tag_counts, classes = self.labels.get("labels") or self.labels.get("tags"), self.labels.get("classes")
        if classes and {*classes} <= {*ANSWER_TYPES} and {*(tag_counts or [])} <= {ANSWER, EVIDENCE}:
            return frozenset({"answers"})
        return frozenset({"tags"} if tag_counts or not classes else set()) | frozenset({"labels"} if classes else set())

    def learned(self, key: str) -> Mapping[str, Any]:
        """Return the counts of the ``labels``, ``tags`` or ``classes`` that the decoder can predict."""
        is_learned = bool(self.outputs - {"tags"}) if key == "classes" else "tags" in self.outputs
        return (self.labels.get(key) or {}) if is_learned else {}

    @property
    def encoders(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Name and options of the encoder, or of each encoder that it concatenates."""
        return _members(self.section("encoder"))

    @property
    def scored_split(self) -> str | None:
        """Split whose scores represent the model; None without held-out scores."""
        return next((split for split in ("test", "valid") if isinstance(self.metrics.get(split), Mapping)), None)


def read_run(directory: Path) -> Run:
    """Read the files of a run directory; only the configuration and the labels are required.

    Raises:
        InputError: If one of these is missing, or a file cannot be read.
    """
    config = read_raw_config(directory)
    encoder = config.get("encoder") if isinstance(config, Mapping) else None
    if not isinstance(encoder, Mapping) or "name" not in encoder:
        raise InputError(f"{directory / CONFIG}: expected the configuration of a run, with an encoder")
    resolved = directory.resolve()
    return Run(
        name="-".join(resolved.parts[-2:]) if TIMESTAMP.match(resolved.name) else resolved.name,
        config=config,
        labels=read_json(directory / LABELS, COUNTS),
        metrics=read_json(directory / METRICS, METRICS_FILE) if (directory / METRICS).exists() else {},
        history=read_history(directory / HISTORY) if (directory / HISTORY).exists() else [],
        events=events.read(directory),
        learned_words=(directory / WORDS).exists(),
        lowercase=list(_lowercase(directory, encoder)),
    )


def score_at(scores: Mapping[str, Any], path: str) -> float | None:
    """Return the finite score at a path such as ``entity.micro.f1``, if there is one."""
    value: Any = scores
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _lowercase(directory: Path, encoder: Mapping[str, Any]) -> Iterator[str]:
    for name, options in _members(encoder):
        if options.get("lowercase") and options.get("dimension"):
            yield f"the word table of `{name}`"
    for path in sorted((directory / "encoder").rglob("tokenizer.json")):
        normalizer = json.dumps(read_json(path, OBJECT).get("normalizer"))
        if '"lowercase": true' in normalizer or '"type": "Lowercase"' in normalizer:
            yield f"the tokenizer in `{path.parent.relative_to(directory).as_posix()}`"


def _members(encoder: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    member_options = [value for value in encoder.values() if isinstance(value, Mapping) and "name" in value]
    return [(str(options["name"]), options) for options in member_options or [encoder]]
