from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner.config.base import WordRule
from ner.config.parts import ConfigError, parse_component
from ner.data.formats import tsv
from ner.data.formats.tsv import Config
from ner.errors import InputError
from ner.types import Document, Example
from tests.conftest import ROOT

CHNSENTICORP = ROOT.parent / "shared" / "data" / "chnsenticorp"


def read(
    folder: Path, table: str | bytes, rule: WordRule = "space", for_rewriting: bool = False, /, **options: Any
) -> list[Example]:
    return [document.examples[0] for document in documents(folder, table, rule, for_rewriting, **options)]


def documents(
    folder: Path, table: str | bytes, rule: WordRule = "space", for_rewriting: bool = False, /, **options: Any
) -> list[Document]:
    path = folder / "in.tsv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    found = list(tsv.read(str(path), Config(**options), rule, for_rewriting))
    assert all(len(document.examples) == 1 for document in found[:-1])
    assert found[-1].examples or (for_rewriting and found[-1].source_lines)  # empty lines at the end
    return found


def written(folder: Path, made: list[Document], **options: Any) -> bytes:
    path = folder / "out.tsv"
    tsv.write(str(path), made, Config(**options))
    return path.read_bytes()


def test_a_row_is_a_text_with_its_label_and_fields(tmp_path: Path) -> None:
    first, second = read(tmp_path, "label\ttext_a\tdomain\n1\t很好, ok\thotel\n0\t差\t\n", "chinese")
    assert first.words == ["很", "好", ",", "ok"]
    assert first.text == "很好, ok"
    assert first.offsets == [(0, 1), (1, 2), (2, 3), (4, 6)]
    assert first.labels == ["1"]
    assert first.metadata == {"domain": "hotel"}
    assert first.tags is None
    assert (second.labels, second.metadata, second.line) == (["0"], {"domain": ""}, 3)
    assert second.location == f"{tmp_path / 'in.tsv'}:3"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("class\tid\tbody\nA\t7\tx y\n", {"label": "class", "text": "body"}),
        ("class\tid\tbody\nA\t7\tx y\n", {"label": 0, "text": 2}),
        ("class,id,body\nA,7,x y\n", {"label": "class", "text": "body", "separator": ","}),
        ("class\tid\tbody\nA\t7\tx y\n", {"label": "class", "text": "body", "separator": "\\t"}),  # from a shell
        ("class || id || body\nA||7||x y\n", {"label": "class", "text": "body", "separator": "||"}),
        ("A\t7\tx y\n", {"label": 0, "text": 2, "header": False}),
        ("\ufeffclass\tid\tbody\r\nA\t7\tx y", {"label": "class", "text": "body"}),
        ("class\tid\tbody\n\n A \t7\tx y\n\n", {"label": "class", "text": "body"}),
    ],
)
def test_columns_have_names_or_numbers_and_any_separator(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    (found,) = read(tmp_path, text, **options)
    assert (found.labels, found.text, found.words) == (["A"], "x y", ["x", "y"])
    assert list(found.metadata.values()) == ["7"]
    assert set(found.metadata) == ({"1"} if options.get("header") is False else {"id"})


@pytest.mark.parametrize("text", ['"a', 'a"b" c', "'a'", '""', '" a,b'])
def test_quotes_are_plain_characters(tmp_path: Path, text: str) -> None:
    first, second = read(tmp_path, f"label\ttext_a\n1\t{text}\n0\tb\n")
    assert (first.text, second.text) == (text, "b")


def test_several_labels_stand_in_one_cell(tmp_path: Path) -> None:
    table = "label\ttext_a\nb; a;b\tx\n\ty\n"
    assert [example.labels for example in read(tmp_path, table, label_separator=";")] == [["b", "a"], []]
    with pytest.raises(InputError, match=r"in.tsv:3: expected a label, found none; texts without any need data.format"):
        read(tmp_path, table)
    assert [example.labels for example in read(tmp_path, table, "space", True)] == [["b; a;b"], []]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": expected rows of labelled texts, found no line"),
        ("label\ttext_a\n", ": expected rows of labelled texts, found a header alone"),
        (
            "label\ttext_a\n1\ta\tb\n",
            ':2: expected 2 columns as in the first line, found 3 ("1\ta\tb"); quotes protect nothing, so '
            "such a text needs another separator",
        ),
        ("label\ttext_a\n1\ta\n1 b\n", ':3: expected 2 columns as in the first line, found 1 ("1 b")'),
        (
            "lable\ttext_a\n1\ta\n",
            ":1: expected a column 'label', found lable, text_a; set data.format.label to its column, or "
            "data.format.separator to what separates the columns",
        ),
        (
            "label,text_a\n1,a\n",
            ":1: expected a column 'text_a', found label,text_a; set data.format.text to its column, or "
            "data.format.separator to what separates the columns",
        ),
        ("label\ttext_a\tlabel\n1\ta\t2\n", ":1: expected each column once, found 'label' twice"),
        (
            b"label\ttext_a\n1\t\xff\n",
            ":2: expected utf-8, found byte 0xff at byte 3 of the line; convert the file to UTF-8, or name "
            "its encoding (data.format.encoding=NAME; ner init: --encoding NAME)",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'in.tsv'}{message}"


