"""Scores of an evaluation as a table, for Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ner.errors import InputError
from ner.evaluation.evaluation import Evaluation
from ner.runtime.nested import flat
from ner.runtime.table import Table


class Scores:
    """Scores of a data set. It prints as a table; ``scores["entity.micro.f1"]`` is a number.

    Args:
        evaluation: The scores.
        name: Name of the data.
        warnings: Facts that limit what the scores mean, such as sentences that were trained on.
    """

    def __init__(self, evaluation: Evaluation, name: str, warnings: Sequence[str] = ()) -> None:
        self.evaluation, self.name, self.warnings = evaluation, name, list(warnings)

    def __getitem__(self, path: str) -> float:
        """Return the score at a dotted path such as ``entity.micro.f1``; labels may contain dots.

        Raises:
            InputError: If there is no such score.
        """
        score_by_path = {path: float(value) for path, value in flat(self.evaluation.scores).items()}
        score_by_path["loss"] = self.evaluation.loss
        if path not in score_by_path:
            raise InputError(f"{path}: no such score; there are: {', '.join(score_by_path)}")
        return score_by_path[path]

    def table(self) -> Table:
        """Return a row for each label and each mean."""
        evaluation = self.evaluation
        rows = [{"score": name, **values} for name, values in _rows(evaluation.scores)]
        if evaluation.intervals is not None:
            bounds = dict(_rows(evaluation.intervals.scores))
            for row in rows:
                if "f1" in bounds.get(row["score"], ()):
                    row["f1_low"], row["f1_high"] = bounds[row["score"]]["f1"]
        for field, parts in evaluation.by.items():
            for value, part in parts.items():
                rows += [{"score": f"{field}={value} {name}", **values} for name, values in _rows(part.scores)]
        rows.sort(key=lambda row: "value" in row)  # precision, recall and F1 first
        title = (
            f"{self.name}: {evaluation.sentences:,} sentences, {evaluation.words:,} words, loss {evaluation.loss:.4f}"
        )
        return Table(rows, title)

    def to_frame(self) -> Any:
        """Return the table as a ``pandas.DataFrame`` with the names of the scores as index."""
        return self.table().to_frame().set_index("score")

    def to_json(self) -> dict[str, Any]:
        """Return the scores as plain values, as in ``metrics.json``."""
        return self.evaluation.to_json(self.name)

    def __str__(self) -> str:
        return "\n".join([str(self.table()), *(f"note: {warning}" for warning in self.warnings)])

    def __repr__(self) -> str:
        return str(self)


def _rows(scores: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the groups of scores that have an F1 as rows, and each other score as a row of its own."""
    for name, value in scores.items():
        inner = f"{path}.{name}" if path else name
        if not isinstance(value, Mapping):
            yield inner, {"value": value}
        elif "f1" in value and not isinstance(value["f1"], Mapping):
            yield inner, dict(value)
        else:
            yield from _rows(value, inner)
