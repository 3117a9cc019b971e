"""Hugging Face: ``Trainer`` as in the example script ``run_ner``, and the token-classification pipeline.

``python hf.py train MODEL TRAIN TEST DIRECTORY`` trains for three epochs, grouped by length, and prints the test F1.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import worker

torch.set_num_threads(1)
START = 3
"""Steps before the measurement, as in our system."""


def prepare(task: str, **options: Any) -> Any:
    """Run steps of the Trainer (``train``) or the pipeline (``tag``)."""
    return {"train": prepare_training, "tag": prepare_tagging}[task](**options)


def prepare_training(
    model: str,
    train: str,
    steps: int,
    group: bool,
    batch: int = 32,
    attention_dropout: float | None = None,
    gpu: bool = False,
) -> Any:
    """Run ``steps`` steps on tokenized data, in bfloat16 on a GPU, timed from the fourth step on.

    Grouping by length sorts 50 batches at a time, the longest first: only a multiple of 50 steps is a fair sample.
    """
    tokenizer, examples, labels = _examples(model, worker.read_columns(train))
    changed = {} if attention_dropout is None else {"attention_probs_dropout_prob": attention_dropout}
    network = _network(model, tokenizer, labels, **changed)
    seeds = iter(range(1, 1000))

    def repeat() -> dict[str, Any]:
        clock = _Clock()
        options = {"max_steps": START + steps, "seed": next(seeds)}
        options |= {"bf16": True} if gpu else {"use_cpu": True}
        _trainer(network, tokenizer, examples, batch, group, clock, **options).train()
        return {"words": clock.words, "seconds": clock.seconds}

    return repeat


def prepare_tagging(model: str, test: str, batch: int, limit: int | None = None, by_length: bool = False) -> Any:
    """Prepare :func:`pipeline_over`."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    network = AutoModelForTokenClassification.from_pretrained(model)
    return pipeline_over(network, AutoTokenizer.from_pretrained(model), test, batch, limit, by_length)


def pipeline_over(
    network: Any, tokenizer: Any, test: str, batch: int, limit: int | None, by_length: bool, **options: Any
) -> Any:
    """Run the pipeline over the texts in file order or, to reduce padding, longest first."""
    from transformers import pipeline

    tagger = pipeline("token-classification", network, tokenizer=tokenizer, aggregation_strategy="first", **options)
    sentences = worker.read_columns(test, limit)
    words = sum(len(words) for words, _ in sentences)

    def repeat() -> dict[str, Any]:
        texts = [" ".join(words) for words, _ in sentences]
        if by_length:
            texts.sort(key=len, reverse=True)
        with torch.inference_mode():
            found = tagger(texts, batch_size=batch)
        return {"words": words, "entities": sum(map(len, found))}

    return repeat


def _examples(model: str, sentences: list[worker.Sentence]) -> tuple[Any, list[dict[str, list[int]]], list[str]]:
    """Return word-piece ids with the tag of each word on its first piece; the loss ignores the others."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    labels = sorted({tag for _, tags in sentences for tag in tags})
    encoded = tokenizer([words for words, _ in sentences], is_split_into_words=True, truncation=True)
    examples = []
    for row, (_, tags) in enumerate(sentences):
        targets, before = [], None
        for word in encoded.word_ids(row):
            targets.append(-100 if word is None or word == before else labels.index(tags[word]))
            before = word
        examples.append({"input_ids": encoded["input_ids"][row], "labels": targets})
    return tokenizer, examples, labels


def _network(model: str, tokenizer: Any, labels: list[str], **options: Any) -> Any:
    from transformers import AutoModelForTokenClassification

    names = dict(enumerate(labels))
    ids = {label: number for number, label in names.items()}
    return AutoModelForTokenClassification.from_pretrained(
        model, num_labels=len(labels), id2label=names, label2id=ids, **options
    )


def now() -> float:
    """Return the time in seconds, after synchronizing with a GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class _Clock:
    """Callback that counts words and seconds of the steps."""

    def __init__(self) -> None:
        self.words, self.steps, self.seconds, self.started = 0, 0, 0.0, 0.0
        self.collated: list[int] = []

    def callback(self) -> Any:
        from transformers import TrainerCallback

        clock = self

        class Callback(TrainerCallback):
            def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if clock.steps == START:
                    clock.started = now()

            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                clock.words += clock.collated[clock.steps] if clock.steps >= START else 0
                clock.steps += 1
                if clock.steps == state.max_steps:
                    clock.seconds = now() - clock.started

        return Callback()


def _trainer(network: Any, tokenizer: Any, examples: Any, batch: int, group: bool, clock: Any, **options: Any) -> Any:
    from transformers import DataCollatorForTokenClassification, Trainer, TrainingArguments

    padding = DataCollatorForTokenClassification(tokenizer)

    def collate(chosen: list[dict[str, list[int]]]) -> Any:
        if clock is not None:
            clock.collated.append(sum(label != -100 for example in chosen for label in example["labels"]))
        return padding(chosen)

    if group:
        options["train_sampling_strategy"] = "group_by_length"
    arguments = TrainingArguments(
        tempfile.mkdtemp(), per_device_train_batch_size=batch, report_to=[], save_strategy="no", disable_tqdm=True,
        **options,
    )  # fmt: skip
    callbacks = [clock.callback()] if clock is not None else []
    return Trainer(network, arguments, collate, examples, processing_class=tokenizer, callbacks=callbacks)


def train(model: str, train: str, test: str, directory: str) -> None:
    """Train for three epochs with the defaults of the Trainer, but grouped by length, which is faster."""
    tokenizer, examples, labels = _examples(model, worker.read_columns(train))
    network = _network(model, tokenizer, labels)
    _trainer(network, tokenizer, examples, 32, True, None, num_train_epochs=3, seed=1, use_cpu=True).train()
    network.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    gold, predicted = [], []
    network.eval()
    for words, tags in worker.read_columns(test):
        encoded = tokenizer(words, is_split_into_words=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            best = network(**encoded).logits[0].argmax(-1).tolist()
        found, before = ["O"] * len(words), None
        for position, word in enumerate(encoded.word_ids(0)):
            if word is not None and word != before:
                found[word] = labels[best[position]]
            before = word
        gold.append(tags)
        predicted.append(found)
    score = {"test_f1": worker.entity_f1(gold, predicted), "processor_seconds": time.process_time()}
    Path(directory, "score.json").write_text(json.dumps(score))
    print(score)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(*sys.argv[2:])
    else:
        worker.serve(prepare, ["transformers", "torch", "accelerate"])
