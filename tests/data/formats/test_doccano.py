from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ner.data.formats import doccano
from ner.data.formats.doccano import Config
from ner.data.notices import Notice
from ner.errors import InputError
from ner.types import Document, Example, Span


def read(folder: Path, *values: Any, **options: Any) -> list[Example]:
    path = folder / "in.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return [document.examples[0] for document in doccano.read(str(path), Config(**options), "space")]


@pytest.mark.parametrize(
    ("value", "spans", "labels"),
    [
        ({"text": "Ada won", "label": [[0, 3, "PER"]]}, [Span(0, 1, "PER")], []),
        ({"text": "Ada won", "labels": [[0, 3, "PER"]]}, [Span(0, 1, "PER")], []),
        ({"text": "Ada won", "label": []}, [], []),
        ({"text": "Ada won", "label": ["sport"]}, None, ["sport"]),
        ({"text": "Ada won"}, None, []),
        (
            {"text": "Ada won", "entities": [{"id": 1, "start_offset": 0, "end_offset": 3, "label": "PER"}]},
            [Span(0, 1, "PER")],
            [],
        ),
        ({"text": "Ada won", "entities": [[4, 7, "V"]], "cats": ["sport"]}, [Span(1, 2, "V")], ["sport"]),
        ({"text": "Ada won", "entities": [], "cats": []}, [], []),
    ],
)
def test_every_kind_of_project_is_read(
    tmp_path: Path, value: dict[str, Any], spans: list[Span] | None, labels: list[str]
) -> None:
    (example,) = read(tmp_path, value)
    assert (example.spans, example.labels) == (spans or [], labels)
    assert (example.tags is None) == (spans is None)


def test_an_emoji_makes_positions_ambiguous_until_the_unit_is_named(tmp_path: Path) -> None:
    value = {"text": "\U0001f4a9 aaaa", "label": [[3, 7, "X"]]}
    assert read(tmp_path, value)[0].spans == [Span(1, 2, "X")]  # in characters, position 7 is outside
    value = {"text": "\U0001f4a9 aa aa", "label": [[3, 5, "X"]]}
    with pytest.raises(InputError, match=r"in\.jsonl:1: .*data\.format\.offsets to characters or utf16"):
        read(tmp_path, value)
    assert read(tmp_path, value, offsets="utf16")[0].spans == [Span(1, 2, "X")]
    with pytest.raises(InputError, match="inside a word"):
        read(tmp_path, value, offsets="characters")
    assert read(tmp_path, {"text": "\U0001f4a9", "label": [[0, 2, "X"]]})[0].spans == [Span(0, 1, "X")]


@pytest.mark.parametrize(
    ("fix", "span", "notice", "change"),
    [
        ("expand", Span(0, 2, "PER"), Notice.SPAN_EXPANDED, "in.jsonl:1: PER 'A[da King]' expanded to 'Ada King'"),
        ("shrink", Span(1, 2, "PER"), Notice.SPAN_SHRUNK, "in.jsonl:1: PER 'A[da King]' shrunk to 'King'"),
        ("drop", None, Notice.SPAN_DROPPED, "in.jsonl:1: PER 'A[da King]' dropped"),
    ],
)
def test_a_span_inside_words_is_listed_with_its_context_and_the_change(
    tmp_path: Path, fix: str, span: Span | None, notice: Notice, change: str
) -> None:
    value = {"text": "Ada King", "label": [[1, 8, "PER"]]}
    with pytest.raises(InputError, match="inside a word"):
        read(tmp_path, value)
    (example,) = read(tmp_path, value, on_misaligned=fix)
    assert example.spans == ([span] if span else [])
    assert example.warnings == [notice]
    assert [repair.removeprefix(f"{tmp_path}/") for repair in example.repairs] == [change]


def test_overlapping_spans_are_refused_reduced_or_kept(tmp_path: Path) -> None:
    value = {"text": "University of Oslo", "label": [[0, 18, "ORG"], [14, 18, "LOC"]]}
    with pytest.raises(InputError, match=r"in\.jsonl:1: ORG 'University of Oslo' and LOC 'Oslo' overlap"):
        read(tmp_path, value)
    (example,) = read(tmp_path, value, on_overlap="longest")
    assert (example.spans, example.warnings) == ([Span(0, 3, "ORG")], [Notice.SPAN_OVERLAPS])
    assert "LOC 'Oslo' dropped" in example.repairs[0]
    (example,) = read(tmp_path, value, on_overlap="keep")
    assert example.spans == [Span(0, 3, "ORG"), Span(2, 3, "LOC")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"label": []}, "in.jsonl:1: expected 'text'"),
        ({"text": "a", "label": "x"}, "in.jsonl:1: expected a list in 'label'"),
        ({"text": "a", "label": [[0, "1", "X"]]}, "in.jsonl:1: expected [start, end, label]"),
        ({"text": "a", "cats": [[0, 1, "X"]]}, "in.jsonl:1: expected [start, end, label]"),
        ({"text": "a", "label": [[0, 2, "X"]]}, "in.jsonl:1: expected a span within 0 and 1, found 0 to 2"),
    ],
)
def test_other_forms_are_refused_with_their_line(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, value)
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(message)


def test_predictions_can_be_imported_with_the_other_keys_of_the_source(tmp_path: Path) -> None:
    (example,) = read(tmp_path, {"id": 7, "text": "\U0001f4a9 Ada", "label": [], "Comments": ["x"]})
    example.spans = [Span(1, 2, "PER")]
    doccano.write(str(tmp_path / "out.jsonl"), [Document([example])], Config())
    written = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert written == {"id": 7, "Comments": ["x"], "text": "\U0001f4a9 Ada", "label": [[3, 6, "PER"]]}  # UTF-16
