"""The harness of the benchmarks, with a system that only pretends to work."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "benchmarks"
if not FOLDER.is_dir():
    pytest.skip("the benchmarks are not part of an installed package", allow_module_level=True)
sys.path.insert(0, str(FOLDER))

import claims
import render
import run as runner
from claims import Case, System

FAKE = """
import sys
sys.path.insert(0, {systems!r})
import worker

def prepare(seconds, words=10, result=1, fail=False):
    print("a library says hello")
    rounds = iter(seconds)
    def repeat():
        print("and again")
        if fail:
            raise RuntimeError("no such luck")
        return {{"words": words, "seconds": next(rounds), "result": result}}
    return repeat

worker.serve(prepare, ["pip"])
"""


@pytest.fixture
def fake(tmp_path: Path) -> str:
    path = tmp_path / "fake.py"
    path.write_text(FAKE.format(systems=str(FOLDER / "systems")))
    return str(path)


def case(fake: str, ours: dict[str, Any], peer: dict[str, Any], **options: Any) -> Case:
    return Case("a claim", {"we": System(fake, ours)}, {"they": System(fake, peer)}, **options)


@pytest.mark.slow
def test_the_ratio_is_the_median_of_the_rounds_without_the_first(fake: str, tmp_path: Path) -> None:
    compared = case(fake, {"seconds": [100, 1, 9, 1, 1, 10]}, {"seconds": [1, 4, 27, 3, 0.1, 50]}, goals={"we": 2.0})
    found = runner.compare(compared, 5, tmp_path)
    assert found["ratios"] == [{"ours": "we", "peer": "they", "ratio": pytest.approx(3), "goal": 2.0}]
    assert found["systems"]["we"]["seconds"] == [1, 9, 1, 1, 10]
    assert "pip" in found["systems"]["they"]["versions"]
    assert runner.failures([found]) == []


@pytest.mark.slow
def test_the_check_fails_below_half_the_goal_only(fake: str, tmp_path: Path) -> None:
    for goal, fails in ((5.9, False), (6.1, True)):
        compared = case(fake, {"seconds": [1, 1]}, {"seconds": [3, 3]}, goals={"we / they": goal})
        assert bool(runner.failures([runner.compare(compared, 1, tmp_path)])) == fails


@pytest.mark.slow
def test_systems_that_disagree_are_no_comparison(fake: str, tmp_path: Path) -> None:
    options = {"equal_results": True}
    same = case(fake, {"seconds": [1, 1]}, {"seconds": [1, 1]}, **options)
    assert runner.compare(same, 1, tmp_path)["ratios"]
    other = case(fake, {"seconds": [1, 1]}, {"seconds": [1, 1], "result": 2}, **options)
    with pytest.raises(SystemExit, match="results differ"):
        runner.compare(other, 1, tmp_path)


@pytest.mark.slow
def test_what_goes_wrong_in_a_system_is_shown(fake: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such luck"):
        runner.compare(case(fake, {"seconds": [1], "fail": True}, {"seconds": [1]}), 1, tmp_path)
    missing = Case("a claim", {"we": System(fake, {"seconds": [1]}, "elsewhere")}, {})
    with pytest.raises(SystemExit, match="make bench-environments"):
        runner.compare(missing, 1, tmp_path)


def test_every_claim_names_scripts_that_exist_and_goals_that_count() -> None:
    for short in (False, True):
        for build in claims.CLAIMS.values():
            for found in build(claims.Setting("train", "test", "encoder", "models", "run", short)):
                assert found.ours
                systems = {**found.ours, **found.peers}
                assert all((FOLDER / "systems" / system.script).is_file() for system in systems.values())
                assert all(json.dumps(system.options) for system in systems.values())
                names = {*found.ours, *(f"{ours} / {peer}" for ours in found.ours for peer in found.peers)}
                assert set(found.goals) <= names | {f"{ours} / torch-struct" for ours in found.ours}


@pytest.mark.slow
@pytest.mark.parametrize("path", [*FOLDER.glob("*.py"), *(ROOT / "results").glob("*.py")], ids=lambda path: path.stem)
def test_help_of_a_script_starts_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "__main__" not in path.read_text(encoding="utf-8"):
        return
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage:")


def test_a_missed_goal_is_said_first() -> None:
    system = {"words_per_second": 1000.0, "versions": {"torch": "1"}, "seconds": [1, 2], "words": [9, 9]}
    ratio = {"ours": "we", "peer": "they", "ratio": 1.5, "goal": 2.0}
    kept = {"command": "c", "processor": "p", "threads": 1, "repetitions": 5}
    kept["cases"] = [{"title": "a claim", "ratios": [ratio], "systems": {"we": system, "they": system}}]
    (line,) = render.missed_rows(kept)
    assert all(fact in line for fact in ("a claim", "we", "they", "1.50", "goal: 2"))
    assert "| 1.500 (missed) | 1.0 to 1.0 |" in render.section("a_claim", kept)
    ratio["ratio"] = 2.5
    assert render.missed_rows(kept) == []
    assert "**2.50**" in render.section("a_claim", kept)


@pytest.mark.slow
def test_the_readers_of_the_systems_read_as_ours_does() -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]; import worker; from ner.data.formats import conll;"
        "ours = [(e.words, e.tags) for d in conll.read(sys.argv[3], conll.Config(), 'space') for e in d.examples];"
        "assert worker.read_columns(sys.argv[3]) == ours and ours; gold, other = worker.tag_lists(sys.argv[3], 2);"
        "assert gold == [tags for _, tags in ours] * 2 and gold != other; from ner.evaluation.metrics import entity;"
        "f1 = entity.scores(entity.count_tags(gold, other))['micro']['f1'];"
        "assert abs(worker.entity_f1(gold, other) - f1) < 1e-12, f1"
    )
    arguments = [str(FOLDER / "systems"), str(ROOT), str(ROOT / "data/sample/en/valid.conll")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
