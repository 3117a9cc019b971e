from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from ner.errors import InputError
from ner.runtime import text_files
from ner.runtime.atomic import write_bytes
from ner.runtime.manifest import MANIFEST, verify, write_manifest
from ner.runtime.text_files import open_text


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    write_bytes(folder / "a.txt", b"content")
    write_bytes(folder / "encoder" / "é.json", b"{}")
    write_bytes(folder / "empty", b"")
    write_manifest(folder, ["encoder/é.json", "empty", "a.txt"])
    return folder


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".part")]


def test_a_whole_directory_verifies(model: Path) -> None:
    assert verify(model) == ["a.txt", "empty", "encoder/é.json"]
    assert leftovers(model) == []


def test_files_that_the_manifest_does_not_name_are_ignored(model: Path) -> None:
    (model / "history.csv").write_text("epoch\n", encoding="utf-8")
    verify(model)


@pytest.mark.parametrize("name", ["a.txt", "encoder/é.json"])
def test_any_flipped_byte_is_found(model: Path, name: str) -> None:
    path = model / name
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(InputError, match=f"{name}: not the file that was written"):
            verify(model)
    path.write_bytes(whole)
    verify(model)


@pytest.mark.parametrize("change", [b"content!", b"conten", b""])
def test_a_file_of_another_length_is_found(model: Path, change: bytes) -> None:
    (model / "a.txt").write_bytes(change)
    with pytest.raises(InputError, match=r"a.txt: not the file that was written .* copy it again"):
        verify(model)


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
    with pytest.raises(InputError, match=f"{MANIFEST}: not a manifest; the model must be trained or copied again"):
        verify(model)


@pytest.mark.parametrize("entry", [None, 3, {}, {"sha256": ""}, []])
def test_an_entry_that_is_none_is_refused(model: Path, entry: object) -> None:
    (model / MANIFEST).write_text(json.dumps({"a.txt": entry}), encoding="utf-8")
    with pytest.raises(InputError, match="not the file that was written"):
        verify(model)


def test_a_missing_file_is_found(model: Path) -> None:
    (model / "a.txt").unlink()
    with pytest.raises(InputError, match=r"a\.txt: missing, although the manifest names it"):
        verify(model)


@pytest.mark.parametrize("name", ["../outside", "encoder/../../outside", "/etc/hostname"])
def test_a_path_outside_is_refused(model: Path, name: str) -> None:
    (model.parent / "outside").write_bytes(b"")
    (model / MANIFEST).write_text(json.dumps({name: {}}), encoding="utf-8")
    with pytest.raises(InputError, match="names a file outside the directory"):
        verify(model)


def test_a_link_is_refused(model: Path) -> None:
    (model / "a.txt").rename(model.parent / "a.txt")
    (model / "a.txt").symlink_to(model.parent / "a.txt")
    with pytest.raises(InputError, match=r"names a file outside the directory: a\.txt"):
        verify(model)


def test_directories_without_a_manifest_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "odd" / MANIFEST).mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "none", tmp_path / "file", tmp_path / "odd"):
        with pytest.raises(InputError, match=f"no {MANIFEST}, so this is not the directory of a finished model"):
            verify(folder)


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


def test_text_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with open_text(str(path)) as file:
        file.write("é\r\n")
        assert not path.exists()
    assert path.read_bytes() == "é\r\n".encode()
    with suppress(ZeroDivisionError), open_text(str(path)) as file:
        file.write("half")
        file.write(str(1 / 0))
    assert path.read_bytes() == "é\r\n".encode()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["folder", "file/below", ""])
def test_text_that_cannot_be_written_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=f"{name}: cannot be written: "), open_text(name) as file:
        file.write("text")
    assert leftovers(tmp_path) == []


def test_a_named_pipe_is_written_in_place(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    with open_text(str(path)) as file:
        file.write("text")
    reader.join()
    assert found == [b"text"]
    assert path.is_fifo()


def test_half_a_surrogate_pair_is_written_as_json_writes_it(tmp_path: Path) -> None:
    with open_text(str(tmp_path / "a.json")) as file:
        file.write('"\ud800é"')
    assert json.loads((tmp_path / "a.json").read_bytes()) == "\ud800é"


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "reconfigure", lambda **_: None, raising=False)
    with open_text("-") as file:
        file.write("é\n")
    assert capsys.readouterr().out == "é\n"


def test_lines_keep_their_ends_and_only_line_feeds_end_them(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("a\r\n\nb\u2028\x0b\x85c\rd".encode())
    assert list(text_files.decoded_lines(str(path))) == [(1, "a\r\n"), (2, "\n"), (3, "b\u2028\x0b\x85c\rd")]


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (b"a\nb \xff\n", "utf-8", ":2: expected utf-8, found byte 0xff at byte 3 of the line; convert the file"),
        (b"\xe4", "ascii", ":1: expected ascii, found byte 0xe4 at byte 1 of the line"),
        (b"a", "utf-9", ": no text encoding is called 'utf-9'"),
        (b"a", "base64", ": no text encoding is called 'base64'"),
    ],
)
def test_what_cannot_be_decoded_is_said_with_line_and_byte(
    tmp_path: Path, data: bytes, encoding: str, message: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        list(text_files.decoded_lines(str(path), encoding))
    assert str(caught.value).startswith(f"{path}{message}")


def test_files_that_cannot_be_read_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: cannot be read: No such file or directory"):
        text_files.open_bytes(str(tmp_path / "none"))
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        text_files.open_bytes(str(tmp_path))
