from __future__ import annotations

from pathlib import Path

import pytest

from ner.errors import InputError
from ner.runs.history import BEST_MARK, history_table, markdown_table, read_history, score_columns, write_csv

COLUMNS = "epoch,avg_train_loss,avg_val_loss,accuracy,precision,recall,f1,weighted_f1,batch_size,step,sentences,best"


def cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table, escapes undone."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip().replace("\0", "|") for cell in line.replace("\\|", "\0")[1:-1].split("|")]


def test_a_row_is_the_numbers_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(f"{COLUMNS},train.loss\n1,0.5,,,,,,,32,10,320,1,0.5\n", encoding="utf-8")
    assert read_history(path) == [
        {
            "epoch": 1,
            "avg_train_loss": 0.5,
            "batch_size": 32,
            "step": 10,
            "sentences": 320,
            "best": 1,
            "train.loss": 0.5,
        }
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,f1\n1,x\n", ":2: expected a number in column f1, found 'x'"),
        ("epoch\n1,2\n", r":2: expected a number in column None, found ['2']"),
    ],
)
def test_what_is_no_number_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "history.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_history(tmp_path / "history.csv")
    assert str(caught.value) == f"{tmp_path / 'history.csv'}{message}"


def test_columns_may_contain_any_character(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "f1.first\rname": 0.5, 'f1.a,"b\n': 0.25}, {"epoch": 2, "f1.first\rname": 0.75}]
    write_csv(tmp_path / "history.csv", rows)
    assert read_history(tmp_path / "history.csv") == rows


def test_a_missing_history_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; is this a run directory?"):
        read_history(tmp_path / "history.csv")


def test_the_table_has_exactly_its_columns_in_order() -> None:
    rows = [{"epoch": 1, "f1": 0.5, "learning_rate.encoder": 2e-5, "learning_rate.decoder": 1e-3, "step": 100}]
    header, *_ = history_table(rows).splitlines()
    assert cells(header) == [
        *("epoch", "avg_train_loss", "avg_val_loss", "accuracy", "precision", "recall", "f1", "weighted_f1"),
        *("learning_rate.encoder", "learning_rate.decoder", "batch_size", "best"),
    ]


def test_every_row_has_as_many_cells_as_the_header_and_each_under_its_name() -> None:
    history = [
        {"epoch": 1, "avg_train_loss": 0.25, "best": 1.0, "learning_rate.a|b": 0.001},
        {"epoch": 2, "f1": 0.5, "batch_size": 64, "learning_rate.c": 2e-5},
        {"epoch": 3},
    ]
    header, line, *body = map(cells, history_table(history).splitlines())
    assert {len(row) for row in (header, line, *body)} == {12}
    assert set(line) == {"---"}
    found = [{key: cell for key, cell in zip(header, row, strict=True) if cell} for row in body]
    assert found == [
        {"epoch": "1", "avg_train_loss": "0.2500", "best": BEST_MARK, "learning_rate.a|b": "0.001"},
        {"epoch": "2", "f1": "0.5000", "batch_size": "64", "learning_rate.c": "2e-05"},
        {"epoch": "3"},
    ]


def test_a_figure_of_zero_is_no_missing_figure() -> None:
    header, _, row = map(cells, history_table([{"epoch": 1, "f1": 0.0, "valid.entity.micro.f1": 0.9}]).splitlines())
    assert dict(zip(header, row, strict=True))["f1"] == "0.0000"


def test_a_cell_without_a_column_is_refused() -> None:
    with pytest.raises(KeyError, match="no such column: b"):
        markdown_table(["a"], [{"a": "1", "b": "2"}])


def test_columns_stand_in_the_order_of_their_first_appearance(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [{"a": 1, "c": "x,y"}, {"b": 0.1, "a": 2}])
    assert (tmp_path / "a.csv").read_bytes() == b'a,c,b\n1,"x,y",\n2,,0.1\n'


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (["sentence"], {}),
        (["tag"], {"accuracy": "tag.accuracy", "weighted_f1": "tag.weighted_f1"}),
        (["answer", "tag"], {"accuracy": "answer.exact", "f1": "answer.f1", "weighted_f1": "tag.weighted_f1"}),
        (
            ["entity", "accuracy"],
            {
                **{"accuracy": "accuracy.accuracy", "precision": "entity.micro.precision"},
                **{"recall": "entity.micro.recall", "f1": "entity.micro.f1", "weighted_f1": "accuracy.weighted.f1"},
            },
        ),
    ],
)
def test_the_first_metric_that_has_a_score_fills_its_column(metrics: list[str], expected: dict[str, str]) -> None:
    assert score_columns(metrics) == expected
