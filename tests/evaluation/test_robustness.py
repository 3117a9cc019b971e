from __future__ import annotations

import random

import pytest

from ner.evaluation.robustness import OCR, PERTURBATIONS, ocr, perturb, typo
from ner.types import Document, Example, Span

WORDS = ["Ann", "paid", "IBM", "1,250", "in", "2026", "a", ".", "中"]


def corpus(count: int = 40) -> list[Document]:
    return [Document([Example(list(WORDS), [Span(0, 1, "PER")], text="x", offsets=[(0, 1)] * 9)]) for _ in range(count)]


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbation_keeps_words_and_entities_in_place_and_is_seeded(name: str) -> None:
    one, same, other = (list(perturb(corpus(), name, seed)) for seed in (1, 1, 2))
    assert one == same
    assert (one != other) == (name in ("typos", "ocr_noise", "zero_width"))
    assert one != corpus()
    for document in one:
        (example,) = document.examples
        assert len(example.words) == len(WORDS)
        assert all(example.words)
        assert example.spans == [Span(0, 1, "PER")]
        assert example.text is None


def test_the_changes_of_a_sentence_do_not_depend_on_the_grouping() -> None:
    one = [example for document in perturb(corpus(), "typos") for example in document.examples]
    together = Document([example for document in corpus() for example in document.examples])
    assert one == next(perturb([together], "typos")).examples


def test_each_perturbation_does_what_its_name_states() -> None:
    words = {name: next(perturb(corpus(1), name)).examples[0].words for name in PERTURBATIONS}
    assert words["lower_case"][:3] == ["ann", "paid", "ibm"]
    assert words["upper_case"][:3] == ["ANN", "PAID", "IBM"]
    assert words["full_width_digits"][3] == "１,２５０"
    changed = [word for document in perturb(corpus(), "zero_width") for word in document.examples[0].words]
    assert 0.1 < sum("\u200b" in word for word in changed) / len(changed) < 0.3
    assert [word.replace("\u200b", "") for word in changed] == WORDS * 40
    draw = random.Random(1)
    for _ in range(50):
        assert abs(len(typo("Annette", draw)) - 7) <= 1
        assert ocr("1m", draw) in ("lm", "1rn")
    assert (typo("7,5", draw), ocr("xyz", draw)) == ("7,5", "xyz")
    assert all(OCR.values())
