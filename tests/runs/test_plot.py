from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="needs the extra plot")
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from ner.commands import plot as command
from ner.errors import InputError
from ner.runs import plot
from ner.runs.events import Event
from ner.runs.plot import plot_history


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


EVENTS = [Event(50, 1, "freeze", "encoder released"), Event(120, 2, "control", "batch.size=64")]
MANY = [Event(7 * number, 1, "skip", f"batch {number} is $not$ finite") for number in range(40)]


@pytest.mark.slow
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
    plot_history(history, tmp_path / "a.png", "runs/a_$b$", events=events)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_events_stand_between_epochs_by_their_steps() -> None:
    history: list[dict[str, float]] = [{"epoch": 1, "step": 100}, {"epoch": 2, "step": 150}]
    events = [Event(step, epoch, "control", "") for step, epoch in ((0, 1), (50, 1), (100, 1), (125, 2), (160, 3))]
    assert plot._positions(history, events) == [0, 0.5, 1, 1.5, 3]
    assert plot._positions([{"epoch": 1}], [Event(50, 1, "control", "")]) == [1]


@pytest.mark.parametrize(
    ("name", "message"), [("a.xyz", "a.xyz: cannot be written: Format 'xyz' is not supported"), ("", "nothing to draw")]
)
def test_a_picture_that_cannot_be_drawn_is_one_sentence(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plot_history(rows(2) if name else [], tmp_path / (name or "a.png"), "a")


@pytest.mark.slow
def test_the_command_draws_a_run_with_its_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "history.csv").write_text(
        "epoch,avg_train_loss,avg_val_loss,f1,batch_size,step,best\n1,0.5,0.4,0.7,32,10,1\n", encoding="utf-8"
    )
    plain = tmp_path / "plain.png"
    assert command.main(["--run", str(tmp_path), "--output", str(plain), "--title", "A title"]) == 0
    (tmp_path / "events.jsonl").write_text(
        '{"step": 5, "epoch": 1, "kind": "control", "change": "batch.size=64"}\n', encoding="utf-8"
    )
    assert command.main(["--run", str(tmp_path), "--title", "A title"]) == 0
    assert capsys.readouterr().out == f"{plain}\n{tmp_path / 'history.png'}\n"
    assert (tmp_path / "history.png").read_bytes() != plain.read_bytes()


@pytest.fixture
def font(tmp_path: Path) -> Iterator[str]:
    """A font of two Chinese characters, registered with matplotlib during a test."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    for point in ((0, 0), (0, 800), (800, 800)):
        (pen.moveTo if point == (0, 0) else pen.lineTo)(point)
    pen.closePath()
    glyph = pen.glyph()
    names = [".notdef", "one", "two"]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord("机"): "one", ord("构"): "two"})
    builder.setupGlyf(dict.fromkeys(names, glyph))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Two Characters", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    path = tmp_path / "two.ttf"
    builder.save(path)
    before = list(font_manager.fontManager.ttflist)
    font_manager.fontManager.addfont(path)
    yield "Two Characters"
    font_manager.fontManager.ttflist = before


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Figure]:
    """Draws a picture and returns its figure."""
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1])

    def run(history: list[dict[str, float]], **arguments: Any) -> Figure:
        plot_history(history, tmp_path / "a.png", "a run", **arguments)
        return figures[-1]

    return run


@pytest.mark.slow
def test_the_picture_shows_the_score_that_chose_and_the_kinds_of_answers(draw: Callable[..., Figure]) -> None:
    figure = draw(
        [{"epoch": 1.0, "step": 1, "valid.answer.f1": 0.5, "valid.answer.kinds.yes.f1": 0.5}], score="answer.f1"
    )
    titles = [axes.get_title() for axes in figure.get_axes()]
    assert "answer.f1" in titles
    assert "valid F1 by answer type" in titles


@pytest.mark.slow
def test_the_lowest_labels_are_drawn_and_named(draw: Callable[..., Figure]) -> None:
    tags = tuple(f"B-T{i}" for i in range(20))
    history = [{f"valid.tag.f1.{tag}": 0.01 * i for i, tag in enumerate(tags)} | {"epoch": 1.0}]
    axes = draw(history).get_axes()[3]
    assert axes.get_title() == "valid F1 by tag, 12 lowest of 20"
    assert labels_of(axes) == [*tags[:12]]


def labels_of(axes: Any) -> list[str]:
    """Labels at the ends of the lines, from the lowest to the highest."""
    texts = [text for text in axes.texts if text.get_transform() == axes.transAxes]
    return [text.get_text() for text in sorted(texts, key=lambda text: float(text.get_position()[1]))]


@pytest.mark.slow
def test_labels_of_equal_lines_have_a_distance_and_the_best_epoch_is_named(draw: Callable[..., Figure]) -> None:
    tags = tuple(f"B-T{i}" for i in range(9))
    history = [{f"valid.tag.f1.{tag}": 0.5 for tag in tags} | {"epoch": epoch, "best": epoch == 2} for epoch in (1, 2)]
    axes = draw(history).get_axes()[3]
    heights = sorted(text.get_position()[1] for text in axes.texts if text.get_text() in tags)
    assert min(high - low for low, high in pairwise(heights)) > 0.05
    assert "best: epoch 2" in [text.get_text() for text in axes.texts]


@pytest.mark.slow
def test_equal_learning_rates_are_one_line_and_a_changed_batch_size_has_a_scale(draw: Callable[..., Figure]) -> None:
    history = [{**row, "learning_rate.third": row["learning_rate.decoder"]} for row in rows(3)]
    *_, rates, _, sizes = draw(history).get_axes()
    assert labels_of(rates) == ["encoder", "decoder, third"]
    assert sizes.get_ylabel() == "batch size (dashed)"
    assert list(sizes.lines[0].get_ydata()) == [32, 32, 64]


@pytest.mark.slow
def test_more_events_than_fit_are_counted(draw: Callable[..., Figure]) -> None:
    lines = draw(rows(3), events=MANY).get_supxlabel().splitlines()
    assert lines[0] == "epoch 0.00, step 0, skip: batch 0 is $not$ finite"
    assert (len(lines), lines[-1]) == (12, "29 more in events.jsonl")


@pytest.mark.slow
def test_characters_that_the_first_font_lacks_are_drawn_in_another(
    font: str, draw: Callable[..., Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plot, "CJK_FONTS", ("not installed", font))
    figure = draw([{"epoch": 1.0, "valid.tag.f1.B-机构": 0.5}])  # a missing glyph would be a warning, and so an error
    (label,) = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text() == "B-机构"]
    assert label.get_fontfamily()[1:] == [font]
