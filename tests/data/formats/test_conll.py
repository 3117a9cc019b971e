from __future__ import annotations

import io
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner.data.formats import conll
from ner.data.formats.conll import Config
from ner.data.tags import encode
from ner.errors import InputError
from ner.types import Document, Example, Span
from tests.conftest import ROOT, SAMPLE

SHARED = ROOT.parent / "shared" / "data"

MARKS = [
    "-DOCSTART-",
    "-DOCSTART- O",
    "-DOCSTART- -X- O O",
    "-DOCSTART- -X- -X- O",
    "-DOCSTART-\tO",
    "-DOCSTART- (1) O",
]


def read(folder: Path, data: str | bytes, for_rewriting: bool = False, **options: Any) -> list[Document]:
    path = folder / "in.conll"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(conll.read(str(path), Config(**options), "space", for_rewriting))


def words(documents: list[Document]) -> list[list[list[str]]]:
    return [[example.words for example in document.examples] for document in documents]


def error(folder: Path, data: str | bytes, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, data, **options)
    return str(caught.value).replace(str(folder / "in.conll"), "FILE")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a O", [[["a"]]]),
        ("a O\n", [[["a"]]]),
        ("a O\n\n\n", [[["a"]]]),
        ("\n\na O\n", [[["a"]]]),
        ("a O\nb O\n\nc O\n", [[["a", "b"]], [["c"]]]),
        ("a O\n\n\n\n \t \nb O", [[["a"]], [["b"]]]),
        ("a O\r\nb O\r\n\r\nc O\r\n", [[["a", "b"]], [["c"]]]),
        ("\ufeffa O\n", [[["a"]]]),
        ("\ufeff\na O\n", [[["a"]]]),
        ("\ufeff-DOCSTART- O\na O\n", [[["a"]]]),
        ("a   O \n", [[["a"]]]),
        (" a O\n", [[["a"]]]),
        ("a\tO\nNew York\tB-LOC\n", [[["a", "New York"]]]),
        ("New York\tB-LOC\na\tO\n", [[["New York", "a"]]]),
        ("a\u00a0b O\nc\u3000d O\n\u2028 O\n", [[["a\u00a0b", "c\u3000d", "\u2028"]]]),
        ("a\ufeff O\n\ufeff O\n", [[["a\ufeff", "\ufeff"]]]),
        ("a POS O\nb POS O", [[["a", "b"]]]),
    ],
)
def test_words_and_sentences_are_found(tmp_path: Path, data: str, expected: list[list[list[str]]]) -> None:
    assert words(read(tmp_path, data)) == expected


@pytest.mark.parametrize("mark", MARKS)
def test_every_shape_of_document_mark_begins_a_document(tmp_path: Path, mark: str) -> None:
    data = f"{mark}\n\na O\n\nb O\n\n{mark}\n\nc O\n\n"
    found = read(tmp_path, data)
    assert words(found) == [[["a"], ["b"]], [["c"]]]
    assert [document.id for document in found] == ["0", "1"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a O\n\nb O\n", [[["a"]], [["b"]]]),  # without marks every sentence is a document
        ("a O\n\nb O\n\n-DOCSTART- O\n\nc O\n", [[["a"], ["b"]], [["c"]]]),  # the first mark may be missing
        ("-DOCSTART- O\na O\n-DOCSTART- O\nb O\n", [[["a"]], [["b"]]]),  # no blank lines
        ("-DOCSTART- O\n\n-DOCSTART- O\n\na O\n", [[["a"]]]),  # a document without sentences
        ("a O\n\n-DOCSTART- O\n", [[["a"]]]),
        ("-DOCSTART-S O\nb O\n", [[["-DOCSTART-S", "b"]]]),  # a word
    ],
)
def test_rules_for_documents(tmp_path: Path, data: str, expected: list[list[list[str]]]) -> None:
    assert words(read(tmp_path, data)) == expected


