from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ner.config.parts import load_component
from ner.data.checks import DataReport, check_documents, suspicious_words
from ner.data.findings import Finding
from ner.data.formats import conll
from ner.types import Document, Example, Span
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared" / "data"


def report(folder: Path, **splits: str) -> DataReport:
    documents = {}
    for split, text in splits.items():
        (folder / split).write_text(text, encoding="utf-8")
        documents[split] = list(conll.read(str(folder / split), conll.Config(), "space"))
    return check_documents(documents, one_word_per_line=True)


def finding(found: DataReport, name: str) -> Finding:
    (only,) = [finding for finding in found.findings if finding.name == name]
    return only


def names(found: DataReport, *levels: str) -> list[str]:
    return [finding.name for finding in found.findings if finding.level in (levels or ("error", "warning"))]


def test_clean_data_have_no_warning_and_right_counts(tmp_path: Path) -> None:
    found = report(tmp_path, train="Ada B-PER\nwon O\n\nBo B-PER\n", valid="Ada B-PER\n")
    assert names(found) == ["unknown-words"] or names(found) == []
    train = found.splits["train"]
    assert (train.documents, train.sentences, train.words, train.entities) == (2, 2, 3, 2)
    assert (train.labels, train.lengths) == ({"PER": 2}, {1: 1, 2: 1})


def test_labels_only_in_one_split_are_named(tmp_path: Path) -> None:
    found = report(tmp_path, train="Ada B-PER\n\nOslo B-LOC\n", test="Bo B-PER\nx B-ORG\ny B-ORG\n")
    gap = finding(found, "unseen-labels")
    assert (gap.level, gap.count) == ("warning", 2)
    assert "ORG 2" in gap.message
    assert gap.places == (f"{tmp_path}/test:2",)
    assert "LOC 1" in finding(found, "unscored-labels").message


def test_a_file_without_empty_lines_is_a_long_sentence(tmp_path: Path) -> None:
    found = report(tmp_path, train="Ada B-PER\nwon O\n" * 300, valid="Ada B-PER\nwon O\n\n" * 300)
    warning = finding(found, "long-sentences")
    assert (warning.level, warning.message) == ("warning", "train: half of the sentences have 600 words or more")


def test_a_rare_label_that_resembles_a_frequent_one_is_shown_with_its_place(tmp_path: Path) -> None:
    train = "".join(f"x{n} B-COMPANY\n\n" for n in range(12)) + "y O\nz B-COMAPNY\n\nw B-PLACE\n"
    found = report(tmp_path, train=train, valid="x1 B-Company\n")
    first, second = (finding for finding in found.findings if finding.name == "similar-labels")
    assert (first.places, first.evidence) == ((f"{tmp_path}/train:26",), ("COMAPNY 1, similar to COMPANY",))
    assert (second.places, second.evidence) == ((f"{tmp_path}/valid:1",), ("Company 1, similar to COMPANY",))
    assert f"{tmp_path}/train:26" in finding(found, "rare-labels").places


def test_repeated_leaked_and_contradicting_sentences_have_both_places(tmp_path: Path) -> None:
    train = "Ada B-PER\nwon O\n\nAda B-PER\nwon O\n\nBo O\n"
    found = report(tmp_path, train=train, test="Bo B-PER\n\nCy O\n")
    assert finding(found, "duplicate-sentences").places == (f"{tmp_path}/train:4",)
    leaked = finding(found, "leaked-sentences")
    assert (leaked.count, leaked.places) == (1, (f"{tmp_path}/test:1",))
    assert leaked.evidence == (f'"Bo" as in {tmp_path}/train:7',)
    assert finding(found, "contradicting-sentences").places == (f"{tmp_path}/train:7 and {tmp_path}/test:1",)


def test_a_rare_label_of_a_frequent_mention_is_shown(tmp_path: Path) -> None:
    train = "".join(f"x{n} O\nOslo B-LOC\n\n" for n in range(19)) + "y O\nOslo B-PER\n"
    found = finding(report(tmp_path, train=train), "contradicting-mentions")
    assert (found.places, found.evidence) == ((f"{tmp_path}/train:58",), ("'Oslo' LOC 19, PER 1",))


def test_impossible_tags_are_found_at_their_line_in_every_scheme(tmp_path: Path) -> None:
    found = finding(report(tmp_path, train="a O\nb I-X\n\nc B-X\nd I-Y\n\ne B-X\nf B-Y\n"), "impossible-transitions")
    assert (found.count, found.places) == (2, (f"{tmp_path}/train:2", f"{tmp_path}/train:5"))
    assert found.evidence == ("'b' I-X after O", "'d' I-Y after B-X")
    found = finding(report(tmp_path, train="a O\nb I-X\n\nc I-X\n\nd O\ne B-X\n"), "notice")  # IOB1
    assert found.evidence == (f"{tmp_path}/train:7: 'e' B-X after O",)
    found = finding(report(tmp_path, train="a S-X\nb B-X\n\nc E-X\n\nd S-X\n"), "notice")  # BIOES
    assert [line.split("train:")[1][0] for line in found.evidence] == ["2", "4"]


