"""Shards of a file: their outputs together equal that of ``ner predict``, and invalid records do not stop them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner.bulk import job as jobs
from ner.bulk import shards
from ner.bulk.output import ERRORS, SUMMARY
from ner.bulk.work import Worker
from ner.commands import predict
from ner.config.parts import load_component
from ner.errors import InputError
from ner.inference import annotate
from ner.model.saving import save
from ner.runtime import manifest
from tests.builders import build, documents, settings

pytestmark = pytest.mark.slow  # the first test trains or imports for seconds

CHUNK = 4
SENTENCES = [[*(["Ann", "of", "Rare7", "far", "Bob", "."] * 3)[: 1 + n % 17], f"w{n % 5}"] for n in range(43)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from loguru import logger

    for module in (annotate, shards, jobs):
        monkeypatch.setattr(module, "CHUNK", CHUNK)
    yield
    logger.remove()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_bert: str) -> Path:
    """A run that reads neighbouring sentences, so that the cut of documents matters."""
    directory = tmp_path_factory.mktemp("bulk") / "run"
    config = settings(tiny_bert, windows={"scope": "document", "max_length": 24})
    save(build(config, documents()).eval(), config, directory)
    return directory


def text(name: str) -> bytes:
    if name == "text":
        return "".join(" ".join(words) + "\n" for words in SENTENCES).encode()
    if name == "jsonl":
        lines = [json.dumps({"words": words, "id": n}) for n, words in enumerate(SENTENCES)]
        lines[5:5] = ["", "  "]
        return ("\n".join(lines) + "\n\n").encode()
    marks = {"conll": (), "marked": (2, 3, 9, 12, 13, 19, 20, 27, 33, 36)}[name]
    parts = []
    for number, words in enumerate(SENTENCES):
        mark = "-DOCSTART- -X- O\n\n" if number in marks else ""
        parts.append(mark + "".join(f"{word}\tX\tO\r\n" for word in words) + "\n" * (1 + number % 3))
    return ("\ufeff\n" + "".join(parts) + ("-DOCSTART-\tO\n" if marks else "")).encode()


def tag(run: Path, source: Path, output: Path, name: str, **options: Any) -> jobs.Job:
    job = jobs.create(str(run), [str(source)], str(output), name, shard_size=2 * CHUNK, **options)
    found, worker = job.output_directory(), Worker(job)
    for path in (output / ".half.part", output / "_bulk" / ".half.part" / "in"):  # of a killed process
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with found.locked(job.identity):
        cut = list(job.shards())
        assert [shard.number for shard in cut] == list(range(len(cut)))
        for shard in reversed(cut):
            worker.process(shard)
        found.finish(len(cut))
    assert not list(output.rglob("*.part"))
    return job


def parts(output: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(output.glob("part-*"))]


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("name", ["text", "jsonl", "conll", "marked"])
def test_the_parts_of_a_file_are_the_output_of_predict(run: Path, tmp_path: Path, name: str, scores: bool) -> None:
    source, form = tmp_path / "in", "conll" if name == "marked" else name
    source.write_bytes(text(name))
    options = ["--run", str(run), "--format", form, "--input", str(source), "--output", str(tmp_path / "whole")]
    assert predict.main([*options, *(["--scores"] if scores else [])]) == 0
    tag(run, source, tmp_path / "out", form, scores=scores)
    found = parts(tmp_path / "out")
    assert len(found) >= 3
    assert b"".join(found) == (tmp_path / "whole").read_bytes()
    assert (tmp_path / "out" / ERRORS).read_bytes() == b""


def test_a_document_longer_than_a_shard_is_cut_like_in_predict(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ner.data.formats import conll

    monkeypatch.setattr(conll, "MAX_SENTENCES", 3)
    test_the_parts_of_a_file_are_the_output_of_predict(run, tmp_path, "marked", True)


@pytest.mark.parametrize("marked", [False, True])
def test_shards_begin_where_a_document_begins(tmp_path: Path, marked: bool) -> None:
    path = tmp_path / "in"
    path.write_bytes(text("marked" if marked else "conll"))
    config = load_component("formats", "conll").Config(tag=None, scheme="bio")
    cut = list(shards.cut([str(path), str(path)], config, CHUNK))
    assert b"".join(shards.read(shard, "conll") for shard in cut) == path.read_bytes() * 2
    for left, right in pairwise(cut):
        assert right.file == left.file
        assert right.start == (left.stop if right.start else 0)
        assert right.line == path.read_bytes()[: right.start].count(b"\n") + 1
    assert len(cut) >= 6


@pytest.mark.parametrize("name", ["text", "jsonl", "conll"])
def test_empty_files_have_no_records(run: Path, tmp_path: Path, name: str) -> None:
    for content, count in ((b"", 0), (b"\n \n", 1)):
        source, output = tmp_path / "in", tmp_path / f"out{count}"
        source.write_bytes(content)
        tag(run, source, output, name)
        assert len(parts(output)) == count
        assert json.loads((output / SUMMARY).read_text())["words"] == 0
        assert name == "text" or b"".join(parts(output)) == content


def test_a_byte_order_mark_is_one_at_the_start_of_a_file_only(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_text("".join(f"\ufeffa{n}\n" for n in range(CHUNK + 1)), encoding="utf-8")
    first, second = shards.cut([str(path)], load_component("formats", "text").Config(), CHUNK)
    assert shards.read(first, "text").decode().count("\ufeff") == CHUNK
    assert shards.read(second, "text").decode() == "\ufeff\ufeffa4\n"


def test_rows_of_parquet_files_are_those_of_predict(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    table = pa.table({"tokens": SENTENCES, "n": range(43), "rare": [None] * 40 + ["x", "y", "z"]})
    pq.write_table(table, source, row_group_size=10)
    whole = tmp_path / "whole.parquet"
    options = ["--run", str(run), "--format", "arrow", "--input", str(source), "--output", str(whole)]
    assert predict.main(options) == 0
    tag(run, source, tmp_path / "out", "arrow")
    files = sorted((tmp_path / "out").glob("part-*.parquet"))
    assert len(files) == 6
    assert [row for file in files for row in pq.read_table(file).to_pylist()] == pq.read_table(whole).to_pylist()
    assert {pq.read_schema(file).field("rare").type for file in files} == {pa.string()}  # also where all are null


def test_text_becomes_parquet(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(text("text"))
    tag(run, source, tmp_path / "out", "text", to="parquet")
    rows = [row for file in sorted((tmp_path / "out").glob("part-*")) for row in pq.read_table(file).to_pylist()]
    assert [row["text"] for row in rows] == [" ".join(words) for words in SENTENCES]
    assert all("predicted_spans" in row for row in rows)


def test_an_export_is_tagged_like_by_predict(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from ner.export.export import export
    from ner.portable import tagger

    monkeypatch.setattr(tagger, "CHUNK", CHUNK)
    export(run, tmp_path / "export")
    test_the_parts_of_a_file_are_the_output_of_predict(tmp_path / "export", tmp_path, "marked", True)


BROKEN = {
    "text": (b"a\n" * 9 + b"\xff\n" + b"b\n" * 5, [10], 14),
    "jsonl": (b'{"text": "a b"}\n' * 3 + b'\n{"text": 1}\n{\n' + b'{"text": "c"}\n' * 9 + b"[]\n", [4, 6, 16], 12),
    "conll": (b"a X\n\n" * 10 + b"a\xfc X\nb X\n\n" + b"\n\nc X\n\n" * 3, [21], 13),
}


@pytest.mark.parametrize("name", BROKEN)
def test_invalid_records_are_reported_with_file_and_line(run: Path, tmp_path: Path, name: str) -> None:
    content, lines, rows = BROKEN[name]
    source = tmp_path / "in"
    source.write_bytes(content)
    tag(run, source, tmp_path / "out", name)
    errors = [json.loads(line) for line in (tmp_path / "out" / ERRORS).read_text().splitlines()]
    if name == "jsonl":
        lines = [5, 6, 16]
    assert [error["line"] for error in errors] == lines
    assert all(error["file"] == str(source) and ".part" not in error["error"] for error in errors)
    summary = json.loads((tmp_path / "out" / SUMMARY).read_text())
    assert (summary["rows"], summary["errors"]) == (rows, len(lines))


def test_a_failure_of_the_model_names_the_line(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    source.write_bytes(text("text"))
    from ner.errors import NonFiniteLossError

    def fail(documents: Any, **_: Any) -> Any:
        raise NonFiniteLossError("the output", None, next(documents).examples)

    job = jobs.create(str(run), [str(source)], str(tmp_path / "out"), "text", shard_size=2 * CHUNK)
    worker = Worker(job)
    monkeypatch.setattr(worker.rewriter.tagger, "annotate", fail)
    with job.output_directory().locked(job.identity), pytest.raises(InputError, match=f"{source}:17 "):
        worker.process(list(job.shards())[2])


def test_a_failure_of_the_model_beside_invalid_records_is_an_input_error(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, _, _ = BROKEN["jsonl"]
    source = tmp_path / "in"
    source.write_bytes(content)
    from ner.errors import NonFiniteLossError

    def fail(documents: Any, **_: Any) -> Any:
        whole = list(documents)  # reads the invalid record
        raise NonFiniteLossError("the output", None, whole[0].examples)

    job = jobs.create(str(run), [str(source)], str(tmp_path / "out"), "jsonl")
    worker = Worker(job)
    monkeypatch.setattr(worker.rewriter.tagger, "annotate", fail)
    with job.output_directory().locked(job.identity), pytest.raises(InputError, match="the output is not finite"):
        worker.process(next(iter(job.shards())))


def test_invalid_rows_are_reported(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"tokens": [["a"]] * 10 + [["", "b"]] + [["c"]] * 5}), source)
    tag(run, source, tmp_path / "out", "arrow")
    (error,) = [json.loads(line) for line in (tmp_path / "out" / ERRORS).read_text().splitlines()]
    assert error["line"] == 11


def test_only_shards_that_do_not_verify_are_tagged_again(run: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_bytes(text("text"))
    job = tag(run, source, output, "text")
    whole = parts(output)
    worker, cut = Worker(job), list(job.shards())
    assert not any(worker.process(shard)[1] for shard in cut)
    assert "rewriter" not in vars(worker), "the model was loaded without need"

    (output / "part-000001.jsonl").write_bytes(whole[1][:-1])  # damaged
    (output / "part-000002.jsonl").unlink()
    (output / "_bulk" / "000003.json").write_text("{}")
    lines = source.read_bytes().splitlines(keepends=True)
    source.write_bytes(b"".join(lines).replace(lines[-1], b"x\n"))  # the last shard
    assert [worker.process(shard)[1] for shard in job.shards()] == [False, True, True, True, False, True]
    assert parts(output)[:-1] == whole[:-1]

    other = jobs.create(str(run), [str(source)], str(output), "text", shard_size=2 * CHUNK, scores=True)
    worker = Worker(other)
    assert all(worker.process(shard)[1] for shard in other.shards())


def test_parts_beyond_the_last_shard_are_removed(run: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_bytes(text("text"))
    tag(run, source, output, "text")
    source.write_bytes(b"a b\n" * 10)
    tag(run, source, output, "text")
    assert sorted(path.name for path in output.glob("part-*")) == ["part-000000.jsonl", "part-000001.jsonl"]
    assert json.loads((output / SUMMARY).read_text())["rows"] == 10


def test_directories_of_other_jobs_are_refused(run: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_bytes(text("text"))
    job = tag(run, source, output, "text")
    changed = jobs.create(str(run), [str(source)], str(output), "text", shard_size=CHUNK)
    with pytest.raises(InputError, match="size"):
        changed.output_directory().locked(changed.identity).__enter__()
    with job.output_directory().locked(job.identity), pytest.raises(InputError, match="process [0-9]+ on"):
        job.output_directory().locked(job.identity).__enter__()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    other = jobs.create(str(run), [str(source)], str(tmp_path / "full"), "text", shard_size=CHUNK)
    with pytest.raises(InputError, match="mine"):
        other.output_directory().locked(other.identity).__enter__()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"name": "brat"}, "brat"),
        ({"shard_size": CHUNK + 1}, "multiple of 4"),
        ({"inputs": ["absent"]}, "absent"),
        ({"directory": "."}, "contains the input"),
    ],
)
def test_options_are_checked_before_work(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], found: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_bytes(b"a\n")
    options = {"run": str(run), "inputs": ["in"], "directory": "out", "name": "text", **changes}
    with pytest.raises(InputError, match=found):
        jobs.create(**options)


def test_shards_are_cut_without_importing_torch(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("Ada met Bob\n" * 10)
    code = (
        "import sys; from ner.bulk import job; created = job.create(sys.argv[1], [sys.argv[2]], sys.argv[3], 'text'); "
        "print(len(list(created.shards())), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(run), str(source), str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1 False\n"


def test_an_invalid_section_of_the_data_is_refused_with_the_run(run: Path, tmp_path: Path) -> None:
    damaged, source = tmp_path / "run", tmp_path / "in.txt"
    shutil.copytree(run, damaged)
    source.write_text("Ada met Bob\n")
    text = (damaged / "config.yaml").read_text().replace("word_split:", "word_splits:")
    (damaged / "config.yaml").write_text(text)
    manifest.write_manifest(damaged, json.loads((damaged / "manifest.json").read_bytes()))
    with pytest.raises(InputError, match="run: data: .*word_splits"):
        jobs.create(str(damaged), [str(source)], str(tmp_path / "out"))
