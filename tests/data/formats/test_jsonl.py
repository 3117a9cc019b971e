from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner.config.base import WordRule
from ner.data.formats import jsonl
from ner.data.formats.jsonl import Config
from ner.data.notices import Notice
from ner.data.tags import encode, flatten
from ner.errors import InputError
from ner.types import Annotation, Document, Example, Span
from tests.conftest import ROOT

CLUENER = ROOT.parent / "shared" / "data" / "cluener"


def read_bytes(
    folder: Path, data: bytes, rule: WordRule = "space", for_rewriting: bool = False, **options: Any
) -> list[Document]:
    path = folder / "in.jsonl"
    path.write_bytes(data)
    return list(jsonl.read(str(path), Config(**options), rule, for_rewriting))


def read(
    folder: Path, *values: Any, rule: WordRule = "space", for_rewriting: bool = False, **options: Any
) -> list[Example]:
    data = "".join(json.dumps(value) + "\n" for value in values).encode()
    documents = read_bytes(folder, data, rule, for_rewriting, **options)
    assert all(len(document.examples) == 1 for document in documents)
    return [document.examples[0] for document in documents]


def written(folder: Path, documents: list[Document], **options: Any) -> list[Any]:
    path = folder / "out.jsonl"
    jsonl.write(str(path), documents, Config(**options))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        ({"words": ["Ada", "won"]}, None),
        ({"words": []}, None),
        ({"words": ["Ada"], "spans": []}, []),
        ({"words": ["Ada"], "spans": {}}, []),
        ({"words": ["Ada", "King"], "spans": [[0, 2, "PER"]]}, [(0, 2, "PER")]),
        ({"words": ["Ada", "King"], "spans": [{"start": 0, "end": 2, "label": "PER", "x": 1}]}, [(0, 2, "PER")]),
        ({"words": ["Ada", "King"], "spans": {"PER": {"Ada King": [[0, 2]]}}}, [(0, 2, "PER")]),
        ({"words": ["Ada", "King"], "text": "Ada King"}, None),
        ({"text": "Ada King won"}, None),
        ({"text": "Ada King won", "spans": [[0, 8, "PER"]]}, [(0, 2, "PER")]),
        ({"text": " Ada  King", "spans": [[1, 10, "PER"]]}, [(0, 2, "PER")]),
        ({"text": "Ada or Ada", "spans": {"PER": {"Ada": [[0, 3], [7, 10]]}}}, [(0, 1, "PER"), (2, 3, "PER")]),
        ({"text": "Ada Bo", "spans": [[4, 6, "B"], [0, 3, "A"]]}, [(0, 1, "A"), (1, 2, "B")]),
        ({"text": "Ada Bo", "spans": [[0, 6, "A"], [0, 3, "B"]]}, [(0, 1, "B"), (0, 2, "A")]),  # nested
        ({"text": "\U0001f600 Bo", "spans": [[2, 4, "B"]]}, [(1, 2, "B")]),
        ({"text": ""}, None),
    ],
)
def test_spans_are_read_in_every_form(
    tmp_path: Path, value: dict[str, Any], spans: list[tuple[int, int, str]] | None
) -> None:
    (example,) = read(tmp_path, value)
    assert example.spans == [Span(*span) for span in spans or []]
    assert example.words == value.get("words", value.get("text", "").split())
    assert example.tags == (None if spans is None else encode(example.spans, len(example.words)))


def test_nested_spans_stay_and_tags_hold_the_longest(tmp_path: Path) -> None:
    (example,) = read(tmp_path, {"words": ["a", "b", "c"], "spans": [[1, 2, "X"], [0, 3, "Y"]]})
    assert example.spans == [Span(0, 3, "Y"), Span(1, 2, "X")]
    assert example.tags == ["B-Y", "I-Y", "I-Y"]