def test_an_entity_within_another_is_no_impossible_transition() -> None:
    nested = Example(["a", "b", "c"], tags=["B-X", "I-X", "I-X"], spans=[Span(0, 3, "X"), Span(1, 2, "X")])
    assert "impossible-transitions" not in {f.name for f in check_documents({"train": [Document([nested])]}).findings}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("a\u200bb", "invisible"),
        ("\ufeffa", "invisible"),
        ("a\u00ad", "invisible"),
        ("\ufffd0", "replacement"),
        ("a\x07", "control"),
        ("\ue305", "private-use"),
        ("e\u0301", "decomposed"),
    ],
)
def test_suspicious_characters_are_found_at_their_word(tmp_path: Path, word: str, kind: str) -> None:
    found = finding(report(tmp_path, train=f"ok O\n{word} O\n{word} O\n"), "suspicious-characters")
    assert kind in found.message
    assert (found.count, found.places, found.evidence) == (2, (f"{tmp_path}/train:2",), (ascii(word),))


@pytest.mark.parametrize(
    "word", ["Ölz", "é", "中文", "한글", "カ", "می‌خواهم", "👩‍👩‍👧", "naïve", "x²", "„Zitat“", "\u00a0"]
)
def test_letters_of_every_script_are_not_suspicious(word: str) -> None:
    assert suspicious_words([word]) == {}


def test_files_of_different_schemes_are_a_warning(tmp_path: Path) -> None:
    found = report(tmp_path, train="a B-X\nb I-X\n", valid="a O\nc S-X\n")
    assert "train bio, valid bioes" in finding(found, "scheme-differs").message


def test_unknown_words_are_counted() -> None:
    documents = {"train": [Document([Example(["a", "b"])])], "test": [Document([Example(["a", "c", "c", "d"])])]}
    found = finding(check_documents(documents), "unknown-words")
    assert (found.level, found.count, found.evidence[0]) == ("warning", 3, "c")
    assert "75.0%" in found.message


FORMS = {
    "four_column_iob1": ("eng.train", "eng.testa", "eng.testb"),
    "four_column_bio2": ("train.txt", "valid.txt", "test.txt"),
    "two_column_bio2": ("train.txt", "valid.txt", "test.txt"),
}
CONLL = {
    "documents": (946, 216, 231),
    "sentences": (14041, 3250, 3453),
    "words": (203621, 51362, 46435),
    "entities": (23499, 5942, 5648),
}
PUBLIC: dict[str, tuple[str, tuple[str, ...], dict[str, Any], Any, dict[str, tuple[int, ...]]]] = {
    **{form: (f"conll2003/{form}", files, {}, "space", CONLL) for form, files in FORMS.items()},
    "weibo": (
        "weibo",
        tuple(f"weiboNER_2nd_conll.{split}" for split in ("train", "dev", "test")),
        {"strip_position_digit": True},
        "space",
        {"sentences": (1350, 270, 270), "words": (73778, 14509, 14842), "entities": (1895, 389, 418)},
    ),
    "cluener": (
        "cluener",
        ("train.json", "dev.json"),
        {"name": "jsonl", "spans": "label", "end": "inclusive"},
        "characters",
        {"sentences": (10748, 1343), "entities": (23972, 3072)},
    ),
    "atis": (
        "atis",
        ("train", "dev", "test"),
        {"name": "slot_filling"},
        "space",
        {"sentences": (4478, 500, 893), "words": (50497, 5703, 9164), "entities": (14851, 1709, 2837)},
    ),
    "chnsenticorp": (
        "chnsenticorp",
        ("train.tsv", "dev.tsv", "test.tsv"),
        {"name": "tsv"},
        "characters",
        {"sentences": (9600, 1200, 1200)},
    ),
    "cmrc2018": (
        "cmrc2018",
        ("cmrc2018_trial.json", "cmrc2018_dev.json"),
        {"name": "squad"},
        "characters",
        {"documents": (256, 848), "sentences": (1002, 3219)},
    ),
}
LEAKED = {"atis": {"valid": 52, "test": 13}, "chnsenticorp": {"valid": 340, "test": 333}}
"""Sentences whose words also occur in train; 338 and 331 texts of ChnSentiCorp do, white space included."""


@pytest.mark.training
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.thorough) if "bio2" in name else name for name in PUBLIC]
)
def test_public_data_pass_with_their_published_counts(name: str) -> None:
    folder, files, options, rule, counts = PUBLIC[name]
    if not (SHARED / folder).exists():
        pytest.skip(f"{SHARED} is not beside this repository")
    form = load_component("formats", options.get("name", "conll"))
    config = form.Config(**options)
    documents = {
        split: list(form.read(str(SHARED / folder / file), config, rule))
        for split, file in zip(("train", "valid", "test"), files, strict=False)
    }
    found = check_documents(documents, one_word_per_line=form is conll)
    for key, expected in counts.items():
        assert tuple(getattr(summary, key) for summary in found.splits.values()) == expected, key
    assert "error" not in {finding.level for finding in found.findings}
    for split, count in LEAKED.get(name, {}).items():
        messages = [f.message for f in found.findings if f.name == "leaked-sentences"]
        assert any(message.startswith(f"{split}: {count} ") and message.endswith("in train") for message in messages)
    if name == "four_column_iob1":
        places = [repair for e in (e for d in documents["train"] for e in d.examples) for repair in e.repairs]
        assert [place.split(":")[1] for place in places] == ["152428", "175436"]
    if name == "weibo":
        broken = finding(found, "impossible-transitions")
        assert broken.count == 14
        assert broken.places[0].split(":")[-1] <= "1266"
    if name == "chnsenticorp":
        assert any(f.name == "contradicting-sentences" for f in found.findings)
