"""Evaluation of a model on a file: scores, overlap with the training data, notices, and the seqeval check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, get_args

import numpy as np

from ner.config.base import SliceName
from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.data import seen, statistics, tags
from ner.errors import InputError
from ner.evaluation.evaluation import Confidence, Evaluation, Reading, ThresholdScores
from ner.evaluation.metrics import modes, partial
from ner.evaluation.metrics._prf import prf
from ner.evaluation.reliability import reliability
from ner.evaluation.scorer import Scorer
from ner.evaluation.seqeval_check import SeqevalCheck
from ner.evaluation.slices import NEED_TRAINING_DATA, Slices
from ner.model.model import Model
from ner.runs.calibration import ChosenThreshold
from ner.types import AnnotatedChunk, Document


class Evaluator:
    """Scores of annotated chunks, with the facts that limit what the scores mean.

    Args:
        metrics: Names of files in ``ner/evaluation/metrics``.
        model: The model that annotates.
        by: Metadata fields; each of their values is scored separately.
        trained_on: Hashes of the training sentences, see :mod:`ner.data.seen`; None if unknown.
        unseen: Score also the sentences that are not in ``trained_on``.
        seqeval: Compare the entity scores with seqeval, which reads tags as ``conlleval`` does.
        mode: Rules by which entities are read from invalid tags, see :func:`ner.data.tags.read_as`.
        slices: Further entity scores, if any.
        intervals: Compute bootstrap intervals.
        threshold: Score also the entities whose probability reaches it.
        confidence: Report how reliable the probabilities of entities are; the chunks contain them.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        model: Model,
        by: Sequence[str] = (),
        trained_on: np.ndarray | None = None,
        unseen: bool = False,
        seqeval: bool = False,
        mode: str = "conlleval",
        slices: Slices | None = None,
        intervals: bool = False,
        threshold: ChosenThreshold | None = None,
        confidence: bool = False,
    ) -> None:
        self.scorer, self.model, self.trained_on = Scorer(metrics, by, keep_units=intervals), model, trained_on
        self.with_intervals, self.mode = intervals, mode
        entity = "entity" in metrics
        details: dict[str, Any] = {"partial": partial} if entity else {}
        if slices is not None and entity:
            details["slices"] = slices
        self.details = Scorer(details, keep_units=intervals)
        self.modes = Scorer({"modes": modes} if entity else {}, keep_units=intervals)
        self.schemes: set[str] = set()
        self.threshold, self.confidence = threshold, confidence
        self.confidences: list[tuple[float, bool]] = []
        self.num_gold = 0
        self.unseen = Scorer(metrics) if unseen else None
        self.seqeval = SeqevalCheck() if seqeval and mode == "conlleval" else None
        self.statistics = statistics.DocumentStatistics()
        self.input_warnings: Counter[str] = Counter()
        self.num_seen = 0
        self.has_gold = False

    def score(self, chunks: Iterable[AnnotatedChunk]) -> Iterator[Document]:
        """Yield the predicted documents after scoring them."""
        for chunk in chunks:
            self.modes.add_chunk(replace(chunk, losses={}))
            chunk_in_mode = chunk if self.mode == "conlleval" else _read_as(chunk, self.mode)
            self.scorer.add_chunk(chunk_in_mode)
            self.details.add_chunk(replace(chunk_in_mode, losses={}))
            for gold, predicted in zip(chunk.gold, chunk.predicted, strict=True):
                self._add(gold, predicted)
                yield predicted

    def _add(self, gold: Document, predicted: Document) -> None:
        self.statistics.add(gold)
        self.schemes.add(gold.scheme)
        for gold_example, prediction in zip(gold.examples, predicted.examples, strict=True):
            spans = {*gold_example.spans}
            self.num_gold += len(spans)
            self.confidences += [(span.score, span in spans) for span in prediction.spans if span.score is not None]
        self.input_warnings += self.model.input_warnings(gold)
        self.has_gold = self.has_gold or any(e.tags or e.labels or e.answers for e in gold.examples)
        if self.seqeval is not None:
            self.seqeval.add(gold.examples, predicted.examples)
        if self.trained_on is not None:
            was_seen = seen.seen(gold.examples, self.trained_on)
            self.num_seen += sum(was_seen)
            for gold_example, prediction, is_seen in zip(gold.examples, predicted.examples, was_seen, strict=True):
                if self.unseen is not None and not is_seen:
                    self.unseen.add([gold_example], [prediction])

    def check(self, source: str, required: Collection[str] = ()) -> None:
        """Check that there was something to score.

        Args:
            source: Path of the file.
            required: Metadata fields that an example must have. Other missing fields are reported by :meth:`lines`.

        Raises:
            InputError: If the file has no gold annotations, or no example has a required field.
        """
        if not self.has_gold:
            raise InputError(f"{source}: expected gold tags, labels or answers to score, found none; use ner predict")
        for field in self._missing():
            if field in required:
                raise InputError(f"--by {field}: no example of {source} has a field of that name")

    def _missing(self) -> list[str]:
        return [field for field, values in self.scorer.by.items() if not values]

    def result(self) -> Evaluation:
        """Return the scores so far."""
        scorers = [self.scorer, self.details, self.modes]
        results = [scorer.result_with_intervals() if self.with_intervals else scorer.result() for scorer in scorers]
        result = results[0]
        for metric_result in results[1:]:
            result.scores |= metric_result.scores
            if result.intervals is not None and metric_result.intervals is not None:
                result.intervals.scores.update(metric_result.intervals.scores)
        if "modes" in result.scores:
            decoder = self.model.tag_decoder
            scheme = decoder.tags.scheme if decoder is not None else "bio"
            if self.confidence:
                result.confidence = Confidence(reliability(self.confidences), self._selected())
            result.reading = Reading(self.mode, tuple(sorted(self.schemes)), scheme)
        return result

    def _selected(self) -> ThresholdScores | None:
        if self.threshold is None:
            return None
        selected = [
            is_correct for probability, is_correct in self.confidences if probability >= self.threshold.probability
        ]
        scores = prf(self.num_gold, len(selected), sum(selected))
        return ThresholdScores(
            **asdict(self.threshold), kept=len(selected), precision=scores["precision"], recall=scores["recall"]
        )

    def warnings(self, name: str) -> list[str]:
        """Return log lines about sentences and labels that distort the scores."""
        lines = []
        if self.num_seen:
            lines.append(f"{name}: {self.num_seen} of {self.scorer.sentences} sentences occur in the training data")
        if labels := self._notable().get("unseen_labels"):
            lines.append(f"{name}: {statistics.format_unseen(labels)}")
        return lines

    def lines(self, name: str, details: bool = False) -> list[str]:
        """Return the log lines, one per score or notice; with ``details``, also one per interval.

        Raises:
            InputError: If the scores differ from seqeval's.
        """
        result = self.result()
        lines = [*result.lines(name), *result.interval_lines(name, details)]
        if self.unseen is not None:
            unseen = self.unseen.result()
            lines.append(f"{name}: {unseen.sentences} of {result.sentences} sentences are unseen")
            lines += unseen.lines(f"{name} unseen")[1:]  # without the loss, which is a sum over batches
        notable = self._notable()
        for kind in ("remarks", "coverage"):
            lines += [f"{name}: {count} {notice}" for notice, count in notable.get(kind, {}).items()]
        lines += [f"{name}: no example has the field {field}; scores by it are skipped" for field in self._missing()]
        if self.seqeval is not None:
            lines.append(self.seqeval.compare(result.scores["entity"]))
        return lines

    def to_json(self, name: str) -> dict[str, Any]:
        """Return scores, counts and notices as plain values."""
        values = {**self.result().to_json(name), **self._notable()}
        if self.unseen is not None:
            unseen = self.unseen.result()
            values["unseen"] = {"sentences": unseen.sentences, "words": unseen.words, **unseen.scores}
        return values

    def _notable(self) -> dict[str, dict[str, int]]:
        coverage = {"coverage": dict(sorted(self.input_warnings.items()))} if self.input_warnings else {}
        return {**statistics.notable(vars(self.statistics), self.model.vocabs), **coverage}