def test_a_mark_may_be_a_sentence(tmp_path: Path) -> None:
    data = "-DOCSTART- O\n\na O\n\n-DOCSTART- O\n\nb O\n"
    found = read(tmp_path, data, docstart="sentence")
    assert words(found) == [[["-DOCSTART-"]], [["a"]], [["-DOCSTART-"]], [["b"]]]


@pytest.mark.slow
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("sentences", [999, 1000, 1001, 2500])
def test_long_documents_are_read_in_parts(tmp_path: Path, sentences: int, marked: bool) -> None:
    data = "-DOCSTART- O\n\n" * marked + "a O\n\n" * sentences
    sizes = [len(document.examples) for document in read(tmp_path, data)]
    full, rest = divmod(sentences, 1000)
    assert sizes == ([1000] * full + [rest] * bool(rest) if marked else [1] * sentences)
    assert [document.id for document in read(tmp_path, data)] == [str(number) for number in range(len(sizes))]


def test_examples_know_their_place(tmp_path: Path) -> None:
    documents = read(tmp_path, "-DOCSTART- O\n\na O\nb O\n\n\nc O\n")
    (document,) = documents
    assert [example.line for example in document.examples] == [3, 7]
    assert document.examples[1].location == f"{tmp_path / 'in.conll'}:7"
    assert document.source == str(tmp_path / "in.conll")
    assert document.source_lines is None
    assert document.examples[0].line_indices is None


IN_SCHEMES = {
    "bio": "B-X I-X O B-X B-Y I-Y I-Y B-Y",
    "iob1": "I-X I-X O I-X I-Y I-Y I-Y B-Y",
    "bioes": "B-X E-X O S-X B-Y I-Y E-Y S-Y",
    "bmes": "B-X E-X O S-X B-Y M-Y E-Y S-Y",
    "bilou": "B-X L-X O U-X B-Y I-Y L-Y U-Y",
}
SPANS = [Span(0, 2, "X"), Span(3, 4, "X"), Span(4, 7, "Y"), Span(7, 8, "Y")]


@pytest.mark.parametrize("scheme", sorted(IN_SCHEMES))
@pytest.mark.parametrize("given", ["auto", "itself"])
def test_schemes_are_recognised_and_become_bio(tmp_path: Path, scheme: str, given: str) -> None:
    data = "".join(f"w {tag}\n" for tag in IN_SCHEMES[scheme].split())
    (document,) = read(tmp_path, data, scheme="auto" if given == "auto" else scheme)
    assert document.scheme == scheme
    assert document.examples[0].spans == SPANS
    assert document.examples[0].tags == IN_SCHEMES["bio"].split()


def test_io_is_recognised(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "a I-X\nb I-X\nc I-Y\n")
    assert document.scheme == "io"
    assert document.examples[0].tags == ["B-X", "I-X", "B-Y"]


def test_the_scheme_is_found_in_the_whole_file(tmp_path: Path) -> None:
    first, second = read(tmp_path, "a B-X\nb I-X\n\nc B-X\nd E-X\ne S-Y\n")
    assert first.scheme == second.scheme == "bioes"
    assert first.examples[0].spans == [Span(0, 2, "X")]


def test_broken_bio_keeps_its_tags(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "a B-X\nb I-Y\nc O\nd I-X\n", scheme="bio")
    assert document.examples[0].tags == ["B-X", "I-Y", "O", "I-X"]
    assert document.examples[0].spans == [Span(0, 1, "X"), Span(1, 2, "Y"), Span(3, 4, "X")]


def test_plain_tags_are_recognised(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "a DT\nb NN\n( -LRB-\n")
    assert document.scheme == "none"
    assert document.examples[0].tags == ["DT", "NN", "-LRB-"]
    assert document.examples[0].spans == []


def test_columns_are_chosen(tmp_path: Path) -> None:
    data = "1 a NN B-X _\n2 b VB O _\n"
    (document,) = read(tmp_path, data, word=1, tag=3)
    assert document.examples[0].words == ["a", "b"]
    assert document.examples[0].tags == ["B-X", "O"]
    (document,) = read(tmp_path, data, word=1, tag=-3)
    assert document.examples[0].tags == ["NN", "VB"]
    (document,) = read(tmp_path, data, word=-4, tag=None)
    assert document.examples[0].words == ["a", "b"]
    assert document.examples[0].tags is None


