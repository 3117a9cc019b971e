"""The page of the service in headless Chromium, and its markup."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ner import highlight
from ner.data.sentences import split_sentences
from ner.service import page
from ner.service.batcher import QueueFullError
from ner.service.schema import Options
from tests.report.test_browser import CHROMIUM, FLAGS
from tests.service.builders import FakeModel, ask, in_thread

STEPS = Path(__file__).with_name("browser_steps.js").read_text(encoding="utf-8")
SCRIPT = "<script>document.title = 'taken'</script>"


class CapitalModel(FakeModel):
    """A model in which words with a capital letter are entities: short ones LOC with 0.6, others PER with 0.9."""

    has_alternatives = True

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory

    def version(self) -> dict[str, Any]:
        labels = {"labels": ["LOC", "PER"], "classes": [], "plain": False, "n_best": True}
        return {"ner": "0", "model": self.sha256, "kind": "run", "decoder": SCRIPT, **labels}

    def tag(self, items: Sequence[Any], options: Options) -> list[dict[str, Any]]:
        return [self._answer(text) for text in items]

    def _answer(self, text: str) -> dict[str, Any]:
        sentences = []
        for start, end in split_sentences(text):
            words = [
                {"text": m[0], "start": start + m.start(), "end": start + m.end()}
                for m in re.finditer(r"\w+|[^\w\s]", text[start:end])
            ]
            entities = [
                {
                    **word,
                    "label": "LOC" if len(word["text"]) < 3 else "PER",
                    "score": 0.6 + 0.3 * (len(word["text"]) > 2),
                }
                for word in words
                if word["text"][0].isupper()
            ]
            best = [{"score": 0.54, "entities": entities}, {"score": 0.36, "entities": entities[:1]}]
            sentences.append({"entities": entities, "words": words, "n_best": best})
            if words:
                sentences[-1] |= {"start": words[0]["start"], "end": words[-1]["end"]}
        return {
            "sentences": sentences,
            "coverage": dict.fromkeys(("sentences", "words", "characters", "missing", "without_piece"), 0),
        }


def browse(url: str, profile: Path, *flags: str) -> str:
    command = [CHROMIUM or "", *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", url]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CapitalModel:
    directory = tmp_path_factory.mktemp("model") / SCRIPT.replace("/", "")
    directory.mkdir()
    card = (
        f"---\ntags: [x]\n---\n# Card\n\n{SCRIPT}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "![x](http://x/y.png) [z](javascript:a)"
    )
    (directory / "README.md").write_text(card, encoding="utf-8")
    return CapitalModel(directory)


def test_the_page_refers_to_nothing_outside_and_escapes_values(model: CapitalModel) -> None:
    html, policy = page.demonstration(model)  # type: ignore[arg-type]
    assert "<script>document.title" not in html
    assert not re.search(r"""<(img|iframe)|src=|url\(|@import|href=["']?javascript:""", html)
    assert "<table>\n<thead>\n<tr>\n<th>a</th>" in html
    assert "tags: [x]" not in html
    assert policy.startswith("default-src 'none'")


def test_the_interface_names_all_paths_and_fields() -> None:
    html, policy = page.interface()
    for name in ("/tag", "/version", "split_into_sentences", "without_piece", "429", "Retry-After"):
        assert name in html
    assert "<script" not in html
    assert "script-src" not in policy


def test_pages_have_their_policy(model: CapitalModel) -> None:
    with in_thread(model) as (port, service):
        for path in ("/", "/docs"):
            answer = ask(port, path)
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["content-security-policy"]
        service.model = None
        assert ask(port, "/").status == 503


browser = [pytest.mark.processes, pytest.mark.skipif(shutil.which(str(CHROMIUM)) is None, reason="requires Chromium")]


@pytest.fixture(scope="module")
def shown(model: CapitalModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page shows after each step; the steps need a page whose policy permits them."""
    html, _ = page.demonstration(model)  # type: ignore[arg-type]
    altered = page.Page(html.replace("</body>", f"<script>{STEPS}</script></body>"), "connect-src 'self'")
    profile = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch, in_thread(model) as (port, service):
        patch.setattr(page, "demonstration", lambda model: altered)
        put, refused = service.batcher.put, []

        def busy_once(items: Any, options: Any = None) -> Any:
            if not refused and items[0].value.startswith("BUSY"):
                refused.append(items)
                raise QueueFullError(1)
            return put(items, options)

        patch.setattr(service.batcher, "put", busy_once)
        found = browse(f"http://127.0.0.1:{port}/", profile, "--window-size=500,900")
    match = re.search('<pre id="results">(.*?)</pre>', found, re.DOTALL)
    assert match, found[-2000:]
    result = json.loads(unescape(match[1]))
    assert "error" not in result, result
    assert refused
    return result


class TestBrowser:
    pytestmark = browser

    def test_the_policy_permits_the_page_to_ask_its_server(self, model: CapitalModel, tmp_path: Path) -> None:
        with in_thread(model) as (port, _):
            found = browse(f"http://127.0.0.1:{port}/", tmp_path)
        assert "<title>taken" not in found
        assert re.search(r'<mark class="ner-span"[^>]*>Lovelace<small', found)

    def test_positions_count_characters_and_not_units_of_utf_16(self, shown: dict[str, Any]) -> None:
        assert shown["emoji"]["marks"] == ["AdaPER 0.900", "BoLOC 0.600", "RomePER 0.900"]
        assert shown["emoji"]["rows"] == [
            ["Ada", "PER", "0.900", "2–5"],
            ["Bo", "LOC", "0.600", "10–12"],
            ["Rome", "PER", "0.900", "21–25"],
        ]
        assert shown["emoji"]["texts"][1] == "👩‍🚀 in RomePER 0.900 <b>today</b>"
        assert shown["emoji"]["status"] == "3 entities"
        assert shown["emoji"]["counts"] == ["LOC 1", "PER 2"]

    def test_the_colours_are_those_of_notebooks(self, shown: dict[str, Any]) -> None:
        marks = [highlight.Mark(2, 5, "PER", 0.9), highlight.Mark(10, 12, "LOC", 0.6)]
        expected = highlight.to_html("😀 Ada met Bo.", marks, highlight.colors(["LOC", "PER"]))
        assert shown["emoji"]["html"][0] == expected

    def test_the_threshold_filters_the_text_and_the_copies(self, shown: dict[str, Any]) -> None:
        assert shown["threshold"]["marks"] == ["AdaPER 0.900", "RomePER 0.900"]
        assert shown["threshold"]["shown"] == "0.70"
        assert [e["text"] for e in shown["threshold"]["json"]["entities"]] == ["Ada", "Rome"]
        assert "Bo O\n" in shown["threshold"]["conll"]

    def test_copies_are_json_and_conll(self, shown: dict[str, Any]) -> None:
        content = json.loads(shown["json"])
        assert [content["text"][e["start"] : e["end"]] for e in content["entities"]] == ["Ada", "Bo", "Rome"]
        assert shown["conll"].startswith("😀 O\nAda B-PER\nmet O\nBo B-LOC\n. O\n\n👩 O\n")
        assert shown["copied"] == ["BUSY B-PER\nAda B-PER\n", "copied"]

    def test_a_click_or_the_button_shows_alternatives(self, shown: dict[str, Any]) -> None:
        assert shown["alternatives"] == ["54.0 %😀 AdaPER 0.900 met BoLOC 0.600.", "36.0 %😀 AdaPER 0.900 met Bo."]
        assert shown["alternativesStatus"] == "2 alternatives of sentence 1"
        assert shown["closed"] == [True, "false"]
        assert shown["clicked"] == 4

    def test_half_a_character_and_no_text_are_no_errors(self, shown: dict[str, Any]) -> None:
        assert shown["half"] == ["half \ufffd"]
        assert (shown["empty"]["marks"], shown["empty"]["status"]) == ([], "0 entities")

    def test_a_busy_server_is_asked_again(self, shown: dict[str, Any]) -> None:
        assert shown["afterBusy"] == "2 entities"

    def test_controls_have_names_and_can_be_reached_by_keyboard(self, shown: dict[str, Any]) -> None:
        assert shown["unnamed"] == []
        assert shown["unreachable"] == []

    def test_a_narrow_window_needs_no_horizontal_scrolling(self, shown: dict[str, Any]) -> None:
        content_width, window_width = shown["width"]
        assert content_width <= window_width

    def test_nothing_but_the_service_is_requested(self, shown: dict[str, Any]) -> None:
        assert {*shown["resources"]} == {"/tag"}
