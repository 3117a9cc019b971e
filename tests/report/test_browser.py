"""The error browser of a report in headless Chromium: filters, keys, scripts in the data, directions of text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ner import highlight
from ner.report import page
from tests.report.builders import SCRIPT, content, mistakes

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=10000"),
)
STEPS = Path(__file__).with_name("browser_steps.js").read_text(encoding="utf-8")

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(CHROMIUM is None, reason="requires Chromium"),
]


def dump(text: str, folder: Path, *flags: str) -> str:
    """Return the document after its scripts have run."""
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    command = [CHROMIUM or "", *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, "--dump-dom", path.as_uri()]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page shows after each step. The steps need a page without its content security policy."""
    text = re.sub("<meta http-equiv[^>]*>", "", page.render(content()))
    text = text.replace("</body>", f"<script>{STEPS}</script></body>")
    found = dump(text, tmp_path_factory.mktemp("browser"), "--window-size=500,900")
    match = re.search('<pre id="results">(.*?)</pre>', found, re.DOTALL)
    assert match, found[-2000:]
    return json.loads(unescape(match[1]))


def test_the_policy_permits_the_script_of_the_page_and_no_other(tmp_path: Path) -> None:
    text = page.render(content()).replace("</body>", "<script>document.title = 'taken';</script></body>")
    found = dump(text, tmp_path)
    assert "6 mistakes in 6 sentences" in found
    assert "<title>taken" not in found


def test_a_script_in_the_data_is_text(shown: dict[str, Any]) -> None:
    assert shown["title"] == f"run: {SCRIPT}"
    assert shown["scripts"] == 3, "data, page and test"
    assert shown["script"] == ["no entity", f"{SCRIPT} ORG 0.600"]


def test_the_most_confident_mistake_is_first(shown: dict[str, Any]) -> None:
    assert shown["start"]["confidences"] == ["0.950", "0.800", "0.750", "0.700", "0.600", "0.550"]
    assert shown["start"]["selected"] == ["Paris won"]
    assert shown["start"]["mistakes"] == [["wrong type", "Paris ORG 0.250", "Paris LOC 0.950", "0.950"]]


@pytest.mark.parametrize(
    ("step", "count", "badges"),
    [
        ("spurious", "2 mistakes in 2 sentences", ["spurious LOC", "spurious ORG"]),
        ("range", "3 mistakes in 3 sentences", ["spurious LOC", "missed PER", "wrong boundary LOC"]),
        ("text", "1 mistake in 1 sentence", ["wrong type ORG → LOC"]),
        ("nothing", "0 mistakes in 0 sentences", []),
        ("types", "1 mistake in 1 sentence", ["wrong type and boundary LOC → ORG"]),
        ("missed", "1 mistake in 1 sentence", ["missed PER"]),
        ("confusion", "1 mistake in 1 sentence", ["wrong type ORG → LOC"]),
    ],
)
def test_filters_select_mistakes(shown: dict[str, Any], step: str, count: str, badges: list[str]) -> None:
    assert (shown[step]["count"], shown[step]["badges"]) == (count, badges)
    assert shown[step]["hidden"] == (not badges)


def test_a_reset_shows_all_again(shown: dict[str, Any]) -> None:
    assert shown["reset"] == shown["start"]


def test_the_order_can_be_chosen(shown: dict[str, Any]) -> None:
    assert shown["rising"]["confidences"] == shown["start"]["confidences"][::-1]
    assert shown["file"]["confidences"] == ["0.750", "0.700", "0.950", "0.600", "0.800", "0.550"]


@pytest.mark.parametrize(
    ("step", "index"),
    [
        ("twoDown", 2),
        ("oneUp", 1),
        ("typed", 1),
        ("arrow", 2),
        ("end", 5),
        ("pastTheEnd", 5),
        ("home", 0),
        ("clicked", 3),
    ],
)
def test_keys_and_clicks_step_through_the_sentences(shown: dict[str, Any], step: str, index: int) -> None:
    assert shown[step]["position"] == f"{index + 1} of 6"
    assert shown[step]["active"] == f"row-{index}"


def test_the_browser_highlights_as_notebooks_do(shown: dict[str, Any]) -> None:
    found = mistakes()
    hues = highlight.colors(name for pair in found.types for name in pair if name is not None)
    ordered = sorted(found.sentences, key=lambda sentence: -sentence.confidence)
    for sentence, pair in zip(ordered, shown["html"], strict=True):
        for spans, html in zip((sentence.gold, sentence.predicted), pair, strict=True):
            text, marks = sentence.example.marked_text(spans)
            assert html == highlight.to_html(text, marks, hues)


def test_right_to_left_and_chinese_text_are_shown_as_written(shown: dict[str, Any]) -> None:
    direction, text = shown["direction"]
    assert direction == "rtl"
    assert text.startswith("ذهب أحمد")
    assert shown["chinese"] == ["北京LOC 0.250", "北京😀ORG 0.550"]
    assert shown["wrong"] == 2


def test_thousands_of_sentences_have_few_elements(shown: dict[str, Any]) -> None:
    assert shown["many"]["count"].endswith("in 5,000 sentences")
    assert shown["many"]["position"] == "5000 of 5000"
    assert 5 < shown["many"]["rows"] < 40
    assert shown["many"]["milliseconds"] < 1000


def test_a_narrow_window_needs_no_horizontal_scrolling(shown: dict[str, Any]) -> None:
    content_width, window_width = shown["width"]
    assert content_width <= window_width
