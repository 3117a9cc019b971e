from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ner.errors import InputError
from ner.training.display import Pace, format_duration, tensorboard_writer


def test_the_remaining_time_is_training_by_sentences_and_an_evaluation_each_epoch() -> None:
    pace = Pace(0)
    pace.after_epoch(100, {"seconds": 50.0, "evaluation_seconds": 4.0})
    pace.after_epoch(200, {"seconds": 30.0, "evaluation_seconds": 6.0})
    assert pace.remaining(300, 3) == pytest.approx(300 * 0.4 + 3 * 5)


def test_a_single_step_of_a_resumed_epoch_does_not_count_its_evaluation_as_training() -> None:
    pace = Pace(96)
    pace.after_epoch(100, {"seconds": 2.0, "evaluation_seconds": 6.0})
    assert pace.remaining(500, 5) == pytest.approx(250 + 30)


@pytest.mark.parametrize(("seconds", "shown"), [(45.4, "45 s"), (720, "12 min"), (12600, "3.5 h")])
def test_a_duration_is_shown_in_a_fitting_unit(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown


def test_tensorboard_reads_the_scalars(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    writer = tensorboard_writer(tmp_path)
    writer.add_scalar("train/loss", 0.5, 3)
    writer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(3, 0.5)]


def test_without_tensorboard_the_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        tensorboard_writer(tmp_path)
