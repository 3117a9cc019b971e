from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ner.data.formats import arrow
from ner.data.formats.arrow import Config
from ner.errors import InputError
from ner.types import Document, Example, Span

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

WORDS = {"tokens": [["Ada", "won"], ["Bo"]], "ner_tags": [["B-PER", "O"], ["O"]]}


def read(path: Path, for_rewriting: bool = False, **options: Any) -> list[Example]:
    documents = list(arrow.read(str(path), Config(**options), "space", for_rewriting))
    return [example for document in documents for example in document.examples]


def file(folder: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> Path:
    table = pyarrow.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, folder / "in.parquet")
    return folder / "in.parquet"


@pytest.mark.parametrize("kind", ["Sequence", "List"])
def test_words_with_tags_as_strings_or_class_labels(tmp_path: Path, kind: str) -> None:
    names = {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}, "_type": kind}
    numbers = {**WORDS, "ner_tags": [[1, 0], [0]], "id": ["x", "y"]}
    for path in (file(tmp_path, WORDS), file(tmp_path, numbers, {"ner_tags": names})):
        first, second = read(path)
        assert (first.spans, second.spans) == ([Span(0, 1, "PER")], [])
        assert (first.line, second.line) == (1, 2)
    assert first.metadata == {"id": "x"}
    with pytest.raises(InputError, match=r"in\.parquet:1: expected strings, or integers with a name each, found 1"):
        read(file(tmp_path, numbers))


def test_texts_with_spans_and_labels(tmp_path: Path) -> None:
    spans = [[{"start": 0, "end": 3, "label": "PER"}], []]
    path = file(tmp_path, {"text": ["Ada won", "Bo"], "spans": spans, "label": ["x", None]})
    first, second = read(path)
    assert (first.spans, first.labels, second.labels) == ([Span(0, 1, "PER")], ["x"], [])


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_a_folder_or_file_can_be_loaded_by_datasets(tmp_path: Path, name: str) -> None:
    datasets = pytest.importorskip("datasets")
    documents = [Document([Example(["Ada", "won"], [Span(0, 1, "PER")], ["B-PER", "O"])])]
    arrow.export(str(tmp_path / name), documents, Config())
    arrow.export(str(tmp_path / name), documents, Config())  # replaces its own files
    if name == "out":
        loaded = datasets.load_from_disk(str(tmp_path / name))
        assert loaded[0] == {"tokens": ["Ada", "won"], "ner_tags": ["B-PER", "O"]}
        loaded.save_to_disk(str(tmp_path / "again"))
        assert read(tmp_path / "again")[0].spans == [Span(0, 1, "PER")]
    assert read(tmp_path / name)[0].words == ["Ada", "won"]


def test_a_folder_with_splits_names_them(tmp_path: Path) -> None:
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(InputError, match="contains several splits; give the folder of one, such as .*train"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["in.parquet", "data-0.arrow"])
@pytest.mark.parametrize("data", [b"", b"PAR1", b"\xff" * 100])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        read(tmp_path / name if name.endswith("parquet") else tmp_path)


def test_other_columns_and_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in\.parquet:1: expected words in 'tokens' or a text in 'text'"):
        read(file(tmp_path, {"sentence": ["a"]}))
    with pytest.raises(InputError, match=r"in\.parquet:1: expected a tag for each of 2 words, found 1"):
        read(file(tmp_path, {**WORDS, "ner_tags": [["O"], ["O"]]}))
    with pytest.raises(InputError, match="not a pipe"):
        read(Path("-"))


EMOJI = {"text": ["\U0001f4a9 aa aa"], "spans": [[{"start": 3, "end": 5, "label": "X"}]]}
INNER = {"text": ["Ada"], "spans": [[{"start": 0, "end": 2, "label": "X"}]]}
NESTED = {"text": ["Ada"], "spans": [[{"start": 0, "end": 3, "label": label} for label in "XY"]]}


@pytest.mark.parametrize(
    ("columns", "option", "value"),
    [
        ({**WORDS, "label": ["a", "b"], "x": ["c", "d"]}, "label", "x"),
        (EMOJI, "offsets", "utf16"),
        (INNER, "on_misaligned", "expand"),
        (NESTED, "on_overlap", "longest"),
        (WORDS, "scheme", "none"),
        ({**EMOJI, "x": [[]]}, "spans", "x"),
        ({**WORDS, "x": [["O", "O"], ["O"]]}, "tags", "x"),
        ({"text": ["a"], "x": ["b"]}, "text", "x"),
        ({**WORDS, "x": [["a", "b"], ["c"]]}, "words", "x"),
    ],
)
def test_an_option_changes_what_is_read(tmp_path: Path, columns: Any, option: str, value: str) -> None:
    path = file(tmp_path, columns)
    changed = read(path, **{option: value})
    with suppress(InputError):
        assert read(path) != changed


def test_predictions_are_columns_beside_those_of_the_source(tmp_path: Path) -> None:
    path = file(tmp_path, {**WORDS, "id": ["x", "y"]})
    documents = list(arrow.read(str(path), Config(), "space", for_rewriting=True))
    arrow.write(str(tmp_path / "out.parquet"), documents, Config())
    assert parquet.read_table(tmp_path / "out.parquet").column_names == ["id", "tokens", "predicted_ner_tags"]


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, WORDS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="pip install pyarrow"):
        read(path)