def test_a_number_beyond_the_columns_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in.tsv:1: expected a column number 2, found 2 columns; set data"):
        read(tmp_path, "1\ta\n", label=0, text=2, header=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"header": False}, "columns have no names without a header; give data.format.label a number"),
        ({"header": False, "label": 0}, "columns have no names without a header; give data.format.text a number"),
        ({"label": "a", "text": "a"}, "data.format.label and text are both column 'a'"),
        ({"label": -1}, "label"),
        ({"separator": ""}, "separator"),
    ],
)
def test_settings_without_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_component("formats", {"name": "tsv", **options})


def test_a_file_to_be_answered_needs_no_labels(tmp_path: Path) -> None:
    (named,) = read(tmp_path, "id\ttext_a\n7\tx\n", "space", True)
    assert (named.text, named.labels, named.metadata) == ("x", [], {"id": "7"})
    first, empty = read(tmp_path, "x\ty\n\n", "space", True, label=0, text=1, header=False, separator="|")
    assert (first.text, first.labels, empty.words) == ("x\ty", [], [])
    with pytest.raises(InputError, match="expected a column 'label', found id, text_a"):
        read(tmp_path, "id\ttext_a\n7\tx\n")


@pytest.mark.parametrize("scored", [False, True])
@pytest.mark.parametrize(
    ("table", "answered"),
    [
        ("label\ttext_a\n1\ta\n0\tb\n", "label\ttext_a{}\n1\ta{}\n0\tb{}\n"),
        ("\ufeffid\ttext_a\r\n1\t a\u3000\r\n\r\n2\tb", "\ufeffid\ttext_a{}\r\n1\t a\u3000{}\r\n\r\n2\tb{}"),
        ("label\ttext_a\n\n\r\n1\ta\n\n\n\t\n", "label\ttext_a{}\n\n\r\n1\ta{}\n\n\n\t{}\n"),
        ("label\ttext_a\n1\ta\n\n\n", "label\ttext_a{}\n1\ta{}\n\n\n"),
        ("id\tlabel\ttext_a\n1\tA\ta\n\t\t\n \t\t\u3000\n", "id\tlabel\ttext_a{}\n1\tA\ta{}\n\t\t{}\n \t\t\u3000{}\n"),
        ("text_a\na\n\nb\n", "text_a{}\na{}\n{}\nb{}\n"),
    ],
)
def test_rows_are_written_byte_for_byte_with_more_columns(
    tmp_path: Path, table: str, answered: str, scored: bool
) -> None:
    found = documents(tmp_path, table, "space", True)
    rows = [example for document in found for example in document.examples]
    for example in rows:
        example.labels = ["A"]
        example.scores = {"A": 0.75, "B": 0.25} if scored else {}
    added = "\tA\t0.750000" if scored else "\tA"
    header = "\tpredicted\tprobability" if scored else "\tpredicted"
    wanted = answered.format(header, *[added] * len(rows)).encode()
    assert written(tmp_path, found) == wanted


def test_a_row_of_separators_alone_is_a_row_without_a_label(tmp_path: Path) -> None:
    table = "id\tlabel\ttext_a\n1\tA\ta\n\n\t\t\n"
    with pytest.raises(InputError, match=r"in.tsv:4: expected a label, found none"):
        read(tmp_path, table)
    _, empty = read(tmp_path, table, "space", True)
    assert (empty.labels, empty.words, empty.metadata, empty.line) == ([], [], {"id": ""}, 4)
    with pytest.raises(InputError, match=r"in.tsv:3: expected 2 columns as in the first line, found 1"):
        read(tmp_path, "label\ttext_a\n1\ta\n \n")


