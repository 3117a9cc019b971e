from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ner.errors import InputError
from ner.runtime import text_files
from ner.runtime.text_files import json_field, open_text


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".part")]


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


def test_a_byte_order_mark_is_removed_from_the_first_line_unless_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\ufeffa\n\ufeffb\n", encoding="utf-8")
    assert list(text_files.decoded_lines(str(path))) == [(1, "a\n"), (2, "\ufeffb\n")]
    assert list(text_files.decoded_lines(str(path), keep_bom=True)) == [(1, "\ufeffa\n"), (2, "\ufeffb\n")]


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


def test_blocks_are_the_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "BLOCK_SIZE", 4)
    path = tmp_path / "a"
    path.write_bytes("".join(f"é{number}\n" for number in range(9)).encode())
    with text_files.open_bytes(str(path)) as file:
        blocks = list(text_files.decoded_blocks(file, str(path)))
    assert len(blocks) > 1
    assert [line for block in blocks for line in block] == [f"é{number}\n" for number in range(9)]
    path.write_bytes(b"a\nb\xff\n")
    with text_files.open_bytes(str(path)) as file, pytest.raises(InputError, match=r":2: .* byte 0xff"):
        list(text_files.decoded_blocks(file, str(path)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"here: expected an object with 'key'"),
        ({}, r"here: expected 'key' \(a whole number\), found only an empty object"),
        ({"key": True}, "found true"),
        ({"key": "1"}, 'found "1"'),
    ],
)
def test_a_field_of_another_kind_is_an_input_error(value: Any, message: str) -> None:
    assert json_field({"key": 3}, "key", int, "here") == 3
    assert json_field({"key": None}, "key", int, "here", 4) == 4
    with pytest.raises(InputError, match=message):
        json_field(value, "key", int, "here")


def test_a_pipe_is_read_once_and_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert text_files.is_pipe(str(path))
    assert text_files.is_pipe("-")
    assert not any(map(text_files.is_pipe, (str(tmp_path), str(tmp_path / "none"), "a\0b", __file__)))
    for limit in (1 << 20, 4):  # in memory, in a temporary file
        monkeypatch.setattr(text_files, "MAX_IN_MEMORY", limit)
        writer = threading.Thread(target=path.write_bytes, args=(b"a\nb\nc\n",))
        writer.start()
        with text_files.spooled([str(path), str(path), str(tmp_path)]):
            for _ in range(2):
                assert [line for _, line in text_files.decoded_lines(str(path))] == ["a\n", "b\n", "c\n"]
        writer.join()
        assert not text_files._spools
