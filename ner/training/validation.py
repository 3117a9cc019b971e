"""Evaluation during training and the scores that it monitors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from ner.config.training import TrainingConfig
from ner.evaluation.evaluation import Evaluation, monitored
from ner.evaluation.scorer import Scorer
from ner.inference.annotate import annotate
from ner.runtime.device import resolve_precision
from ner.runtime.distributed import ProcessGroup
from ner.training.state import State
from ner.types import Document


def evaluate(
    state: State,
    documents: Iterable[Document],
    metrics: Sequence[str],
    device: torch.device,
    process_group: ProcessGroup,
) -> Evaluation:
    """Score the weights that would be kept; the state does not change."""
    scorer = Scorer(metrics)
    precision = resolve_precision(state.training_config.precision, device)
    with state.evaluation_weights():
        for chunk in annotate(
            state.model, documents, state.batch_config, device, precision, process_group=process_group
        ):
            scorer.add_chunk(chunk)
    return scorer.result()


def check_monitored(documents: Sequence[Document], metrics: Sequence[str], training: TrainingConfig) -> None:
    """Check that every monitored score will exist, by scoring the gold documents against themselves.

    Raises:
        InputError: If one does not.
    """
    scorer = Scorer(metrics)
    for document in documents:
        scorer.add(document.examples, document.examples)
    for key, path in training.watched.items():
        monitored(scorer.result(), path, f"training.{key}")
