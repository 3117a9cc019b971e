from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner.config.base import WordRule
from ner.data.formats import squad
from ner.data.formats.squad import Config
from ner.data.notices import Notice
from ner.errors import InputError
from ner.types import Document, Example, Span
from tests.conftest import ROOT

ABSENT = Notice.ANSWER_ABSENT
APPROXIMATED = Notice.ANSWER_APPROXIMATED
REPAIRED = Notice.OFFSET_REPAIRED
UNANSWERED = Notice.QUESTION_UNANSWERED

CMRC = ROOT.parent / "shared" / "data" / "cmrc2018"


def read_bytes(
    folder: Path, data: bytes, rule: WordRule = "punctuation", for_rewriting: bool = False
) -> list[Document]:
    path = folder / "in.json"
    path.write_bytes(data)
    return list(squad.read(str(path), Config(), rule, for_rewriting))


def passage(context: str, *questions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"context": context, "qas": [{"question": "Who?", **question} for question in questions], **more}


def read(folder: Path, *passages: dict[str, Any], **options: Any) -> list[Document]:
    data = {"version": "1.1", "data": [{"title": "T", "paragraphs": list(passages)}]}
    return read_bytes(folder, json.dumps(data).encode(), **options)


def asked(folder: Path, context: str, question: dict[str, Any], **options: Any) -> Example:
    (document,) = read(folder, passage(context, question), **options)
    (example,) = document.examples
    return example


def answer(text: str, start: int = -1) -> dict[str, Any]:
    return {"text": text, "answer_start": start}


def written(folder: Path, documents: list[Document]) -> Any:
    path = folder / "out.json"
    squad.write(str(path), documents, Config())
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return json.loads(text)


def test_a_passage_is_a_document_and_its_questions_are_the_examples(tmp_path: Path) -> None:
    first = passage("Ada won.", {"id": "q1", "answers": [answer("Ada", 0)]}, {"id": "q2", "question": "Did what?"})
    documents = read(tmp_path, first, passage("Nothing."), passage("Bo lost.", {"id": 3}, id="second"))
    assert [document.id for document in documents] == ["0", "second"]
    examples = [example for document in documents for example in document.examples]
    assert [example.words for example in examples] == [
        ["Who", "?", "Ada", "won", "."],
        ["Did", "what", "?", "Ada", "won", "."],
        ["Who", "?", "Bo", "lost", "."],
    ]
    assert [example.query_length for example in examples] == [2, 3, 2]
    assert [example.metadata for example in examples] == [{"id": name, "title": "T"} for name in ("q1", "q2", "3")]
    assert [example.location for example in examples] == [f"{tmp_path}/in.json:{line}" for line in (1, 2, 3)]
    assert examples[0].spans == [Span(2, 3, "answer")]
    assert examples[0].answers == ["Ada"]
    assert examples[0].labels == ["span"]
    for example in examples[1:]:
        assert (example.answers, example.labels, example.spans, example.warnings) == ([], [], [], [])


@pytest.mark.parametrize(
    ("context", "answers", "surface", "remarks"),
    [
        ("Ada or Ada", [answer("Ada", 7)], (7, 10), []),
        ("Ada or Ada", [answer("Ada", 6)], (7, 10), [REPAIRED]),
        ("Ada or Ada", [answer("Ada")], (0, 3), []),  # no offset was given
        ("Ada or Ada", [{"text": "Ada"}], (0, 3), []),
        ("Adam or Ada", [{"text": "Ada"}], (8, 11), []),
        ("Ada or Ada", [answer(" Ada\n", 6)], (7, 10), []),
        ("Ada or Ada", [answer(" Ada\n", 5)], (7, 10), [REPAIRED]),
        ("Ada or Bo", [answer("Bo ", 7)], (7, 9), []),
        ("Ada or Bo", [answer(" ", 3), answer("Bo", 7)], (7, 9), []),
        ("\U0002b6ad Ada Ada", [answer("Ada", 3)], (2, 5), [REPAIRED]),
        ("Ada or Bo", [answer("Cy", 0), answer("Bo", 7)], (7, 9), [ABSENT]),
        ("Ada or Bo", [answer("Bo", 7), answer("Ada", 0)], (7, 9), []),
        ("Ada or Bo", [answer("Bo", 7), answer("Bo", 7), answer("Cy", 7)], (7, 9), [ABSENT]),
        ("Ada or Bo", [answer("Cy", 0), answer("Cy", 0)], None, [ABSENT, ABSENT, UNANSWERED]),
        ("\ufeffAda", [answer("Ada", 0)], (1, 4), [REPAIRED]),
        ("", [answer("Ada", 0)], None, [ABSENT, UNANSWERED]),
        ("Ada King", [answer("da Ki", 1)], (0, 8), [APPROXIMATED]),  # whole words are learned
        ("Ada King", [answer(" King", 3)], (4, 8), []),
    ],
)
def test_answers_are_learned_where_they_stand(
    tmp_path: Path,
    context: str,
    answers: list[dict[str, Any]],
    surface: tuple[int, int] | None,
    remarks: list[str],
) -> None:
    example = asked(tmp_path, context, {"answers": answers})
    assert example.answers == list(dict.fromkeys(text for answer in answers if (text := answer["text"].strip())))
    assert example.warnings == remarks
    assert example.labels == ([] if surface is None else ["span"])
    assert example.offsets is not None
    found = [(example.offsets[span.start][0], example.offsets[span.end - 1][1]) for span in example.spans]
    assert found == ([] if surface is None else [surface])


