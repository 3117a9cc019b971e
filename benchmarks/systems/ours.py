"""This project: training steps, tagging, scoring and reading, in the environment of the benchmark."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
import worker

import ner
from ner.config.load import load_config
from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.evaluation.metrics import entity
from ner.inference.tagger import Tagger
from ner.model.model import Model
from ner.model.model import build as build_model
from ner.model.word_cache import WordCache
from ner.portable.description import GRAPH
from ner.portable.tagger import PortableTagger
from ner.runtime import cli
from ner.runtime.device import set_seed
from ner.training import loader
from ner.training import loop as training_loop
from ner.training.corpus import count_vocabs
from ner.training.state import initial_state
from ner.types import Document

torch.set_num_threads(1)
START = 3


def build(config: RunConfig, documents: list[Document]) -> Model:
    """Build a new model for the labels of documents."""
    return build_model(config, count_vocabs(documents))


def prepare(task: str, **options: Any) -> Any:
    """Run the selected function below."""
    tasks = {
        "train": prepare_training,
        "tag": prepare_tagging,
        "tag_one": prepare_single_sentences,
        "score": prepare_scoring,
        "read": prepare_reading,
    }
    return tasks[task](**options)


def prepare_training(
    config: str, train: str, steps: int, overrides: list[str], limit: int | None = None, device: str = "cpu"
) -> Any:
    """Run ``steps`` steps of the training loop including train scores, timed from the fourth step on.

    On a CPU nothing is made ahead by another thread, so that one thread does all of it.
    """
    configuration = _configuration(config, train, [*(["batch.prefetch=0"] if device == "cpu" else []), *overrides])
    where = torch.device(device)
    documents = _read(configuration)
    documents = documents[:limit]
    model = build(configuration, documents).to(where)
    words = [0]
    forward = model.forward

    def counted(batch: Any) -> Any:
        words[0] += sum(len(example.words) for example in batch.examples)
        return forward(batch)

    model.forward = counted  # type: ignore[method-assign]
    seeds = iter(range(1, 1000))

    def repeat() -> dict[str, Any]:
        data = loader.TrainLoader(model, documents, configuration.batch, next(seeds))
        state = initial_state(model, configuration.training, configuration.batch, configuration.metrics, where)
        loop = training_loop.train(state, data, None, configuration.metrics, where)
        for _ in range(START):
            next(loop)
        before, started = words[0], now(where)
        for _ in range(steps):
            next(loop)
        seconds = now(where) - started
        loop.close()
        return {"words": words[0] - before, "seconds": seconds}

    return repeat


def now(device: torch.device) -> float:
    """Return the time in seconds, after synchronizing with the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def prepare_tagging(run: str, test: str, limit: int | None = None, precision: Any = "run") -> Any:
    """Tag tokenized sentences, document by document in file order, with a run or an export."""
    if Path(run, GRAPH).exists():
        return tagging(PortableTagger(run), test, limit)
    with cli.paused_garbage_collection():  # like the command
        return tagging(Tagger.load(run, "cpu", precision), test, limit)


def tagging(tagger: Tagger | PortableTagger, test: str, limit: int | None = None) -> Any:
    """Tag with a given tagger."""
    form = load_component("formats", "conll")
    documents = _first(list(form.read(test, form.Config(), "space")), limit)
    words = sum(len(example.words) for document in documents for example in document.examples)

    def repeat() -> dict[str, Any]:
        bare = [
            Document([type(example)(list(example.words)) for example in document.examples], scheme=document.scheme)
            for document in documents
        ]
        started = time.perf_counter()
        answers = [document for chunk in tagger.annotate(bare) for document in chunk.predicted]
        seconds = time.perf_counter() - started
        gold = [example.tags or [] for document in documents for example in document.examples]
        found = [example.tags or [] for document in answers for example in document.examples]
        f1 = entity.scores(entity.count_tags(gold, found))["micro"]["f1"]
        return {"words": words, "seconds": seconds, "f1": f1}

    return repeat


def prepare_single_sentences(run: str, test: str, limit: int | None = None) -> Any:
    """Tag tokenized sentences one by one with a run or an export, with the seconds of each."""
    return worker.timed(ner.load(run, device="cpu").tag, [words for words, _ in worker.read_columns(test, limit)])


def prepare_scoring(gold: str, times: int, limit: int | None = None) -> Any:
    """Score lists of tags."""
    wanted, found = worker.tag_lists(gold, times, limit)

    def repeat() -> dict[str, Any]:
        scores = entity.scores(entity.count_tags(wanted, found))
        micro = scores["micro"]
        return {
            "words": sum(map(len, wanted)),
            "result": [round(micro[key], 9) for key in ("precision", "recall", "f1")],
        }

    return repeat


def prepare_reading(train: str, config: str, times: int) -> Any:
    """Convert the file to the tensors of all batches of an epoch."""
    configuration = _configuration(config, worker.repeated(train, times), [])
    model = build(configuration, _read(configuration)[:50])

    def repeat() -> dict[str, Any]:
        model.encoder.tokenizer.cache = WordCache()
        with cli.paused_garbage_collection():  # like the command
            documents = _read(configuration)
            data = loader.TrainLoader(model, documents, configuration.batch, 1)
        batches = data.epoch(0, configuration.batch)
        made = data.steps(batches, 0, configuration.batch, torch.device("cpu"))
        words = sum(one.amounts["words"] for one in made)
        return {"words": words}

    return repeat


def _first(documents: list[Document], limit: int | None) -> list[Document]:
    """Return the first sentences, grouped by document."""
    found = []
    for document in documents:
        found.append(document)
        if limit is not None:
            document.examples = document.examples[:limit]
            limit -= len(document.examples)
            if limit == 0:
                break
    return found


def _configuration(config: str, train: str, overrides: list[str]) -> RunConfig:
    always = [f"data.train={train}", "data.valid=null", "data.test=null", "training.keep_epoch=last"]
    return load_config(config, [*always, *overrides])[0]


def _read(config: RunConfig) -> list[Document]:
    form = load_component("formats", config.data.format.name)
    return list(form.read(config.data.train, config.data.format, config.data.word_split))


if __name__ == "__main__":
    set_seed(1)
    worker.serve(prepare, ["ner-crf", "torch", "transformers", "numpy", "numba"])