def test_a_tag_column_counted_from_the_left_works_with_spaces_in_words(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "New York\tB-LOC\nin the\tO\n", tag=1)
    assert document.scheme == "bio"
    assert document.examples[0].spans == [Span(0, 1, "LOC")]


def test_one_column_is_enough_without_tags(tmp_path: Path) -> None:
    assert words(read(tmp_path, "a\nb\n\nc\n", tag=None)) == [[["a", "b"]], [["c"]]]


def test_the_separator_may_be_given(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "a b\tO\nc\tO\n", separator="tab")
    assert document.examples[0].words == ["a b", "c"]
    (document,) = read(tmp_path, "a  \t  b O \nc\td O\n", separator="space")
    assert document.examples[0].words == ["a", "c"]


def test_other_encodings_are_read(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "京 B-地\n".encode("gbk"), encoding="gbk")
    assert document.examples[0].words == ["京"]
    assert document.examples[0].spans == [Span(0, 1, "地")]


PREFIXES = "found '{}'; set data.format.tag to the column of the tag, or data.format.scheme=none for plain tags"


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("", {}, "FILE: expected sentences, found an empty file"),
        ("\n \t\n\r\n", {}, "FILE: expected sentences, found an empty file"),
        ("\ufeff", {}, "FILE: expected sentences, found an empty file"),
        ("-DOCSTART- O\n\n", {}, "FILE: expected sentences, found an empty file"),
        ("{} O\n{ O }\n", {}, 'FILE:2: expected 2 columns, found 3 ("{ O }"); the line looks like a JSON object'),
        ("a O\n\nBerlin\n", {}, 'FILE:3: expected 2 columns, found 1 ("Berlin")'),
        ("a\n", {}, 'FILE:1: expected 2 columns, found 1 ("a")'),
        (
            "a O\n\u738b\u3000B-PER\n",
            {},
            'FILE:2: expected 2 columns, found 1 ("\u738b\u3000B-PER"); the line contains the wide space U+3000',
        ),
        (
            "a O\nb B_PER\n",
            {"scheme": "bio"},
            "FILE:2: expected O or one of B-X, I-X, found 'B_PER'; write B-PER if an entity is meant; otherwise set",
        ),
        ("a NN O\nb O\n", {}, 'FILE:2: expected 3 columns, found 2 ("b O")'),
        ("a O\nb NN O\n", {}, 'FILE:2: expected 2 columns, found 3 ("b NN O")'),
        ("a O\n", {"tag": 3}, 'FILE:1: expected 4 columns, found 2 ("a O")'),
        ("a O\n", {"word": 2}, 'FILE:1: expected 3 columns, found 2 ("a O")'),
        ("a O\n", {"word": -3}, 'FILE:1: expected 3 columns, found 2 ("a O")'),
        ("a\tO\nb O\n", {}, 'FILE:2: expected 2 columns, found 1 ("b O")'),
        ("a\tO\n\tO\n", {}, "FILE:2: expected a word in column 0, found nothing"),
        ("a O\nb B-X\nc Q-X\n", {}, "FILE:3: expected O or one of " + "B-X, E-X, I-X, L-X, M-X, S-X, U-X, " + PREFIXES),
        ("a O\nb NN\n", {}, "FILE:2: expected O or one of B-X, E-X, I-X, L-X, M-X, S-X, U-X, " + PREFIXES),
        ("a O\nb B-\n", {"scheme": "bio"}, "FILE:2: expected O or one of B-X, I-X, " + PREFIXES),
        ("a B-X\nb E-X\n", {"scheme": "bio"}, "FILE:2: expected O or one of B-X, I-X, " + PREFIXES),
        (b"a O\nb\xff O\n", {}, "FILE:2: expected utf-8, found byte 0xff at byte 2 of the line; convert the file"),
    ],
)
def test_errors_say_what_was_expected_and_found(
    tmp_path: Path, data: str | bytes, options: dict[str, Any], message: str
) -> None:
    actual = error(tmp_path, data, **options)
    pattern = re.escape(message).replace(re.escape("found '{}'"), "found '[^']*'")
    assert re.match(pattern, actual), actual


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.conll: cannot be read: No such file or directory$"):
        list(conll.read(str(tmp_path / "none.conll"), Config(), "space"))


