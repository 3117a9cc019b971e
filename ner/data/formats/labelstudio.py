"""Label Studio: a JSON file with a list of tasks, as imported and exported (JSON and JSON-MIN).

Regions of type ``labels`` are spans, choices are labels of the whole text; relations and other regions are not read. A
task without annotations has no gold. Positions count UTF-16 code units, because the program runs in a browser; exports
record the text of each region, by which the unit is checked.

Predictions are written as ``predictions`` of each task, so that an import shows them as pre-annotations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from ner.config.base import SpanFormatConfig, TextEncoding, WordSplit
from ner.data.char_spans import CharSpan, in_characters, in_unit, set_spans
from ner.data.notices import Notice
from ner.data.words import split_words, with_text
from ner.errors import InputError
from ner.runtime.text_files import json_field, open_text, read_json
from ner.types import Document, Example

output_extension = "json"
probabilities = True
STORES = frozenset({"tags", "labels"})
ROUND_TRIP = "words"  # predictions have a key of their own
ADDED = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")
"""Keys that JSON-MIN adds to the data of a task."""


class Config(SpanFormatConfig):
    """Tasks of Label Studio."""

    name: Literal["labelstudio"] = "labelstudio"
    """Name of the file in ner/data/formats."""
    text: str = "text"
    """Key of the text in the data of a task, ``value="$text"`` in the labeling configuration."""
    text_tag: str = "text"
    """Name of the tag Text in the labeling configuration, written as to_name."""
    spans: str = "label"
    """Name of the tag Labels in the labeling configuration, written as from_name; key of the spans in JSON-MIN."""
    labels: str = "choice"
    """Name of the tag Choices in the labeling configuration, written as from_name; key of the labels in JSON-MIN."""
    annotation: Literal["first", "last"] = "first"
    """Annotation that is read if a task has several; cancelled ones are left out."""
    encoding: TextEncoding = "utf-8"
    """Character encoding of the file."""


class _Annotation(NamedTuple):
    """Spans and choices of a task, and the number of its other regions."""

    spans: list[CharSpan]
    labels: list[str]
    ignored: int


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per task; ``line`` is the number of the task.

    Raises:
        InputError: With the location in the file, if it is not such JSON, or a span does not fit its text.
    """
    tasks = read_json(path, config.encoding)
    if not isinstance(tasks, list) or not tasks:
        raise InputError(f"{path}: expected a list of tasks, found {json.dumps(tasks)[:60]}")
    parsed_tasks = []
    for number, task in enumerate(tasks):
        location = f"{path}: [{number}]"
        data = json_field(task, "data", dict, location) if isinstance(task, dict) and "data" in task else task
        text = json_field(data, config.text, str, location)
        words, offsets = split_words(text, word_split)
        example = Example(words, text=text, offsets=offsets, source=path, line=number + 1)
        regions = _full(task, example, config, location) if data is not task else _minimal(task, config, location)
        parsed_tasks.append((example, None if regions is None else _parsed(regions, location)))
        excluded_keys = (config.text, "id") if data is not task else (config.text, *ADDED, config.spans, config.labels)
        example.metadata = {
            **{key: value for key, value in data.items() if key not in excluded_keys},
            "id": task.get("id", number),
        }
    with_spans = any(parsed and parsed.spans for _, parsed in parsed_tasks)
    for example, parsed in parsed_tasks:
        location = f"{path}: [{example.line - 1}]"
        if parsed is not None:
            example.labels = parsed.labels
            example.warnings += [Notice.ANNOTATION_IGNORED] * parsed.ignored
            if with_spans or not parsed.labels:  # otherwise a project for classification
                spans = in_characters(example.text or "", parsed.spans, config.offsets, location)
                set_spans(example, spans, config, location)
        yield Document([example], str(example.metadata["id"]), path)


