"""Flair: ``SequenceTagger`` over one-hot words, a BiLSTM and its CRF; no character features.

``python flair_tagger.py train TRAIN VALID TEST DIRECTORY EPOCHS`` trains it and prints the test F1.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import flair
import torch
import worker
from flair.data import Corpus, Sentence
from flair.datasets import FlairDatapointDataset
from flair.embeddings import OneHotEmbeddings, TransformerWordEmbeddings
from flair.models import SequenceTagger
from flair.trainers import ModelTrainer

flair.device = torch.device("cpu")
torch.set_num_threads(1)


def prepare(task: str, **options: Any) -> Any:
    """Run training steps (``train``) or tag with a trained model (``tag``)."""
    tasks = {"train": prepare_training, "tag": prepare_tagging, "tag-untrained": prepare_untrained}
    return tasks[task](**options)


def prepare_training(train: str, steps: int, batch: int = 32, width: int = 100, hidden: int = 200) -> Any:
    """Run training steps over shuffled sentences: forward, backward, clip, optimizer."""
    sentences = [_sentence(*pair) for pair in worker.read_columns(train)]
    tagger = _tagger(Corpus(FlairDatapointDataset(sentences), sample_missing_splits=False), width, hidden)
    optimizer = torch.optim.AdamW(tagger.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(1)
    tagger.train()

    def repeat() -> dict[str, Any]:
        words = 0
        order = torch.randperm(len(sentences), generator=generator)[: steps * batch].view(-1, batch)
        for positions in order.tolist():
            chosen = [sentences[position] for position in positions]
            loss, count = tagger.forward_loss(chosen)
            optimizer.zero_grad(set_to_none=True)
            (loss / count).backward()
            torch.nn.utils.clip_grad_norm_(tagger.parameters(), 5.0)
            optimizer.step()
            words += sum(map(len, chosen))
        return {"words": words}

    return repeat


def prepare_untrained(model: str, test: str, limit: int, batch: int = 32) -> Any:
    """Tag with an untrained tagger over a transformer, to measure speed only."""
    pairs = worker.read_columns(test, limit)
    sentences = [_sentence(*pair) for pair in pairs]
    labels = Corpus(FlairDatapointDataset(sentences), sample_missing_splits=False).make_label_dictionary("ner")
    embeddings = TransformerWordEmbeddings(model, layers="-1", fine_tune=True)
    tagger = SequenceTagger(embeddings, labels, "ner", use_rnn=False, use_crf=False, reproject_embeddings=False)
    return _tagging(tagger, pairs, batch)


def prepare_tagging(model: str, test: str, batch: int = 32, limit: int | None = None) -> Any:
    """Tag tokenized sentences."""
    return _tagging(SequenceTagger.load(model), worker.read_columns(test, limit), batch)


def _tagging(tagger: SequenceTagger, pairs: list[worker.Sentence], batch: int) -> Any:
    words = sum(len(words) for words, _ in pairs)

    def repeat() -> dict[str, Any]:
        sentences = [Sentence(list(words)) for words, _ in pairs]
        tagger.predict(sentences, mini_batch_size=batch)
        return {"words": words, "entities": sum(len(sentence.get_spans("ner")) for sentence in sentences)}

    return repeat


def _sentence(words: list[str], tags: list[str]) -> Sentence:
    sentence = Sentence(list(words))
    for start, end, label in sorted(worker.spans(tags)):
        sentence[start:end].add_label("ner", label)
    return sentence


def _tagger(corpus: Corpus, width: int, hidden: int) -> SequenceTagger:
    embeddings = OneHotEmbeddings.from_corpus(corpus, min_freq=1, embedding_length=width)
    labels = corpus.make_label_dictionary("ner", add_unk=False)
    return SequenceTagger(
        embeddings, labels, "ner", hidden_size=hidden, use_crf=True, reproject_embeddings=False, tag_format="BIOES"
    )


def train(train: str, valid: str, test: str, directory: str, epochs: str) -> None:
    """Train completely and keep the best model on the validation file."""
    flair.set_seed(1)
    splits = [
        FlairDatapointDataset([_sentence(*pair) for pair in worker.read_columns(path)]) for path in (train, valid)
    ]
    corpus = Corpus(splits[0], splits[1], sample_missing_splits=False)
    tagger = _tagger(corpus, 100, 200)
    trainer = ModelTrainer(tagger, corpus)
    options = {"optimizer": torch.optim.AdamW, "learning_rate": 2e-3, "patience": 2, "mini_batch_size": 32}
    trainer.train(directory, max_epochs=int(epochs), **options)
    best = Path(directory, "best-model.pt")
    tagger = SequenceTagger.load(best if best.exists() else Path(directory, "final-model.pt"))
    gold, predicted = [], []
    for words, tags in worker.read_columns(test):
        sentence = Sentence(list(words))
        tagger.predict(sentence)
        found = ["O"] * len(words)
        for span in sentence.get_spans("ner"):
            positions = [token.idx - 1 for token in span]
            found[positions[0] : positions[-1] + 1] = [f"I-{span.tag}"] * len(positions)
            found[positions[0]] = f"B-{span.tag}"
        gold.append(tags)
        predicted.append(found)
    score = {"test_f1": worker.entity_f1(gold, predicted), "processor_seconds": time.process_time()}
    Path(directory, "score.json").write_text(json.dumps(score))
    print(score)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(*sys.argv[2:])
    else:
        worker.serve(prepare, ["flair", "torch", "transformers"])
