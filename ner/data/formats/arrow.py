"""Apache Arrow: Parquet files, and folders that ``datasets.Dataset.save_to_disk`` wrote (extra ``arrow``).

Rows have words with a tag each, or a text with spans of characters, and optionally labels of the whole text. Tags and
labels are strings, or the integers of a ``ClassLabel`` feature, whose names the file contains.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from ner.config.base import SpanFormatConfig, WordSplit
from ner.data import tags
from ner.data.char_spans import CharSpan, in_characters, in_unit, set_spans
from ner.data.words import split_words
from ner.errors import InputError, not_installed, reason
from ner.runtime import atomic
from ner.types import Document, Example

output_extension = "parquet"
probabilities = False
STORES = frozenset({"tags", "labels"})
ROUND_TRIP = "words"  # predictions have columns of their own
STATE, INFO, SPLITS, DATA = "state.json", "dataset_info.json", "dataset_dict.json", "data-00000-of-00001.arrow"
"""Files of a folder that the library datasets saves."""
BATCH = 10_000
"""Rows that are converted at once."""


class Config(SpanFormatConfig):
    """Parquet files and folders of the library datasets."""

    name: Literal["arrow"] = "arrow"
    """Name of the file in ner/data/formats."""
    words: str = "tokens"
    """Column of the words of tokenized text."""
    tags: str = "ner_tags"
    """Column of one tag per word."""
    text: str = "text"
    """Column of the raw text, for rows without words."""
    spans: str = "spans"
    """Column of the spans of a text: a list of objects with start, end and label."""
    label: str = "label"
    """Column of the label of the whole row, or of a list of labels."""
    scheme: Literal["auto", "bio", "iob1", "io", "bioes", "bmes", "bilou", "none"] = "auto"
    """Tagging scheme; none for plain tags such as parts of speech, auto for detection over the whole file."""


def read(path: str, config: Config, word_split: WordSplit, for_rewriting: bool = False) -> Iterator[Document]:
    """Yield a document of one example per row; ``line`` is the number of the row, other columns are its metadata.

    Raises:
        InputError: With file and row, if pyarrow is not installed, the file is damaged, a column is missing, or a row
            has another form.
    """
    names = _class_names(path)
    scheme = detect_scheme(path, config)
    number = 0
    for number, row in enumerate(_rows(path, None), 1):
        location = f"{path}:{number}"
        text, words = row.pop(config.text, None), row.pop(config.words, None)
        tag_cell, spans, label_cell = (row.pop(key, None) for key in (config.tags, config.spans, config.label))
        if _is_strings(words) and "" not in words:
            example = Example(words, source=path, line=number)
            if isinstance(text, str):
                row[config.text] = text
            if tag_cell is not None:
                tag_names = _named(tag_cell, names.get(config.tags), location)
                tags.check_and_annotate(example, tag_names, scheme, location)
        elif isinstance(text, str):
            text_words, offsets = split_words(text, word_split)
            example = Example(text_words, text=text, offsets=offsets, source=path, line=number)
            if spans is not None:
                set_spans(
                    example, in_characters(text, _spans(spans, location), config.offsets, location), config, location
                )
        else:
            raise InputError(
                f"{location}: expected words in '{config.words}' or a text in '{config.text}', found the columns "
                f"{', '.join(row) or 'of neither'}; set data.format.words or data.format.text"
            )
        labels = label_cell if isinstance(label_cell, list) else [] if label_cell is None else [label_cell]
        example.labels = _named(labels, names.get(config.label), location)
        example.metadata = row
        yield Document([example], str(row.get("id", number - 1)), path, scheme)
    if not number:
        raise InputError(f"{path}: expected rows, found none")


def detect_scheme(path: str, config: Config) -> str:
    """Return the tagging scheme of the tags of a file, unless the options name one."""
    if config.scheme != "auto":
        return config.scheme
    names = _class_names(path)
    detector = tags.SchemeDetector()
    for number, row in enumerate(_rows(path, [config.tags]), 1):
        detector.add(_named(row.get(config.tags) or (), names.get(config.tags), f"{path}:{number}"))
    return detector.scheme


def import_pyarrow() -> Any:
    """Import pyarrow and its module for Parquet.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(not_installed("pyarrow")) from None
    return pyarrow


def _files(path: str) -> list[str]:
    """Return the Arrow files of a folder in order, or the Parquet file itself."""
    if path == "-":
        raise InputError("-: Arrow data are files, not a pipe; give a path, or choose another format")
    folder = Path(path)
    if not folder.is_dir():
        return [path]
    if (folder / SPLITS).is_file():
        raise InputError(f"{path}: contains several splits; give the folder of one, such as {folder / 'train'}")
    state_files = _json(folder / STATE).get("_data_files") if (folder / STATE).is_file() else None
    if state_files is None:
        paths = sorted(str(file) for pattern in ("*.arrow", "*.parquet") for file in folder.glob(pattern))
    else:
        paths = [str(folder / Path(str(file["filename"])).name) for file in state_files if isinstance(file, Mapping)]
    if not paths:
        raise InputError(f"{path}: expected files *.arrow or *.parquet, found none")
    return paths


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


