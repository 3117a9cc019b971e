from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ner.runs import fonts
from ner.runs.plot import plot_history

pytest.importorskip("matplotlib", reason="needs the extra plot")
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

LABEL = "B-机构"


@pytest.fixture
def font(tmp_path: Path) -> Iterator[str]:
    """A font of two Chinese characters, known to matplotlib for the time of a test."""
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


def history() -> list[dict[str, float]]:
    return [{"epoch": epoch, "step": epoch, "f1": 0.5, f"valid.tag.f1.{LABEL}": 0.5} for epoch in (1.0, 2.0)]


def drawn(monkeypatch: pytest.MonkeyPatch, path: Path) -> list[Text]:
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1])
    plot_history(history(), path, "训练 of a run")  # a glyph that is missing would be a warning, and so an error
    assert path.stat().st_size > 1000
    return [text for text in figures[0].findobj(Text) if isinstance(text, Text)]


def test_usual_text_needs_no_other_font() -> None:
    names, missing = fonts.covering("f1 B-LOC ★ é")
    assert len(names) == 1
    assert missing == ""


def test_a_font_with_the_characters_is_found(font: str) -> None:
    names, missing = fonts.covering("B-机构, 龘")
    assert font in names
    assert "机" not in missing
    assert "构" not in missing


def test_labels_are_drawn_in_the_font_that_has_them(font: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [f for f in font_manager.fontManager.ttflist if "DejaVu" in f.name or f.name == font]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", others)
    texts = drawn(monkeypatch, tmp_path / "a.png")
    (label,) = [text for text in texts if text.get_text() == LABEL]
    assert font in label.get_fontfamily()


def test_without_a_font_code_points_stand_for_the_characters_and_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [font for font in font_manager.fontManager.ttflist if "DejaVu" in font.name]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", others)
    texts = [text.get_text() for text in drawn(monkeypatch, tmp_path / "a.png")]
    assert "B-U+673A U+6784" in texts
    assert "U+8BAD U+7EC3  of a run" in texts
    assert "No font here has 4 of the characters; their code points stand for them." in texts
