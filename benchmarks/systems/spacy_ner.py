"""spaCy: a blank English pipeline with tok2vec and a named-entity recognizer.

``python spacy_ner.py train TRAIN VALID TEST DIRECTORY`` trains it as ``spacy train`` does and prints the test F1.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import spacy
import worker
from spacy.tokens import Doc, DocBin
from spacy.training import biluo_tags_to_spans, iob_to_biluo


def prepare(model: str, test: str, batch: int = 256, limit: int | None = None, one_by_one: bool = False) -> Any:
    """Tag tokenized sentences in batches, or one by one with the seconds of each."""
    pipeline = spacy.load(model)
    sentences = worker.read_columns(test, limit)
    words = sum(len(words) for words, _ in sentences)
    if one_by_one:
        return worker.timed(lambda words: pipeline(Doc(pipeline.vocab, words)).ents, [words for words, _ in sentences])

    def repeat() -> dict[str, Any]:
        documents = pipeline.pipe((Doc(pipeline.vocab, words) for words, _ in sentences), batch_size=batch)
        return {"words": words, "entities": sum(len(document.ents) for document in documents)}

    return repeat


def train(train: str, valid: str, test: str, directory: str) -> None:
    """Train with the settings that spaCy recommends for speed and keep the best model on the validation file."""
    from spacy.cli.init_config import init_config
    from spacy.cli.train import train as train_pipeline

    root = Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    vocab = spacy.blank("en").vocab
    for split, path in (("train", train), ("dev", valid)):
        bin = DocBin()
        for words, tags in worker.read_columns(path):
            document = Doc(vocab, words)
            document.set_ents(biluo_tags_to_spans(document, iob_to_biluo(tags)))
            bin.add(document)
        bin.to_disk(root / f"{split}.spacy")
    config = init_config(lang="en", pipeline=["ner"], optimize="efficiency", gpu=False)
    config.to_disk(root / "config.cfg")
    overrides = {"paths.train": str(root / "train.spacy"), "paths.dev": str(root / "dev.spacy")}
    train_pipeline(root / "config.cfg", root, overrides=overrides)
    pipeline = spacy.load(root / "model-best")
    gold, predicted = [], []
    for words, tags in worker.read_columns(test):
        document = pipeline(Doc(pipeline.vocab, words))
        found = [f"{word.ent_iob_}-{word.ent_type_}" if word.ent_type_ else "O" for word in document]
        gold.append(tags)
        predicted.append(found)
    score = {"test_f1": worker.entity_f1(gold, predicted), "processor_seconds": time.process_time()}
    (root / "score.json").write_text(json.dumps(score))
    print(score)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(*sys.argv[2:])
    else:
        worker.serve(prepare, ["spacy", "thinc", "numpy"])