@contextmanager
def _reading(path: str) -> Iterator[Any]:
    """Yield pyarrow; inside the block, its errors become an :class:`InputError`."""
    arrow = import_pyarrow()
    try:
        yield arrow
    except OSError as error:
        message = str(error).splitlines()[0] if error.errno is None else reason(error)
        raise InputError(f"{path}: cannot be read: {message[:200]}") from None
    except arrow.ArrowException as error:
        raise InputError(f"{path}: not a Parquet or Arrow file: {str(error).splitlines()[0][:200]}") from None


def _open(path: str, columns: Sequence[str] | None) -> Iterator[Any]:
    """Yield the record batches of a file with some columns, or with all."""
    with _reading(path) as arrow:
        if path.endswith(".arrow"):
            with arrow.memory_map(path) as source:
                for batch in arrow.ipc.open_stream(source):
                    yield batch if columns is None else batch.select([c for c in columns if c in batch.schema.names])
            return
        with arrow.parquet.ParquetFile(path) as file:
            existing_columns = (
                None if columns is None else [name for name in columns if name in file.schema_arrow.names]
            )
            yield from file.iter_batches(BATCH, columns=existing_columns)


def count_rows(path: str) -> int:
    """Return the number of rows of a Parquet file, without reading them.

    Raises:
        InputError: If pyarrow is not installed, or the file cannot be read.
    """
    with _reading(path) as arrow, arrow.parquet.ParquetFile(path) as file:
        rows: int = file.metadata.num_rows
    return rows


def read_range(path: str, start: int, stop: int) -> bytes:
    """Return rows of a Parquet file as an Arrow stream, with the metadata of the file; other row groups are not read.

    Raises:
        InputError: If the file cannot be read.
    """
    with _reading(path) as arrow, arrow.parquet.ParquetFile(path) as file:
        sink = arrow.BufferOutputStream()
        groups: list[int] = []
        first_row = group_end = 0  # rows before the first chosen group, and before the current one
        for group in range(file.num_row_groups):
            group_begin, group_end = group_end, group_end + file.metadata.row_group(group).num_rows
            if group_begin < stop and start < group_end:
                first_row = first_row if groups else group_begin
                groups.append(group)
        with arrow.ipc.new_stream(sink, file.schema_arrow) as writer:
            for batch in file.iter_batches(BATCH, row_groups=groups):
                left, right = max(0, start - first_row), min(batch.num_rows, stop - first_row)
                if left < right:
                    writer.write_batch(batch.slice(left, right - left))
                first_row += batch.num_rows
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read_schema(path: str) -> Any:
    """Return the schema of an Arrow stream."""
    with _reading(path) as arrow, arrow.memory_map(path) as source:
        return arrow.ipc.open_stream(source).schema


def count_stream_rows(data: bytes) -> int:
    """Return the number of rows of an Arrow stream."""
    rows: int = import_pyarrow().ipc.open_stream(data).read_all().num_rows
    return rows


def take_rows(data: bytes, numbers: Sequence[int]) -> bytes:
    """Return some rows of an Arrow stream as a stream."""
    arrow = import_pyarrow()
    table = arrow.ipc.open_stream(data).read_all().take(arrow.array(numbers, arrow.int64()))
    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream_bytes: bytes = sink.getvalue().to_pybytes()
    return stream_bytes


