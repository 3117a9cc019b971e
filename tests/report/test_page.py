from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ner.highlight import PALETTE
from ner.report import page
from ner.report.charts import Line, line_chart
from ner.report.content import Transitions
from tests.report.builders import SCRIPT, content


class Tags(HTMLParser):
    """Start tags of a page, and those that are not closed."""

    EMPTY = ("meta", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text() -> str:
    return page.render(content())


def data(text: str) -> dict:
    found = re.search('<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_is_well_formed_and_loads_nothing(text: str) -> None:
    tags = Tags(text)
    assert tags.open == []
    for name, attributes in tags.found:
        assert name not in ("link", "img", "iframe", "object", "base")
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert "url(" not in text
    assert "@import" not in text


def test_texts_of_the_data_are_escaped(text: str) -> None:
    assert SCRIPT not in text
    assert [name for name, _ in Tags(text).found].count("script") == 2
    assert SCRIPT in [sentence["text"] for sentence in data(text)["sentences"]][-2]
    assert "a &lt;notice&gt;" in text
    assert "B-&lt;b&gt;" in text


def test_sections_link_to_what_the_page_contains(text: str) -> None:
    tags = Tags(text).found
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    links = {(attributes["href"] or "")[1:] for _, attributes in tags if "href" in attributes}
    assert links == {"scores", "confusion", "errors", "calibration", "transitions", "history"}
    assert links <= ids
    assert {attributes["aria-labelledby"] for name, attributes in tags if name == "section"} == links


def test_a_page_without_optional_parts_leaves_their_sections_out() -> None:
    full = content()
    evaluation = replace(full.evaluation, intervals=None, confidence=None, reading=None)
    evaluation.scores = {"entity": evaluation.scores["entity"]}
    text = page.render(replace(full, evaluation=evaluation, transitions=None, history=()))
    ids = {attributes.get("id") for _, attributes in Tags(text).found}
    assert {"scores", "errors"} <= ids
    assert not {"calibration", "transitions", "history", "slices"} & ids


def test_the_browser_has_the_most_confident_mistakes_first_and_reports_the_others(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    confidences = [sentence["mistakes"][0][3] for sentence in data(text)["sentences"]]
    assert confidences == sorted(confidences, reverse=True) == [0.95, 0.8, 0.75, 0.7, 0.6, 0.55]
    assert "the 6 sentences" not in text
    monkeypatch.setattr(page, "MAX_SENTENCES", 2)
    shorter = page.render(content())
    assert len(data(shorter)["sentences"]) == 2
    assert "the 2 sentences with the most confident mistakes of 6" in shorter


def test_positions_are_characters_of_the_text(text: str) -> None:
    [chinese] = [sentence for sentence in data(text)["sentences"] if "😀" in sentence["text"]]
    (start, end, label, _), *_ = chinese["predicted"]
    assert (chinese["text"][start:end], label) == ("北京😀", "ORG")


def test_scores_have_their_intervals(text: str) -> None:
    plain = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", text))
    assert re.search(r"micro 37\.50 [\d.]+ to [\d.]+ 42\.86 [\d.]+ to [\d.]+ 40\.00 [\d.]+ to [\d.]+ 7 8 3", plain)


def test_a_large_tag_set_is_named_instead_of_drawn() -> None:
    tags = [f"T{number}" for number in range(page.MAX_TAGS + 1)]
    row = [0.0] * len(tags)
    text = page.render(replace(content(), transitions=Transitions(tags, row, [row] * len(tags), row)))
    assert f"The model has {len(tags)} tags" in text


def test_a_chart_draws_finite_values_and_escapes_names() -> None:
    drawn = line_chart("<t>", [Line("<a>", [(1, 2), (2, float("nan")), (3, 4)]), Line("empty", [])], "x", "y")
    Tags(drawn)
    assert "nan" not in drawn
    assert drawn.count("<circle") == 2
    assert "empty" not in drawn
    assert "&lt;a&gt;" in drawn


@pytest.mark.parametrize("points", [[], [(1.0, 0.5)], [(1.0, 0.5), (2.0, 0.5)], [(0.0, 1e-9), (1e6, 3e5)]])
def test_a_chart_of_any_range_can_be_drawn(points: list[tuple[float, float]]) -> None:
    assert "svg" in line_chart("t", [Line("a", points)], "x", "y")


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""
    lightness = []
    for color in (one, other):
        digits = color.lstrip("#")
        digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
        parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lightness.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lightness) + 0.05) / (min(lightness) + 0.05)


def mixed(color: str, share: float, back: str) -> str:
    """A colour over a background, as ``color-mix`` in sRGB."""
    sides = [
        [int(side[start : start + 2], 16) for start in (1, 3, 5)] for side in (color, back.replace("#fff", "#ffffff"))
    ]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in zip(*sides, strict=True))


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_texts_have_enough_contrast(text: str, mode: int) -> None:
    names = ("back", "panel", "ink", "faint", "accent", "positive", "negative")
    back, panel, ink, faint, accent, positive, negative = (
        re.findall(rf"--{name}: (#[0-9a-f]+);", text)[mode] for name in names
    )
    for ground in (back, panel):
        assert min(contrast(ink, ground), contrast(faint, ground), contrast(accent, ground)) >= 4.5
        assert min(contrast(ink, mixed(hue, 0.28, ground)) for hue in PALETTE) >= 4.5, "highlighted spans"
    assert min(contrast(ink, mixed(hue, 0.6, back)) for hue in (positive, negative)) >= 4.5, "heat maps"
    assert contrast(faint, mixed(accent, 0.18, back)) >= 4.5, "the excerpt of the selected row"
