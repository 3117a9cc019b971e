from __future__ import annotations

import random
import time
from collections import Counter

import numpy as np
import pytest

from ner.evaluation import bootstrap
from ner.evaluation.metrics import entity
from ner.evaluation.scorer import Scorer
from ner.types import Document, Example, Span


def random_counts(units: int, seed: int = 1) -> list[Counter[str]]:
    draw = random.Random(seed)
    found = []
    for _ in range(units):
        spans = [Span(n, n + 1, draw.choice("AB")) for n in range(5)]
        kept = [span for span in spans if draw.random() < 0.8]
        found.append(entity.count([Example(["w"] * 5, spans)], [Example(["w"] * 5, kept)]))
    return found


def test_intervals_equal_those_of_a_slow_reference() -> None:
    counts = random_counts(40)
    found = bootstrap.intervals("sentence", [{"entity": c} for c in counts], {"entity": entity.scores}, 200, seed=3)
    draw, f1 = np.random.default_rng(3), []
    for _ in range(200):
        chosen = draw.integers(len(counts), size=len(counts))
        f1.append(entity.scores(bootstrap.total(counts[n] for n in chosen))["micro"]["f1"])
    assert found.scores["entity"]["micro"]["f1"] == pytest.approx(np.quantile(f1, [0.025, 0.975]).tolist())
    assert (found.unit, found.units, found.resamples) == ("sentence", 40, 200)


def test_intervals_contain_the_score_and_shrink_with_the_data() -> None:
    widths = []
    for units in (50, 800):
        counts = random_counts(units)
        found = bootstrap.intervals("sentence", [{"entity": c} for c in counts], {"entity": entity.scores}, 200)
        low, high = found.scores["entity"]["micro"]["f1"]
        assert low < entity.scores(bootstrap.total(counts))["micro"]["f1"] < high
        assert "gold" not in found.scores["entity"]["by_type"]["A"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_a_seed_determines_the_intervals() -> None:
    counts = [{"entity": c} for c in random_counts(20)]
    one, same, other = (bootstrap.intervals("s", counts, {"entity": entity.scores}, 50, seed) for seed in (1, 1, 2))
    assert one == same
    assert one.scores != other.scores


@pytest.mark.slow
def test_a_thousand_resamples_of_3453_sentences_take_less_than_two_seconds() -> None:
    counts = [{"entity": c} for c in random_counts(3453)]
    started = time.process_time()
    bootstrap.intervals("sentence", counts, {"entity": entity.scores})
    assert time.process_time() - started < 2


def test_joined_neighbours_keep_the_sum() -> None:
    counts = random_counts(101)
    joined = bootstrap.join_neighbours(counts, 10)
    assert len(joined) == 10
    assert bootstrap.total(joined) == bootstrap.total(counts)


def test_few_documents_are_resampled_by_sentence_and_many_by_document() -> None:
    for documents, expected in ((2, ("sentence", 6)), (40, ("document", 40))):
        scorer = Scorer(["entity"], ["kind"], keep_units=True)
        for _ in range(documents):
            examples = [Example(["w"], [Span(0, 1, "A")], metadata={"kind": "x"}) for _ in range(3)]
            scorer.start_document()
            for example in Document(examples).examples:
                scorer.add([example], [example])
        evaluation = scorer.result_with_intervals(10)
        assert evaluation.intervals is not None
        assert (evaluation.intervals.unit, evaluation.intervals.units) == expected
        assert evaluation.by["kind"]["x"].intervals == evaluation.intervals
        assert evaluation.to_json("test")["by"]["kind"]["x"]["intervals"]["scores"]["entity"]["micro"]["f1"] == [1, 1]


def test_no_data_has_no_intervals_rather_than_an_error() -> None:
    evaluation = Scorer(["entity"], keep_units=True).result_with_intervals(10)
    assert evaluation.intervals is not None
    assert evaluation.intervals.scores == {}
    assert evaluation.interval_lines("test") == []