@pytest.mark.parametrize(
    "value",
    [
        {"words": ["a", "b", "c"], "spans": [[1, 2, "X"], [0, 3, "Y"]]},
        {"text": "a b c", "spans": [[2, 3, "X"], [0, 5, "Y"]]},
    ],
)
def test_nested_spans_may_be_refused_or_reduced(tmp_path: Path, value: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"in\.jsonl:1: Y 'a b c' and X 'b' overlap"):
        read(tmp_path, value, on_overlap="error")
    (example,) = read(tmp_path, value, on_overlap="longest")
    assert (example.spans, example.tags) == ([Span(0, 3, "Y")], ["B-Y", "I-Y", "I-Y"])
    assert example.warnings == [Notice.SPAN_OVERLAPS]


def test_an_inclusive_end_is_the_last_position(tmp_path: Path) -> None:
    (text,) = read(tmp_path, {"text": "Ada King", "spans": [[0, 7, "PER"]]}, end="inclusive")
    (word,) = read(tmp_path, {"words": ["Ada", "King"], "spans": [[1, 1, "PER"]]}, end="inclusive")
    assert text.spans == [Span(0, 2, "PER")]
    assert word.spans == [Span(1, 2, "PER")]


def test_cluener_is_read_as_it_is(tmp_path: Path) -> None:
    value = {"text": "浙商银行的叶老桂", "label": {"company": {"浙商银行": [[0, 3]]}, "name": {"叶老桂": [[5, 7]]}}}
    (example,) = read(tmp_path, value, rule="characters", spans="label", end="inclusive")
    assert example.words == list(value["text"])  # type: ignore[arg-type]
    assert [entity["text"] for entity in example.entities()] == ["浙商银行", "叶老桂"]


def test_keys_can_be_named(tmp_path: Path) -> None:
    options = {"text": "sentence", "words": "tokens", "spans": "entities"}
    first, second = read(tmp_path, {"tokens": ["a"], "entities": [[0, 1, "X"]]}, {"sentence": "b"}, **options)
    assert first.spans == [Span(0, 1, "X")]
    assert second.words == ["b"]


@pytest.mark.parametrize(
    ("start", "end", "expanded"),
    [(1, 3, (0, 1)), (0, 2, (0, 1)), (1, 6, (0, 2)), (3, 8, (1, 2)), (0, 4, (0, 1)), (2, 3, (0, 1))],
)
def test_a_span_that_does_not_fit_the_words_is_an_error_expanded_or_dropped(
    tmp_path: Path, start: int, end: int, expanded: tuple[int, int]
) -> None:
    value = {"text": "Ada King won", "spans": [[start, end, "PER"]]}
    message = (
        rf"in.jsonl:1: span {start} to {end} \('{'Ada King won'[start:end]}'\) begins or ends inside a word; choose"
    )
    with pytest.raises(InputError, match=message):
        read(tmp_path, value)
    (example,) = read(tmp_path, value, on_misaligned="expand")
    assert example.spans == [Span(*expanded, "PER")]
    (example,) = read(tmp_path, value, on_misaligned="drop")
    assert example.spans == []
    assert example.tags == ["O", "O", "O"]


def test_spans_beside_text_and_words_could_count_either(tmp_path: Path) -> None:
    value = {"text": "Ann saw it", "words": ["Ann", "saw", "it"], "spans": [[0, 3, "PER"]]}
    with pytest.raises(InputError, match="in.jsonl:1: expected 'text' or 'words' beside 'spans', found both"):
        read(tmp_path, value)
    assert read(tmp_path, value, words="none")[0].spans == [Span(0, 1, "PER")]
    assert read(tmp_path, value, text="none")[0].spans == [Span(0, 3, "PER")]


def test_no_answers_may_be_null(tmp_path: Path) -> None:
    (example,) = read(tmp_path, {"question": "Who?", "text": "Ann", "answers": None})
    assert (example.answers, example.labels, example.warnings) == ([], [], [])


