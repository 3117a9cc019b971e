"""What the files of a run directory say, whichever version wrote them; no model is built."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ner.config.load import read_yaml
from ner.config.parts import ConfigError
from ner.data import tasks
from ner.data.question_answering import ANSWER, ANSWER_TYPES, EVIDENCE
from ner.errors import InputError
from ner.runs import events
from ner.runs.events import Event
from ner.runs.history import read_history

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d-]+")
"""Names that train.py gives to run directories."""


@dataclass(frozen=True)
class Run:
    """What the files of a run directory say.

    Attributes:
        name: Of the directory, or of the one above it if this one is called after a time.
        config: The resolved configuration as plain values; a newer or older version may have written it.
        labels: ``labels.json``: counts in the training file by ``labels``, ``tags`` and ``classes``.
        metrics: ``metrics.json``, empty if the run did not end.
        lowercase: Encoders whose tokenizer or table of words knows no capital letters.
    """

    name: str
    config: Mapping[str, Any]
    labels: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    events: Sequence[Event]
    lowercase: Sequence[str]

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of the configuration, empty if it is not there."""
        found = self.config.get(name)
        return found if isinstance(found, Mapping) else {}

    @property
    def gives(self) -> frozenset[str]:
        """What the decoder gives, see :mod:`ner.data.tasks`; by the labels where a decoder of another version did."""
        try:
            return tasks.gives(str(self.section("decoder").get("name")))
        except ConfigError:
            words, classes = self.labels.get("labels") or self.labels.get("tags"), self.labels.get("classes")
        if classes and {*classes} <= {*ANSWER_TYPES} and {*(words or [])} <= {ANSWER, EVIDENCE}:
            return frozenset({"answers"})
        return frozenset({"tags"} if words or not classes else set()) | frozenset({"labels"} if classes else set())

    def known(self, key: str) -> Mapping[str, Any]:
        """Counts of ``labels``, ``tags`` or ``classes`` that the decoder has learned, empty if it has learned none."""
        learned = bool(self.gives - {"tags"}) if key == "classes" else "tags" in self.gives
        return (self.labels.get(key) or {}) if learned else {}

    @property
    def encoders(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The encoder, or the encoders that it joins, with their names."""
        return _members(self.section("encoder"))

    @property
    def scored(self) -> str | None:
        """The split whose scores speak for the model."""
        return next((split for split in ("test", "valid") if isinstance(self.metrics.get(split), Mapping)), None)


def read_run(directory: Path) -> Run:
    """The files of a run directory; only configuration and labels must be there.

    Raises:
        InputError: If one of those is missing, or a file cannot be read.
    """
    path = directory / "config.yaml"
    config = read_yaml(_text(path), str(path))
    if not isinstance(config, Mapping) or not isinstance(config.get("encoder"), Mapping):
        raise InputError(f"{path}: expected the configuration of a run, with an encoder")
    resolved = directory.resolve()
    return Run(
        name="-".join(resolved.parts[-2:]) if TIMESTAMP.match(resolved.name) else resolved.name,
        config=config,
        labels=_object(directory / "labels.json"),
        metrics=_object(directory / "metrics.json") if (directory / "metrics.json").exists() else {},
        history=read_history(directory / "history.csv") if (directory / "history.csv").exists() else [],
        events=events.read(directory),
        lowercase=list(_lowercase(directory, config["encoder"])),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason}; is this a run directory?") from None


def _object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, Mapping):
        raise InputError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found


def _lowercase(directory: Path, encoder: Mapping[str, Any]) -> Iterator[str]:
    for name, part in _members(encoder):
        if part.get("lowercase") and part.get("dimension"):
            yield f"the word table of `{name}`"
    for path in sorted((directory / "encoder").rglob("tokenizer.json")):
        normalizer = json.dumps(_object(path).get("normalizer"))
        if '"lowercase": true' in normalizer or '"type": "Lowercase"' in normalizer:
            yield f"the tokenizer in `{path.parent.relative_to(directory).as_posix()}`"


def _members(encoder: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The encoder, or the encoders that it joins, with their names."""
    inner = [value for value in encoder.values() if isinstance(value, Mapping) and "name" in value]
    return [(str(part["name"]), part) for part in inner or [encoder]]
