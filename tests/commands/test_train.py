from __future__ import annotations

import pytest

from ner.commands.train import Pace, _shortened


def test_what_is_left_is_training_by_sentences_and_an_evaluation_each_epoch() -> None:
    pace = Pace(0)
    pace.after_epoch(100, {"seconds": 50.0, "evaluation_seconds": 4.0})
    pace.after_epoch(200, {"seconds": 30.0, "evaluation_seconds": 6.0})
    assert pace.left(300, 3) == pytest.approx(300 * 0.4 + 3 * 5)


def test_a_single_step_of_a_resumed_epoch_does_not_count_its_evaluation_as_training() -> None:
    pace = Pace(96)
    pace.after_epoch(100, {"seconds": 2.0, "evaluation_seconds": 6.0})
    assert pace.left(500, 5) == pytest.approx(250 + 30)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" two  words ", "two words"),
        ("word " * 20, " ".join(["word"] * 16)),
        ("字" * 90, "字" * 80),
        (" " + "字" * 90, "字" * 80),
    ],
)
def test_the_command_to_try_next_has_whole_words(text: str, shown: str) -> None:
    assert _shortened(text) == shown