def test_a_span_of_white_space_has_no_words(tmp_path: Path) -> None:
    value = {"text": "Ada  King", "spans": [[3, 5, "PER"]]}
    for rule in ("error", "expand"):
        with pytest.raises(InputError, match="span 3 to 5"):
            read(tmp_path, value, on_misaligned=rule)
    (example,) = read(tmp_path, value, on_misaligned="drop")
    assert example.spans == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "in.jsonl: expected a JSON object per line, found an empty file"),
        ("\n \r\n", "in.jsonl: expected a JSON object per line, found an empty file"),
        ("\ufeff\n", "in.jsonl: expected a JSON object per line, found an empty file"),
        ("{", "in.jsonl:1: not JSON: Expecting property name enclosed in double quotes at char"),
        (
            '{"text": "a"}\ntext\n',
            "in.jsonl:2: not JSON: Expecting value at character 1; if the file has columns, set ",
        ),
        ('{"text": "a"} {"text": "b"}', "in.jsonl:1: not JSON: Extra data at character 15"),
        ("[]", "in.jsonl:1: expected a JSON object, found list"),
        ("3", "in.jsonl:1: expected a JSON object, found int"),
        ("[" * 100_000, "in.jsonl:1: not JSON: "),
        ("9" * 5000, "in.jsonl:1: not JSON: "),
        ("{}", "in.jsonl:1: expected 'words' (a list of strings) or 'text' (a string)"),
        ('{"words": "a b"}', "in.jsonl:1: expected 'words' (a list of strings) or 'text' (a string)"),
        ('{"words": ["a", 3]}', "in.jsonl:1: expected 'words' (a list of strings) or 'text' (a string)"),
        ('{"text": 3}', "in.jsonl:1: expected 'words' (a list of strings) or 'text' (a string)"),
    ],
)
def test_lines_that_are_no_examples_are_named(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path, data.encode())
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)


@pytest.mark.parametrize(
    "spans",
    [
        None,
        3,
        "0 1 X",
        [3],
        [[0, 1]],
        [["0", 1, "X"]],
        [[0, 1.0, "X"]],
        [[True, 1, "X"]],
        [[0, 1, None]],
        [[0, 1, ""]],
        [{"start": 0, "end": 1}],
        {"X": [[0, 1]]},
        {"X": {"a": 3}},
        {"X": {"a": [3]}},
        {"X": {"a": [[0]]}},
        {"X": None},
        {"": {"a": [[0, 1]]}},
    ],
)
def test_spans_of_another_form_are_named(tmp_path: Path, spans: Any) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, {"text": "a"}, {"text": "a b", "spans": spans})
    shown = json.dumps(spans)
    assert str(caught.value).endswith(f"in.jsonl:2: expected spans in 'spans' as start, end, label, found {shown}")


@pytest.mark.parametrize("span", [[-1, 1], [0, 0], [2, 1], [0, 4], [3, 9], [3, 3]])
def test_spans_outside_are_named(tmp_path: Path, span: list[int]) -> None:
    for value in ({"text": "a b"}, {"words": ["a", "b", "c"]}):
        with pytest.raises(InputError, match=rf"expected a span within 0 and 3, found {span[0]} to {span[1]}"):
            read(tmp_path, {**value, "spans": [[*span, "X"]]})


def test_a_wrong_byte_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in.jsonl:1: expected utf-8, found byte 0xff at byte 11 of the line"):
        read_bytes(tmp_path, b'{"text": "\xff"}')


def test_marks_and_blank_lines_are_no_examples(tmp_path: Path) -> None:
    found = read_bytes(tmp_path, '\ufeff{"text": "a"}\r\n\n{"text": "b", "id": 7}'.encode())
    assert [document.examples[0].words for document in found] == [["a"], ["b"]]
    assert [document.id for document in found] == ["0", "7"]
    assert [document.examples[0].line for document in found] == [1, 3]


def test_predictions_stand_beside_what_was_read(tmp_path: Path) -> None:
    values = [
        {"id": 1, "text": "Ada won", "spans": [], "more": {"é": None}},
        {"words": ["Ada", "won"]},
    ]
    documents = read_bytes(tmp_path, "\n".join(json.dumps(value) for value in values).encode(), for_rewriting=True)
    for document in documents:
        document.examples[0].spans = [Span(0, 1, "PER", 0.5)]
    first, second = written(tmp_path, documents)
    predicted = {"start": 0, "label": "PER", "text": "Ada", "score": 0.5}
    assert first == {**values[0], "predicted": [{**predicted, "end": 3}]}
    assert second == {**values[1], "predicted": [{**predicted, "end": 1}]}
    inclusive, _ = written(tmp_path, documents, end="inclusive")
    assert inclusive["predicted"] == [{**predicted, "end": 2}]


