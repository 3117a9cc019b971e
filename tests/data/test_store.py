from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.data import store
from ner.data.cache import derived
from ner.data.formats import conll
from ner.data.store import UNSAVED, Store, open_store, write
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.runtime import manifest
from ner.runtime.manifest import MANIFEST
from ner.types import Document, Example, RawTags, Span
from tests.builders import sentences
from tests.conftest import ROOT, SAMPLE

STRINGS = st.text(st.characters(), max_size=4)  # halves of surrogate pairs, too
NUMBERS = st.integers(0, 2**40)
SCORES = st.floats(0, 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    words = draw(st.lists(STRINGS, max_size=5))

    def of_each_word(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | st.lists(values, min_size=len(words), max_size=len(words)))

    return Example(
        words,
        spans=draw(st.lists(st.builds(Span, NUMBERS, NUMBERS, STRINGS, st.none() | SCORES), max_size=3)),
        tags=of_each_word(STRINGS),
        labels=draw(st.lists(STRINGS, max_size=2)),
        answers=draw(st.lists(STRINGS, max_size=2)),
        text=draw(st.none() | STRINGS),
        offsets=of_each_word(st.tuples(NUMBERS, NUMBERS)),
        metadata=draw(st.dictionaries(STRINGS, JSON, max_size=2)),
        query_length=draw(NUMBERS),
        pieces=of_each_word(NUMBERS),
        source=draw(st.sampled_from(["", "a.conll", "\ud800"])),
        line=draw(NUMBERS),
        line_indices=of_each_word(NUMBERS),
        scores=draw(st.dictionaries(STRINGS, SCORES, max_size=2)),
        warnings=draw(st.lists(STRINGS, max_size=3)),
    )


DOCUMENTS = st.lists(
    st.builds(
        Document,
        st.lists(examples(), max_size=3),
        id=STRINGS | NUMBERS.map(str) | st.sampled_from(["007", "-1", "٣", "²", "12345678901"]),
        source=st.sampled_from(["", "a.conll"]),
        scheme=st.sampled_from(["bio", "none"]),
        source_lines=st.none() | st.lists(STRINGS, max_size=2),
    ),
    max_size=4,
)


def read_all(documents: Store) -> list[Document]:
    """The documents with lists of examples, which can be compared."""
    return [replace(document, examples=list(document.examples)) for document in documents]


@pytest.mark.slow
@given(documents=DOCUMENTS)
def test_what_is_read_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, documents: list[Document]) -> None:
    folder = tmp_path_factory.mktemp("stores") / "store"
    write(documents, folder)
    opened = open_store(folder)
    assert read_all(opened) == documents
    everything = [example for document in documents for example in document.examples]
    found = [example for document in opened for example in document.examples]
    assert [[span.score for span in e.spans] for e in found] == [[span.score for span in e.spans] for e in everything]
    for scheme in ("none", "bio"):
        assert opened.vocabs(scheme) == Vocabs.from_examples(everything, scheme)
        assert [*opened.vocabs(scheme).words] == [*Vocabs.from_examples(everything, scheme).words]


def test_every_field_of_an_example_and_a_document_is_saved(tmp_path: Path) -> None:
    example = Example(
        words=["a"],
        spans=[Span(0, 1, "X", 0.5)],
        tags=["B-X"],
        labels=["joy"],
        answers=["a"],
        text="a",
        offsets=[(0, 1)],
        metadata={"id": 1},
        query_length=1,
        pieces=[7],
        source="other.conll",
        line=3,
        line_indices=[0],
        scores={"joy": 0.5},
        warnings=["odd"],
        repairs=["t:1: changed"],
        raw_tags=RawTags(["S-X"], "bioes"),
    )
    document = Document([example], id="7", source="a.conll", scheme="none", source_lines=["a\n"])
    for value, default in ((example, Example([])), (document, Document([]))):
        for field in fields(value):
            if field.name in UNSAVED:
                continue
            assert getattr(value, field.name) != getattr(default, field.name), f"{field.name} is not tested"
    write([document], tmp_path / "store")
    (found,) = read_all(open_store(tmp_path / "store"))
    assert found == document
    assert type(found.examples[0].offsets[0]) is tuple
    assert found.examples[0].raw_tags.scheme == "bioes"
    assert found.examples[0].spans[0].score == 0.5


def test_the_sample_is_read_back(tmp_path: Path) -> None:
    def read() -> Iterator[Document]:
        return conll.read(str(SAMPLE / "en" / "train.conll"), conll.Config(), "space")

    write(read(), tmp_path / "store")
    assert read_all(open_store(tmp_path / "store")) == list(read())


@pytest.mark.parametrize("index", [slice(None), slice(1, 3), slice(-2, None), slice(4, 0, -2), slice(9, 12)])
def test_slices_are_those_of_lists(saved: Store, index: slice) -> None:
    assert [document.id for document in saved[index]] == [document.id for document in sentences()[index]]
    assert saved[1].examples[index] == sentences()[1].examples[index]


@pytest.mark.parametrize("index", [0, 1, -1, -2, np.int64(1)])
def test_positions_are_those_of_lists(saved: Store, index: int) -> None:
    assert saved[index].id == sentences()[index].id
    assert saved[1].examples[index] == sentences()[1].examples[index]


@pytest.mark.parametrize("index", [5, -6])
def test_positions_outside_are_refused(saved: Store, index: int) -> None:
    with pytest.raises(IndexError):
        saved[0].examples[index]
    with pytest.raises(IndexError):
        saved[index]


