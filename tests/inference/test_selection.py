from __future__ import annotations

from ner.inference.selection import select
from ner.types import Document, Example, TagProbabilities


def documents(*rows: tuple[str, float, float]) -> list[Document]:
    return [
        Document([Example(words.split(), probabilities=TagProbabilities(0.0, entropy=entropy, margin=margin))])
        for words, entropy, margin in rows
    ]


ROWS = documents(
    ("Ann met Bob", 3.0, 0.9),
    ("Ann met Bob again", 2.9, 0.5),
    ("shares fell sharply", 2.0, 0.1),
    ("", 9.0, 0.0),
    ("Ann met Bob", 3.0, 0.9),
    ("it rained", 0.1, 0.99),
)


def chosen(*arguments: object) -> list[str]:
    return [" ".join(item.example.words) for item in select(ROWS, *arguments)]  # type: ignore[arg-type]


def test_the_most_uncertain_sentences_come_first_and_once() -> None:
    assert chosen(2, "entropy", 0.0) == ["Ann met Bob", "Ann met Bob again"]
    assert chosen(2, "margin", 0.0) == ["shares fell sharply", "Ann met Bob again"]
    assert len(chosen(10, "entropy", 0.0)) == 4


def test_diversity_prefers_other_words() -> None:
    assert chosen(2, "entropy", 0.5) == ["Ann met Bob", "shares fell sharply"]
    assert len(chosen(10, "entropy", 0.5)) == 4
