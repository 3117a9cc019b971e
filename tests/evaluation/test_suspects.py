from __future__ import annotations

from html.parser import HTMLParser

from ner.commands import _suspects_page
from ner.evaluation.suspects import Suspect, suspects
from ner.types import AnnotatedChunk, Document, Example, Span, TagProbabilities

WORDS = ["<script>alert(1)</script>", "met", "Bob", "in", "New", "York", "today", "Monday"]


def found() -> list[Suspect]:
    gold = Example(
        WORDS, [Span(0, 1, "PER"), Span(2, 3, "LOC"), Span(4, 5, "LOC"), Span(6, 7, "DATE")], source="f", line=3
    )
    predicted = Example(
        WORDS,
        [Span(0, 1, "PER", 0.9), Span(2, 3, "PER", 0.7), Span(4, 6, "LOC", 0.8), Span(7, 8, "DATE", 0.95)],
        probabilities=TagProbabilities(0.0, gold=[0.9, 0.2, 0.1, 0.02], outside=[0.1, 0.3, 0.2, 0.05]),
    )
    chunk = AnnotatedChunk([Document([gold])], [Document([predicted])])
    return suspects([chunk])


def test_annotations_are_ranked_by_their_probability_and_described() -> None:
    ranked = found()
    assert [(s.kind, s.gold and s.gold.start, len(s.answer)) for s in ranked] == [
        ("spurious", 6, 0),
        ("missing", None, 1),
        ("boundary", 4, 1),
        ("type", 2, 1),
        ("agreed", 0, 1),
    ]
    probabilities = [round(s.probability, 6) for s in ranked]
    assert probabilities == [0.02, 0.05, 0.1, 0.2, 0.9]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.seen.append(tag)
        self.rows += tag == "tr"


def test_the_page_escapes_text_and_has_no_scripts_or_references() -> None:
    text = _suspects_page.page("Suspects in <b>&", found())
    parser = _Tags()
    parser.feed(text)
    assert not {"script", "link", "img", "iframe"} & {*parser.seen}
    assert parser.rows == 6
    assert "&lt;script&gt;" in text
    assert "http" not in text
