from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.config.base import WordRule
from ner.data.formats import coqa
from ner.data.formats.coqa import Config
from ner.data.notices import Notice
from ner.data.question_answering import ANSWER, EVIDENCE, normalize_answer, question_example, token_f1
from ner.errors import InputError
from ner.types import Document, Example, Span

APPROXIMATED = Notice.ANSWER_APPROXIMATED
REPAIRED = Notice.OFFSET_REPAIRED
UNANSWERED = Notice.QUESTION_UNANSWERED

STORY = "Ada lived in a small house. The dog of Ada was called Bo! Ada had 3 cats."


def turn(said: str, evidence: str | None = None, story: str = STORY) -> dict[str, Any]:
    evidence = said if evidence is None else evidence
    start = story.find(evidence)
    return {"input_text": said, "span_text": evidence, "span_start": start, "span_end": start + len(evidence)}


def story(*answers: dict[str, Any], text: str = STORY, **more: Any) -> dict[str, Any]:
    """A story with a question (Q1, Q2, ...) for each answer."""
    questions = [{"input_text": f"Q{number}", "turn_id": number} for number in range(1, len(answers) + 1)]
    numbered = [{"turn_id": number, **answer} for number, answer in enumerate(answers, 1)]
    return {"source": "cnn", "id": "s", "story": text, "questions": questions, "answers": numbered, **more}


def read_bytes(
    folder: Path, data: bytes, rule: WordRule = "punctuation", for_rewriting: bool = False, **options: Any
) -> list[Document]:
    path = folder / "in.json"
    path.write_bytes(data)
    return list(coqa.read(str(path), Config(**options), rule, for_rewriting))


def read(folder: Path, *stories: dict[str, Any], **options: Any) -> list[Document]:
    return read_bytes(folder, json.dumps({"version": "1.0", "data": list(stories)}).encode(), **options)


def answered(folder: Path, *answers: dict[str, Any], text: str = STORY, **options: Any) -> list[Example]:
    (document,) = read(folder, story(*answers, text=text), **options)
    return document.examples


def written(folder: Path, documents: list[Document]) -> Any:
    path = folder / "out.json"
    coqa.write(str(path), documents, Config())
    content = path.read_text(encoding="utf-8")
    assert content.endswith("\n")
    return json.loads(content)


def test_a_story_is_a_document_and_its_turns_are_the_examples(tmp_path: Path) -> None:
    first, second = read(tmp_path, story(turn("Bo"), turn("3")), story(turn("Ada"), id="t", source="reddit"))
    assert (first.id, second.id) == ("s", "t")
    fields = {"id": "s", "domain": "cnn", "group": "in_domain"}
    assert [example.metadata for example in first.examples] == [{**fields, "turn_id": 1}, {**fields, "turn_id": 2}]
    assert second.examples[0].metadata == {"id": "t", "domain": "reddit", "group": "out_domain", "turn_id": 1}
    places = [example.location for document in (first, second) for example in document.examples]
    assert places == [f"{tmp_path}/in.json:{line}" for line in (1, 2, 3)]


def test_the_groups_are_those_of_the_configuration(tmp_path: Path) -> None:
    stories = [story(turn("Bo"), source=source, id=source) for source in ("cnn", "reddit", "science")]
    for out_domain, groups in [(("cnn",), ["out", "in", "in"]), (("reddit", "science"), ["in", "out", "out"])]:
        documents = read(tmp_path, *stories, out_domain=out_domain)
        assert [document.examples[0].metadata["group"] for document in documents] == [f"{g}_domain" for g in groups]


@pytest.mark.parametrize(
    ("history_len", "queries"),
    [
        (0, [["Q1"], ["Q2"], ["Q3"], ["Q4"]]),
        (1, [["Q1"], ["Q1", "Bo", "Q2"], ["Q2", "no", "Q3"], ["Q3", "Ada", "Q4"]]),
        (2, [["Q1"], ["Q1", "Bo", "Q2"], ["Q1", "Bo", "Q2", "no", "Q3"], ["Q2", "no", "Q3", "Ada", "Q4"]]),
        (9, [["Q1"], ["Q1", "Bo", "Q2"], ["Q1", "Bo", "Q2", "no", "Q3"], ["Q1", "Bo", "Q2", "no", "Q3", "Ada", "Q4"]]),
    ],
)
def test_the_last_turns_stand_before_a_question(tmp_path: Path, history_len: int, queries: list[list[str]]) -> None:
    found = answered(tmp_path, turn("Bo"), turn("no"), turn("Ada"), turn("3"), history_len=history_len)
    assert [example.words[: example.query_length] for example in found] == queries
    for example in found:
        assert example.text == "\n".join([STORY, *example.words[: example.query_length]])
        assert example.words[example.query_length :][:2] == ["Ada", "lived"]


