"""datasets as in the example script run_ner: from columns to a dataset, tokenized with labels and collated."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import datasets
import torch
import worker

torch.set_num_threads(1)
datasets.disable_progress_bars()


def prepare(train: str, model: str, times: int, batch: int = 32) -> Any:
    """Convert the file to the tensors of all batches of an epoch, in random order."""
    from transformers import AutoTokenizer, DataCollatorForTokenClassification

    train = worker.repeated(train, times)
    tokenizer = AutoTokenizer.from_pretrained(model)
    collate = DataCollatorForTokenClassification(tokenizer)

    def rows() -> Iterator[dict[str, list[str]]]:
        for words, tags in worker.read_columns(train):
            yield {"tokens": words, "tags": tags}

    def repeat() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as cache:
            raw = datasets.Dataset.from_generator(rows, cache_dir=cache, keep_in_memory=True)
            labels = sorted({tag for tags in raw["tags"] for tag in tags})
            ids = {label: number for number, label in enumerate(labels)}

            def encode(examples: dict[str, Any]) -> Any:
                encoded = tokenizer(examples["tokens"], truncation=True, is_split_into_words=True)
                targets = []
                for number, tags in enumerate(examples["tags"]):
                    row, before = [], None
                    for word in encoded.word_ids(batch_index=number):
                        row.append(-100 if word is None or word == before else ids[tags[word]])
                        before = word
                    targets.append(row)
                return {**encoded, "labels": targets}

            ready = raw.map(encode, batched=True, remove_columns=raw.column_names, load_from_cache_file=False)
            loader = torch.utils.data.DataLoader(ready, batch_size=batch, shuffle=True, collate_fn=collate)
            words = sum(int((tensors["labels"] != -100).sum()) for tensors in loader)
        return {"words": words}

    return repeat


if __name__ == "__main__":
    worker.serve(prepare, ["datasets", "transformers", "torch"])
