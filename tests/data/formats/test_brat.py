from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ner.data.formats import brat
from ner.data.formats.brat import Config
from ner.data.notices import Notice
from ner.errors import InputError
from ner.types import Document, Example, Span


def read(folder: Path, text: str, annotations: str | None, for_rewriting: bool = False, **options: Any) -> Document:
    (folder / "a.txt").write_bytes(text.encode())
    if annotations is not None:
        (folder / "a.ann").write_bytes(annotations.encode())
    (document,) = brat.read(str(folder / "a.txt"), Config(**options), "space", for_rewriting)
    return document


def test_lines_are_examples_and_other_annotations_are_counted(tmp_path: Path) -> None:
    annotations = "T1\tPER 0 3\tAda\nT2\tLOC 14 18\tOslo\nR1\tLives Arg1:T1 Arg2:T2\n#1\tAnnotatorNotes T1\tx\n"
    document = read(tmp_path, "Ada won\n\nShe, Oslo\n", annotations)
    first, second = document.examples
    assert (first.spans, second.spans) == ([Span(0, 1, "PER")], [Span(1, 2, "LOC")])
    assert (first.line, second.line) == (1, 3)
    assert first.warnings == [Notice.ANNOTATION_IGNORED] * 2
    assert (document.id, document.source) == ("a", str(tmp_path / "a.txt"))


def test_carriage_returns_count_and_bytes_or_utf16_are_found_by_the_recorded_words(tmp_path: Path) -> None:
    for start in (10, 11, 13):  # characters, UTF-16, UTF-8
        document = read(tmp_path, "\U0001f4a9 Ada\r\nis Bo\r\n", f"T1\tPER {start} {start + 2}\tBo\n")
        assert document.examples[1].spans == [Span(1, 2, "PER")]


def test_an_entity_across_lines_needs_the_whole_file_as_a_unit(tmp_path: Path) -> None:
    text, annotations = "Ada\nKing won\n", "T1\tPER 0 3;4 8\tAda King\n"
    with pytest.raises(InputError, match=r"a\.ann:1: the entity 'Ada King' has 2 fragments"):
        read(tmp_path, text, annotations)
    with pytest.raises(InputError, match=r"a\.ann:1: .* contains the end of a line; set data\.format\.unit=file"):
        read(tmp_path, text, annotations, on_discontinuous="join")
    document = read(tmp_path, text, annotations, on_discontinuous="join", unit="file")
    assert document.examples[0].spans == [Span(0, 2, "PER")]


@pytest.mark.parametrize(
    ("rule", "spans", "notice"),
    [
        ("join", [Span(0, 3, "X")], Notice.FRAGMENTS_JOINED),
        ("split", [Span(0, 1, "X"), Span(2, 3, "X")], Notice.FRAGMENTS_SPLIT),
        ("drop", [], Notice.FRAGMENTS_DROPPED),
    ],
)
def test_fragments_are_joined_split_or_dropped_with_a_notice(
    tmp_path: Path, rule: str, spans: list[Span], notice: Notice
) -> None:
    (example,) = read(tmp_path, "red and blue wine\n", "T1\tX 0 3;8 12\tred blue\n", on_discontinuous=rule).examples
    assert (example.spans, example.warnings) == (spans, [notice])
    assert example.repairs[0].endswith(f"a.ann:1: X 'red blue': {rule}")


def test_nested_entities_are_refused_or_reduced(tmp_path: Path) -> None:
    annotations = "T1\tORG 0 18\tUniversity of Oslo\nT2\tLOC 14 18\tOslo\n"
    with pytest.raises(InputError, match="overlap"):
        read(tmp_path, "University of Oslo\n", annotations)
    (example,) = read(tmp_path, "University of Oslo\n", annotations, on_overlap="longest").examples
    assert (example.spans, example.warnings) == ([Span(0, 3, "ORG")], [Notice.SPAN_OVERLAPS])


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        (None, "a.ann: cannot be read: expected the annotations of"),
        ("T1 PER 0 3\tAda\n", 'a.ann:1: expected "T1<tab>LABEL START END<tab>TEXT"'),
        ("R1\tx\nT1\tPER 0 2\tAda\n", "a.ann:2: expected 'Ada' at 0 to 2, found 'Ad'"),
        ("T1\tPER 0 9\tAda\n", "a.ann:1: expected a span within 0 and 8, found 0 to 9"),
        ("T1\tPER 0 2\tAd\n", "a.ann:1: span 0 to 2 ('Ad') begins or ends inside a word"),
        ("T1\tPER 0 1;4 5\tA x\n", "a.ann:1: expected 'A x' at the fragments, found 'A w'"),
    ],
)
def test_a_wrong_annotation_is_refused_with_its_line(tmp_path: Path, annotations: str | None, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, "Ada won\n", annotations)
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(message)


def test_predictions_keep_the_text_byte_for_byte_and_replace_only_their_own_directory(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.txt").write_bytes(b" Ada won\r\n\r\n\xc3\xa9 Bo")
    documents = list(brat.read(str(source), Config(), "space", for_rewriting=True))
    documents[0].examples[1].spans = [Span(1, 2, "PER", 0.5)]
    for _ in range(2):
        brat.write(str(target), documents, Config())
    assert (target / "deep" / "a.txt").read_bytes() == (source / "deep" / "a.txt").read_bytes()
    assert (target / "deep" / "a.ann").read_text() == "T1\tPER 14 16\tBo\n#1\tAnnotatorNotes T1\tscore 0.500000\n"
    assert "PER\n" in (target / "annotation.conf").read_text()
    (target / "mine.csv").write_text("x")
    with pytest.raises(InputError, match=r"found mine\.csv in it"):
        brat.write(str(target), documents, Config())
    with pytest.raises(InputError, match="expected a new directory"):
        brat.write(str(source), documents, Config())
    assert (source / "deep" / "a.txt").exists()


def test_words_without_a_text_are_joined(tmp_path: Path) -> None:
    documents = [Document([Example(["Ada", "won"], [Span(0, 1, "PER")], ["B-PER", "O"])], id=str(n)) for n in range(2)]
    brat.write(str(tmp_path / "out"), documents, Config())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "000000.ann", "000000.txt", "000001.ann", "000001.txt", "annotation.conf",
    ]  # fmt: skip
    found = list(brat.read(str(tmp_path / "out"), Config(), "space"))
    assert [document.examples[0].spans for document in found] == [[Span(0, 1, "PER")]] * 2