def _rows(path: str, columns: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    return (row for file in _files(path) for batch in _open(file, columns) for row in batch.to_pylist())


def _class_names(path: str) -> dict[str, list[str]]:
    """Return the names of the integers of each ``ClassLabel`` column, as the library datasets stores them."""
    arrow = import_pyarrow()
    if os.path.isdir(path) and (Path(path) / INFO).is_file():
        features = _json(Path(path) / INFO).get("features")
    else:
        file = _files(path)[0]
        try:
            if file.endswith(".arrow"):
                with arrow.memory_map(file) as source:
                    metadata = arrow.ipc.open_stream(source).schema.metadata
            else:
                metadata = arrow.parquet.read_schema(file).metadata
            features = json.loads((metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features")
        except OSError as error:
            message = str(error).splitlines()[0] if error.errno is None else reason(error)
            raise InputError(f"{file}: cannot be read: {message[:200]}") from None
        except (arrow.ArrowException, ValueError, AttributeError) as error:
            raise InputError(f"{file}: not a Parquet or Arrow file: {str(error).splitlines()[0][:200]}") from None
    names_by_column: dict[str, list[str]] = {}
    for column, feature in (features if isinstance(features, dict) else {}).items():
        class_feature = feature[0] if isinstance(feature, list) and feature else feature
        if isinstance(class_feature, dict) and isinstance(class_feature.get("feature"), dict):
            class_feature = class_feature["feature"]
        if (
            isinstance(class_feature, dict)
            and class_feature.get("_type") == "ClassLabel"
            and _is_strings(class_feature.get("names"))
        ):
            names_by_column[column] = class_feature["names"]
    return names_by_column


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _named(values: Sequence[Any], names: Sequence[str] | None, location: str) -> list[str]:
    """Return strings, or the names of integers; -1 marks a missing label."""
    strings: list[str] = []
    for value in values:
        if isinstance(value, str):
            strings.append(value)
        elif names is not None and isinstance(value, int) and 0 <= value < len(names):
            strings.append(names[value])
        elif value != -1:
            raise InputError(
                f"{location}: expected strings, or integers with a name each, found {value!r}, for which the file "
                "has no name; convert the column to strings (datasets: ClassLabel.int2str)"
            )
    return strings


def _spans(values: Any, location: str) -> list[CharSpan]:
    """Return the spans of a cell."""
    spans = []
    for value in values if isinstance(values, list) else [None]:
        parts = [value.get(name) for name in ("start", "end", "label")] if isinstance(value, dict) else value
        if not isinstance(parts, list) or [type(part) for part in parts] != [int, int, str]:
            raise InputError(f"{location}: expected spans with start, end and label, found {str(value)[:60]}")
        spans.append(CharSpan(*parts))
    return spans


def write(
    path: str, documents: Iterable[Document], config: Config, schema: Any = None, has_labels: bool = False
) -> None:
    """Write the columns of the source with the columns ``predicted_<name>``; see :func:`export` for the kinds of files.

    All rows are kept in memory.

    Args:
        path: File or folder.
        documents: Predicted documents.
        config: Names of columns.
        schema: Types of the columns of the source, so that the files of its parts have equal types.
        has_labels: Write the column of labels even if no row has one.
    """
    _write(path, documents, config, "predicted_", schema, has_labels)


def export(path: str, documents: Iterable[Document], config: Config) -> None:
    """Write documents as gold data, which :func:`read` returns unchanged.

    A path with a suffix becomes a Parquet file, another one a folder for ``datasets.load_from_disk``. All rows are kept
    in memory.

    Raises:
        InputError: If pyarrow is not installed, or the path cannot be written.
    """
    _write(path, documents, config, "")


def _write(
    path: str,
    documents: Iterable[Document],
    config: Config,
    prefix: str,
    schema: Any = None,
    has_labels: bool = False,
) -> None:
    arrow = import_pyarrow()
    rows: list[dict[str, Any]] = []
    for document in documents:
        for example in document.examples:
            row = dict(example.metadata)
            if example.text is None:
                row[config.words] = example.words
                if example.tags is not None:
                    row[prefix + config.tags] = tags.tags_in_scheme(example, document.scheme)
            else:
                row[config.text] = example.text
                if example.tags is not None:
                    row[prefix + config.spans] = _span_cells(example, config)
            if example.labels or has_labels:
                row[prefix + config.label] = example.labels or []
            rows.append(row)
    string_list = arrow.list_(arrow.string())
    span_type = arrow.struct([("start", arrow.int64()), ("end", arrow.int64()), ("label", arrow.string())])
    types = {
        config.words: string_list,
        config.tags: string_list,
        config.text: arrow.string(),
        config.spans: arrow.list_(span_type),
    }
    types |= {config.label: string_list}
    if schema is not None:
        types = {field.name: field.type for field in schema} | types
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        arrow_type = types.get(name.removeprefix(prefix))
        try:
            columns[name] = arrow.array(values, arrow_type)
        except (arrow.ArrowException, TypeError):
            columns[name] = arrow.array([None if value is None else json.dumps(value) for value in values])
    table = arrow.table(columns)
    target = Path(path)
    if target.suffix:
        with atomic.new_file(target) as temporary_path:
            arrow.parquet.write_table(table, temporary_path)
        return
    _check_replaceable(target)
    with atomic.new_directory(target) as folder:
        with arrow.OSFile(str(folder / DATA), "wb") as sink, arrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        state: dict[str, Any] = {"_data_files": [{"filename": DATA}], "_fingerprint": "ner", "_format_columns": None}
        state |= {"_format_kwargs": {}, "_format_type": None, "_output_all_columns": False, "_split": None}
        (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
        (folder / INFO).write_text("{}", encoding="utf-8")
        if target.is_dir():
            for name in (DATA, STATE, INFO):
                (target / name).unlink(missing_ok=True)
            target.rmdir()


def _span_cells(example: Example, config: Config) -> list[dict[str, Any]]:
    """Return the spans of an example in the unit of the file, which is characters unless it was named."""
    entities = example.entities()
    unit = "characters" if config.offsets == "auto" else config.offsets
    positions = in_unit(example.text or "", [(entity["start"], entity["end"]) for entity in entities], unit)
    entity_positions = zip(entities, positions, strict=True)
    return [{"start": start, "end": end, "label": entity["label"]} for entity, (start, end) in entity_positions]


def _check_replaceable(path: Path) -> None:
    """Check that a path is absent or a directory of the files that :func:`export` writes."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path}: expected a new directory to write to, found a file or link; choose another name")
    foreign = (
        sorted(file.name for file in path.iterdir() if file.name not in (DATA, STATE, INFO)) if path.exists() else []
    )
    if foreign:
        raise InputError(f"{path}: expected a new directory to write to, found {foreign[0]} in it; choose another name")
