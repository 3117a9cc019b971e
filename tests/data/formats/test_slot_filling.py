from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ner.data.formats import slot_filling
from ner.data.formats.slot_filling import Config
from ner.errors import InputError
from ner.runtime import manifest
from ner.types import Annotation, Document, Example, Span
from tests.conftest import ROOT, SAMPLE

ATIS = ROOT.parent / "shared" / "data" / "atis"
TWO = {"seq.in": b"to new york\nfares\n", "seq.out": b"O B-city I-city\nO\n", "label": b"flight#fare\nfare\n"}


def folder(path: Path, contents: dict[str, bytes]) -> str:
    path.mkdir(exist_ok=True)
    for name, data in contents.items():
        (path / name).write_bytes(data)
    return str(path)


def read(path: str, for_rewriting: bool = False, **options: Any) -> list[Document]:
    documents = list(slot_filling.read(path, Config(**options), "space", for_rewriting))
    assert all(len(document.examples) == 1 for document in documents)
    return documents


def examples(path: str, **options: Any) -> list[Example]:
    return [document.examples[0] for document in read(path, **options)]


def test_a_line_is_an_utterance_with_slots_and_intent(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", TWO)
    documents = read(path)
    assert [(document.id, document.source, document.scheme, document.source_lines) for document in documents] == [
        ("0", path, "bio", None),
        ("1", path, "bio", None),
    ]
    first, second = (document.examples[0] for document in documents)
    assert (first.words, first.spans) == (["to", "new", "york"], [Span(1, 3, "city")])
    assert (first.tags, first.labels) == (["O", "B-city", "I-city"], ["flight#fare"])
    assert (second.words, second.spans, second.tags, second.labels) == (["fares"], [], ["O"], ["fare"])
    assert [first.location, second.location] == [f"{path}/seq.in:1", f"{path}/seq.in:2"]


@pytest.mark.parametrize(
    ("intents", "labels", "remark"),
    [
        ("whole", ["flight#fare"], "utterances with several intents, read as one class"),
        ("split", ["flight", "fare"], "utterances with several intents, read as several classes"),
    ],
)
def test_several_intents_are_one_class_or_several_and_it_is_said(
    intents: str, labels: list[str], remark: str, tmp_path: Path
) -> None:
    first, second = examples(folder(tmp_path / "in", TWO), intents=intents)
    assert (first.labels, first.warnings) == (labels, [remark])
    assert (second.labels, second.warnings) == (["fare"], [])


@pytest.mark.parametrize(
    ("missing", "options"),
    [
        (["label"], {"labels": None}),
        (["seq.out"], {"tags": None}),
        (["label", "seq.out"], {"tags": None, "labels": None}),
    ],
)
def test_tags_and_intents_may_be_absent_when_that_is_said(
    missing: list[str], options: dict[str, Any], tmp_path: Path
) -> None:
    path = folder(tmp_path / "in", {name: data for name, data in TWO.items() if name not in missing})
    first = examples(path, **options)[0]
    assert (first.tags is None) == ("seq.out" in missing)
    assert bool(first.labels) == ("label" not in missing)
    with pytest.raises(InputError, match=f"{path}/{missing[-1]}: cannot be read: No such file"):
        examples(path)


def test_files_may_have_other_names_and_encodings(tmp_path: Path) -> None:
    contents = {"words.txt": "caf\xe9\n".encode("latin-1"), "slots": b"B-place\n", "intent": b"go\n"}
    path = folder(tmp_path / "in", contents)
    named = {"words": "words.txt", "tags": "slots", "labels": "intent", "encoding": "latin-1"}
    (found,) = examples(path, **named)
    assert (found.words, found.spans, found.labels) == (["caf\xe9"], [Span(0, 1, "place")], ["go"])
    with pytest.raises(InputError, match=r"words\.txt:1: expected utf-8, found byte 0xe9"):
        examples(path, **{**named, "encoding": "utf-8"})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"seq.out": b"O B-city I-city\n"},
            r"seq\.out:2: expected a line for the one of seq\.in, found the end of the file",
        ),
        (
            {"label": b"flight\nfare\nfare\n"},
            r"seq\.in:3: expected a line for the one of label, found the end of the file",
        ),
        ({"seq.in": b"to new york\nfares\nx\n"}, r"seq\.out:3: expected a line for the one of seq\.in, found the end"),
        ({"seq.out": b"O B-city I-city\nO O\n"}, r"seq\.out:2: expected a tag for each of 1 words, found 2 tags"),
        ({"seq.out": b"O B-city\nO\n"}, r"seq\.out:1: expected a tag for each of 3 words, found 2 tags"),
        ({"seq.out": b"O city I-city\nO\n"}, r"seq\.out:1: expected O or one of .*, found 'city'; set data\.format"),
        (
            {"seq.out": b"O B-city I-city\nfare\n"},
            r"seq\.out:2: expected O or one of .*, found 'fare'; set data\.format",
        ),
        ({"seq.in": b"", "seq.out": b"", "label": b""}, r"seq\.in: expected an utterance per line, found an empty"),
        ({"seq.out": b"O B-city I-city\n\xff\n"}, r"seq\.out:2: expected utf-8, found byte 0xff at byte 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_and_line(
    changed: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    path = folder(tmp_path / "in", {**TWO, **changed})
    with pytest.raises(InputError, match=f"^{path}/{message}"):
        examples(path)


def test_a_pipe_or_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"words\n")
    with pytest.raises(InputError, match=r"/file: expected a directory with the file seq\.in in it, found a file"):
        examples(str(tmp_path / "file"))
    for refused in (lambda: examples("-"), lambda: slot_filling.write("-", [], Config())):
        with pytest.raises(InputError, match="not a pipe; give one, or choose --format text or jsonl"):
            refused()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"  to \t new york  \r\n", ["to", "new", "york"]),
        (b"\xef\xbb\xbfto new york\n", ["to", "new", "york"]),
        (b"to new york", ["to", "new", "york"]),
        ("to\u3000 new \xa0york\n".encode(), ["to\u3000", "new", "\xa0york"]),
    ],
)
def test_ascii_blanks_alone_separate(line: bytes, words: list[str], tmp_path: Path) -> None:
    path = folder(tmp_path / "in", {"seq.in": line, "seq.out": b"O O O\n", "label": b" flight \n"})
    (found,) = examples(path)
    assert (found.words, found.labels) == (words, ["flight"])


