from __future__ import annotations

import pytest

from tests.reliability import scoring
from tests.reliability.report import Case

CASES = [case for case in scoring.cases() if not case.kind.startswith("CoNLL")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_scores_agree_with_the_rules_and_with_seqeval(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SENTENCES", 60)
    case.check()


@pytest.mark.parametrize("scheme", ["bioes", "iob1", "io"])
def test_a_wrong_count_is_noticed(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring.tags, "tags_in_scheme", lambda example, _: ["O"] * len(example.words))
    with pytest.raises(AssertionError):
        scoring.written(scheme, True, "conll")
    monkeypatch.setattr(scoring.entity.tags, "entities", lambda row: [])
    with pytest.raises(AssertionError):
        scoring.default(scheme, "invalid", ("X", "Y"))