def test_other_keys_are_metadata(tmp_path: Path) -> None:
    (example,) = read(tmp_path, {"id": 1, "text": "Ada won", "label": [], "domain": "news"}, spans="label")
    assert example.metadata == {"id": 1, "domain": "news"}


def test_new_examples_are_written_with_what_they_have(tmp_path: Path) -> None:
    tagged = Example(["a"], tags=["O"]), Example(["a"], tags=["O"], text=" a", offsets=[(1, 2)])
    found = written(tmp_path, [Document([*tagged, Example(["a"])])])
    assert found[:2] == [{"words": ["a"], "predicted": []}, {"text": " a", "predicted": []}]
    assert found[2] == {"words": ["a"], "predicted_labels": []}  # the answer of a classifier to which no class applies


@pytest.mark.parametrize(("labels", "found"), [("good", ["good"]), (["a", "b"], ["a", "b"]), ([], []), ("", [""])])
def test_labels_are_of_the_whole_text(tmp_path: Path, labels: Any, found: list[str]) -> None:
    for value in ({"text": "a b"}, {"words": ["a", "b"]}):
        (example,) = read(tmp_path, {**value, "labels": labels})
        assert (example.labels, example.spans, example.tags) == (found, [], None)
        (example,) = read(tmp_path, {**value, "class": labels}, labels="class")
        assert example.labels == found


@pytest.mark.parametrize("labels", [None, 3, {"a": 1}, ["a", 3], [["a"]]])
def test_labels_of_another_form_are_named(tmp_path: Path, labels: Any) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, {"text": "a"}, {"text": "a", "labels": labels})
    expected = f"in.jsonl:2: expected a string or a list of strings in 'labels', found {json.dumps(labels)}"
    assert str(caught.value).endswith(expected)


@pytest.mark.parametrize(
    ("answers", "labels", "surface", "remarks"),
    [
        (None, [], None, []),
        ([], [], None, []),
        ("Ada", ["span"], (0, 3), []),
        (["won", "Ada"], ["span"], (4, 7), []),
        ("da w", ["span"], (0, 7), [Notice.ANSWER_APPROXIMATED]),
        (" won\n", ["span"], (4, 7), []),
        ("yes", ["yes"], None, []),
        ("no", ["no"], None, []),
        (["unknown"], ["unknown"], None, []),
        ("Bo", [], None, [Notice.QUESTION_UNANSWERED]),
        (["Bo", "Cy"], [], None, [Notice.QUESTION_UNANSWERED]),
        (["Bo", "Ada"], ["span"], (0, 3), []),  # the first that stands there
        (["", " ", "Ada"], ["span"], (0, 3), []),
        (["Bo", "No"], ["no"], None, []),
        (["", "\t"], [], None, []),  # empty answers are none
    ],
)
def test_a_question_is_asked_about_the_text(
    tmp_path: Path, answers: Any, labels: list[str], surface: tuple[int, int] | None, remarks: list[str]
) -> None:
    value = {"text": "Ada won", "question": "Who won?", **({} if answers is None else {"answers": answers})}
    (example,) = read(tmp_path, value)
    assert example.words == ["Who", "won?", "Ada", "won"]
    assert example.query_length == 2
    given = [answers] if isinstance(answers, str) else answers or []
    assert example.answers == [answer.strip() for answer in given if answer.strip()]
    assert (example.labels, example.warnings, example.tags) == (labels, remarks, None)
    assert example.offsets is not None
    places = [(example.offsets[span.start][0], example.offsets[span.end - 1][1]) for span in example.spans]
    assert places == ([surface] if surface else [])


