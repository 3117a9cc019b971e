from __future__ import annotations

from pathlib import Path

import pytest

from ner.errors import InputError
from ner.training.search import Choices, Range, Sweep, Trial, first_values, parse_space


def test_values_and_ranges_are_parsed() -> None:
    space = parse_space(["a=1,2", "b=[x,y],'p,q'", "c=1e-5..1e-3:log", "d=2..8", "e=no", "f=0..0.5"])
    assert space == {
        "a": Choices(("1", "2")),
        "b": Choices(("[x,y]", "'p,q'")),
        "c": Range(1e-5, 1e-3, True, False),
        "d": Range(2, 8, False, True),
        "e": Choices(("no",)),
        "f": Range(0, 0.5, False, False),
    }
    assert first_values(space) == ["a=1", "b=[x,y]", "c=1e-05", "d=2", "e=no", "f=0.0"]


@pytest.mark.parametrize("setting", ["a", "=1", "a=1..x", "a=2..1", "a=0..1:log", "a=1..2:lin", "a=1,1"])
def test_settings_of_another_form_are_refused(setting: str) -> None:
    with pytest.raises(InputError, match=f"^{setting}: "):
        parse_space([setting])


def test_a_grid_is_complete_and_continued(tmp_path: Path) -> None:
    settings = ["a=1,2", "b=x,y", "c=z"]

    def opened() -> Sweep:
        return Sweep.open(tmp_path / "sweep", "c.yaml", settings, parse_space(settings))

    sweep = opened()
    first = sweep.next_trial()
    assert first == Trial(1, {"a": "1", "b": "x", "c": "z"})
    assert first.overrides == ["a=1", "b=x", "c=z"]
    assert opened().next_trial() == first  # interrupted
    sweep.finish(first, "finished", [0.5])
    assert opened().trials[0].scores == [0.5]
    sweep, seen = opened(), []
    while (trial := sweep.next_trial()) is not None:
        seen.append(trial.overrides)
        sweep.finish(trial, "finished", [0.1])
    assert seen == [["a=1", "b=y", "c=z"], ["a=2", "b=x", "c=z"], ["a=2", "b=y", "c=z"]]


def test_the_sweep_of_another_command_and_other_files_are_refused(tmp_path: Path) -> None:
    space = parse_space(["a=1,2"])
    Sweep.open(tmp_path / "sweep", "c.yaml", ["a=1,2"], space)
    with pytest.raises(InputError, match="belongs to a sweep with --config c.yaml a=1,2"):
        Sweep.open(tmp_path / "sweep", "c.yaml", ["a=1,3"], space)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="contains other files"):
        Sweep.open(tmp_path, "c.yaml", ["a=1,2"], space)


def test_a_range_needs_a_number_of_trials(tmp_path: Path) -> None:
    sweep = Sweep.open(tmp_path / "s", "c", ["a=1..2"], parse_space(["a=1..2"]))
    with pytest.raises(InputError, match="give --trials N"):
        sweep.next_trial()


class Progress:
    def __init__(self, score: float, fraction: float) -> None:
        from types import SimpleNamespace

        self.epoch_record = SimpleNamespace(
            evaluations={"valid": SimpleNamespace(loss=1 - score, scores={"f1": score})}
        )
        self.fraction = fraction


def searched(folder: Path, interrupt: int = 0, trials: int = 14) -> list[Trial]:
    """Search the maximum of a curve; one trial may be interrupted after its start."""
    from types import SimpleNamespace

    settings = ["x=0.0..1.0", "kind=good,bad"]

    def opened() -> Sweep:
        return Sweep.open(folder, "c", settings, parse_space(settings))

    sweep = opened()
    while (trial := sweep.next_trial(trials)) is not None:
        if trial.number == interrupt:
            sweep, interrupt = opened(), 0
            continue
        watch = sweep.watch(trial, "f1", prune=True)
        run = SimpleNamespace(state=SimpleNamespace(history=[]), stop_requested=False)
        watch.on_start(run)  # type: ignore[arg-type]
        best = 1 - abs(float(trial.parameters["x"]) - 0.7) - 0.5 * (trial.parameters["kind"] == "bad")
        for epoch in range(1, 5):
            watch.on_epoch(Progress(best * epoch / 4, epoch / 4))  # type: ignore[arg-type]
            if run.stop_requested:
                break
        sweep.finish(trial, "pruned" if watch.pruned else "finished", watch.scores)
    return sweep.trials


@pytest.mark.slow
def test_a_search_finds_good_values_prunes_bad_ones_and_survives_an_interruption(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    trials = searched(tmp_path / "a")
    assert all(len(trial.parameters["x"].lstrip("0.")) <= 4 for trial in trials), "more than four digits"
    best = max((trial for trial in trials if trial.state == "finished"), key=lambda trial: max(trial.scores))
    assert best.parameters["kind"] == "good"
    assert abs(float(best.parameters["x"]) - 0.7) < 0.2
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert all(len(trial.scores) < 4 for trial in pruned)
    assert searched(tmp_path / "b", interrupt=6) == trials