def test_a_long_line_is_shortened_in_the_message(tmp_path: Path) -> None:
    assert error(tmp_path, "x" * 1000) == f'FILE:1: expected 2 columns, found 1 ("{"x" * 40}")'


def test_a_pipe_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a I-X\nb B-X\nc O\nd I-X\ne O\nf I-X\n")))
    (document,) = conll.read("-", Config(), "space")
    assert document.scheme == "iob1"
    assert document.examples[0].words == ["a", "b", "c", "d", "e", "f"]


# writing


def written(folder: Path, documents: list[Document], **options: Any) -> bytes:
    path = folder / "out.conll"
    conll.write(str(path), documents, Config(**options))
    return path.read_bytes()


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\r"), min_size=1, max_size=4).filter(
    lambda word: not word.startswith(("-DOCSTART-", "\ufeff"))
)
ends = st.sampled_from(["\n", "\r\n"])
blank_lines = st.builds(str.__add__, st.sampled_from(["", " ", "\t", "  "]), ends)
mark_lines = st.builds(str.__add__, st.sampled_from(MARKS), ends)


@st.composite
def column_files(draw: st.DrawFn) -> str:
    """Files of words and BIO tags with all that may stand around them."""
    separator = draw(st.sampled_from([" ", "\t"]))
    tags = st.sampled_from(["O", "B-X", "I-X", "B-Y"])
    word_lines = st.builds(lambda word, tag, end: f"{word}{separator}{tag}{end}", cells, tags, ends)
    lines = draw(st.lists(word_lines | word_lines | blank_lines | mark_lines, max_size=12))
    lines.append(f"{draw(cells)}{separator}O{draw(st.sampled_from(['', '', chr(10)]))}")
    return draw(st.sampled_from(["", "\ufeff"])) + "".join(lines)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=column_files())
def test_each_line_is_written_where_it_stood_with_the_prediction_behind(tmp_path: Path, text: str) -> None:
    documents = read(tmp_path, text, for_rewriting=True, scheme="bio")
    predicted = [
        replace(
            document,
            examples=[
                replace(example, tags=[f"B-{position}" for position in range(len(example.words))])
                for example in document.examples
            ],
        )
        for document in documents
    ]
    out = written(tmp_path, predicted).decode()
    before, after = text.split("\n"), out.split("\n")
    assert len(before) == len(after)
    numbers: list[int] = []
    for old, new in zip(before, after, strict=True):
        if old == new:
            assert not old.strip(" \t\r\ufeff") or old.removeprefix("\ufeff").startswith("-DOCSTART-")
            numbers.append(-1)
            continue
        body = old.removesuffix("\r")
        assert new.startswith(body)
        match = re.fullmatch(r"([ \t])B-(\d+)(\r?)", new[len(body) :])
        assert match
        assert match[3] == old[len(body) :]
        assert match[1] == ("\t" if "\t" in body else " ")
        numbers.append(int(match[2]))
    sizes = [len(example.words) for document in documents for example in document.examples]
    assert [number for number in numbers if number >= 0] == [number for size in sizes for number in range(size)]
    assert [example.words for document in documents for example in document.examples] == [
        example.words for document in read(tmp_path, out, tag=1) for example in document.examples
    ]


@pytest.mark.parametrize("scheme", sorted(IN_SCHEMES))
def test_a_file_is_written_back_in_its_own_scheme(tmp_path: Path, scheme: str) -> None:
    tags = IN_SCHEMES[scheme].split()
    data = "".join(f"w _ {tag}\n" for tag in tags)
    assert written(tmp_path, read(tmp_path, data, for_rewriting=True)).decode().splitlines() == [
        f"w _ {tag} {tag}" for tag in tags
    ]


