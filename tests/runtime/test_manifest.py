from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner.errors import InputError
from ner.runtime.atomic import write_bytes
from ner.runtime.manifest import MANIFEST, files_in, sha256, verify, write_manifest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    write_bytes(folder / "a.txt", b"content")
    write_bytes(folder / "encoder" / "é.json", b"{}")
    write_bytes(folder / "empty", b"")
    write_manifest(folder, ["encoder/é.json", "empty", "a.txt"])
    return folder


def test_a_whole_directory_verifies(model: Path) -> None:
    assert verify(model) == ["a.txt", "empty", "encoder/é.json"]
    assert not list(model.rglob("*.part"))


def test_files_that_the_manifest_does_not_name_are_ignored(model: Path) -> None:
    (model / "history.csv").write_text("epoch\n", encoding="utf-8")
    verify(model)


@pytest.mark.parametrize("name", ["a.txt", "encoder/é.json"])
def test_any_flipped_byte_is_found(model: Path, name: str) -> None:
    path = model / name
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(InputError, match=f"{name}: SHA-256 or size differs"):
            verify(model)
    path.write_bytes(whole)
    verify(model)


@pytest.mark.parametrize("change", [b"content!", b"conten", b""])
def test_a_file_of_another_length_is_found(model: Path, change: bytes) -> None:
    (model / "a.txt").write_bytes(change)
    with pytest.raises(InputError, match=r"a.txt: SHA-256 or size differs .* copy it again"):
        verify(model)


@pytest.mark.slow
def test_any_flipped_byte_of_the_manifest_is_found(model: Path) -> None:
    path = model / MANIFEST
    whole = path.read_bytes()
    for position, byte in enumerate(whole):
        if chr(byte).isspace():
            continue
        path.write_bytes(whole[:position] + bytes([byte ^ 1]) + whole[position + 1 :])
        with pytest.raises(InputError):
            verify(model)


@pytest.mark.parametrize("content", ["", "[]", "3", "null", '"a.txt"', "{", "\x00", "\ud800"])
def test_a_manifest_that_is_none_is_refused(model: Path, content: str) -> None:
    (model / MANIFEST).write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(InputError, match=f"{MANIFEST}: "):
        verify(model)


@pytest.mark.parametrize("entry", [None, 3, {}, {"sha256": ""}, []])
def test_an_entry_that_is_none_is_refused(model: Path, entry: object) -> None:
    (model / MANIFEST).write_text(json.dumps({"a.txt": entry}), encoding="utf-8")
    with pytest.raises(InputError, match=rf"{MANIFEST}: a\.txt"):
        verify(model)


def test_a_missing_file_is_found(model: Path) -> None:
    (model / "a.txt").unlink()
    with pytest.raises(InputError, match=r"a\.txt: missing, but listed in the manifest"):
        verify(model)


@pytest.mark.parametrize(
    "name", ["../outside", "encoder/../../outside", "/etc/hostname", "encoder//etc/hostname", "a\x00", ".", "a\\b", ""]
)
def test_a_path_outside_is_refused(model: Path, name: str) -> None:
    (model.parent / "outside").write_bytes(b"")
    (model / MANIFEST).write_text(json.dumps({name: {"sha256": "", "bytes": 0}}), encoding="utf-8")
    with pytest.raises(InputError, match="expected relative names of files"):
        verify(model)


def test_a_link_is_refused(model: Path) -> None:
    (model / "a.txt").rename(model.parent / "a.txt")
    (model / "a.txt").symlink_to(model.parent / "a.txt")
    with pytest.raises(InputError, match=r"a\.txt: is a symbolic link"):
        verify(model)


def test_directories_without_a_manifest_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "odd" / MANIFEST).mkdir(parents=True)
    with pytest.raises(InputError, match="none: no such directory"):
        verify(tmp_path / "none")
    for folder in (tmp_path, tmp_path / "file", tmp_path / "odd"):
        with pytest.raises(InputError, match=f"no {MANIFEST}, so this is not the directory of a finished model"):
            verify(folder)


def test_the_checksum_of_a_directory_depends_on_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"2")
    assert [path.name for path in files_in(tmp_path)] == ["a", "b"]
    assert files_in(tmp_path / "a") == [tmp_path / "a"]
    before = sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    assert sha256(tmp_path) != before
    (tmp_path / "c").rename(tmp_path / "a")
    assert sha256(tmp_path) == before
