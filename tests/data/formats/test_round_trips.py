"""Gold documents that a format exports are read back unchanged."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner.config.parts import component_names, load_component
from ner.data.question_answering import question_example
from ner.data.tags import encode
from ner.data.words import split_words
from ner.errors import InputError
from ner.types import Document, Example, Span

ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LINE = st.text(
    st.characters(exclude_categories=["Cs", "Zl", "Zp"], exclude_characters="\r\n\x0b\x0c\x1c\x1d\x1e\x85"), max_size=30
)
LABELS = st.sampled_from(["PER", "LOC", "x-y", "组织"])


def spans(data: st.DataObject, words: int) -> list[Span]:
    """Draw spans that do not overlap."""
    cuts = sorted(data.draw(st.sets(st.integers(0, words), max_size=6)))
    chosen = [pair for pair in pairwise(cuts) if data.draw(st.booleans())]
    return [Span(start, end, data.draw(LABELS)) for start, end in chosen]


def text_example(data: st.DataObject, text: str, rule: Any) -> Example:
    words, offsets = split_words(text, rule)
    found = spans(data, len(words))
    return Example(words, found, encode(found, len(words)), text=text, offsets=offsets)


def facts(documents: list[Document]) -> list[Any]:
    return [
        [(e.words, e.spans, e.tags, e.labels, e.text, e.offsets, e.answers) for e in document.examples]
        for document in documents
    ]


def exported(name: str, path: Path, documents: list[Document], rule: Any = "space", **options: Any) -> list[Document]:
    form = load_component("formats", name)
    (form.export or form.write)(str(path), documents, form.Config(**options))
    return list(form.read(str(path), form.Config(**options), rule))


RUNS = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["characters", "utf16", "bytes"])
@pytest.mark.parametrize("name", ["jsonl", "doccano", "labelstudio", "arrow"])
@RUNS
@given(texts=st.lists(ANYTHING, min_size=1, max_size=3), data=st.data(), rule=st.sampled_from(["space", "characters"]))
def test_texts_with_spans(
    tmp_path: Path, name: str, unit: str, texts: list[str], data: st.DataObject, rule: Any
) -> None:
    documents = [Document([text_example(data, text, rule)]) for text in texts]
    path = tmp_path / "out.parquet" if name == "arrow" else tmp_path / "out.json"
    assert facts(exported(name, path, documents, rule, offsets=unit)) == facts(documents)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["characters", "utf16", "bytes", "auto"])
@RUNS
@given(lines=st.lists(LINE, min_size=1, max_size=4), data=st.data())
def test_lines_of_standoff_files(tmp_path: Path, unit: str, lines: list[str], data: st.DataObject) -> None:
    examples = [text_example(data, line.removeprefix("\ufeff"), "space") for line in lines]
    examples = [example for example in examples if example.words]
    path = tmp_path / "out.txt"
    if unit == "auto" and not all(line.isascii() for line in lines):  # the same words may be at both positions
        with suppress(InputError):
            assert facts(exported("brat", path, [Document(examples)])) == (
                facts([Document(examples)]) if examples else []
            )
        return
    found = exported("brat", path, [Document(examples)], offsets=unit)
    assert facts(found) == (facts([Document(examples)]) if examples else [])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conll", "slot_filling", "jsonl", "arrow"])
@RUNS
@given(data=st.data())
def test_words_with_tags(tmp_path: Path, name: str, data: st.DataObject) -> None:
    word = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" "), min_size=1, max_size=8)
    sentences = data.draw(st.lists(st.lists(word, min_size=1, max_size=6), min_size=1, max_size=3))
    examples = []
    for words in sentences:
        if name == "conll" and words[0].startswith(("-DOCSTART-", "\ufeff")):
            return
        found = spans(data, len(words))
        examples.append(Example(words, found, encode(found, len(words))))
    if any(example.words[0].startswith("\ufeff") for example in examples):
        return  # a byte order mark
    documents = [Document([example]) for example in examples]
    options = {"labels": None, "scheme": "bio"} if name == "slot_filling" else {"scheme": "bio"}
    options = {} if name == "jsonl" else options
    assert facts(exported(name, tmp_path / "out", documents, **options)) == facts(documents)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jsonl", "doccano", "labelstudio", "arrow", "tsv"])
@RUNS
@given(labels=st.lists(st.sampled_from(["joy", "喜", "a b"]), min_size=1, max_size=1), text=LINE)
def test_labels_of_texts(tmp_path: Path, name: str, labels: list[str], text: str) -> None:
    text = text.replace("\t", "")
    words, offsets = split_words(text, "space")
    documents = [Document([Example(words, labels=labels, text=text, offsets=offsets)])]
    path = tmp_path / "out.parquet" if name == "arrow" else tmp_path / "out.json"
    assert facts(exported(name, path, documents)) == facts(documents)


@pytest.mark.parametrize("encoding", ["latin-1", "gb18030"])
@pytest.mark.parametrize("name", [name for name in component_names("formats") if name != "arrow"])
def test_predictions_and_gold_have_the_encoding_of_the_configuration(name: str, encoding: str, tmp_path: Path) -> None:
    form = load_component("formats", name)
    config = form.Config(encoding=encoding)
    words = ["Zoé", "naïve", "Zürich"]
    question = question_example(["é?"], "Zoé naïve Zürich", "space")
    question.answers, question.metadata = ["Zoé"], {"id": "é"}
    example = Example(words, [Span(0, 1, "X")], ["B-X", "O", "O"], labels=["é"], text="Zoé naïve Zürich")
    example.offsets = [(0, 3), (4, 9), (10, 16)]
    written = question if {"answers"} == form.STORES else example
    for write in (form.write, form.export or form.write):
        path = tmp_path / write.__name__
        write(str(path), [Document([written])], config)
        files = [path, *tmp_path.glob(f"{path.name}.*"), *path.glob("*")]
        content = b"".join(file.read_bytes() for file in files if file.is_file())
        assert "é".encode(encoding) in content
        assert "é" in content.decode(encoding)
        assert "é".encode() not in content


@pytest.mark.parametrize("name", ["jsonl", "doccano", "labelstudio"])
def test_characters_that_the_encoding_lacks_are_json_escapes(name: str, tmp_path: Path) -> None:
    text = "\x80é京\U0001f4a9 \ud800"
    words, offsets = split_words(text, "space")
    documents = [
        Document([Example(words, [Span(0, 1, "X")], encode([Span(0, 1, "X")], 2), text=text, offsets=offsets)])
    ]
    for encoding in ("ascii", "latin-1", "utf-8"):
        assert facts(exported(name, tmp_path / "out", documents, offsets="characters", encoding=encoding)) == facts(
            documents
        )