def test_broken_bio_and_plain_tags_are_written_as_decoded(tmp_path: Path) -> None:
    for data in ("a B-X\nb I-Y\n", "a DT\nb NN\n"):
        out = written(tmp_path, read(tmp_path, data, for_rewriting=True)).decode()
        assert out == "".join(f"{line} {line.split()[1]}\n" for line in data.splitlines())


def test_a_file_without_tags_gets_its_first(tmp_path: Path) -> None:
    documents = read(tmp_path, "Ada\nwon\n", for_rewriting=True, tag=None)
    documents[0].examples[0].spans = [Span(0, 1, "PER")]
    assert written(tmp_path, documents) == b"Ada B-PER\nwon O\n"


def test_the_bytes_of_another_encoding_stay(tmp_path: Path) -> None:
    data = "京 O\n".encode("gbk")
    documents = read(tmp_path, data, for_rewriting=True, encoding="gbk")
    assert written(tmp_path, documents, encoding="gbk") == data.rstrip() + b" O\n"


def test_parts_of_a_long_document_are_written_as_one_file(tmp_path: Path) -> None:
    data = "-DOCSTART- O\n\n" + "a O\n\n" * 2500 + "-DOCSTART- O\n\n"
    documents = read(tmp_path, data, for_rewriting=True)
    assert len(documents) == 4  # the last mark has no sentence, but its lines are kept
    assert written(tmp_path, documents).decode() == data.replace("a O", "a O O")


@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes", "bmes", "bilou"])
def test_read_is_the_inverse_of_write(tmp_path: Path, scheme: str) -> None:
    examples = [Example(["w"] * 8, spans=SPANS, tags=encode(SPANS, 8)), Example(["x"], tags=["O"])]
    written(tmp_path, [Document([example], scheme=scheme) for example in examples])
    found = list(conll.read(str(tmp_path / "out.conll"), Config(), "space"))
    assert {document.scheme for document in found} == {scheme}
    for document, example in zip(found, examples, strict=True):
        again = document.examples[0]
        assert (again.words, again.spans, again.tags) == (example.words, example.spans, example.tags)


# files that lie about


@pytest.mark.parametrize("path", sorted(SAMPLE.rglob("*.conll")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_sample_is_read_and_written_back(tmp_path: Path, path: Path) -> None:
    documents = list(conll.read(str(path), Config(), "space", for_rewriting=True))
    assert {document.scheme for document in documents} == {"bio"}
    lines = path.read_text(encoding="utf-8").splitlines()
    out = written(tmp_path, documents).decode().splitlines()
    assert out == [
        line if not line or line.startswith("-DOCSTART-") else f"{line} {line.split()[-1]}" for line in lines
    ]


CONLL2003 = {
    "train": ("eng.train", 14041, 203621, 946, {"LOC": 7140, "PER": 6600, "ORG": 6321, "MISC": 3438}),
    "valid": ("eng.testa", 3250, 51362, 216, {"LOC": 1837, "PER": 1842, "ORG": 1341, "MISC": 922}),
    "test": ("eng.testb", 3453, 46435, 231, {"LOC": 1668, "PER": 1617, "ORG": 1661, "MISC": 702}),
}


def shared(path: str) -> str:
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"{found} is not beside this repository")
    return str(found)


@pytest.mark.slow
@pytest.mark.parametrize("split", sorted(CONLL2003))
def test_three_forms_of_conll2003_give_the_published_counts(split: str) -> None:
    name, sentences, tokens, documents, entities = CONLL2003[split]
    forms = {
        "iob1": shared(f"conll2003/four_column_iob1/{name}"),
        "bio": shared(f"conll2003/four_column_bio2/{split}.txt"),
        "two": shared(f"conll2003/two_column_bio2/{split}.txt"),
    }
    found = {}
    for form, path in forms.items():
        read_documents = list(conll.read(path, Config(), "space"))
        assert {document.scheme for document in read_documents} == {"iob1" if form == "iob1" else "bio"}
        assert len(read_documents) == documents
        examples = [example for document in read_documents for example in document.examples]
        assert len(examples) == sentences
        assert sum(len(example.words) for example in examples) == tokens
        assert Counter(span.label for example in examples for span in example.spans) == entities
        found[form] = [(example.words, example.spans, example.tags) for example in examples]
    assert found["iob1"] == found["bio"] == found["two"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "sentences", "tokens", "entities"),
    [("train", 1350, 73778, 1895), ("dev", 270, 14509, 389), ("test", 270, 14842, 418)],
)
def test_weibo_has_its_published_counts(split: str, sentences: int, tokens: int, entities: int) -> None:
    path = shared(f"weibo/weiboNER_2nd_conll.{split}")
    found = list(conll.read(path, Config(), "space"))
    examples = [example for document in found for example in document.examples]
    assert {document.scheme for document in found} == {"bio"}
    assert len(examples) == sentences
    assert sum(len(example.words) for example in examples) == tokens
    assert sum(len(example.spans) for example in examples) == entities