def test_without_answers_the_history_is_the_questions(tmp_path: Path) -> None:
    value = story(turn("Bo"), turn("3"))
    del value["answers"]
    (document,) = read(tmp_path, value)
    assert [example.words[: example.query_length] for example in document.examples] == [["Q1"], ["Q1", "Q2"]]
    for example in document.examples:
        assert (example.answers, example.labels, example.spans, example.warnings) == ([], [], [], [])


@pytest.mark.parametrize(
    ("answer", "kind", "surface", "remarks"),
    [
        (turn("yes", "Ada had 3 cats"), "yes", None, []),
        (turn("Yes.", "Ada had 3 cats"), "yes", None, []),
        (turn("NO!", "Ada had 3 cats"), "no", None, []),
        (turn("No, 3", "Ada had 3 cats"), "span", "3", [APPROXIMATED]),
        (turn("unknown", "unknown"), "unknown", None, []),
        (turn("Unknown", ""), "unknown", None, []),
        (turn("nobody knows", "unknown"), "unknown", None, []),
        (turn("Bo", "The dog of Ada was called Bo"), "span", "Bo", []),
        (turn("bo", " called Bo! "), "span", "Bo", []),
        (turn("The Dog", "The dog of Ada"), "span", "The dog", []),
        (turn("dog", "The dog of Ada"), "span", "dog", []),
        (turn("a dog", "The dog of Ada"), "span", "dog", []),  # articles do not count
        (turn("do", "The dog of Ada"), "span", "dog", [APPROXIMATED]),  # the word that begins so
        (turn("og", "The dog of Ada"), None, None, [UNANSWERED]),
        (turn("a very small house", "Ada lived in a small house."), "span", "small house", [APPROXIMATED]),
        (turn("Ada's dog", "The dog of Ada was"), "span", "dog of Ada", [APPROXIMATED]),
        (turn("house, small", "Ada lived in a small house."), "span", "small house", [APPROXIMATED]),
        (turn("elephants", "Ada had 3 cats."), None, None, [UNANSWERED]),
        (turn("Bo", ""), None, None, [UNANSWERED]),
        (turn("Bo", "not of the story"), None, None, [UNANSWERED]),
        (turn("...", "Ada had 3 cats."), None, None, [UNANSWERED]),
        (turn(" Bo\n"), "span", "Bo", []),
    ],
)
def test_kinds_and_words_of_answers(
    tmp_path: Path, answer: dict[str, Any], kind: str | None, surface: str | None, remarks: list[str]
) -> None:
    (example,) = answered(tmp_path, answer)
    assert example.answers == [answer["input_text"]]
    assert example.labels == ([kind] if kind else [])
    found = [span for span in example.spans if span.label == ANSWER]
    assert [example.text_of(span) for span in found] == ([surface] if surface else [])
    assert {span.label for span in example.spans[len(found) :]} <= {EVIDENCE}  # behind the answer
    assert example.warnings == remarks


def test_the_answer_is_looked_for_in_its_evidence_alone(tmp_path: Path) -> None:
    evidence = "Ada had 3 cats"
    (example,) = answered(tmp_path, turn("Ada", evidence))
    span, place = example.spans
    assert (place.label, example.text_of(place)) == (EVIDENCE, evidence)
    assert example.offsets is not None
    assert example.offsets[span.start][0] == STORY.index(evidence)
    second = {"input_text": "Ada", "span_text": "Ada", "span_start": STORY.index("Ada was")}
    (example,) = answered(tmp_path, second)
    assert example.offsets is not None
    assert example.offsets[example.spans[0].start][0] == STORY.index("Ada was")


def test_chinese_answers_need_no_spaces_around_them(tmp_path: Path) -> None:
    text = "\U0002b6ad北京是中国的首都。"
    (example,) = answered(tmp_path, turn("首都", "北京是中国的首都", text), text=text, rule="chinese")
    assert [example.text_of(span) for span in example.spans] == ["首都", "北京是中国的首都"]
    assert example.warnings == []


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ({"input_text": "yes", "span_text": " Ada had 3 cats ", "span_start": 0}, ["Ada had 3 cats"]),
        ({"input_text": "no", "span_text": "3 ca"}, ["3 cats"]),  # whole words
        ({"input_text": "no", "span_text": "is not there"}, []),
        ({"input_text": "no"}, []),
        ({"input_text": "unknown", "span_text": "unknown", "span_start": -1}, []),
    ],
)
def test_the_evidence_of_an_answer_is_a_span_of_its_own(
    tmp_path: Path, answer: dict[str, Any], evidence: list[str]
) -> None:
    (example,) = answered(tmp_path, answer)
    assert [example.text_of(span) for span in example.spans] == evidence
    assert all(span.label == EVIDENCE for span in example.spans)


