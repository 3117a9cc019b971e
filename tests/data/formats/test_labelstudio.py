from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ner.data.formats import labelstudio
from ner.data.formats.labelstudio import Config
from ner.data.notices import Notice
from ner.errors import InputError
from ner.types import Document, Example, Span


def read(folder: Path, value: Any, **options: Any) -> list[Example]:
    path = folder / "in.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return [document.examples[0] for document in labelstudio.read(str(path), Config(**options), "space")]


def region(start: int, end: int, text: str, *labels: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text, "labels": list(labels)}
    return {"id": "a", "from_name": "label", "to_name": "text", "type": "labels", "value": value}


def task(text: str, *results: Any, key: str = "annotations", **more: Any) -> dict[str, Any]:
    return {"id": 5, "data": {"text": text, "source": "web"}, key: [{"result": list(results), **more}]}


@pytest.mark.parametrize("key", ["annotations", "completions"])
def test_regions_and_choices_are_read(tmp_path: Path, key: str) -> None:
    choice = {"from_name": "choice", "type": "choices", "value": {"choices": ["sport"]}}
    (example,) = read(tmp_path, [task("Ada won", region(0, 3, "Ada", "PER"), choice, {"type": "relation"}, key=key)])
    assert (example.spans, example.labels) == ([Span(0, 1, "PER")], ["sport"])
    assert example.metadata == {"source": "web", "id": 5}
    assert example.warnings == [Notice.ANNOTATION_IGNORED]


def test_utf16_positions_are_found_by_the_recorded_words(tmp_path: Path) -> None:
    text = "\U0001f4a9This is an annotation."  # Label Studio issue 1347
    with pytest.raises(InputError, match="inside a word"):
        read(tmp_path, [task(text, region(13, 23, "annotation", "X"))])
    (example,) = read(tmp_path, [task(text, region(13, 23, "annotation", "X"))], on_misaligned="expand")
    assert example.text_of(example.spans[0]) == "annotation."
    assert read(tmp_path, [task(text, region(12, 22, "annotation", "X"))], on_misaligned="expand")[0].spans
    with pytest.raises(InputError, match=r"in\.json: \[0\]: expected 'annotation' at 11 to 21, found ' annotatio'"):
        read(tmp_path, [task(text, region(11, 21, "annotation", "X"))])


def test_a_task_without_an_annotation_has_no_gold_and_an_empty_one_has_no_entity(tmp_path: Path) -> None:
    tasks = [task("Ada won"), {"data": {"text": "Bo"}}, task("Cy", was_cancelled=True)]
    empty, absent, cancelled = read(tmp_path, tasks)
    assert (empty.tags, absent.tags, cancelled.tags) == (["O", "O"], None, None)


def test_one_of_several_annotations_is_read_with_a_notice(tmp_path: Path) -> None:
    value = task("Ada won", region(0, 3, "Ada", "PER"))
    value["annotations"].append({"result": [region(4, 7, "won", "V")]})
    (first,), (last,) = read(tmp_path, [value]), read(tmp_path, [value], annotation="last")
    assert (first.spans, last.spans) == ([Span(0, 1, "PER")], [Span(1, 2, "V")])
    assert first.warnings == last.warnings == [Notice.ANNOTATORS_IGNORED]


def test_the_short_export_is_read(tmp_path: Path) -> None:
    spans = [{"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}]
    (example,) = read(tmp_path, [{"id": 1, "text": "Ada won", "label": spans, "choice": "sport", "annotator": 1}])
    assert (example.spans, example.labels) == ([Span(0, 1, "PER")], ["sport"])
    assert example.metadata == {"id": 1}


def test_predictions_are_pre_annotations_of_the_same_task(tmp_path: Path) -> None:
    (example,) = read(tmp_path, [task("\U0001f4a9 Ada")])
    example.spans = [Span(1, 2, "PER", 0.75)]
    labelstudio.write(str(tmp_path / "out.json"), [Document([example])], Config(text_tag="body"))
    (written,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    (result,) = written["predictions"][0]["result"]
    assert (written["id"], written["data"]) == (5, {"source": "web", "text": "\U0001f4a9 Ada"})
    assert result["value"] == {"start": 3, "end": 6, "text": "Ada", "labels": ["PER"]}
    assert (result["score"], result["from_name"], result["to_name"]) == (0.75, "label", "body")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "in.json: expected a list of tasks"),
        ([], "in.json: expected a list of tasks"),
        ([{"data": {}}], "in.json: [0]: expected 'text'"),
        ([3], "in.json: [0]: expected an object with 'text'"),
        ([task("Ada", region(0, 3, "Ada"))], "in.json: [0].result[0]: expected names in 'labels'"),
        ([task("Ada", {"type": "labels", "value": {"labels": ["X"]}})], "in.json: [0].result[0]: expected 'start'"),
    ],
)
def test_other_forms_are_refused_with_their_place(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, value)
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(message)