def test_without_a_tag_column_lines_may_have_any_columns(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("Colby x y\nwins\nhere z\n", encoding="utf-8")
    (document,) = conll.read(str(path), conll.Config(tag=None), "space")
    assert document.examples[0].words == ["Colby", "wins", "here"]


def test_a_digit_behind_a_word_can_be_its_place_in_a_longer_word(tmp_path: Path) -> None:
    data = "科0\tB-ORG.NAM\n技1\tI-ORG.NAM\n10\tO\n\ufffd\ufffd0\tO\n"
    (document,) = read(tmp_path, data, for_rewriting=True, strip_position_digit=True)
    assert words([document]) == [[["科", "技", "1", "\ufffd\ufffd"]]]
    target = tmp_path / "out.conll"
    conll.write(str(target), [document], Config(strip_position_digit=True))
    assert target.read_text(encoding="utf-8").split("\n")[:2] == [
        "科0\tB-ORG.NAM\tB-ORG.NAM",
        "技1\tI-ORG.NAM\tI-ORG.NAM",
    ]


@pytest.mark.parametrize("word", ["科", "1", "科٣"])
def test_a_word_without_its_place_is_refused(tmp_path: Path, word: str) -> None:
    message = error(tmp_path, f"科0 O\n{word} O\n", strip_position_digit=True)
    assert message.startswith("FILE:2: ")
    assert f"found '{word}'; set data.format.strip_position_digit=false" in message


@pytest.mark.parametrize(
    ("line", "is_mark"),
    [
        ("-DOCSTART- (947testa CRICKET)", True),
        ("-DOCSTART- (1) -X- -X- O", True),
        ("-DOCSTART- -DOCSTART- O", True),
        ("-DOCSTART-\t-X-\t_\tO", True),
        ("-DOCSTART-x O", False),
        ("-DOCSTART- B-PER", False),
        ("-DOCSTART- NN O", False),
    ],
)
def test_only_known_shapes_are_marks(line: str, is_mark: bool) -> None:
    assert bool(conll.DOCSTART.fullmatch(line + "\r\n")) == is_mark


@pytest.mark.parametrize("options", [{"word": 1}, {"tag": 0}, {"word": -1}, {"tag": -2}])
def test_word_and_tag_are_different_columns(tmp_path: Path, options: dict[str, int]) -> None:
    assert "FILE:1: expected word and tag in different columns" in error(tmp_path, "a O\n", **options)


def test_lone_carriage_returns_are_no_columns(tmp_path: Path) -> None:
    assert "FILE:1: expected line feeds" in error(tmp_path, "a O\rb O\r")


def test_a_plain_tag_after_sentences_with_prefixes_is_refused_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a B-X\n\nb NN\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a:3: expected O or one of .*, found 'NN'"):
        list(conll.read(str(tmp_path / "a"), conll.Config(), "space"))
