from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

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