@pytest.mark.parametrize(
    ("question", "labels"),
    [
        ({"is_impossible": True, "answers": []}, ["unknown"]),
        ({"is_impossible": True}, ["unknown"]),
        ({"is_impossible": True, "answers": [answer("Ada", 0)]}, ["unknown"]),
        ({"is_impossible": True, "plausible_answers": [answer("Ada", 0)], "answers": []}, ["unknown"]),
        ({"answers": []}, ["unknown"]),
        ({"answers": [answer("", 0)]}, ["unknown"]),
        ({"answers": [], "is_impossible": False}, []),
        ({}, []),
        ({"answers": None}, ["unknown"]),
    ],
)
def test_questions_without_an_answer(tmp_path: Path, question: dict[str, Any], labels: list[str]) -> None:
    example = asked(tmp_path, "Ada won.", question)
    assert (example.labels, example.answers, example.spans, example.warnings) == (labels, [], [], [])


def test_empty_questions_and_passages_are_read(tmp_path: Path) -> None:
    example = asked(tmp_path, "", {"question": "", "answers": []})
    assert (example.words, example.query_length) == ([], 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "expected JSON, found an empty file"),
        ("\ufeff \n", "expected JSON, found an empty file"),
        ("{\n 3", "expected JSON, found Expecting property name enclosed in double quotes at line 2, character 2"),
        ("[" * 100_000, "expected JSON, found maximum recursion"),
        ("9" * 5000, "expected JSON, found Exceeds the limit"),
        ("[]", "expected an object with 'data', found []"),
        ("{}", "expected 'data' (a list), found only an empty object"),
        ('{"version": 2, "x": 1}', "expected 'data' (a list), found only version, x"),
        ('{"data": {}}', "expected 'data' (a list), found {}"),
        ('{"data": []}', "expected questions in data[].paragraphs[].qas[], found none"),
        ('{"data": [3]}', "data[0]: expected an object with 'title', found 3"),
        ('{"data": [{"title": 3}]}', "data[0]: expected 'title' (a string), found 3"),
        ('{"data": [{"paragraphs": []}, {}]}', "data[1]: expected 'paragraphs' (a list), found only an empty object"),
        ('{"data": [{"paragraphs": [{}]}]}', "data[0].paragraphs[0]: expected 'context' (a string)"),
        ('{"data": [{"paragraphs": [{"context": "a"}]}]}', "data[0].paragraphs[0]: expected 'qas' (a list)"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [3]}]}]}', "data[0].paragraphs[0].qas[0]: expected an obj"),
    ],
)
def test_files_of_another_form_are_named(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path, data.encode())
    assert str(caught.value).removeprefix(f"{tmp_path}/in.json: ").startswith(message)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"question": 3}, ": expected 'question' (a string), found 3"),
        ({"question": None}, ": expected 'question' (a string), found null"),
        ({"answers": {}}, ": expected 'answers' (a list), found {}"),
        ({"answers": [3]}, ".answers[0]: expected an object with 'text', found 3"),
        ({"answers": [{}]}, ".answers[0]: expected 'text' (a string), found only an empty object"),
        ({"answers": [{"text": 3}]}, ".answers[0]: expected 'text' (a string), found 3"),
        ({"answers": [answer("a"), answer("b", "1")]}, ".answers[1]: expected 'answer_start' (a whole number), found"),
        ({"answers": [answer("b", True)]}, ".answers[0]: expected 'answer_start' (a whole number), found true"),
        ({"answers": [answer("b", 1.5)]}, ".answers[0]: expected 'answer_start' (a whole number), found 1.5"),  # type: ignore[arg-type]
        ({"is_impossible": "no"}, ": expected 'is_impossible' (true or false), found \"no\""),
    ],
)
def test_questions_of_another_form_are_named(tmp_path: Path, question: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, passage("a"), passage("a", {}, question))
    assert str(caught.value).removeprefix(f"{tmp_path}/in.json: ").startswith(f"data[0].paragraphs[1].qas[1]{message}")