@pytest.mark.parametrize(
    ("table", "scored", "wanted"),
    [
        ("predicted\ttext_a\nx\ta\n", False, "predicted\ttext_a\nB\ta\n"),
        ("predicted\ttext_a\nx\ta\n", True, "predicted\ttext_a\tprobability\nB\ta\t0.750000\n"),
        (
            "\ufeffpredicted \ttext_a\tprobability\tlabel\r\nx\ta\t0.1\tA\r\n\r\n",
            True,
            "\ufeffpredicted \ttext_a\tprobability\tlabel\r\nB\ta\t0.750000\tA\r\n\r\n",
        ),
        (  # that of an earlier prediction would be wrong
            "text_a\tpredicted\tprobability\na\tx\t0.1\n",
            False,
            "text_a\tpredicted\tprobability\na\tB\t\n",
        ),
        ("text_a\tprobability\na\t0.1\n", False, "text_a\tprobability\tpredicted\na\t0.1\tB\n"),  # none of ours
        ("text_a\tprobability\na\t0.1\n", True, "text_a\tprobability\tpredicted\na\t0.750000\tB\n"),
    ],
)
def test_columns_of_an_earlier_prediction_are_filled_anew(
    tmp_path: Path, table: str, scored: bool, wanted: str
) -> None:
    def predicted(table: str) -> str:
        found = documents(tmp_path, table, "space", True)
        found[0].examples[0].labels, found[0].examples[0].scores = ["B"], {"B": 0.75} if scored else {}
        return written(tmp_path, found).decode()

    assert predicted(table) == wanted
    assert predicted(wanted) == wanted
    (again,) = read(tmp_path, wanted, label="predicted")
    assert (again.text, again.labels) == ("a", ["B"])


def test_texts_in_the_column_of_predictions_are_not_overwritten(tmp_path: Path) -> None:
    table = "label\tpredicted\n1\ta\n"
    for column in ("predicted", 1):
        assert read(tmp_path, table, text=column)[0].text == "a"
        with pytest.raises(
            InputError, match=r"in.tsv:1: expected texts in another column than 'predicted', which pred"
        ):
            read(tmp_path, table, "space", True, text=column)


def test_a_row_without_probabilities_has_an_empty_cell(tmp_path: Path) -> None:
    first, second = documents(tmp_path, "label\ttext_a\n1\ta\n0\tb\n", "space", True)
    first.examples[0].labels, first.examples[0].scores = ["A"], {"A": 0.5}
    second.examples[0].labels = ["A"]
    assert written(tmp_path, [first, second]).decode().splitlines()[1:] == ["1\ta\tA\t0.500000", "0\tb\tA\t"]


def test_several_predictions_stand_in_one_cell_with_their_probabilities(tmp_path: Path) -> None:
    found = documents(tmp_path, "label\ttext_a\na;b\tx\n\ty\n", "space", True, label_separator=";")
    found[0].examples[0].labels, found[0].examples[0].scores = ["b", "a"], {"b": 0.9, "a": 0.8, "c": 0.1}
    found[1].examples[0].scores = {"a": 0.1}
    rows = written(tmp_path, found, label_separator=";").decode().splitlines()
    assert rows == [
        "label\ttext_a\tpredicted\tprobability",
        "a;b\tx\tb;a\t0.900000;0.800000",
        "\ty\t\t",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label": "class", "text": "body", "separator": ","},
        {"header": False, "label": 2, "text": 0},
        {"header": False, "label": 0, "text": 1, "label_separator": "/"},
    ],
)
def test_new_texts_are_read_as_they_were_written(tmp_path: Path, options: dict[str, Any]) -> None:
    several = ["b", "a"] if "label_separator" in options else ["b"]
    made = [
        Document([Example(["x", "y"], labels=several, text="x  y")]),
        Document([Example(["z"], labels=["a"])]),
    ]
    data = written(tmp_path, made, **options)
    found = read(tmp_path, data, **options)
    assert [(example.words, example.labels) for example in found] == [(["x", "y"], several), (["z"], ["a"])]


def test_white_space_that_a_table_cannot_hold_becomes_spaces(tmp_path: Path) -> None:
    data = written(tmp_path, [Document([Example(["x", "y", "z"], labels=["a"], text="x\ty\r\nz")])])
    assert data == b"label\ttext_a\na\tx y  z\n"


CELL = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), min_size=1, max_size=8)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELL.map(lambda cell: f"x{cell}".strip()), CELL.map(lambda cell: f"{cell}x")), min_size=1))
def test_any_cells_are_read_as_they_stand(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    table = "label\ttext_a\n" + "".join(f"{label}\t{text}\n" for label, text in rows)
    found = documents(tmp_path, table, "space", True)
    assert [(d.examples[0].labels[0], d.examples[0].text) for d in found] == rows
    for document in found:
        document.examples[0].labels = []
    assert written(tmp_path, found).decode().replace("\t\n", "\n").replace("\tpredicted\n", "\n", 1) == table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "rows", "positive"), [("train", 9600, 4799), ("dev", 1200, 593), ("test", 1200, 608)]
)
def test_chnsenticorp_has_all_its_rows(split: str, rows: int, positive: int) -> None:
    path = CHNSENTICORP / f"{split}.tsv"
    if not path.exists():
        pytest.skip(f"{path} is not beside this repository")
    found = [document.examples[0] for document in tsv.read(str(path), Config(), "chinese")]
    assert len(found) == rows
    assert sum(example.labels == ["1"] for example in found) == positive
    if split == "train":  # what the reason for plain splitting is
        with open(path, encoding="utf-8", newline="") as file:
            assert sum(1 for _ in csv.reader(io.StringIO(file.read()), delimiter="\t")) == 9147
