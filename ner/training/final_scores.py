"""End of a training: calibration of the kept model, its test scores and predictions, ``metrics.json``, model card."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from ner.config.parts import load_component
from ner.data import seen
from ner.evaluation.evaluator import Evaluator
from ner.evaluation.slices import Slices
from ner.inference.tagger import Tagger
from ner.runs import calibration
from ner.runs.directory import METRICS, predictions_path
from ner.runs.model_card import CARD, is_edited, write_card
from ner.runtime import atomic
from ner.training.epoch_record import EpochRecord
from ner.training.run import TrainingRun
from ner.training.temperature import calibrate


def finish(run: TrainingRun, notable: Mapping[str, Mapping[str, Any]], command: str, started: float) -> None:
    """Score the kept model, and write ``metrics.json`` and a model card unless there is one that somebody has edited.

    Args:
        run: Finished training.
        notable: Counts to be saved beside the scores of a split.
        command: Call that repeats the training.
        started: Value of :func:`time.monotonic` at the start.
    """
    scores = _score(run)
    scores |= {split: {**scores[split], **counts} for split, counts in notable.items() if split in scores}
    report = {
        **scores,
        **{"seconds": time.monotonic() - started, "command": command, "seed": run.config.seed},
        **{key: run.provenance[key] for key in ("data", "versions", "device", "threads", "processes")},
        "crf_backend": run.backend,
    }
    if run.process_group.is_main:
        atomic.write_bytes(run.directory / METRICS, json.dumps(report, indent=2, ensure_ascii=False).encode())
        card = run.directory / CARD
        if not card.exists() or not is_edited(card):
            run.log_info(f"model card: {write_card(run.directory)}")
    run.log_info(f"done in {report['seconds']:.0f} s")


def _score(run: TrainingRun) -> dict[str, Any]:
    """Load the kept model, calibrate it, write its predictions for test, and return the scores of all splits."""
    kept = run.state.history[run.state.best_epoch - 1]
    evaluations = dict(kept.evaluations)
    run.log_info(f"best checkpoint: epoch {kept.epoch}")
    if _predicts_no_entity(kept):
        run.log_warning(
            f"epoch {kept.epoch} predicts no entity; train for more steps (a smaller batch.size, more training.epochs) "
            "or raise training.learning_rate, see ner check --probe"
        )
    if _can_calibrate(run):
        with run.process_group.keep_alive():
            if run.process_group.is_main:
                _calibrate(run)
            run.process_group.broadcast(None)
    if run.documents["test"]:
        tagger = Tagger.load(run.directory, str(run.device))
        slices = Slices(run.config.slices, run.documents["train"]) if run.config.slices else None
        trained_on = seen.from_bytes(run.trained_on)
        evaluator = Evaluator(run.config.metrics, tagger.model, run.config.score_by, trained_on, slices=slices)
        chunks = tagger.annotate(run.documents["test"], loss=True, process_group=run.process_group)
        predicted = list(evaluator.score(chunks))
        for line in evaluator.warnings("test"):
            run.log_warning(line)
        evaluations["test"] = evaluator.result()
        for line in evaluations["test"].lines("test"):
            run.log_info(line)
        path = predictions_path(run.directory, run.config)
        if run.process_group.is_main:
            load_component("formats", run.config.data.format.name).write(str(path), predicted, run.config.data.format)
        run.log_info(f"predictions: {path}")
    scores = {"epoch": kept.epoch, **{split: result.to_json(split) for split, result in evaluations.items()}}
    run.notify("on_end", scores)
    return scores


def _predicts_no_entity(record: EpochRecord) -> bool:
    """Return whether no entity is predicted for the validation data, or without them for the training data."""
    evaluation = record.evaluations.get("valid") or record.evaluations["train"]
    types = evaluation.scores.get("entity", {}).get("by_type", {})
    return bool(types) and not any(counts["predicted"] for counts in types.values())


def _can_calibrate(run: TrainingRun) -> bool:
    """Return whether the probabilities of entities are to be calibrated and there is data to do so."""
    has_entities = any(example.spans for document in run.documents["valid"] for example in document.examples)
    return run.config.training.calibrate and run.state.model.tag_decoder is not None and has_entities


def _calibrate(run: TrainingRun) -> None:
    """Fit the temperature of the kept model to the validation data, and save it with the model."""
    found = calibrate(Tagger.load(run.directory, str(run.device)), run.documents["valid"], "valid")
    calibration.write(run.directory, found)
    likelihoods = "{:.4f} before, {:.4f} after".format(*found.log_likelihood)
    run.log_info(
        f"valid calibration: temperature {found.temperature:g}; log-likelihood of a sentence {likelihoods}; expected "
        f"calibration error {found.before.error:.4f} before, {found.after.error:.4f} after"
    )
    if found.temperature == 1:
        run.log_info(
            f"valid: its {found.gold} entities do not determine a temperature, so probabilities are not calibrated; "
            "use ner calibrate with more data"
        )
