"""Description of a training before it starts: data, labels, warnings and model size in the log."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from ner.data.question_answering import ANSWER
from ner.data.tasks import decoder_outputs
from ner.runtime import cli
from ner.runtime.device import set_seed

if TYPE_CHECKING:
    from ner.model.model import Model
    from ner.training.run import TrainingRun
    from ner.types import Document

MAX_CLASSES = 12
"""Number of text labels that a log line lists at most."""


def prepare(run: TrainingRun, init: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read the data, build the model and log a description of both.

    Returns:
        The notable counts of each split, see :func:`ner.data.statistics.notable`.
    """
    from ner.model.encoder import EncoderModule

    set_seed(run.config.seed)
    with cli.paused_garbage_collection(), run.process_group.keep_alive():
        run.read()
        model = run.build(init)
    notable = {split: _describe_split(run, model, split) for split, documents in run.documents.items() if documents}
    encoders = (module for module in model.modules() if isinstance(module, EncoderModule))
    for encoder in encoders:
        for name, value in encoder.report.items():
            logger.info("{}: {}", name, f"{value:.1%}" if isinstance(value, float) else value)
    logger.info("trainable parameters: {:,}", model.num_parameters)
    if run.backend:
        logger.info("CRF backend: {}", run.backend)
    return notable


def _describe_split(run: TrainingRun, model: Model, split: str) -> dict[str, Any]:
    """Log the counts of a split and warn about unusual ones, which are returned."""
    from ner.data import statistics

    outputs = decoder_outputs(run.config.decoder.name)
    question_answering = "answers" in outputs
    counts = run.corpus.statistics(split, model)
    labels, classes = counts["labels"], counts["classes"]
    listed = ", ".join(f"{label} {count}" for label, count in sorted(labels.items()))
    entities = f", {sum(labels.values())} entities ({listed})" if labels else ""
    logger.info(
        "{}: {} documents, {} {}, {} words{}",
        split,
        len(run.documents[split]),
        counts["sentences"],
        "questions" if question_answering else "sentences",
        counts["words"],
        f", {labels[ANSWER]} answers in the passage" if question_answering and labels else entities,
    )
    if classes:
        frequent = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
        listed = ", ".join(f"{label} {count}" for label, count in frequent[:MAX_CLASSES])
        more = f", {len(frequent) - MAX_CLASSES} more" if len(frequent) > MAX_CLASSES else ""
        logger.info("{}: {}: {}{}", split, "answer types" if question_answering else "text labels", listed, more)
    if split == "train" and len(classes) == 1 and "labels" in outputs:
        logger.warning("train: only one class; there is nothing to learn")
    notable: dict[str, Any] = statistics.notable(counts, model.vocabs)
    if "unseen_labels" in notable:
        logger.warning("{}: {}", split, statistics.format_unseen(notable["unseen_labels"]))
    if counts["overlapping"]:
        logger.warning("{}: {} entities overlap a longer one and cannot be tagged", split, counts["overlapping"])
    for notice, count in [*notable.get("remarks", {}).items(), *sorted(counts["coverage"].items())]:
        logger.info("{}: {} {}", split, count, notice)
    return notable


def example_input(documents: Mapping[str, Sequence[Document]]) -> tuple[str, str]:
    """Return an input for ``ner predict`` and its format: the first text with an entity or a label."""
    for split in ("test", "valid", "train"):
        for document in documents[split]:
            for example in document.examples:
                if example.query_length and example.text:
                    return '{"question": "...", "text": "..."}', "jsonl"
                if (example.spans or example.labels) and all("'" not in word for word in example.words):
                    return shorten(example.text or " ".join(example.words)), "text"
    return "...", "text"


def shorten(text: str) -> str:
    """Return at most the first 80 characters, without a cut through a word where words are separated by spaces."""
    return textwrap.shorten(text, 80, placeholder="") or text.strip()[:80]