@pytest.mark.parametrize("answer", ["yes", "no", "unknown", "No", "YES "])
@pytest.mark.parametrize(
    "text", ["Maren did not know it, nobody knew.", "she said no, yes, unknown", "she said No YES"]
)
def test_yes_no_and_unknown_are_kinds_whatever_the_text_says(tmp_path: Path, answer: str, text: str) -> None:
    (example,) = read(tmp_path, {"text": text, "question": "What?", "answers": answer})
    assert (example.labels, example.spans, example.warnings) == ([answer.strip().lower()], [], [])


@pytest.mark.parametrize(
    ("rule", "text", "answer", "marked", "remarks"),
    [
        ("space", "The dog and then he left.", "he", (17, 19), []),
        ("space", "The dog, then. And he.", "he", (19, 22), []),  # the mark is part of the word
        ("space", "A dog. So dog it is", "dog", (10, 13), []),  # a word of its own comes first
        ("characters", "The dog and then he left.", "he", (17, 19), []),
        ("punctuation", "The dog and then he left.", "he", (17, 19), []),
        ("punctuation", "It was a party of art.", "art", (18, 21), []),
        ("punctuation", "It was a party.", "art", (9, 14), [Notice.ANSWER_APPROXIMATED]),
        ("punctuation", "In 1990s, not 990.", "990", (14, 17), []),
        ("characters", "It was a party.", "art", (10, 13), []),
        ("punctuation", "Ада и Адам", "Ада", (0, 3), []),
        ("punctuation", "Адам и Ада", "Ада", (7, 10), []),
        ("chinese", "北京人在北京", "北京", (0, 2), []),
        ("chinese", "PS3和PS", "PS", (4, 6), []),
        ("characters", "北京人在北京", "在北", (3, 5), []),
    ],
)
def test_an_answer_is_learned_where_it_is_whole_words(
    tmp_path: Path, rule: WordRule, text: str, answer: str, marked: tuple[int, int], remarks: list[str]
) -> None:
    (example,) = read(tmp_path, {"text": text, "question": "?", "answers": [answer]}, rule=rule)
    assert example.offsets is not None
    (span,) = example.spans
    assert (example.offsets[span.start][0], example.offsets[span.end - 1][1]) == marked
    assert (example.labels, example.warnings) == (["span"], remarks)


def test_earlier_turns_stand_before_the_question(tmp_path: Path) -> None:
    options = {"text": "story", "question": "turns", "answers": "gold"}
    value = {"story": "Ada won", "turns": ["Who?", "Ada", "Did what?"], "gold": ["won"]}
    (example,) = read(tmp_path, value, **options)
    assert example.words == ["Who?", "Ada", "Did", "what?", "Ada", "won"]
    assert (example.query_length, example.spans) == (4, [Span(5, 6, "answer")])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"question": "Who?"}, "expected 'text' (a string) that 'question' is about"),
        ({"question": "Who?", "words": ["a"]}, "expected 'text' (a string) that 'question' is about"),
        ({"question": ["Who?", " "], "text": "a"}, "expected a question in 'question', found an empty one"),
        ({"question": 3, "text": "a"}, "expected a string or a list of strings in 'question', found 3"),
        (
            {"question": "Who?", "text": "a", "answers": [3]},
            "expected a string or a list of strings in 'answers', found [3]",
        ),
    ],
)
def test_questions_of_another_form_are_named(tmp_path: Path, value: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, value)
    assert str(caught.value).endswith(f"in.jsonl:1: {message}")


