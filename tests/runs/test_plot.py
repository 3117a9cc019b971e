from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ner.commands import plot
from ner.errors import InputError
from ner.runs.events import Event
from ner.runs.plot import (
    MARK,
    history_table,
    markdown_table,
    plot_history,
    read_history,
    write_history_markdown,
)

COLUMNS = "epoch,avg_train_loss,avg_val_loss,accuracy,precision,recall,f1,weighted_f1,batch_size,step,sentences,best"


def cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table, escapes undone."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip().replace("\0", "|") for cell in line.replace("\\|", "\0")[1:-1].split("|")]


def rows(count: int, tags: tuple[str, ...] = ("O", "B-LOC", "I-LOC"), **more: float) -> list[dict[str, float]]:
    """A history such as training writes."""
    return [
        {
            **{"epoch": epoch, "avg_train_loss": 1 / epoch, "avg_val_loss": 2 / epoch, "f1": 1 - 0.5 / epoch},
            **{"batch_size": 32 if epoch < 3 else 64, "step": 100 * epoch, "best": float(epoch in (1, count // 2))},
            **{"learning_rate.encoder": 2e-5 / epoch, "learning_rate.decoder": 1e-3 / epoch},
            **{"train.entity.micro.f1": 1 - 0.4 / epoch, "valid.entity.micro.f1": 1 - 0.5 / epoch},
            **{f"valid.tag.f1.{tag}": 1 - 0.1 * (i % 9) / epoch for i, tag in enumerate(tags)},
            **more,
        }
        for epoch in range(1, count + 1)
    ]


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


def test_a_missing_history_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file or directory; is this a run directory?"):
        read_history(tmp_path / "history.csv")


def test_the_table_has_exactly_its_columns_in_order() -> None:
    header, *_ = history_table(rows(2)).splitlines()
    assert cells(header) == [
        *("epoch", "avg_train_loss", "avg_val_loss", "accuracy", "precision", "recall", "f1", "weighted_f1"),
        *("learning_rate.encoder", "learning_rate.decoder", "batch_size", "best"),
    ]


def test_every_row_has_as_many_cells_as_the_header_and_each_under_its_name(tmp_path: Path) -> None:
    history = [
        {"epoch": 1, "avg_train_loss": 0.25, "best": 1.0, "learning_rate.a|b": 0.001},
        {"epoch": 2, "f1": 0.5, "batch_size": 64, "learning_rate.c": 2e-5},
        {"epoch": 3},
    ]
    write_history_markdown(history, tmp_path / "history.md")
    header, line, *body = map(cells, (tmp_path / "history.md").read_text(encoding="utf-8").splitlines())
    assert {len(row) for row in (header, line, *body)} == {12}
    assert set(line) == {"---"}
    found = [{key: cell for key, cell in zip(header, row, strict=True) if cell} for row in body]
    assert found == [
        {"epoch": "1", "avg_train_loss": "0.2500", "best": MARK, "learning_rate.a|b": "0.001"},
        {"epoch": "2", "f1": "0.5000", "batch_size": "64", "learning_rate.c": "2e-05"},
        {"epoch": "3"},
    ]


def test_a_run_of_an_older_version_fills_the_same_columns() -> None:
    old = {"epoch": 1, "train.loss": 0.1, "valid.loss": 0.2, "valid.tag.accuracy": 0.3, "valid.entity.micro.f1": 0.4}
    header, _, row = map(cells, history_table([old]).splitlines())
    found = {key: cell for key, cell in zip(header, row, strict=True) if cell}
    assert found == {
        **{"epoch": "1", "avg_train_loss": "0.1000", "avg_val_loss": "0.2000"},
        **{"accuracy": "0.3000", "f1": "0.4000"},
    }


def test_a_figure_of_zero_is_no_missing_figure() -> None:
    header, _, row = map(cells, history_table([{"epoch": 1, "f1": 0.0, "valid.entity.micro.f1": 0.9}]).splitlines())
    assert dict(zip(header, row, strict=True))["f1"] == "0.0000"


def test_a_cell_without_a_column_is_refused() -> None:
    with pytest.raises(KeyError, match="no such column: b"):
        markdown_table(["a"], [{"a": "1", "b": "2"}])


EVENTS = [Event(50, 1, "freeze", "encoder released"), Event(120, 2, "control", "batch.size=64")]
MANY = [Event(7 * number, 1, "skip", f"batch {number} is $not$ finite") for number in range(40)]


@pytest.mark.parametrize(
    ("history", "events"),
    [
        (rows(1), []),
        (rows(1), EVENTS),
        (rows(3), EVENTS),
        (rows(90), MANY),
        (rows(5, tuple(f"{prefix}-T{i}" for i in range(40) for prefix in "BIES")), []),
        (rows(2, ("$", "PRP$", "_", "A|B", "")), []),
        (rows(2, **{f"learning_rate.{i}": 0.9**i for i in range(30)}), EVENTS),
        (rows(2, avg_val_loss=float("nan")), []),
        ([{"epoch": 1, "train.loss": -0.5}], EVENTS),
        ([{"epoch": 1}], [Event(1, 7, "stop", "")]),
    ],
)
def test_histories_of_all_sizes_are_drawn(tmp_path: Path, history: list[dict[str, float]], events: list[Event]) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    plot_history(history, tmp_path / "a.png", "runs/a_$b$", events=events)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_events_stand_between_epochs_by_their_steps() -> None:
    from ner.runs.plot import _positions

    history: list[dict[str, float]] = [{"epoch": 1, "step": 100}, {"epoch": 2, "step": 150}]
    events = [Event(step, epoch, "control", "") for step, epoch in ((0, 1), (50, 1), (100, 1), (125, 2), (160, 3))]
    assert _positions(history, events) == [0, 0.5, 1, 1.5, 3]
    assert _positions([{"epoch": 1}], [Event(50, 1, "control", "")]) == [1]


def test_events_that_stand_close_share_a_number_and_no_two_numbers_touch() -> None:
    from ner.runs.plot import _clusters

    assert _clusters([0.0, 5.0, 5.5, 6.0, 6.1], 1) == [("1", 0.0), ("2–3", 5.0), ("4–5", 6.0)]
    positions = [0.37 * number for number in range(50)]
    places = [place for _, place in _clusters(positions, 1)]
    assert all(after - before >= 1 for before, after in pairwise(places))


@pytest.mark.parametrize(
    ("name", "message"), [("a.xyz", "a.xyz: cannot be written: Format 'xyz' is not supported"), ("", "nothing to draw")]
)
def test_a_picture_that_cannot_be_drawn_is_one_sentence(tmp_path: Path, name: str, message: str) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    with pytest.raises(InputError, match=message):
        plot_history(rows(2) if name else [], tmp_path / (name or "a.png"), "a")


def test_the_command_draws_a_run_with_its_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    (tmp_path / "history.csv").write_text(f"{COLUMNS}\n1,0.5,0.4,,,,0.7,,32,10,320,1\n", encoding="utf-8")
    plain = tmp_path / "plain.png"
    assert plot.main(["--run", str(tmp_path), "--output", str(plain), "--title", "A title"]) == 0
    (tmp_path / "events.jsonl").write_text(
        '{"step": 5, "epoch": 1, "kind": "control", "change": "batch.size=64"}\n', encoding="utf-8"
    )
    assert plot.main(["--run", str(tmp_path), "--title", "A title"]) == 0
    assert capsys.readouterr().out == f"{plain}\n{tmp_path / 'history.png'}\n"
    assert (tmp_path / "history.png").read_bytes() != plain.read_bytes()


def test_the_picture_shows_the_score_that_chose_and_the_kinds_of_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = pytest.importorskip("matplotlib.figure", reason="needs the extra plot")
    figures: list[Any] = []
    save = drawing.Figure.savefig
    monkeypatch.setattr(drawing.Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1])
    history = [
        {"epoch": epoch, "step": epoch, "valid.answer.f1": 0.5, "valid.answer.kinds.yes.f1": 0.5}
        for epoch in (1.0, 2.0)
    ]
    plot_history(history, tmp_path / "a.png", "a", "answer.f1")
    titles = [axes.get_title() for axes in figures[0].get_axes()]
    assert "answer.f1" in titles
    assert "valid F1 by kind of answer" in titles
