from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ner.errors import InputError
from ner.runtime.atomic import ABANDONED_AFTER, new_directory, new_file, write_bytes, write_tensors
from tests.builders import leftovers


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")

    def fail(_: int) -> None:
        raise OSError(28, "disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="a: cannot be written: disk full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_tensors_replace_the_old_file_when_they_are_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.safetensors"
    write_tensors(path, {"x": torch.arange(3)})
    assert load_file(path)["x"].tolist() == [0, 1, 2]
    assert leftovers(tmp_path) == []
    with pytest.raises(InputError, match="cannot be written"):
        write_tensors(path / "below", {"x": torch.arange(3)})


def test_a_directory_appears_when_its_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with suppress(ZeroDivisionError), new_directory(target) as folder:
        (folder / "a").write_bytes(str(1 / 0).encode())
    assert not target.exists()
    with new_directory(target) as folder:
        (folder / "a").write_bytes(b"x")
        assert not target.exists()
    assert (target / "a").read_bytes() == b"x"
    assert leftovers(tmp_path) == []
    with pytest.raises(InputError, match="folder: cannot be written"), new_directory(target):
        pass


def test_what_killed_processes_left_is_removed_after_a_while(tmp_path: Path) -> None:
    old, new = tmp_path / ".folder.1.2.part", tmp_path / ".folder.2.1.part"
    for part in (old, new):
        part.mkdir()
        (part / "a").write_bytes(b"half")
    past = time.time() - 2 * ABANDONED_AFTER
    os.utime(old / "a", (past, past))
    os.utime(old, (past, past))
    with new_directory(tmp_path / "folder"):
        pass
    assert leftovers(tmp_path) == [new]


@pytest.mark.parametrize("name", ["x" * 255, "京" * 85, "x" * 60, "a.b"])
def test_a_name_that_the_file_system_takes_can_be_written(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / name, b"content")
    assert (tmp_path / name).read_bytes() == b"content"
    with new_directory(tmp_path / "folder" / name) as folder:
        (folder / "a").write_bytes(b"x")
    assert (tmp_path / "folder" / name / "a").read_bytes() == b"x"
    assert leftovers(tmp_path) == []


def test_long_names_with_one_beginning_are_written_at_the_same_time(tmp_path: Path) -> None:
    first, second = tmp_path / ("x" * 80 + "1"), tmp_path / ("x" * 80 + "2")
    with new_file(first) as one, new_file(second) as other:
        one.write_bytes(b"first")
        other.write_bytes(b"second")
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")
