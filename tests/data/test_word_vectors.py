from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ner.data import word_vectors
from ner.errors import InputError
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared" / "data" / "vectors"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a 1 2\n", ["a"]),
        ("a 1 2", ["a"]),
        ("a 1 2\nb 3 4e-1\n", ["a", "b"]),
        ("2 2\na 1 2\nb 3 4\n", ["a", "b"]),  # word2vec
        ("2 2\na 1 2 \nb 3 4 \n", ["a", "b"]),  # word2vec's own program ends lines with a space
        ("1 2 3\n2 3 4\n", ["1", "2"]),  # words may be numbers
        ("a 1 2\n. . . 3 4\n", ["a", ". . ."]),  # as in glove.840B.300d
        ("a 1 2\n  3 4\n", ["a", " "]),
        ("a 1 2\n\u00a0 3 4\n\u3000 3 4\n\u2028 3 4\n", ["a", "\u00a0", "\u3000", "\u2028"]),
        ("a 1 2\r\nb 3 4\r\n", ["a", "b"]),
        ("a 1 2\nb 3 4\nc 5", ["a", "b"]),  # cut off
        ("a 1 2\nb 3 4\nc 5 -", ["a", "b"]),
        ("a 1 2\nb 3 4\nc", ["a", "b"]),
    ],
)
def test_text_is_read_in_all_its_forms(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(text.encode())
    found, matrix = word_vectors.load(str(path), 2)
    assert found == words
    assert matrix.shape == (len(words), 2)
    assert matrix.dtype == np.float32
    if words[0] == "a":
        assert matrix[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected lines of a word and its numbers, found none"),
        ("2 2\n", "expected lines of a word and its numbers, found none"),
        ("word\n", "expected lines of a word and its numbers, found none"),
        ("a 1 2\nb 3\nc 1 2\n", ":2: expected 2 numbers, found 1"),
        ("a 1 2\nb 3 4 5\nc 1 2\n", ":2: expected 2 numbers, found 3"),
        ("a 1 2\nb 3 nan\nc 1 2\n", ":2: expected 2 numbers, found 1"),
        ("a 1 2\n\nc 1 2\n", ":2: expected 2 numbers, found 0"),
        ("a 1 2 3\n", "vectors have width 3; set encoder.dimension=3"),
    ],
)
def test_broken_text_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        word_vectors.load(str(path), 2)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_file_that_is_not_text_is_refused_with_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"2 2\na \xff\xfe\x00\x00")
    with pytest.raises(InputError, match="2: expected utf-8, found byte 0xff at byte 3 of the line"):
        word_vectors.load(str(path), 2)


def test_a_missing_file_is_said_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file of vectors; change encoder\.vectors"):
        word_vectors.load(str(tmp_path / "none.txt"), 2)


def write_npz(folder: Path, words: str, **arrays: np.ndarray) -> str:
    path = folder / "vectors.npz"
    np.savez(path, **arrays)
    (folder / "vectors.vocab.txt").write_text(words, encoding="utf-8", newline="")
    return str(path)


def test_arrays_are_read_with_words_that_are_spaces(tmp_path: Path) -> None:
    path = write_npz(tmp_path, " \na\n\u3000\n", embeddings=np.arange(6.0).reshape(3, 2))
    words, matrix = word_vectors.load(path, 2)
    assert words == [" ", "a", "\u3000"]
    assert matrix.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert matrix.dtype == np.float32


@pytest.mark.parametrize(
    ("words", "arrays", "message"),
    [
        ("a\n", {"embeddings": np.zeros((2, 2))}, "expected 2 words as in .*vectors.npz, found 1"),
        ("a\n", {"other": np.zeros((1, 2))}, "expected an array 'embeddings', found other"),
        ("a\n", {"embeddings": np.zeros((1, 3))}, "vectors have width 3; set encoder.dimension=3"),
        ("a\n", {"embeddings": np.array([[object()]])}, "not an .npz file of numbers"),
        ("a\n", {"embeddings": np.zeros(1)}, "expected rows of numbers in 'embeddings'"),
    ],
)
def test_broken_arrays_are_refused(tmp_path: Path, words: str, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        word_vectors.load(write_npz(tmp_path, words, **arrays), 2)


def test_arrays_without_words_or_content_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    path.write_bytes(b"not a zip")
    with pytest.raises(InputError, match=r"vectors.vocab.txt: no such file"):
        word_vectors.load(str(path), 2)
    (tmp_path / "vectors.vocab.txt").write_text("a\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"not an .npz file of numbers"):
        word_vectors.load(str(path), 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("glove.6B.100d.top2717.txt", (2717, 100)),
        ("glove.6B.50d.top2987.w2v.txt", (2987, 50)),
        ("glove.840B.300d.atis.npz", (945, 300)),
        ("tencent_char.200d.npz", (4762, 200)),
        ("tencent_char.200d.txt", (4729, 200)),
    ],
)
def test_published_vectors_have_their_published_size(name: str, shape: tuple[int, int]) -> None:
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not beside this repository")
    words, matrix = word_vectors.load(str(SHARED / name), shape[1])
    assert matrix.shape == shape
    assert len(words) == shape[0]
