from __future__ import annotations

import json
import re
import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.data.formats import coqa
from ner.evaluation.metrics import answer
from ner.evaluation.scorer import Scorer
from ner.types import Document, Example


def gold(*answers: str, kind: str | None = "span") -> Example:
    return Example([], answers=list(answers), labels=[kind] if kind else [])


def said(text: str | None) -> Example:
    return Example([], answers=[] if text is None else [text, "something else"])


def score(wanted: Example, text: str | None) -> tuple[float, float]:
    scores = answer.scores(answer.count([wanted], [said(text)]))
    assert scores["turns"] == 1
    return scores["exact"], scores["f1"]


@pytest.mark.parametrize(
    ("wanted", "text", "exact", "f1"),
    [
        (gold("Ada King"), "Ada King", 1, 1),
        (gold("Ada King"), "the ADA king!", 1, 1),
        (gold("Ada King"), "Ada", 0, 2 / 3),
        (gold("Ada King"), "King Ada", 0, 1),
        (gold("Ada", "Bo the dog"), "dog Bo", 0, 1),
        (gold("Ada", "Bo"), "Bo", 1, 1),
        (gold("Ada"), None, 0, 0),
        (gold("Ada"), "unknown", 0, 0),
        (gold("Ada"), "", 0, 0),
        (gold("yes", kind="yes"), "Yes.", 1, 1),
        (gold("yes", kind="yes"), "no", 0, 0),
        (gold("yes", kind="yes"), "yes it is", 0, 1 / 2),
        (gold(kind="unknown"), None, 1, 1),
        (gold(kind="unknown"), "", 1, 1),
        (gold(kind="unknown"), "unknown", 1, 1),
        (gold(kind="unknown"), "Ada", 0, 0),
        (gold("unknown", kind="unknown"), None, 1, 1),
        (gold("Unknown", kind="unknown"), "unknown", 1, 1),
        (gold("Ada", "unknown"), None, 1, 1),
        (gold("Ada", "the"), None, 0, 0),  # an article is no answer
        (gold("the"), None, 1, 1),
        (gold("光荣和ω-force"), "光荣", 0, 2 * 2 / (4 + 2)),
        (gold("光荣和ω-force"), "光荣 和 ω-Force。", 1, 1),
        (gold("34个"), "4个", 0, 1 / 2),
    ],
)
def test_an_answer_is_scored_against_the_best_of_the_gold_ones(
    wanted: Example, text: str | None, exact: float, f1: float
) -> None:
    assert score(wanted, text) == (exact, pytest.approx(f1, abs=1e-9))


def test_questions_without_gold_answers_do_not_count() -> None:
    assert answer.count([Example([]), Example([], labels=["span"])], [said("x"), said("y")]) == Counter()


def test_kinds_are_those_of_the_gold_answers() -> None:
    golds = [gold("Ada"), gold("Bo King"), gold("no", kind="no"), gold("x y", kind=None), gold("z", kind="greeting")]
    counts = answer.count(golds, [said("Ada"), said("King"), said("yes"), said("x"), said("z")])
    scores = answer.scores(counts)
    third = pytest.approx(2 / 3, abs=1e-9)
    assert scores["kinds"] == {
        "span": {"exact": 1 / 2, "f1": pytest.approx(5 / 6, abs=1e-9), "turns": 2},
        "no": {"exact": 0, "f1": 0, "turns": 1},
        "other": {"exact": 1 / 2, "f1": pytest.approx(5 / 6, abs=1e-9), "turns": 2},
    }
    assert (scores["exact"], scores["f1"], scores["turns"]) == (2 / 5, third, 5)
    assert answer.lines(scores) == [
        "answer span exact: 0.5000, f1: 0.8333 (2 turns)",
        "answer no exact: 0.0000, f1: 0.0000 (1 turns)",
        "answer other exact: 0.5000, f1: 0.8333 (2 turns)",
        "answer exact: 0.4000, f1: 0.6667 (5 turns)",
    ]


def test_no_turn_at_all_is_zero() -> None:
    assert answer.scores(Counter()) == {"exact": 0, "f1": 0, "turns": 0, "kinds": {}}


words = st.lists(st.sampled_from(["the", "Ada", "ada", "King,", "-", "unknown", "x"]), max_size=4).map(" ".join)


def squad_normal(text: str) -> str:
    """As the paper of SQuAD describes it, in steps of our own."""
    text = re.sub(f"[{re.escape(string.punctuation)}]", "", text.lower())
    return " ".join(word for word in text.split() if word not in ("a", "an", "the"))