def _full(task: dict[str, Any], example: Example, config: Config, location: str) -> list[Any] | None:
    """Return the regions of a task in an export, None without an annotation; ``completions`` are old annotations."""
    key = "completions" if "completions" in task else "annotations"
    annotations = [
        annotation
        for annotation in json_field(task, key, list, location, [])
        if not (isinstance(annotation, dict) and annotation.get("was_cancelled"))
    ]
    if len(annotations) > 1:
        example.warnings.append(Notice.ANNOTATORS_IGNORED)
    if not annotations:
        return None
    return json_field(annotations[0 if config.annotation == "first" else -1], "result", list, location)


def _minimal(task: dict[str, Any], config: Config, location: str) -> list[Any] | None:
    """Return the regions of a task in JSON-MIN in the form of a full export, None without any."""
    regions: list[Any] = [{"type": "labels", "value": value} for value in task.get(config.spans) or ()]
    choices = task.get(config.labels)
    if choices:
        names = choices if isinstance(choices, list) else choices.get("choices") if isinstance(choices, dict) else None
        regions.append({"type": "choices", "value": {"choices": names or [choices]}})
    return regions if config.spans in task or config.labels in task else None


def _parsed(regions: list[Any], location: str) -> _Annotation:
    """Sort the regions of a task. A region may have several labels."""
    spans: list[CharSpan] = []
    labels: list[str] = []
    ignored = 0
    for number, region in enumerate(regions):
        region_location = f"{location}.result[{number}]"
        kind = region.get("type") if isinstance(region, dict) else None
        if kind not in ("labels", "choices"):
            ignored += 1
            continue
        value = json_field(region, "value", dict, region_location)
        names = json_field(value, kind, list, region_location)
        if not names or not all(isinstance(name, str) and name for name in names):
            raise InputError(f"{region_location}: expected names in '{kind}', found {json.dumps(names)[:60]}")
        if kind == "choices":
            labels += names
            continue
        start, end = (json_field(value, key, int, region_location) for key in ("start", "end"))
        surface = value.get("text")
        spans += [CharSpan(start, end, name, surface if isinstance(surface, str) else None) for name in names]
    return _Annotation(spans, labels, ignored)


def write(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write tasks with predictions; a score is the probability of the span or label, if it was computed."""
    _write(path, documents, config, "predictions")


def export(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write tasks with annotations, which :func:`read` returns unchanged; an example without gold has none."""
    _write(path, documents, config, "annotations")


def _write(path: str, documents: Iterable[Document], config: Config, key: str) -> None:
    first = True
    with open_text(path, config.encoding) as file:
        for document in documents:
            for example in document.examples:
                file.write("[" if first else ",\n")
                first = False
                file.write(json.dumps(_task(with_text(example), config, key), ensure_ascii=False))
        file.write("[]\n" if first else "]\n")


def _task(example: Example, config: Config, key: str) -> dict[str, Any]:
    """Return the task of an example."""
    data = {name: value for name, value in example.metadata.items() if name != "id"}
    task: dict[str, Any] = {"id": example.metadata["id"]} if type(example.metadata.get("id")) is int else {}
    task["data"] = data | {config.text: example.text}
    if example.tags is None and not example.spans and not example.labels:
        return task | {key: []}
    entities = example.entities()
    unit = "utf16" if config.offsets == "auto" else config.offsets
    positions = in_unit(example.text or "", [(entity["start"], entity["end"]) for entity in entities], unit)
    common = {"to_name": config.text_tag}
    result: list[dict[str, Any]] = []
    for (start, end), entity in zip(positions, entities, strict=True):
        value = {"start": start, "end": end, "text": entity["text"], "labels": [entity["label"]]}
        score = {"score": entity["score"]} if "score" in entity else {}
        name = str(len(result))
        result.append({"id": name, "from_name": config.spans, **common, "type": "labels", "value": value, **score})
    if example.labels:
        scores = [example.scores[label] for label in example.labels if label in example.scores]
        score = {"score": min(scores)} if scores else {}
        value = {"choices": example.labels}
        result.append({"from_name": config.labels, **common, "type": "choices", "value": value, **score})
    return task | {key: [{"result": result}]}