def test_only_the_examples_that_are_asked_for_are_made(saved: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[str]] = []

    def make(*, words: list[str], **others: Any) -> Example:
        made.append(words)
        return Example(words, **others)

    monkeypatch.setattr(store, "Example", make)
    document = saved[1]
    assert len(document.examples) == 5
    assert made == []
    assert document.examples[2].words == ["w2", "und", "é"]
    assert len(document.examples[3:]) == 2
    assert made == [["w2", "und", "é"], ["w3", "und", "é"], ["w4", "und", "é"]]
    next(iter(document.examples))
    assert len(made) == 4


def test_opening_and_vocabularies_parse_no_document(saved: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Any:
        raise AssertionError("parsed")

    monkeypatch.setattr(store, "_parse", refuse)
    assert len(open_store(saved.directory)) == 2
    assert saved.vocabs("bio").labels == {"PER": 10, "ORG": 10}


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="store: cannot be written: No space left on device; make room, or choose"):
        write(sentences(), tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_while_writing_is_said_too(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        with pytest.raises(InputError, match="store: cannot be written: File too large"):
            write(sentences(500), tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    assert list(tmp_path.iterdir()) == []


def test_an_older_store_is_replaced_and_other_directories_are_not(tmp_path: Path, saved: Store) -> None:
    derived(saved, "plan", {}, lambda: np.zeros((1, 6), dtype=np.int64))
    write(sentences(1), saved.directory)
    assert read_all(open_store(saved.directory)) == sentences(1)
    assert not list(saved.directory.glob("plan-*"))
    (saved.directory / "pytorch_model.bin").touch()
    with pytest.raises(InputError, match=r"expected a store or nothing, found 'pytorch_model\.bin'; give another"):
        write(sentences(), saved.directory)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: cannot be written: Not a directory"):
        write(sentences(), tmp_path / "file")


@pytest.mark.parametrize("name", store.FILES)
@pytest.mark.parametrize("change", [b"", b"\0"])
def test_a_file_of_another_size_is_found(saved: Store, name: str, change: bytes) -> None:
    path = saved.directory / name
    path.write_bytes(path.read_bytes() + change if change else b"")
    with pytest.raises(InputError, match=f"{name}: .*size differs"):
        open_store(saved.directory)
    path.unlink()
    with pytest.raises(InputError, match=f"{name}: missing"):
        open_store(saved.directory)


def test_flipped_bytes_are_named(saved: Store) -> None:
    path = saved.directory / store.TEXT
    path.write_bytes(path.read_bytes().replace(b'{"words"', b'{ words"', 1))
    opened = open_store(saved.directory)
    assert opened[1].examples[0] == sentences()[1].examples[0]
    with pytest.raises(InputError, match=r"documents\.jsonl:3: damaged: .*; remove the directory"):
        opened[0].examples[0]
    with pytest.raises(InputError, match=r"documents\.jsonl: SHA-256 or size differs"):
        manifest.verify(saved.directory)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"a": 3}', '{"a": {}}', "\ud800"])
def test_a_manifest_that_is_none_is_refused(saved: Store, content: str) -> None:
    (saved.directory / MANIFEST).write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(InputError, match=r"manifest\.json: |written by another version|a: missing"):
        open_store(saved.directory)


def test_directories_without_a_manifest_are_no_stores(tmp_path: Path) -> None:
    for folder, problem in ((tmp_path, r"no manifest\.json, so this is not"), (tmp_path / "none", "no such directory")):
        with pytest.raises(InputError, match=problem):
            open_store(folder)


def test_a_store_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Store) -> None:
    monkeypatch.setitem(store.FIELDS, Span, ["start", "end"])
    with pytest.raises(InputError, match="store: written by another version"):
        open_store(saved.directory)


GROWTH = """
import itertools, json, re, sys
from pathlib import Path
from ner.data.store import open_store, write
from ner.types import Document, Example, RawTags, Span

def peak():  # of this program; getrusage may count the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

def documents(count):
    for i in range(count):
        words = [f"w{(i * 31 + j * j) % 50_000}" for j in range(4)]
        yield Document([Example(words, [Span(0, 1, "PER")], ["B-PER", "O", "O", "O"], line=5 * i + 1)], str(i))

folder = Path(sys.argv[1])
write(documents(1000), folder / "small")
peaks = [peak()]
write(documents(200_000), folder / "large")
peaks.append(peak())
assert sum(len(d.examples[0].words) for d in open_store(folder / "large")) == 800_000
peaks.append(peak())
held = list(documents(200_000))
peaks.append(peak())
print(json.dumps(peaks))
"""


@pytest.mark.processes
@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is looked up in /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    start, written, read, held = json.loads(done.stdout)
    size = sum(path.stat().st_size for path in (tmp_path / "large").iterdir()) / 2**20
    assert written - start < 32  # megabytes; buffers and 50,000 distinct words
    assert read - written < size + 16  # pages of the files are mapped, nothing else is kept
    assert held - read > 64, "lists of the same documents would have been noticed"


def test_counts_are_those_of_a_second_pass(tmp_path: Path) -> None:
    documents = list(conll.read(str(SAMPLE / "en" / "train.conll"), conll.Config(), "space"))
    write(documents, tmp_path / "store")
    opened = open_store(tmp_path / "store")
    learned = Vocabs.from_examples(chain.from_iterable(document.examples for document in documents), "bio")
    assert opened.vocabs("bio") == learned
    assert learned.classes == Counter()


def test_what_was_unusual_comes_back_with_its_example(tmp_path: Path) -> None:
    documents = sentences()
    documents[1].examples[2].warnings = ["answers that are not there", "answers that are not there", "é\ud800"]
    documents[1].examples[3].warnings = [""]
    write(documents, tmp_path / "store")
    opened = open_store(tmp_path / "store")
    assert [len(example.warnings) for document in opened for example in document.examples] == [0] * 7 + [3, 1, 0]
    assert read_all(opened) == documents