def test_a_wrong_byte_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in.json:2: expected utf-8, found byte 0xff at byte 1 of the line"):
        read_bytes(tmp_path, b"{\n\xff")
    with pytest.raises(InputError, match=r"no.json: cannot be read: No such file"):
        list(squad.read(str(tmp_path / "no.json"), Config(), "space"))


def test_an_id_may_occur_twice_only_where_nothing_is_answered(tmp_path: Path) -> None:
    twice = (passage("Ada", {"id": "x"}), passage("Bo", {"id": "x"}))
    assert len(read(tmp_path, *twice)) == 2
    message = r"in.json: data\[0\].paragraphs\[1\].qas\[0\]: expected an id of its own, found 'x' as in data\[0\].para"
    with pytest.raises(InputError, match=message):
        read(tmp_path, *twice, for_rewriting=True)


def test_questions_without_ids_are_called_by_their_numbers(tmp_path: Path) -> None:
    documents = read(tmp_path, passage("Ada", {}, {"id": None}), passage("Bo", {}), for_rewriting=True)
    assert [example.metadata["id"] for document in documents for example in document.examples] == ["0", "1", "2"]


def test_predictions_are_one_object_as_the_evaluation_scripts_read_it(tmp_path: Path) -> None:
    said: list[tuple[list[str], list[str]]] = [
        (["Ada", "Bo"], ["span"]),
        (["unknown"], ["unknown"]),
        ([], []),
        (["unknown"], ["span"]),
        (['"北京"\n', "x"], ["span"]),
    ]
    documents = read(tmp_path, passage("Ada", *({"id": f"é{n}"} for n in range(3))), passage("Bo", {}, {"id": "z"}))
    examples = [example for document in documents for example in document.examples]
    for example, (answers, labels) in zip(examples, said, strict=True):
        example.answers, example.labels = answers, labels
    found = written(tmp_path, documents)
    assert "é0" in (tmp_path / "out.json").read_text(encoding="utf-8")  # no escapes
    assert found == {"é0": "Ada", "é1": "", "é2": "", "3": "unknown", "z": '"北京"\n'}


def test_examples_of_another_source_are_called_by_their_numbers(tmp_path: Path) -> None:
    documents = [Document([Example(["a"], answers=["x"]), Example(["b"])]), Document([Example([], answers=["y"])])]
    assert written(tmp_path, documents) == {"0": "x", "1": "", "2": "y"}
    assert written(tmp_path, []) == {}


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(context=st.text(st.characters(exclude_categories=[]), min_size=1), data=st.data(), utf16=st.booleans())
def test_gold_answers_written_back_are_gold_answers(
    tmp_path: Path, context: str, data: st.DataObject, utf16: bool
) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    given = len(context[:start].encode("utf-16-le", "surrogatepass")) // 2 if utf16 else start
    text = json.loads(json.dumps(context[start:end]))
    if json.loads(json.dumps(context)) != context or not text.strip() or context.count(text) > 1:
        return
    example = asked(tmp_path, context, {"id": "q", "answers": [answer(text, given)]}, rule="characters")
    assert example.text_of(example.spans[0]) == text.strip()
    assert example.warnings == ([REPAIRED] if given != start else [])
    assert written(tmp_path, [Document([example])]) == {"q": text.strip()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "passages", "questions", "answers", "absent", "repaired"),
    [("trial", 256, 1002, 1002, 0, 5), ("dev", 848, 3219, 9657, 193, 7)],
)
def test_cmrc2018_has_its_published_counts(
    split: str, passages: int, questions: int, answers: int, absent: int, repaired: int
) -> None:
    path = CMRC / f"cmrc2018_{split}.json"
    if not path.exists():
        pytest.skip(f"{path} is not beside this repository")
    raw = json.loads(path.read_text(encoding="utf-8"))
    given = [q["answers"] for article in raw["data"] for p in article["paragraphs"] for q in p["qas"]]
    assert sum(map(len, given)) == answers
    documents = list(squad.read(str(path), Config(), "characters", for_rewriting=True))
    examples = [example for document in documents for example in document.examples]
    assert (len(documents), len(examples)) == (passages, questions)
    remarks = Counter(remark for example in examples for remark in example.warnings)
    assert remarks == Counter({ABSENT: absent, REPAIRED: repaired})
    for example, golds in zip(examples, given, strict=True):
        assert example.answers == list(dict.fromkeys(gold["text"].strip() for gold in golds))
        assert example.labels == ["span"]
        assert example.text_of(example.spans[0]) in [gold["text"].strip() for gold in golds]