@pytest.mark.slow
@given(st.lists(st.tuples(st.lists(words, min_size=1, max_size=3), words), max_size=5))
def test_scores_are_those_of_a_plain_program(cases: list[tuple[list[str], str]]) -> None:
    exact = f1 = 0.0
    for answers, text in cases:
        known = [squad_normal(a) for a in answers if squad_normal(a)] or [""]
        known = ["" if a == "unknown" else a for a in known]
        found = squad_normal(text) if squad_normal(text) != "unknown" else ""
        exact += found in known
        best = 0.0
        for a in known:
            left, right, common = a.split(), found.split(), 0
            for token in list(right):
                if token in left:
                    left.remove(token)
                    common += 1
            size = len(a.split()) + len(right)
            best = max(best, 2 * common / size if size else 1.0)
        f1 += best
    golds, predicted = [gold(*answers) for answers, _ in cases], [said(text) for _, text in cases]
    scores = answer.scores(answer.count(golds, predicted))
    assert scores["turns"] == len(cases)
    assert scores["exact"] == pytest.approx(exact / max(1, len(cases)))
    assert scores["f1"] == pytest.approx(f1 / max(1, len(cases)), abs=1e-8)


@pytest.mark.slow
@given(st.lists(st.tuples(words, words), max_size=6))
def test_counts_are_integers_that_add_up(cases: list[tuple[str, str]]) -> None:
    golds, predicted = [gold(left) for left, _ in cases], [said(right) for _, right in cases]
    one_by_one: Counter[str] = Counter()
    for left, right in reversed(list(zip(golds, predicted, strict=True))):
        one_by_one.update(answer.count([left], [right]))
    assert one_by_one == answer.count(golds, predicted)
    assert all(type(number) is int for number in one_by_one.values())


@pytest.mark.slow
@given(st.lists(words, min_size=1, max_size=3))
def test_gold_answers_are_perfect(answers: list[str]) -> None:
    example = gold(*answers)
    assert score(example, answers[0])[0] <= 1
    best = next((text for text in answers if squad_normal(text)), None)
    assert score(example, best) == (1, 1)


def test_a_table_of_domains_and_groups_ends_with_all(tmp_path: Path) -> None:
    def story(name: str, source: str, *answers: str) -> dict[str, object]:
        turns = [{"turn_id": n, "input_text": f"Q{n}"} for n in range(len(answers))]
        said = [{"turn_id": n, "input_text": a, "span_text": a, "span_start": 0} for n, a in enumerate(answers)]
        return {"id": name, "source": source, "story": "Ada King has 3 dogs.", "questions": turns, "answers": said}

    path = tmp_path / "in.json"
    stories = [
        story("1", "wikipedia", *["3"] * 11),
        story("2", "cnn", "3 dogs", "yes"),
        story("3", "reddit", "Ada King", "unknown"),
    ]
    path.write_text(json.dumps({"data": stories}))
    scorer = Scorer(["answer"], ["domain", "group"])
    for document in coqa.read(str(path), coqa.Config(), "punctuation"):
        predicted = [Example(example.words, answers=["3"], labels=["span"]) for example in document.examples]
        scorer.add(document.examples, predicted)
    assert scorer.result().lines("test") == [
        "test loss: 0.0000",
        "test domain cnn       ( 2): answer exact: 0.0000, f1: 0.3333 (2 turns)",
        "test domain reddit    ( 2): answer exact: 0.0000, f1: 0.0000 (2 turns)",
        "test domain wikipedia (11): answer exact: 1.0000, f1: 1.0000 (11 turns)",
        "test group in_domain  (13): answer exact: 0.8462, f1: 0.8974 (13 turns)",
        "test group out_domain ( 2): answer exact: 0.0000, f1: 0.0000 (2 turns)",
        "test answer span exact: 0.8462, f1: 0.8974 (13 turns)",
        "test answer yes exact: 0.0000, f1: 0.0000 (1 turns)",
        "test answer unknown exact: 0.0000, f1: 0.0000 (1 turns)",
        "test answer exact: 0.7333, f1: 0.7778 (15 turns)",
    ]
    domains = scorer.result().to_json("test")["by"]["domain"]
    assert {name: value["answer"]["turns"] for name, value in domains.items()} == {
        "cnn": 2,
        "reddit": 2,
        "wikipedia": 11,
    }


def test_a_document_without_gold_answers_changes_no_score() -> None:
    scorer = Scorer(["answer"])
    document = Document([Example(["q"]), gold("Ada")])
    scorer.add(document.examples, [said("x"), said("Ada")])
    assert scorer.result().scores["answer"]["turns"] == 1
