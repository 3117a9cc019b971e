from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner.errors import InputError
from ner.runs.events import Event
from ner.training import control
from ner.training.loop import train
from tests.builders import CPU, documents, fresh, settings


@pytest.mark.slow
def test_a_batch_size_is_that_of_the_next_epoch_which_between_two_epochs_is_the_one_to_come() -> None:
    config = settings(training__epochs=3)
    state, data = fresh(config)
    rows = []
    for now in train(state, data, documents(8), config.metrics, CPU):
        if now.epoch_record is not None:
            rows.append((now.epoch_record.batch_size, now.epoch_record.step))
            if now.epoch == 1:
                assert control.apply_change(state, config, "batch.size=16") == "batch.size=16 (takes effect next epoch)"
        elif now.step == 11:
            control.apply_change(state, config, "batch.size=32")
    assert rows == [(8, 8), (16, 12), (32, 14)]


def test_rates_follow_at_the_next_step_and_the_optimizer_remembers() -> None:
    config = settings(training__schedule="constant", training__warmup_ratio=0)
    state, data = fresh(config)
    loop = train(state, data, documents(8), config.metrics, CPU)
    for _ in range(3):
        next(loop)
    before = {id(p): dict(kept) for p, kept in state.optimizer.state.items()}
    control.apply_change(state, config, "training.learning_rate={encoder: 0.1, context: 0.2, decoder: 0.3}")
    now = next(loop)
    assert now.learning_rates == {"encoder": 0.1, "context": 0.2, "decoder": 0.3}
    control.apply_change(state, config, "training.learning_rate=0.5")
    control.apply_change(state, config, "training.learning_rate.decoder=0.7")
    assert next(loop).learning_rates == {"all": 0.5, "decoder": 0.7}
    control.apply_change(state, config, "training.learning_rate={encoder: 0.1, context: 0.2, decoder: 0.3}")
    assert {id(p) for p in state.optimizer.state} == set(before)
    assert all(int(kept["step"]) == 5 for kept in state.optimizer.state.values())
    with pytest.raises(InputError, match="no parameter matches the path 'encodr'"):
        control.apply_change(state, config, "training.learning_rate.encodr=1")
    assert state.training_config.learning_rate == {"encoder": 0.1, "context": 0.2, "decoder": 0.3}


def test_what_was_not_frozen_cannot_be_released() -> None:
    config = settings()
    state, _ = fresh(config)
    with pytest.raises(InputError, match=r"unfreeze=encoder: expected a module frozen by ner control \(-\)"):
        control.apply_change(state, config, "unfreeze=encoder")
    control.apply_change(state, config, "freeze=encoder")
    assert state.frozen == {"encoder"}
    control.apply_change(state, config, "freeze=context")
    with pytest.raises(InputError, match="freeze=decoder: no trainable parameter would remain"):
        control.apply_change(state, config, "freeze=decoder")
    with pytest.raises(InputError, match="config.freeze: no parameter matches the path 'encodr'"):
        control.apply_change(state, config, "freeze=encodr")


def test_requests_are_read_in_order_and_unreadable_files_are_renamed(tmp_path: Path) -> None:
    state, _ = fresh(settings())
    state.step, state.epoch = 10, 1
    assert control.read_requests(tmp_path, state) == []
    control.write_requests(tmp_path, ["save=now", "batch.size=4"])
    (tmp_path / "control" / "0.json").write_text("{")
    (tmp_path / "control" / "1.json").write_text(json.dumps({"chang": 1}))
    found = control.read_requests(tmp_path, state)
    assert [(event.change, event.step, event.epoch) for event in found] == [
        ("save=now", 10, 1),
        ("batch.size=4", 10, 1),
    ]
    assert sorted(path.name for path in (tmp_path / "control").glob("*.unreadable")) == ["0.unreadable", "1.unreadable"]
    control.remove_request(tmp_path, found[0].id)
    control.remove_request(tmp_path, found[0].id)
    assert control.read_requests(tmp_path, state) == found[1:]


def test_only_requests_that_a_state_has_not_met_come_later() -> None:
    state, _ = fresh(settings())
    state.step, state.epoch = 10, 1
    met = Event(10, 1, "control", "batch.size=4", "a")
    state.events.append(met)
    new = [Event(10, 1, "control", "batch.size=8", "b"), Event(12, 1, "control", "stop=step", "c")]
    old = [Event(9, 1, "control", "batch.size=2", "d"), Event(12, 1, "plateau", "batch.size=8"), met]
    old.append(Event(12, 1, "control", "stop=epoch", "e"))  # the resumed run continues beyond it
    assert control.unreplayed([*old, *new], state) == new


def test_what_is_held_at_the_start_counts_as_frozen_when_the_rest_is_to_be() -> None:
    config = settings(training__freeze={"encoder": {"steps": 3}})
    state, data = fresh(config)
    loop = train(state, data, documents(8), config.metrics, CPU)
    next(loop)
    control.apply_change(state, config, "freeze=context")
    with pytest.raises(InputError, match="no trainable parameter would remain"):
        control.apply_change(state, config, "freeze=decoder")
    for _ in range(3):
        next(loop)
    control.apply_change(state, config, "freeze=decoder")  # the encoder is trained by now
    next(loop)


def test_an_old_setting_is_answered_with_the_new_one() -> None:
    for old, new in {"batch.at_once": "micro_size", "training.keep": "keep_checkpoints"}.items():
        with pytest.raises(InputError, match=f"config.{old}: was renamed to '{new}'"):
            control.check(settings(), f"{old}=4")
