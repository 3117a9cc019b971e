from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ner.data import cache, store
from ner.data.cache import cached, derived
from ner.data.store import Store, open_store, write
from ner.errors import InputError
from ner.runtime import atomic, manifest
from ner.runtime.manifest import MANIFEST
from ner.types import Document, Example, Span
from tests.builders import leftovers, sentences


class Reader:
    """A file of sentences, and how often it was read."""

    def __init__(self, folder: Path) -> None:
        self.source, self.root, self.times = folder / "train.txt", folder / "cache", 0
        self.source.write_text("first")

    def read(self) -> Iterator[Document]:
        self.times += 1
        yield Document([Example(self.source.read_text().split())])

    def open(self, key: dict[str, Any] | None = None) -> Store:
        return cached(self.source, key or {}, self.read, self.root)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def test_a_file_is_read_once(reader: Reader) -> None:
    first = reader.open({"name": "conll", "tag": -1})
    assert first[0].examples[0].words == ["first"]
    assert reader.open({"tag": -1, "name": "conll"}).directory == first.directory
    assert reader.times == 1
    assert len(first.directory.name) == 32
    assert first.directory.parent == reader.root


def test_another_content_or_key_is_another_directory(reader: Reader) -> None:
    directories = {reader.open().directory, reader.open({"tag": 1}).directory}
    reader.source.write_text("other")
    assert reader.open()[0].examples[0].words == ["other"]
    directories.add(reader.open().directory)
    assert len(directories) == reader.times == 3
    reader.source.write_text("first")
    reader.open()
    assert reader.times == 3


def test_the_sum_of_a_settled_file_is_noted(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    sums: list[Path] = []
    whole = manifest.sha256
    monkeypatch.setattr(manifest, "sha256", lambda path: sums.append(path) or whole(path))

    def times() -> int:
        sums.clear()
        reader.open()
        return sums.count(reader.source)

    assert (times(), times()) == (1, 1)  # written just now
    monkeypatch.setattr(cache, "SETTLED", -1)
    assert (times(), times()) == (1, 0)
    (note,) = reader.root.glob("*.json")
    note.write_text("[]")
    assert (times(), times()) == (1, 0)
    reader.source.write_text("other")
    assert (times(), times()) == (1, 0)


def damage_size(directory: Path) -> None:
    os.truncate(directory / store.TEXT, 0)


def damage_manifest(directory: Path) -> None:
    (directory / MANIFEST).unlink()


def damage_everything(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()
    (directory / store.TEXT).write_bytes(b"half")


def damage_what_follows(directory: Path) -> None:
    found = open_store(directory)
    derived(found, "hashes", {}, lambda: np.zeros((1, 1)))
    damage_size(directory)


@pytest.mark.parametrize("damage", [damage_size, damage_manifest, damage_everything, damage_what_follows])
def test_a_half_written_directory_is_replaced(reader: Reader, damage: Callable[[Path], None]) -> None:
    damage(reader.open().directory)
    assert reader.open()[0].examples[0].words == ["first"]
    assert reader.times == 2
    manifest.verify(reader.open().directory)
    assert reader.times == 2


def test_a_store_of_another_layout_is_not_taken(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    before = reader.open()
    monkeypatch.setitem(store.FIELDS, Span, ["start", "end"])
    assert reader.open().directory != before.directory
    assert reader.times == 2


def test_an_error_of_the_reader_is_not_one_of_writing_and_leaves_nothing(reader: Reader) -> None:
    def read() -> Iterator[Document]:
        yield from sentences()
        raise OSError(errno.EIO, "broken disk")

    with pytest.raises(InputError, match=r"train\.txt: cannot be read: broken disk"):
        cached(reader.source, {}, read, reader.root)
    assert not list(reader.root.glob("*"))


def test_of_two_writers_the_faster_is_kept(reader: Reader) -> None:
    directory = reader.open().directory
    (directory / MANIFEST).unlink()

    def read() -> Iterator[Document]:
        write(sentences(1), reader.root / "faster")
        (reader.root / "faster").rename(directory)
        yield from sentences()

    assert len(cached(reader.source, {}, read, reader.root)[0].examples) == 1
    assert leftovers(reader.root) == []


def test_a_store_that_others_made_needs_no_right_to_write(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.open()

    def refuse(path: Path, _: bytes) -> None:
        raise InputError(f"{path}: cannot be written: Permission denied")

    monkeypatch.setattr(atomic, "write_bytes", refuse)
    monkeypatch.setattr(cache, "SETTLED", -1)
    assert reader.open()[0].examples[0].words == ["first"]
    assert reader.times == 1


def test_a_directory_is_read_again_when_a_file_in_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SETTLED", -1)
    source = tmp_path / "parallel"
    source.mkdir()
    for name in ("seq.in", "label"):
        (source / name).write_text("here")

    def read() -> Iterator[Document]:
        yield Document([Example([(source / "label").read_text()])])

    def found() -> list[str]:
        return cached(source, {}, read, tmp_path / "cache")[0].examples[0].words

    before = source.stat().st_mtime_ns
    assert (found(), found()) == (["here"], ["here"])
    (source / "label").write_text("other")
    assert source.stat().st_mtime_ns == before  # the directory says nothing of it
    assert found() == ["other"]


def test_a_missing_source_is_an_input_error(reader: Reader) -> None:
    reader.source.unlink()
    with pytest.raises(InputError, match=r"train\.txt: cannot be read: No such file or directory"):
        reader.open()


def groups(rows: int = 3) -> np.ndarray:
    return np.arange(6 * rows, dtype=np.int64).reshape(-1, 6)


@pytest.mark.parametrize("made", [groups(0), groups(), np.array(["é\ud800\udc00"] * 2), np.array('{"a": 1}')])
def test_an_array_is_made_once(saved: Store, made: np.ndarray) -> None:
    keys = []
    for key in ({"window": 1, "encoder": {"name": "a"}}, {"encoder": {"name": "a"}, "window": 1}, {"window": 2}):
        array = derived(saved, "plan", key, lambda key=key: keys.append(key) or made)
        assert array.dtype == made.dtype
        assert array.tolist() == made.tolist()
        assert not array.flags.writeable
    assert len(keys) == 2
    assert leftovers(saved.directory) == []
    assert open_store(saved.directory) is not None


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"half of it"])
def test_a_damaged_array_is_made_again(saved: Store, content: bytes) -> None:
    derived(saved, "plan", {}, groups)
    (path,) = saved.directory.glob("plan-*.npy")
    path.write_bytes(path.read_bytes()[:-8] if content == b"half of it" else content)
    assert np.array_equal(derived(saved, "plan", {}, groups), groups())


def test_pickled_objects_are_not_loaded(saved: Store) -> None:
    derived(saved, "plan", {}, groups)
    (path,) = saved.directory.glob("plan-*.npy")
    np.save(path, np.array([None], dtype=object))
    assert np.array_equal(derived(saved, "plan", {}, groups), groups())


def test_an_array_that_cannot_be_written_is_an_input_error(saved: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=r"plan-\w+\.npy: cannot be written: No space left on device"):
        derived(saved, "plan", {}, groups)
    assert leftovers(saved.directory) == []