@pytest.mark.slow
@given(
    st.lists(st.sampled_from(["x", "y", "z", "the", "w", "."]), min_size=1, max_size=9),
    st.lists(st.sampled_from(["x", "y", "z", "q"]), min_size=1, max_size=5),
)
def test_the_nearest_words_are_those_of_the_highest_f1(evidence: list[str], said: list[str]) -> None:
    example = question_example(["q q"], " ".join(["x", *evidence, "y"]), "space")
    whole = Span(3, 3 + len(evidence), ANSWER)
    found = coqa.nearest_span(example, whole, " ".join(said), "space")
    values = {
        (start, end): token_f1(normalize_answer(" ".join(evidence[start:end])), said)
        for start in range(len(evidence))
        for end in range(start + 1, len(evidence) + 1)
    }
    start, end = min(values, key=lambda key: (-values[key], key[1] - key[0], key[0]))
    expected = None if not values[start, end] else Span(3 + start, 3 + end, ANSWER)
    assert found == expected


@pytest.mark.parametrize(
    ("evidence", "surface"),
    [("x the y w x y", "x y"), ("x y w x the y", "x y"), ("y x w x y", "y x"), ("x w w y", "x")],
)
def test_of_equally_near_words_the_shortest_and_first_are_learned(evidence: str, surface: str) -> None:
    example = question_example(["q"], evidence, "space")
    found = coqa.nearest_span(example, Span(1, len(example.words), ANSWER), "x y", "space")
    assert found is not None
    assert example.text_of(found) == surface


@pytest.mark.slow
def test_long_evidence_takes_no_time() -> None:
    example = question_example(["q"], "x " * 20_000 + "y", "space")
    found = coqa.nearest_span(example, Span(1, 20_002, ANSWER), "x y x", "space")
    assert found is not None
    assert example.text_of(found) in ("x y", "x x", "x x y")
    assert token_f1(normalize_answer(example.text_of(found)), ["x", "y", "x"]) == 1


def test_other_people_give_more_gold_answers(tmp_path: Path) -> None:
    more = {
        "0": [{"turn_id": 2, "input_text": "three"}, {"turn_id": 1, "input_text": "Bo"}],
        "1": [{"turn_id": 1, "input_text": "Bo the dog", "span_text": "x", "span_start": 0}],
        "2": [],
    }
    (document,) = read(tmp_path, story(turn("Bo"), turn("3"), additional_answers=more))
    assert [example.answers for example in document.examples] == [["Bo", "Bo the dog"], ["3", "three"]]
    assert [example.labels for example in document.examples] == [["span"], ["span"]]


def test_answers_belong_to_the_turn_that_they_name(tmp_path: Path) -> None:
    value = story(turn("Bo"), turn("3"), turn("Ada"))
    value["answers"] = [value["answers"][2], value["answers"][0]]
    (document,) = read(tmp_path, value)
    assert [example.answers for example in document.examples] == [["Bo"], [], ["Ada"]]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"answers": [turn("Bo"), {**turn("3"), "turn_id": 7}]}, "answers, turn 7"),
        ({"answers": [turn("Bo"), turn("3")]}, "answers, turn 2"),
        ({"answers": [{"turn_id": 0, "input_text": " "}]}, "answers, turn 0"),
        (
            {"additional_answers": {"0": [turn("Bo")], "1": [{**turn("3"), "turn_id": 2}]}},
            "additional_answers.1, turn 2",
        ),
        ({"questions": []}, "answers, turn 1"),
    ],
)
def test_an_answer_without_a_question_is_named(tmp_path: Path, change: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, story(turn("Bo")), {**story(turn("Bo")), **change})
    expected = f"data[1].{place}: expected a question with this turn_id, found none; correct it or leave it out"
    assert str(caught.value) == f"{tmp_path}/in.json: {expected}"


@pytest.mark.parametrize(
    ("evidence", "start", "remarks"),
    [
        ("The dog of Ada", STORY.index("The dog"), []),
        (" The dog of Ada ", STORY.index(" The dog"), []),  # white space does not count
        ("The dog of Ada", 3, [REPAIRED]),
        ("The dog of Ada", -1, []),  # no offset was given
        ("not of the story", 3, []),
        ("unknown", 3, []),
        ("", 3, []),
    ],
)
def test_evidence_at_another_place_is_counted(tmp_path: Path, evidence: str, start: int, remarks: list[str]) -> None:
    answer = {"input_text": "no", "span_text": evidence, "span_start": start}
    (example,) = answered(tmp_path, answer, text=f"{STORY} It is unknown.")
    assert example.warnings == remarks