def test_an_empty_line_is_an_utterance_without_words(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", {"seq.in": b"\nto\n", "seq.out": b"\nO\n", "label": b"\n\n"})
    assert [(e.words, e.tags, e.labels) for e in examples(path)] == [([], [], []), (["to"], ["O"], [])]


@pytest.mark.parametrize(
    ("tagged", "scheme"),
    [(b"O B-c I-c\n", "bio"), (b"O B-c E-c\n", "bioes"), (b"O I-c I-c\n", "io"), (b"TO JJ NN\n", "none")],
)
def test_the_scheme_is_found_out_and_kept(tagged: bytes, scheme: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "in", {"seq.in": b"to new york\n", "seq.out": tagged, "label": b"a\n"})
    documents = read(path, for_rewriting=True)
    assert documents[0].scheme == scheme
    assert documents[0].examples[0].spans == ([] if scheme == "none" else [Span(1, 3, "c")])
    slot_filling.write(str(tmp_path / "out"), documents, Config())
    assert (tmp_path / "out" / "seq.out").read_bytes() == tagged


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    contents = {**TWO, "seq.in": b" to  new\tyork\nfares\n"}
    documents = read(folder(tmp_path / "in", contents), for_rewriting=True)
    for _ in range(2):  # the second time in place of the first
        slot_filling.write(str(tmp_path / "out"), documents, Config())
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == contents
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    split = read(str(tmp_path / "in"), for_rewriting=True, intents="split")
    slot_filling.write(str(tmp_path / "split"), split, Config(intents="split"))
    assert (tmp_path / "split" / "label").read_bytes() == contents["label"]


def test_answers_stand_where_the_gold_ones_stood(tmp_path: Path) -> None:
    documents = read(folder(tmp_path / "in", TWO), for_rewriting=True)
    answer = Annotation(["B-city", "O", "O"], [Span(0, 1, "city")], ["fare"])
    documents[0].examples[0] = documents[0].examples[0].with_prediction(answer)
    slot_filling.write(str(tmp_path / "out"), documents, Config())
    assert (tmp_path / "out" / "seq.out").read_bytes() == b"B-city O O\nO\n"
    assert (tmp_path / "out" / "label").read_bytes() == b"fare\nfare\n"


def test_a_file_of_which_the_model_says_nothing_is_left_out(tmp_path: Path) -> None:
    slot_filling.write(str(tmp_path / "a"), [Document([Example(["to"], labels=["fare"])])], Config())
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["label", "seq.in"]
    slot_filling.write(str(tmp_path / "b"), [Document([Example(["to"], tags=["O"])])], Config())
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["seq.in", "seq.out"]


def test_a_directory_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine", {**TWO, "thesis.tex": b"years"})
    with pytest.raises(InputError, match=r"/mine: expected a new directory to write to, found thesis\.tex"):
        slot_filling.write(path, [Document([Example(["to"])])], Config())
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(InputError, match=r"/file: expected a new directory to write to, found a file"):
        slot_filling.write(str(tmp_path / "file"), [], Config())
    assert (tmp_path / "mine" / "seq.in").read_bytes() == TWO["seq.in"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = folder(tmp_path / "out", TWO)

    def failing() -> Any:
        yield Document([Example(["new"], tags=["O"])])
        raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        slot_filling.write(path, failing(), Config())
    assert {file.name: file.read_bytes() for file in tmp_path.joinpath("out").iterdir()} == TWO
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_the_checksum_of_a_directory_sees_a_change_in_any_file(tmp_path: Path) -> None:
    path = Path(folder(tmp_path / "in", TWO))
    before = manifest.sha256(path)
    (path / "label").write_bytes(b"flight\nfare\n")
    assert manifest.sha256(path) != before


def test_the_sample_has_the_size_that_the_notes_name() -> None:
    sizes = {split: examples(str(SAMPLE / "intent" / split)) for split in ("train", "valid")}
    assert {split: len(found) for split, found in sizes.items()} == {"train": 153, "valid": 39}
    assert not {tuple(e.words) for e in sizes["train"]} & {tuple(e.words) for e in sizes["valid"]}
    for kind in (lambda e: e.labels, lambda e: [span.label for span in e.spans]):
        known, asked = ({name for e in sizes[split] for name in kind(e)} for split in ("train", "valid"))
        assert asked <= known
    assert len({label for e in sizes["train"] for label in e.labels if "#" not in label}) == 8
    assert len({span.label for e in sizes["train"] for span in e.spans}) == 10


def test_the_sample_is_written_again_byte_for_byte(tmp_path: Path) -> None:
    shutil.copy(SAMPLE / "intent" / "generate.py", tmp_path)
    subprocess.run([sys.executable, str(tmp_path / "generate.py")], check=True)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.glob("*/*"))
    assert len(written) == 6
    assert all((tmp_path / path).read_bytes() == (SAMPLE / "intent" / path).read_bytes() for path in written)


@pytest.mark.slow
@pytest.mark.skipif(not ATIS.exists(), reason="ATIS is not part of the project")
def test_atis_has_its_published_numbers() -> None:
    sizes = {"train": (4478, 50497, 14851), "dev": (500, 5703, 1709), "test": (893, 9164, 2837)}
    several = {}
    for split, expected in sizes.items():
        found = examples(str(ATIS / split))
        assert (len(found), sum(len(e.words) for e in found), sum(len(e.spans) for e in found)) == expected
        several[split] = sum(bool(e.warnings) for e in found)
    assert several == {"train": 23, "dev": 3, "test": 15}


@pytest.mark.parametrize("kind", ["folder", "link", "link to the directory"])
def test_only_regular_files_of_the_format_are_deleted(tmp_path: Path, kind: str) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "seq.in").write_bytes(b"years")
    target = tmp_path / "out"
    if kind == "link to the directory":
        target.symlink_to(kept)
    elif kind == "link":
        target.mkdir()
        (target / "seq.in").symlink_to(kept / "seq.in")
    else:
        (target / "seq.in").mkdir(parents=True)
        (target / "seq.in" / "thesis").write_bytes(b"years")
    with pytest.raises(InputError, match=r"/out: expected a new directory to write to, found"):
        slot_filling.write(str(target), [Document([Example(["to"], tags=["O"])])], Config())
    assert (kept / "seq.in").read_bytes() == b"years"
    assert kind != "folder" or (target / "seq.in" / "thesis").read_bytes() == b"years"


@pytest.mark.parametrize("options", [{"tags": "seq.in"}, {"words": "../seq.in"}, {"labels": "/label"}])
def test_names_of_files_differ_and_stay_in_the_directory(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="file"):
        Config(**options)
