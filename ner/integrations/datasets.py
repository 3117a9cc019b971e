"""Predictions as columns of a data set of the library ``datasets``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

from datasets import Dataset, Features, Value

from ner.data import tasks
from ner.inference.tagger import Tagger
from ner.integrations import texts

D = TypeVar("D")


def annotate(
    dataset: D,
    tagger: Tagger,
    column: str = "tokens",
    *,
    prefix: str = "predicted_",
    probabilities: bool = False,
    batch_size: int = 1000,
) -> D:
    """Return a data set with predictions in additional columns.

    ``predicted_entities`` contains mappings with ``start``, ``end``, ``label``, ``text`` and, on request, ``score``.
    Positions are characters of a text, or words; ``end`` is exclusive. ``predicted_tags`` contains a tag per word, or
    None for a text. Models that classify texts add ``predicted_labels``.

    Args:
        dataset: A ``Dataset``, ``IterableDataset``, or a ``DatasetDict`` of either.
        tagger: Tagger of a run.
        column: Column of raw texts, or of lists of words.
        prefix: Beginning of the names of the new columns.
        probabilities: Add the score of each entity.
        batch_size: Number of rows that are annotated together.

    Raises:
        KeyError: If there is no such column.
        TypeError: If a row is neither a text nor a list of words, or the model answers questions.
        ValueError: If the data set already has a column of that name.
    """
    if isinstance(dataset, Mapping):  # DatasetDict
        keywords: Any = {"prefix": prefix, "probabilities": probabilities, "batch_size": batch_size}
        parts = {key: annotate(part, tagger, column, **keywords) for key, part in dataset.items()}
        return type(dataset)(parts)  # type: ignore[call-arg]
    untyped: Any = dataset
    names = untyped.column_names or [column]
    if column not in names:
        raise KeyError(f"expected a column {column!r}, found {', '.join(names)}")
    predicted = tasks.decoder_outputs(tagger.config.decoder.name)
    output_kinds = [
        *(("entities", "tags") if "tags" in predicted else ()),
        *(("labels",) if "labels" in predicted else ()),
    ]
    outputs = {key: f"{prefix}{key}" for key in output_kinds}
    existing = sorted({*names} & {*outputs.values()})
    if existing:
        raise ValueError(f"the column {existing[0]!r} already exists; choose another prefix")

    def predict(batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        rows = batch[column]
        for row in rows:
            if not isinstance(row, str) and not (isinstance(row, list) and all(isinstance(word, str) for word in row)):
                raise TypeError(f"column {column!r}: expected a text or a list of words, found {type(row).__name__}")
        annotated = tagger.tag([texts.document([row], tagger) for row in rows], probabilities)
        examples = [document.examples[0] for document in annotated]
        values: dict[str, list[Any]] = {
            "entities": [example.entities() for example in examples],
            "tags": [None if example.text is not None else example.tags for example in examples],
            "labels": [example.labels or [] for example in examples],
        }
        return {name: values[key] for key, name in outputs.items()}

    options: dict[str, Any] = {"batched": True, "batch_size": batch_size}
    if untyped.features is not None:  # empty lists at the beginning have no type
        position, text = Value("int64"), Value("string")
        entity = {"start": position, "end": position, "label": text, "text": text}
        types = {"entities": [entity | ({"score": Value("float64")} if probabilities else {})], "tags": [text]}
        new_features = {name: types.get(key, [text]) for key, name in outputs.items()}
        options["features"] = Features({**untyped.features, **new_features})
    if isinstance(untyped, Dataset):  # otherwise, datasets would serialize the model to compute one
        options |= {"new_fingerprint": uuid.uuid4().hex, "desc": "annotate"}
    return untyped.map(predict, **options)