def slices_of(config: RunConfig, names: Sequence[str] | None = None) -> Slices | None:
    """Return the slices of a configuration, or the named ones; None if there are none.

    Raises:
        InputError: If a name is unknown, or the training data that a slice needs cannot be read.
    """
    all_slices: tuple[SliceName, ...] = get_args(SliceName)
    for name in names or ():
        if name not in (*all_slices, "all"):
            raise InputError(f"--slice {name}: expected one of {', '.join(all_slices)}, or all")
    slice_names = [name for name in all_slices if name in (names or config.slices) or "all" in (names or ())]
    if not slice_names:
        return None
    if not NEED_TRAINING_DATA & {*slice_names}:
        return Slices(slice_names)
    format_module = load_component("formats", config.data.format.name)
    return Slices(slice_names, format_module.read(config.data.train, config.data.format, config.data.word_rule))


def _read_as(chunk: AnnotatedChunk, mode: str) -> AnnotatedChunk:
    """Return a chunk with the spans of a reading mode."""

    def read(documents: list[Document]) -> list[Document]:
        return [
            replace(document, examples=[replace(e, spans=tags.read_as(e, mode)) for e in document.examples])
            for document in documents
        ]

    return replace(chunk, gold=read(chunk.gold), predicted=read(chunk.predicted))
