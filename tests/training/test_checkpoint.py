"""What is saved between two steps goes on as if nothing had happened."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from ner.config.schema import RunConfig
from ner.errors import InputError
from ner.runtime.device import has_bf16
from ner.runtime.distributed import ProcessGroup
from ner.training import checkpoint, loader
from ner.training.loop import train
from ner.training.state import State
from tests.builders import ABOUT, CPU, digest, documents, fresh, settings


def finish(state: State, data: loader.TrainLoader, config: RunConfig) -> list[Any]:
    return list(train(state, data, documents(8), config.metrics, CPU))


def keep_all(config: RunConfig, folder: Path) -> tuple[str, list[Path]]:
    """Train to the end with a checkpoint after every step and every epoch; gives what it ended in."""
    state, data = fresh(config)
    paths = []
    for _ in train(state, data, documents(8), config.metrics, CPU):
        run = folder / str(len(paths))
        found = checkpoint.save(state, run, ABOUT, ProcessGroup())
        assert found is not None
        paths.append(found)
    return digest(state), paths


def resumed(config: RunConfig, path: Path) -> tuple[State, loader.TrainLoader]:
    state, data = fresh(config)
    torch.manual_seed(12345)  # whatever was drawn before does not matter
    assert checkpoint.load(path, state, ABOUT, config.metrics, ProcessGroup()) == []
    return state, data


@pytest.mark.parametrize(
    ("kind", "ahead", "stride"),
    [
        ("bilstm", 2, 1),
        ("bert", 0, 4),
        pytest.param("bilstm", 0, 1, marks=pytest.mark.thorough),
        pytest.param("bert", 0, 1, marks=pytest.mark.thorough),
        pytest.param("bert", 2, 1, marks=pytest.mark.thorough),
    ],
)
def test_a_training_interrupted_at_any_step_ends_in_the_same_bits(
    kind: str, ahead: int, stride: int, tmp_path: Path, tiny_bert: str
) -> None:
    config = settings(tiny_bert if kind == "bert" else None, batch__prefetch=ahead)
    expected, paths = keep_all(config, tmp_path)
    assert len(paths) == 40 + 5
    for path in paths[::stride]:
        state, data = resumed(config, path)
        finish(state, data, config)
        assert digest(state) == expected, path.name


@pytest.mark.parametrize(
    "options",
    [
        {"training__averaging": {"kind": "ema"}, "training__optimizer": "sgd"},
        {"training__averaging": {"kind": "swa", "start": 1}, "training__optimizer": "adam"},
        {"training__plateau": {"adapt": "both", "patience": 0}, "training__early_stopping": {"patience": 2}},
        {"training__adversarial": {"kind": "fgm"}},
        {"training__adversarial": {"kind": "fgm"}, "encoder__bigrams": {"dimension": 4}, "encoder__word_dropout": 0.2},
        {"encoder__segmentation_dimension": 4},
        {"training__freeze": {"encoder": {"steps": 11}, "context": {"epochs": 1}}, "training__schedule": "cosine"},
        {"training__layer_decay": 0.5, "training__warmup_ratio": 0, "training__warmup_steps": 12},
        {"training__keep_epoch": "best", "batch__measure": "words", "batch__size": 40, "batch__micro_size": 20},
        {"training__schedule": "inverse_sqrt"},
        pytest.param(
            {"training__precision": "bf16"},
            marks=pytest.mark.skipif(not has_bf16(CPU), reason="needs a processor with bf16"),
        ),
    ],
    ids=lambda options: ",".join(key.rpartition("__")[2] for key in options),
)
def test_whatever_is_configured_is_part_of_the_checkpoint(options: dict[str, Any], tmp_path: Path) -> None:
    config = settings(training__epochs=4, **options)
    expected, paths = keep_all(config, tmp_path)
    for path in paths[3::6]:
        state, data = resumed(config, path)
        finish(state, data, config)
        assert digest(state) == expected, path.name


def test_three_kills_within_one_epoch_and_one_at_its_last_batch(tmp_path: Path) -> None:
    config = settings()
    expected, _ = keep_all(config, tmp_path / "whole")
    state, data = fresh(config)
    for number, steps in enumerate((2, 3, 2, 1, 1)):  # the fourth is the last batch of the epoch, the fifth its end
        loop = train(state, data, documents(8), config.metrics, CPU)
        for _ in range(steps):
            next(loop)
        path = checkpoint.save(state, tmp_path / str(number), ABOUT, ProcessGroup())
        assert path is not None
        if number == 3:
            assert (state.epoch, state.position, state.step) == (0, 64, 8)
        loop.close()
        state, data = resumed(config, path)
    assert (state.epoch, state.position) == (1, 0)
    finish(state, data, config)
    assert digest(state) == expected


def test_a_larger_batch_at_resume_counts_the_epochs_by_sentences(tmp_path: Path) -> None:
    config = settings(training__epochs=6)
    state, data = fresh(config)
    loop = train(state, data, documents(8), config.metrics, CPU)
    for now in loop:
        if now.epoch_record and now.epoch == 2:
            break
    loop.close()
    path = checkpoint.save(state, tmp_path, ABOUT, ProcessGroup())
    assert path is not None
    state, data = resumed(config, path)
    state.next_batch_config = state.batch_config = config.batch.model_copy(update={"size": 16})
    rows = [now.epoch_record for now in finish(state, data, config) if now.epoch_record]
    assert [row.epoch for row in rows] == [3, 4, 5, 6]
    assert [row.sentences for row in rows] == [192, 256, 320, 384]
    assert [row.batch_size for row in rows] == [16] * 4
    assert state.step == 2 * 8 + 4 * 4


def test_a_batch_changed_within_an_epoch_is_that_of_the_next(tmp_path: Path) -> None:
    config = settings(training__epochs=3)
    state, data = fresh(config)
    loop = train(state, data, documents(8), config.metrics, CPU)
    for _ in range(3):
        next(loop)
    state.next_batch_config = config.batch.model_copy(update={"size": 32})
    rows = [now.epoch_record for now in loop if now.epoch_record]
    assert [row.batch_size for row in rows] == [8, 32, 32]
    assert [row.step for row in rows] == [8, 10, 12]
    assert rows[-1].sentences == 3 * 64


def test_changed_data_refuse_to_go_on(tmp_path: Path) -> None:
    config = settings()
    state, _ = fresh(config)
    path = checkpoint.save(state, tmp_path, ABOUT, ProcessGroup())
    assert path is not None
    with pytest.raises(
        InputError,
        match="the train file has changed since the run began .* or start a new run from these weights with --init",
    ):
        checkpoint.load(path, state, {"data": {"train": "xyz"}}, config.metrics, ProcessGroup())


def test_another_model_is_refused_and_the_state_stays_as_it_was(tmp_path: Path) -> None:
    state, data = fresh(settings())
    next(train(state, data, documents(8), ("tag", "entity"), CPU))
    path = checkpoint.save(state, tmp_path, ABOUT, ProcessGroup())
    assert path is not None
    other, _ = fresh(settings(context__hidden_size=6))
    before = digest(other)
    with pytest.raises(InputError, match="checkpoint of another model .context.lstm.* differs"):
        checkpoint.load(path, other, ABOUT, ("tag", "entity"), ProcessGroup())
    assert (digest(other), other.step) == (before, 0)


def test_a_process_without_a_saved_random_state_keeps_that_of_its_seed(tmp_path: Path) -> None:
    config = settings()
    state, _ = fresh(config)
    path = checkpoint.save(state, tmp_path, ABOUT, ProcessGroup())
    assert path is not None
    torch.manual_seed(7)
    seeded = torch.get_rng_state()
    warnings = checkpoint.load(path, state, ABOUT, config.metrics, ProcessGroup(rank=1, size=2))
    assert warnings == ["1 processes are new and have new random states; weights will differ"]
    assert torch.equal(torch.get_rng_state(), seeded)


def test_another_machine_is_told(tmp_path: Path) -> None:
    config = settings()
    state, _ = fresh(config)
    path = checkpoint.save(state, tmp_path, {**ABOUT, "versions": {"torch": "1"}}, ProcessGroup())
    assert path is not None
    found = checkpoint.load(
        path, state, {**ABOUT, "threads": 2, "versions": {"torch": "2"}}, config.metrics, ProcessGroup()
    )
    assert found == [
        "versions of torch: 1 in the checkpoint, 2 now; weights may differ",
        "threads: 1 in the checkpoint, 2 now; weights may differ",
    ]


def test_only_so_many_are_kept_and_the_newest_whole_one_is_found(tmp_path: Path) -> None:
    state, data = fresh(settings(training__keep_checkpoints=3))
    for _ in zip(range(5), train(state, data, documents(8), ("tag", "entity"), CPU), strict=False):
        checkpoint.save(state, tmp_path, ABOUT, ProcessGroup())
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["000003-step-3", "000004-step-4", "000005-step-5"]
    newest = tmp_path / "checkpoints" / "000005-step-5"
    assert checkpoint.find(tmp_path) == (newest, [])
    data_file = newest / "state.safetensors"
    content = bytearray(data_file.read_bytes())
    content[len(content) // 2] ^= 1
    data_file.write_bytes(content)
    found, broken = checkpoint.find(tmp_path)
    assert found == tmp_path / "checkpoints" / "000004-step-4"
    assert broken == [newest]
    (found / "manifest.json").unlink()
    assert checkpoint.find(tmp_path)[0] == tmp_path / "checkpoints" / "000003-step-3"
    shutil.rmtree(tmp_path / "checkpoints")
    assert checkpoint.find(tmp_path) == (None, [])


def test_a_checkpoint_that_was_not_finished_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, _ = fresh(settings())
    first = checkpoint.save(state, tmp_path, ABOUT, ProcessGroup())
    monkeypatch.setattr(
        checkpoint.manifest, "write_manifest", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(InputError, match=r"No space left.*; continue from the previous checkpoint \(.*000001-step-0\)"):
        checkpoint.save(state, tmp_path, ABOUT, ProcessGroup())
    assert checkpoint.find(tmp_path) == (first, [])
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000001-step-0"]


def test_a_checkpoint_is_tensors_and_json(tmp_path: Path) -> None:
    state, _ = fresh(settings())
    path = checkpoint.save(state, tmp_path, ABOUT, ProcessGroup())
    assert path is not None
    assert sorted(file.name for file in path.iterdir()) == ["manifest.json", "state.json", "state.safetensors"]
    assert json.loads((path / "state.json").read_bytes())["step"] == 0