def test_empty_things_are_read(tmp_path: Path) -> None:
    value = story({"input_text": "Bo", "span_text": "Bo", "span_start": 0}, {"input_text": " "}, text="\ufeff")
    value["questions"][0]["input_text"] = ""
    del value["id"], value["source"]
    (document,) = read(tmp_path, value)
    assert document.examples[0].query_length == 0
    assert [example.metadata for example in document.examples] == [{"id": 0, "turn_id": 1}, {"id": 0, "turn_id": 2}]
    assert [example.warnings for example in document.examples] == [[UNANSWERED], []]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"story": None}, ": expected 'story' (a string), found null"),
        ({"source": 3}, ": expected 'source' (a string), found 3"),
        ({"questions": None}, ": expected 'questions' (a list), found null"),
        ({"questions": [3]}, ".questions[0]: expected an object with 'turn_id', found 3"),
        ({"questions": [{}]}, ".questions, turn 1: expected 'input_text' (a string), found only an empty object"),
        ({"questions": [{"turn_id": "1"}]}, ".questions[0]: expected 'turn_id' (a whole number), found \"1\""),
        (
            {"questions": [{"turn_id": 2, "input_text": ""}, {"turn_id": 2}]},
            ".questions[1]: expected another turn_id, found 2 a second time",
        ),
        ({"answers": {}}, ": expected 'answers' (a list), found {}"),
        ({"answers": [{"input_text": 3}]}, ".answers, turn 1: expected 'input_text' (a string), found 3"),
        ({"answers": [{"input_text": "a", "span_text": []}]}, ".answers, turn 1: expected 'span_text' (a string)"),
        ({"answers": [{"input_text": "a", "span_start": 0.5}]}, ".answers, turn 1: expected 'span_start' (a whole"),
        ({"additional_answers": [3]}, ": expected 'additional_answers' (an object), found [3]"),
        ({"additional_answers": {"0": 3}}, ".additional_answers: expected '0' (a list), found 3"),
        (
            {"additional_answers": {"0": [{"input_text": 3}]}},
            ".additional_answers.0, turn 1: expected 'input_text' (a string), found 3",
        ),
    ],
)
def test_stories_of_another_form_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, story(turn("Bo")), {**story(turn("Bo")), **change})
    assert str(caught.value).removeprefix(f"{tmp_path}/in.json: ").startswith(f"data[1]{message}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "expected JSON, found an empty file"),
        ("[]", "expected an object with 'data', found []"),
        ('{"data": []}', "expected turns in data[].questions[], found none"),
        ('{"data": [{"story": "a", "questions": []}]}', "expected turns in data[].questions[], found none"),
        ('{"data": [3]}', "data[0]: expected an object with 'story', found 3"),
    ],
)
def test_files_of_another_form_are_named(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path, data.encode())
    assert str(caught.value).removeprefix(f"{tmp_path}/in.json: ").startswith(message)


def test_an_id_may_occur_twice_only_where_nothing_is_answered(tmp_path: Path) -> None:
    assert len(read(tmp_path, story(turn("Bo")), story(turn("Bo")))) == 2
    with pytest.raises(InputError, match=r"data\[1\]: expected an id of its own, found 's' as in data\[0\], so"):
        read(tmp_path, story(turn("Bo")), story(turn("Bo")), for_rewriting=True)


def test_predictions_are_a_list_as_the_evaluation_script_reads_it(tmp_path: Path) -> None:
    documents = read(tmp_path, story(turn("Bo"), turn("3")), story(turn("yes"), turn("x", ""), id="é"))
    said = [(["Bo", "x"], ["span"]), (["unknown"], ["unknown"]), (["yes"], ["yes"]), ([], [])]
    examples = [example for document in documents for example in document.examples]
    for example, (answers, labels) in zip(examples, said, strict=True):
        example.answers, example.labels = answers, labels
    assert written(tmp_path, documents) == [
        {"id": "s", "turn_id": 1, "answer": "Bo"},
        {"id": "s", "turn_id": 2, "answer": "unknown"},
        {"id": "é", "turn_id": 1, "answer": "yes"},
        {"id": "é", "turn_id": 2, "answer": "unknown"},
    ]
    other = [Document([Example([]), Example([], answers=["x"])], id="d")]
    assert written(tmp_path, other) == [
        {"id": "d", "turn_id": 1, "answer": "unknown"},
        {"id": "d", "turn_id": 2, "answer": "x"},
    ]
    assert written(tmp_path, []) == []
