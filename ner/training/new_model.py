"""A new model for training documents, after everything is checked that a training requires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ner.config.schema import RunConfig
from ner.data import tasks
from ner.model.model import Model, build
from ner.training import validation
from ner.training.corpus import check_targets, count_vocabs, learn_word_splitter
from ner.types import SPLITS, Document


def new_model(config: RunConfig, documents: Mapping[str, Sequence[Document]]) -> Model:
    """Build a new model for the documents of each split.

    Raises:
        InputError: If a pretrained model, vectors or a package are not found, a setting does not fit the documents, or
            there is nothing to learn or to score.
    """
    train = documents["train"]
    tasks.check_gold(config.decoder.name, train, config.data.train)
    model = build(config, count_vocabs(train))
    if config.data.word_split is None:
        model.word_splitter = learn_word_splitter(train)
    check_targets(model, train, config.data.train)
    tasks.check_labels(model.vocabs, config.data.format)
    for split in SPLITS:
        if documents.get(split):
            tasks.check_scored(config.decoder.name, config.metrics, documents[split], getattr(config.data, split))
    for name in config.score_by if documents.get("test") else ():
        tasks.check_field(name, documents["test"], config.data.test)
    if documents.get("valid"):
        validation.check_monitored(documents["valid"], config.metrics, config.training)
    return model