def test_predicted_labels_and_answers_stand_beside_what_was_read(tmp_path: Path) -> None:
    values = [{"text": "Ada won", "question": "Who?", "id": 1}, {"text": "good", "labels": "x"}]
    asked, classed = read_bytes(tmp_path, "\n".join(json.dumps(value) for value in values).encode(), for_rewriting=True)
    said = Annotation(labels=["span"], answers=[Span(1, 2, "answer", 0.5), "no"], scores={"span": 0.9, "no": 0.1})
    asked.examples[0] = asked.examples[0].with_prediction(said)
    classed.examples[0] = classed.examples[0].with_prediction(Annotation(labels=["y"]))
    assert written(tmp_path, [asked, classed]) == [
        {
            **values[0],
            "predicted_labels": [{"label": "span", "score": 0.9}],
            "predicted_answers": [{"text": "Ada", "score": 0.5}, {"text": "no", "score": 0.1}],
        },
        {**values[1], "predicted_labels": [{"label": "y"}]},
    ]


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[list[Any]]]:
    """A text of all Unicode, and spans of its characters that are not white space at both ends."""
    text = draw(st.text(st.characters(exclude_categories=[]), max_size=12))
    solid = [position for position, character in enumerate(text) if not character.isspace()]
    if not solid:
        return text, []
    pairs = draw(st.lists(st.tuples(st.sampled_from(solid), st.sampled_from(solid), st.sampled_from("XY"))))
    return text, [[min(left, right), max(left, right) + 1, label] for left, right, label in pairs]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts_with_spans(), st.sampled_from(["inclusive", "exclusive"]))
def test_spans_of_characters_come_back_as_they_were(
    tmp_path: Path, case: tuple[str, list[list[Any]]], end: str
) -> None:
    text, spans = case
    value = {"text": text, "spans": [[start, stop - (end == "inclusive"), label] for start, stop, label in spans]}
    data = json.dumps(value).encode()
    documents = read_bytes(tmp_path, data, "characters", for_rewriting=True, end=end)
    (found,) = written(tmp_path, documents, end=end)
    assert found["text"] == text
    back = Counter((entity["start"], entity["end"], entity["label"]) for entity in found["predicted"])
    assert back == Counter(map(tuple, value["spans"]))
    for entity in documents[0].examples[0].entities():
        assert entity["text"] == text[entity["start"] : entity["end"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "texts", "entities", "overlapping"), [("train", 10748, 23972, 2), ("dev", 1343, 3072, 0)]
)
def test_cluener_has_its_published_counts(split: str, texts: int, entities: int, overlapping: int) -> None:
    path = CLUENER / f"{split}.json"
    if not path.exists():
        pytest.skip(f"{path} is not beside this repository")
    documents = jsonl.read(str(path), Config(spans="label", end="inclusive"), "characters")
    examples = [example for document in documents for example in document.examples]
    assert len(examples) == texts
    assert sum(len(example.spans) for example in examples) == entities
    assert sum(len(example.spans) - len(flatten(example.spans)) for example in examples) == overlapping
    for example in examples:
        assert example.text is not None
        assert "".join(example.words) == "".join(example.text.split())


def test_blank_lines_come_back_and_are_counted(tmp_path: Path) -> None:
    data = b'\n{"text": "a"}\n  \n\n{"text": "b"}\n\n'
    documents = read_bytes(tmp_path, data, for_rewriting=True)
    path = tmp_path / "out.jsonl"
    jsonl.write(str(path), documents, Config())
    lines = path.read_text(encoding="utf-8").split("\n")
    assert [line.strip()[:12] for line in lines] == ["", '{"text": "a"', "", "", '{"text": "b"', "", ""]
    learned = read_bytes(tmp_path, data)
    assert [document.examples[0].warnings.count(Notice.LINE_BLANK) for document in learned] == [1, 2]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b'{"text": "a", "text": "b"}', "text"),
        (b'{"words": ["a"], "spans": [{"start": 0, "end": 1, "label": "X", "label": "X"}]}', "label"),
        (b'{"text": "a", "more": {"x": [{"y": 1, "y": 1}]}}', "y"),
    ],
)
def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path, line: bytes, key: str) -> None:
    with pytest.raises(InputError, match=rf"in\.jsonl:2: the key '{key}' occurs twice in an object; keep one"):
        read_bytes(tmp_path, b'{"text": "a"}\n' + line + b"\n")


def test_an_empty_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in\.jsonl:1: expected words in 'words', found an empty one; remove it"):
        read(tmp_path, {"words": ["a", ""]})
