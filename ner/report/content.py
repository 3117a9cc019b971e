"""Content of a report: scores and mistakes on a file, and what the run itself recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ner.evaluation.evaluation import Evaluation
from ner.evaluation.mistakes import Mistakes
from ner.runs.calibration import Calibration
from ner.runs.events import Event

if TYPE_CHECKING:
    from ner.model.model import Model


@dataclass(frozen=True)
class Transitions:
    """Scores of a CRF, without those of words.

    Attributes:
        tags: Names of the tags.
        first: Score of each tag at the start; None if the scheme forbids it.
        following: Score of each next tag (columns) behind each tag (rows).
        last: Score of each tag at the end.
    """

    tags: Sequence[str]
    first: Sequence[float | None]
    following: Sequence[Sequence[float | None]]
    last: Sequence[float | None]


@dataclass(frozen=True)
class Content:
    """Content of a report.

    Attributes:
        title: Heading of the page.
        facts: Names and values: run, data, numbers of sentences and words.
        evaluation: Scores with intervals, slices and reliability.
        mistakes: Mistakes on the same data.
        notices: Sentences about what limits the meaning of the scores.
        transitions: Scores of transitions, if the decoder has any.
        calibration: Calibration of the run, if there is one.
        history: Epochs, see :func:`ner.runs.history.read_history`.
        events: Changes during the training.
        monitor: Path of the score that selected the epoch.
    """

    title: str
    facts: Mapping[str, str]
    evaluation: Evaluation
    mistakes: Mistakes
    notices: Sequence[str] = ()
    transitions: Transitions | None = None
    calibration: Calibration | None = None
    history: Sequence[Mapping[str, float]] = ()
    events: Sequence[Event] = ()
    monitor: str = "entity.micro.f1"


def transitions(model: Model) -> Transitions | None:
    """Return the scores of transitions of a model; None if the decoder learns none."""
    decoder = model.tag_decoder
    if decoder is None:
        return None
    chain = decoder.chain(False)
    tables = [score.detach().float().cpu() for score in chain[:3]]
    if not any(table.any() for table in tables):
        return None
    first, following, last = (
        table.masked_fill(~allowed.cpu(), float("nan")).tolist() if decoder.constrained else table.tolist()
        for table, allowed in zip(tables, decoder.allowed, strict=True)
    )
    return Transitions(decoder.tags.names, _row(first), [_row(row) for row in following], _row(last))


def _row(values: Sequence[float]) -> list[float | None]:
    return [None if value != value else value for value in values]
