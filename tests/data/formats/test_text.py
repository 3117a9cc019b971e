from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner.config.base import WordRule
from ner.data.formats import text
from ner.data.formats.text import Config
from ner.errors import InputError
from ner.types import Document, Example, Span


def read(folder: Path, data: bytes, rule: WordRule = "space", encoding: str = "utf-8") -> list[Example]:
    path = folder / "in.txt"
    path.write_bytes(data)
    return [document.examples[0] for document in text.read(str(path), Config(encoding=encoding), rule)]


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\nb\n", ["a", "", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("\ufeffa\n\ufeffb\n", ["a", "\ufeffb"]),
        (" a  b \n", [" a  b "]),
        ("a\u2028b\x0bc\x85d", ["a\u2028b\x0bc\x85d"]),
    ],
)
def test_every_line_is_a_text(tmp_path: Path, data: str, texts: list[str]) -> None:
    found = read(tmp_path, data.encode())
    assert [example.text for example in found] == texts
    assert [example.line for example in found] == list(range(1, len(texts) + 1))
    for example in found:
        assert example.text is not None
        assert example.offsets is not None
        assert [example.text[start:end] for start, end in example.offsets] == example.words
        assert example.words == example.text.split()
        assert example.tags is None


def test_words_are_split_by_the_rule(tmp_path: Path) -> None:
    assert read(tmp_path, "北京 A.".encode(), "characters")[0].words == ["北", "京", "A", "."]
    assert read(tmp_path, b"U.N.", "punctuation")[0].words == ["U", ".", "N", "."]


def test_other_encodings_are_read_and_wrong_ones_named(tmp_path: Path) -> None:
    assert read(tmp_path, "京".encode("gbk"), encoding="gbk")[0].words == ["京"]
    with pytest.raises(InputError, match=r"in.txt:2: expected utf-8, found byte 0xbe at byte 1 of the line"):
        read(tmp_path, b"a\n" + "京".encode("gbk"))
    with pytest.raises(InputError, match="none: cannot be read: No such file"):
        list(text.read(str(tmp_path / "none"), Config(), "space"))


def test_answers_are_json_with_characters(tmp_path: Path) -> None:
    example = Example(["Ada", "King"], text=" Ada  King", offsets=[(1, 4), (6, 10)], spans=[Span(0, 2, "PER", 0.5)])
    path = tmp_path / "out.jsonl"
    text.write(str(path), [Document([example]), Document([Example([], tags=[], text="", offsets=[])])], Config())
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    entity = {"start": 1, "end": 10, "label": "PER", "text": "Ada  King", "score": 0.5}
    assert first == {"text": " Ada  King", "entities": [entity]}
    assert second == {"text": "", "entities": []}
