"""Malformed and odd inputs through the commands: each is read with the right meaning, or refused in one line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from ner.commands import evaluate, predict, train
from ner.inference.tagger import Tagger
from tests.builders import make_bert
from tests.reliability.report import Case, main

PROMISE = (
    "Malformed and odd inputs are read with the right meaning, or refused in one line that names file and line or key"
)

Files = bytes | Mapping[str, bytes]
GOOD = b"Ada B-PER\nlives O\nin O\nParis B-LOC\n\nBob B-PER\nleft O\n\nParis B-LOC\nwon O\n"
TABLE = b"label\ttext_a\ngood\tI like it\nbad\tI hate it\ngood\tgreat\nbad\tpoor thing\n"
SLOTS = {"seq.in": b"fly to Rome\nlist fares\n", "seq.out": b"O O B-city\nO O\n", "label": b"flight\nfare\n"}
STORY = "Berlin lives in the Wash"


def squad(*questions: Any, context: Any = STORY) -> bytes:
    """A file of one passage."""
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": questions}]}]}).encode()


def question(number: Any = "1", answer: Any = "Berlin", start: Any = 0) -> dict[str, Any]:
    """A question of :func:`squad`."""
    return {"id": number, "question": "lives in ?", "answers": [{"text": answer, "answer_start": start}]}


def coqa(questions: Any = ({"input_text": "lives in ?", "turn_id": 1},), answers: Any = (), **more: Any) -> bytes:
    """A file of one conversation."""
    story = {"id": "s", "story": STORY, "questions": questions, "answers": answers, **more}
    return json.dumps({"data": [story]}).encode()


GOLD: dict[str, Files] = {
    "conll": GOOD,
    "jsonl": b'{"words": ["Ada", "won"], "spans": [[0, 1, "PER"]]}\n{"words": ["Rome"], "spans": [[0, 1, "LOC"]]}\n',
    "tsv": TABLE,
    "slot_filling": SLOTS,
    "squad": squad(question(), question("2", "the Wash", 16)),
    "coqa": coqa(answers=[{"input_text": "Berlin", "span_text": "Berlin", "span_start": 0, "turn_id": 1}]),
}
WORDS: dict[str, Any] = {"encoder": {"name": "embedding", "dimension": 8, "characters": {"kind": "cnn", "width": 4}}}
TASKS: dict[str, dict[str, Any]] = {
    "conll": {**WORDS, "decoder": "crf"},
    "jsonl": {**WORDS, "decoder": "crf"},
    "tsv": {**WORDS, "decoder": "classifier", "metrics": ["accuracy"], "training": {"monitor": "accuracy.accuracy"}},
    "slot_filling": {**WORDS, "decoder": "joint"},
    **{name: {"decoder": "extractive_qa", "metrics": ["answer"]} for name in ("squad", "coqa")},
}


@cache
def workspace() -> Path:
    """The folder of the experiment, which is removed at the end."""
    folder = tempfile.TemporaryDirectory(prefix="inputs-")
    workspace.folder = folder  # type: ignore[attr-defined]
    return Path(folder.name)


@cache
def bert() -> str:
    """A transformer with random weights."""
    (workspace() / "bert").mkdir()
    return make_bert(workspace() / "bert")


class Result(NamedTuple):
    """End of a command: its exit code, standard error, and the file that it wrote, if any."""

    code: int
    errors: str
    output: bytes | None


def run(command: Callable[[Sequence[str]], int], arguments: Sequence[str], output: Path | None = None) -> Result:
    """Run a command in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace") for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        try:
            code = command(arguments)
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
    for stream in streams:
        stream.flush()
    errors = streams[1].buffer.getvalue().decode()  # type: ignore[attr-defined]
    return Result(code, errors, output.read_bytes() if output is not None and output.is_file() else None)


def refused(result: Result, *needles: str) -> None:
    """Check exit code 2, one line on standard error with all the needles, and no output."""
    lines = result.errors.splitlines()
    assert "Traceback" not in result.errors, lines[-1]
    assert result.code == 2, f"exit code {result.code}: {result.errors[:200]}"
    assert len(lines) == 1, f"expected one line, found {len(lines)}: {result.errors[:300]}"
    assert lines[0].startswith("error: "), lines[0]
    for needle in needles:
        assert needle in lines[0], f"expected {needle!r} in: {lines[0][:300]}"
    assert result.output is None, "a refused input leaves no output"


def accepted(result: Result) -> Result:
    """Check exit code 0 and no traceback."""
    assert result.code == 0, f"exit code {result.code}: {result.errors[:300]}"
    assert "Traceback" not in result.errors
    return result


def put(name: str, content: Files) -> str:
    """Write a file, or a folder of files."""
    path = workspace() / name
    if path.is_dir():
        shutil.rmtree(path)
    if isinstance(content, bytes):
        path.write_bytes(content)
        return str(path)
    path.unlink(missing_ok=True)
    path.mkdir()
    for part, data in content.items():
        (path / part).write_bytes(data)
    return str(path)


def configured(task: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """Configuration of a task that is learned in a moment."""
    raw = json.loads(json.dumps(TASKS[task]))
    if task in ("squad", "coqa"):
        raw["encoder"] = {"name": "transformer", "model": bert()}
        raw["training"] = {"monitor": "answer.f1"}
    training = {"epochs": 1, "learning_rate": 0.01, **raw.pop("training", {})}
    data = {**paths, "format": task}
    return {**raw, "data": data, "batch": {"size": 4, "prefetch": 0}, "training": training, "device": "cpu"}


def trained_on(
    task: str, content: Files | None = None, *overrides: str, split: str = "train", yaml: str | None = None
) -> Result:
    """Train on the good files of a task, one of them replaced; a refused training leaves nothing behind."""
    good = put(f"good-{task}", GOLD[task])
    paths = dict.fromkeys(("train", "valid", "test"), good)
    if content is not None:
        paths[split] = put(f"input.{task}", content)
    config = Path(put("config.yaml", (yaml or json.dumps(configured(task, paths))).encode(errors="surrogatepass")))
    before = sorted(workspace().iterdir())
    directory = Path(tempfile.mkdtemp(dir=workspace())) / "run"
    result = run(train.main, ["--config", str(config), "--run", str(directory), *overrides])
    left = sorted(path.name for path in directory.rglob("*")) if directory.exists() else []
    if result.code:
        assert not left, f"a refused training leaves nothing behind, found {left}"
        extra = set(workspace().iterdir()) - set(before) - {directory.parent}
        assert not extra, f"a refused training leaves nothing behind, found {extra}"
    return result


@cache
def model(task: str) -> str:
    """A run of a task; ``bert`` is ``conll`` with a transformer, ``bert-tsv`` is ``tsv`` with one."""
    name = {"bert": "conll", "bert-tsv": "tsv"}.get(task, task)
    raw = configured(name, dict.fromkeys(("train", "valid", "test"), put(f"learned-{task}", GOLD[name])))
    if task != name:
        raw["encoder"] = {"name": "transformer", "model": bert()}
    config = put("model.yaml", json.dumps(raw).encode())
    directory = str(workspace() / f"model-{task}")
    accepted(run(train.main, ["--config", config, "--run", directory]))
    return directory


def predicted(task: str, form: str, content: Files, *overrides: str) -> Result:
    """Predict into a new file."""
    output = workspace() / "output"
    output.unlink(missing_ok=True)
    arguments = ["--run", model(task), "--format", form, "--input", put(f"input.{form}", content)]
    return run(predict.main, [*arguments, "--output", str(output), *overrides], output)


def evaluated(task: str, content: Files, *options: str) -> Result:
    """Evaluate on a file; the output is the JSON."""
    output = workspace() / "scores.json"
    output.unlink(missing_ok=True)
    arguments = ["--run", model(task), "--data", put(f"input.{task}", content), "--json", str(output)]
    return run(evaluate.main, [*arguments, "--predictions", str(workspace() / "predictions"), *options], output)


def lines_of(result: Result) -> list[Any]:
    """Return the JSON Lines that a command wrote."""
    assert accepted(result).output is not None
    return [json.loads(line) for line in result.output.decode().split("\n")[:-1]]  # type: ignore[union-attr]


def columns_stay(task: str, content: bytes) -> None:
    """Check that predictions for columns add a column to each row and change nothing else."""
    found = accepted(predicted(task, "conll", content)).output
    assert found is not None
    lines, new = content.split(b"\n"), found.split(b"\n")
    assert len(lines) == len(new), "as many lines as before"
    for line, written in zip(lines, new, strict=True):
        body = line.rstrip(b"\r")
        assert written.startswith(body), f"expected {body[:80]!r}, found {written[:80]!r}"


def counts(content: Files, sentences: int, words: int, task: str = "conll", *options: str) -> None:
    """Check how many sentences and words an evaluation reads."""
    found = json.loads(accepted(evaluated(task, content, *options)).output or b"{}")
    assert (found["sentences"], found["words"]) == (sentences, words), (found["sentences"], found["words"])


def training_cases() -> Iterator[Case]:
    """Cases of training files."""
    table: list[tuple[str, str, Files, tuple[str, ...], tuple[str, ...]]] = [
        # task, name, content, overrides, needles
        ("conll", "UTF-16 with its mark", GOOD.decode().encode("utf-16"), (), (":1", "utf-8")),
        ("conll", "UTF-16 without a mark", GOOD.decode().encode("utf-16-le"), (), (":5", "x00")),
        ("conll", "UTF-16 big-endian", GOOD.decode().encode("utf-16-be"), (), (":5", "x00")),
        ("conll", "UTF-32", GOOD.decode().encode("utf-32"), (), (":1", "utf-8")),
        (
            "conll",
            "UTF-16 by name",
            GOOD.decode().encode("utf-16"),
            ("data.format.encoding=utf-16",),
            ("data.format.encoding",),
        ),
        ("conll", "an unknown encoding", GOOD, ("data.format.encoding=utf-9",), ("data.format.encoding", "utf-9")),
        ("conll", "an encoding of bytes", GOOD, ("data.format.encoding=hex",), ("data.format.encoding",)),
        ("conll", "EBCDIC", GOOD, ("data.format.encoding=cp037",), ("data.format.encoding",)),
        ("conll", "Latin-1", "Zoë B-PER\n".encode("latin-1"), (), (":1", "0xeb", "data.format.encoding")),
        ("conll", "a truncated UTF-8 sequence", GOOD + b"\nx\xe2\x82 O\n", (), (":12", "0xe2")),
        ("conll", "a surrogate in UTF-8", b"\xed\xa0\x80 B-PER\n", (), (":1", "0xed")),
        ("conll", "lone carriage returns", GOOD.replace(b"\n", b"\r"), (), (":1", "carriage returns")),
        ("conll", "an empty file", b"", (), ("empty file",)),
        ("conll", "blank lines only", b"\n \t\n\r\n", (), ("empty file",)),
        ("conll", "marks only", b"-DOCSTART- -X- O O\n\n" * 3, (), ("empty file",)),
        ("conll", "a byte order mark only", b"\xef\xbb\xbf", (), ("empty file",)),
        ("conll", "a missing column", GOOD + b"\nx\n", (), (":12", "expected 2 columns, found 1")),
        ("conll", "an additional column", GOOD + b"\nx NN O\n", (), (":12", "expected 2 columns, found 3")),
        ("conll", "spaces among tabs", GOOD.replace(b" ", b"\t") + b"\nx O\n", (), (":12", "expected 2 columns")),
        ("conll", "an empty word between tabs", GOOD.replace(b" ", b"\t") + b"\n\tO\n", (), (":12", "word")),
        ("conll", "tabs where spaces are set", GOOD, ("data.format.separator=tab",), (":1", "expected 2 columns")),
        ("conll", "raw text", b"Ada lives in Paris\nBob left\n", (), (":2", "expected 4 columns")),
        ("conll", "one word per line", b"Ada\nlives\n", (), (":1", "expected 2 columns")),
        ("conll", "JSON", GOLD["jsonl"], (), (":",)),
        ("conll", "word and tag in one column", GOOD, ("data.format.word=1",), (":1", "data.format.word")),
        ("conll", "word and tag in one column, from the end", GOOD, ("data.format.tag=-2",), (":1", "data.format.tag")),
        ("conll", "a column that is not there", GOOD, ("data.format.tag=7",), (":1", "expected 8 columns")),
        ("conll", "no tag column", GOOD, ("data.format.tag=null",), ("no example has",)),
        ("conll", "no tag but O", b"a O\nb O\n\nc O\n", (), ("every word has the tag O", "data.format.tag")),
        (
            "conll",
            "one part of speech",
            b"a NN\nb NN\n",
            ("metrics=[tag]", "training.monitor=tag.accuracy", "data.valid=input.conll", "data.test=input.conll"),
            ("every word has the tag NN", "data.format.tag"),
        ),
        ("conll", "parts of speech where entities are scored", b"a NN\nb VB\n", (), ("plain tags",)),
        ("conll", "a tag without a label", GOOD + b"\nx B-\n", (), (":12", "'B-'")),
        ("conll", "a tag without a prefix", GOOD + b"\nx PER\n", (), (":12", "'PER'")),
        ("conll", "an unknown prefix", GOOD + b"\nx Q-PER\n", (), (":12", "'Q-PER'")),
        ("conll", "a tag in lower case", GOOD + b"\nx b-per\n", (), (":12", "'b-per'")),
        ("conll", "another scheme than set", GOOD + b"\nx S-PER\n", ("data.format.scheme=bio",), (":12", "'S-PER'")),
        ("conll", "an unknown scheme", GOOD, ("data.format.scheme=biox",), ("config.data.format.scheme", "'biox'")),
        (
            "conll",
            "no position digit",
            GOOD,
            ("data.format.strip_position_digit=true",),
            (":1", "strip_position_digit"),
        ),
        ("conll", "a line break in a label", b"a\tB-X\rY\nb\tO\n", (), ("'X\\rY'", "data.format")),
        ("jsonl", "no JSON", b"Ada won\n", (), (":1", "not JSON")),
        ("jsonl", "an empty file", b"", (), ("empty file",)),
        ("jsonl", "a list", b"[1]\n", (), (":1", "expected a JSON object")),
        ("jsonl", "a number", b"1\n", (), (":1", "expected a JSON object")),
        ("jsonl", "deep nesting", b"[" * 100_000 + b"\n", (), (":1", "not JSON")),
        ("jsonl", "an open object", b'{"words": ["a"]\n', (), (":1", "not JSON")),
        ("jsonl", "a document over several lines", b'{\n"words": ["a"]\n}\n', (), (":1", "not JSON")),
        (
            "jsonl",
            "a key given twice",
            b'{"words": ["a"], "words": ["b"], "spans": []}\n',
            (),
            (":1", "'words'", "twice"),
        ),
        (
            "jsonl",
            "a key given twice inside",
            b'{"words": ["a"], "spans": [{"start": 0, "end": 1, "label": "X", "label": "Y"}]}\n',
            (),
            (":1", "'label'"),
        ),
        ("jsonl", "an empty word", b'{"words": ["a", ""], "spans": [[0, 1, "X"]]}\n', (), (":1", "empty")),
        ("jsonl", "words of another type", b'{"words": ["a", 1], "spans": []}\n', (), (":1", "list of strings")),
        ("jsonl", "a text of another type", b'{"text": 5}\n', (), (":1", "'text'")),
        ("jsonl", "no text", b'{"txt": "a"}\n', (), (":1", "'words'")),
        ("jsonl", "spans and no unit", b'{"words": ["a"], "text": "a", "spans": []}\n', (), (":1", "ambiguous")),
        *(
            ("jsonl", f"a span {name}", b'{"words": ["a", "b"], "spans": [' + span + b"]}\n", (), (":1", needle))
            for name, span, needle in (
                ("beyond the end", b'[0, 3, "X"]', "within 0 and 2"),
                ("before the start", b'[-1, 1, "X"]', "within 0 and 2"),
                ("that is empty", b'[1, 1, "X"]', "1 to 1"),
                ("that runs backwards", b'[2, 1, "X"]', "2 to 1"),
                ("without a label", b"[0, 1]", "start, end, label"),
                ("with an empty label", b'[0, 1, ""]', "start, end, label"),
                ("of strings", b'["0", "1", "X"]', "start, end, label"),
                ("of fractions", b'[0.0, 1.0, "X"]', "start, end, label"),
                ("of truth values", b'[false, true, "X"]', "start, end, label"),
                ("of huge numbers", b"[0, 1" + b"0" * 400 + b', "X"]', "within 0 and 2"),
                ("that is null", b"null", "start, end, label"),
                ("with another key", b'{"begin": 0, "end": 1, "label": "X"}', "start, end, label"),
            )
        ),
        (
            "jsonl",
            "a number of too many digits",
            b'{"words": ["a"], "id": ' + b"9" * 5000 + b"}\n",
            (),
            (":1", "not JSON"),
        ),
        ("jsonl", "a span inside a word", b'{"text": "Adam", "spans": [[0, 3, "X"]]}\n', (), (":1", "inside a word")),
        ("jsonl", "labels of another type", b'{"text": "a", "labels": 5}\n', (), (":1", "'labels'")),
        ("jsonl", "no spans at all", b'{"words": ["a"]}\n', (), ("no example has",)),
        ("jsonl", "spans that are all empty", b'{"words": ["a"], "spans": []}\n', (), ("every word has the tag O",)),
        ("jsonl", "texts without a word", b'{"text": "  ", "spans": []}\n' * 3, (), ("words",)),
        ("jsonl", "a question for a tagger", b'{"text": "a", "question": "b"}\n', (), ("no example has",)),
        ("jsonl", "UTF-16", GOLD["jsonl"].decode().encode("utf-16"), (), (":1",)),  # type: ignore[union-attr]
        ("tsv", "an empty file", b"", (), ("no line",)),
        ("tsv", "a header alone", b"label\ttext_a\n", (), ("header alone",)),
        ("tsv", "no header", TABLE.partition(b"\n")[2], (), (":1", "data.format")),
        ("tsv", "other names", TABLE.replace(b"text_a", b"text"), (), (":1", "'text_a'", "data.format.text")),
        ("tsv", "a column twice", TABLE.replace(b"label", b"text_a"), (), (":1", "twice")),
        ("tsv", "a missing cell", TABLE + b"good\n", (), (":6", "found 1")),
        ("tsv", "a tab in a text", TABLE + b"good\ta\tb\n", (), (":6", "found 3")),
        ("tsv", "commas", TABLE.replace(b"\t", b","), (), (":1", "data.format.separator")),
        ("tsv", "no label", TABLE + b"\tx\n", (), (":6", "expected a label")),
        ("tsv", "label and text in one column", TABLE, ("data.format.label=text_a",), ("data.format.label",)),
        ("tsv", "a number that is no column", TABLE, ("data.format.label=9",), (":1", "number 9")),
        ("tsv", "a negative column", TABLE, ("data.format.label=-1",), ("config.data.format.label",)),
        ("tsv", "numbers without a header", TABLE, ("data.format.header=false",), ("data.format",)),
        ("tsv", "an empty separator", TABLE, ("data.format.separator=''",), ("config.data.format.separator",)),
        ("tsv", "texts without a word", b"label\ttext_a\ngood\t \nbad\t\n", (), ("words",)),
        (
            "tsv",
            "a carriage return in a label",
            b"label\ttext_a\ngo\rod\tx\nbad\ty\n",
            (),
            ("'go\\rod'", "data.format"),
        ),
        ("tsv", "Latin-1", TABLE + "gut\tschön\n".encode("latin-1"), (), (":6", "0xf6")),
        ("slot_filling", "a file instead of a folder", b"x", (), ("expected a directory",)),
        ("slot_filling", "no words", {"seq.out": b"O\n", "label": b"a\n"}, (), ("seq.in", "No such file")),
        ("slot_filling", "no tags", {"seq.in": b"a\n", "label": b"a\n"}, (), ("seq.out", "No such file")),
        ("slot_filling", "a shorter file", {**SLOTS, "label": b"flight\n"}, (), ("label:2", "end of the file")),
        ("slot_filling", "more tags than words", {**SLOTS, "seq.out": b"O O O O\nO O\n"}, (), ("seq.out:1", "4 tags")),
        ("slot_filling", "an unknown tag", {**SLOTS, "seq.out": b"O O B-city\nO x\n"}, (), ("seq.out:2", "'x'")),
        ("slot_filling", "empty files", dict.fromkeys(SLOTS, b""), (), ("empty file",)),
        ("slot_filling", "words and tags in one file", SLOTS, ("data.format.tags=seq.in",), ("config.data.format",)),
        ("slot_filling", "a path out of the folder", SLOTS, ("data.format.words=../seq.in",), ("config.data.format",)),
        ("slot_filling", "no slot", {**SLOTS, "seq.out": b"O O O\nO O\n"}, (), ("every word has the tag O",)),
        ("squad", "no JSON", b"x", (), ("expected JSON",)),
        ("squad", "an empty file", b"", (), ("an empty file",)),
        ("squad", "a list", b"[]", (), ("'data'",)),
        ("squad", "no passages", b'{"data": []}', (), ("none",)),
        ("squad", "data of another type", b'{"data": {}}', (), ("'data' (a list)",)),
        (
            "squad",
            "a passage of another type",
            squad(question(), context=5),
            (),
            ("data[0].paragraphs[0]", "'context'"),
        ),
        ("squad", "a question of another type", squad({"question": 5}), (), ("qas[0]", "'question'")),
        ("squad", "a position of another type", squad(question(start="0")), (), ("answers[0]", "'answer_start'")),
        ("squad", "an answer of another type", squad(question(answer=None)), (), ("answers[0]", "'text'")),
        ("squad", "no answer in its passage", squad(question(answer="Rome")), (), ("target",)),
        ("squad", "an id given twice", squad(question(), question()), (), ("qas[1]", "'1'")),
        ("squad", "no answers", squad({"id": "1", "question": "lives in ?"}), (), ("answers",)),
        ("coqa", "no JSON", b"x", (), ("expected JSON",)),
        ("coqa", "no turns", coqa([]), (), ("none",)),
        ("coqa", "a turn given twice", coqa([{"input_text": "a", "turn_id": 1}] * 2), (), ("questions[1]", "turn_id")),
        ("coqa", "a turn of another type", coqa([{"input_text": "a", "turn_id": "1"}]), (), ("'turn_id'",)),
        ("coqa", "an answer without a question", coqa(answers=[{"turn_id": 9, "input_text": "a"}]), (), ("turn 9",)),
        ("coqa", "a story of another type", coqa(story=[]), (), ("data[0]", "'story'")),
    ]
    for task, name, content, overrides, needles in table:
        split = "test" if name == "an id given twice" else "train"
        where = "" if any("data.format" in needle for needle in needles) else f"input.{task}"
        yield Case(
            f"training files: {task}",
            name,
            lambda t=task, c=content, o=overrides, n=(*needles, where), s=split: refused(  # type: ignore[misc]
                trained_on(t, c, *o, split=s), *n
            ),
        )
    for split in ("valid", "test"):
        for name, content, needle in (
            ("empty", b"", "empty file"),
            ("of other columns", b"a NN O\nb O\n", ":2"),
            ("of plain tags", b"a NN\nb VB\n", "plain tags"),
        ):
            yield Case(
                "other files",
                f"{split} {name}",
                lambda c=content, s=split, n=needle: refused(  # type: ignore[misc]
                    trained_on("conll", c, split=s), "input.conll", n
                ),
            )

    def file_cases() -> Iterator[tuple[str, str, str]]:
        folder = workspace() / "folder"
        folder.mkdir(exist_ok=True)
        yield "a directory", str(folder), "Is a directory"
        yield "a missing file", "none.conll", "No such file"
        yield "a missing folder", "none/none.conll", "No such file"
        yield "a name that is too long", "x" * 300, "too long"
        yield "a file as a folder", f"{put('plain', b'x')}/a", "Not a directory"

    for split in ("train", "valid", "test"):
        for name, path, needle in file_cases():
            yield Case(
                "other files",
                f"{split}: {name}",
                lambda p=path, s=split, n=needle: refused(trained_on("conll", None, f"data.{s}={p}"), n),  # type: ignore[misc]
            )


def configuration_cases() -> Iterator[Case]:
    """Cases of configuration files and overrides."""
    base = "data: {train: good-conll, valid: good-conll}\nencoder: {name: embedding, dimension: 4}\ndevice: cpu\n"
    texts = [
        ("an empty file", "", ("config.yaml",)),
        ("a list", "- a\n", ("config.yaml", "list")),
        ("a word", "a\n", ("config.yaml", "str")),
        ("an open list", base + "metrics: [tag\n", ("config.yaml:",)),
        ("a key given twice", base + "seed: 1\nseed: 2\n", ("config.yaml:5", "seed")),
        ("tabs as indentation", "data:\n\ttrain: x\n", ("config.yaml:2",)),
        ("an impossible date", base + "seed: 2020-13-45\n", ("config",)),
        ("a date as a value", base + "seed: 2020-01-02\n", ("config.seed",)),
        ("a date as a key", base + "2020-01-02: 1\n", ("config.2020-01-02",)),
        ("a list as a key", base + "? [a, b]\n: 1\n", ("config",)),
        ("a mapping as a key", base + "? {a: b}\n: 1\n", ("config",)),
        ("a number as a key", base + "7: 1\n", ("config.7",)),
        ("null as a key", base + "null: 1\n", ("config",)),
        ("a date as the path of a rate", base + "training: {learning_rate: {2020-01-02: 1}}\n", ("learning_rate",)),
        ("a tag of Python", base + "seed: !!python/object/apply:os.system [x]\n", ("config.yaml:4",)),
        ("an unknown anchor", base + "seed: *x\n", ("config.yaml:4",)),
        ("an unknown key", base + "sed: 1\n", ("config.sed", "'seed'")),
        ("an unknown key below", base + "training: {epoch: 1}\n", ("config.training.epoch", "'epochs'")),
        ("a key below a value", base + "seed: {a: 1}\n", ("config.seed",)),
        ("no data", "encoder: {name: embedding}\n", ("config.data",)),
        ("no encoder", "data: {train: good-conll}\n", ("config.encoder",)),
        ("null data", "data: null\nencoder: embedding\n", ("config.data",)),
        ("a component of another type", base + "decoder: 5\n", ("config.decoder",)),
        ("an unknown component", base + "decoder: crff\n", ("config.decoder", "crff")),
        ("control characters", base + "seed: \x01\n", ("config.yaml",)),
        ("a surrogate", base + "device: \ud800\n", ("config.yaml",)),
    ]
    for name, text, needles in texts:
        yield Case(
            "configuration files",
            name,
            lambda y=text, n=needles: refused(trained_on("conll", None, yaml=y or "\n"), *n),  # type: ignore[misc]
        )
    changes = [
        ("seed=18446744073709551616", "config.seed"),
        ("seed=1e400", "config.seed"),
        ("seed=-1", "config.seed"),
        ("seed=1.5", "config.seed"),
        ("seed=x", "config.seed"),
        ("training.learning_rate=-1", "training.learning_rate"),
        ("training.learning_rate={decoder: -1}", "training.learning_rate.decoder"),
        ("training.learning_rate={decodr: 1}", "learning_rate"),
        ("training.learning_rate=.nan", "training.learning_rate"),
        ("training.learning_rate=.inf", "training.learning_rate"),
        ("training.learning_rate=fast", "training.learning_rate"),
        ("training.weight_decay=-1", "training.weight_decay"),
        ("training.epochs=0", "training.epochs"),
        ("training.epochs=1.5", "training.epochs"),
        ("training.max_grad_norm=0", "max_grad_norm"),
        ("training.warmup_ratio=2", "training.warmup_ratio"),
        ("training.monitor=entity.micro.f2", "training.monitor"),
        ("training.monitor=entity.mirco.f1", "training.monitor"),
        ("training.monitor=entity.micro", "training.monitor"),
        ("training.monitor=entity.by_type.PRE.f1", "training.monitor"),
        ("training.monitor=tagg.accuracy", "training.monitor"),
        ("training.monitor=''", "training.monitor"),
        ("training.early_stopping={monitor: tag.accurac}", "training.early_stopping.monitor"),
        ("training.plateau={monitor: tag.accurac}", "training.plateau.monitor"),
        ("training.freeze={encodr: {steps: 1}}", "training.freeze"),
        ("data.valid=null", "data.valid"),
        ("batch.size=0", "batch.size"),
        ("batch.size=auto", "config.batch.size"),
        ("batch.micro_size=0", "batch.micro_size"),
        ("device=gpu", "device"),
        ("device=cuda:x", "device"),
        ("metrics=[accuracy]", "metrics has no"),
        ("metrics=[entty]", "config.metrics"),
        ("metrics=5", "config.metrics"),
        ("metrics=[answer]", "metrics has no"),
        ("score_by=[domain]", "config.score_by"),
        ("score_by=domain", "config.score_by"),
        ("decoder=classifier", "config.data.format"),
        ("decoder=extractive_qa", "config.data.format"),
        ("decoder=joint", "config.data.format"),
        ("decoder.scheme=iob", "config.decoder.scheme"),
        ("data.format=txt", "config.data.format"),
        ("data.format=text", "no example has"),
        ("data.format=squad", "config.data.format"),
        ("data.word_split=words", "config.data.word_split"),
        ("data.format.word=x", "config.data.format.word"),
        ("encoder.dimension=-1", "config.encoder.dimension"),
        ("encoder.dimension=x", "config.encoder.dimension"),
        ("unit.name=piece", "unit"),
        ("windows.max_length=3", "config.windows.max_length"),
        ("training.precision=fp8", "config.training.precision"),
        ("encoder.vectors=none.txt", "encoder.vectors"),
        ("nonsense", "key.sub=value"),
        ("=5", "key.sub=value"),
        ("seed.a=5", "config.seed"),
        (".seed=5", "config"),
        ("training..epochs=5", "config.training"),
        ("seed=[1", "seed"),
        ("seed=", "config.seed"),
        ("data.format.encoding=", "data.format.encoding"),
        ("data.train=", "config.data.train"),
        ("data.train=[a]", "config.data.train"),
    ]
    for change, needle in changes:
        yield Case(
            "overrides",
            change,
            lambda c=change, n=needle: refused(trained_on("conll", None, c), n),  # type: ignore[misc]
        )


def vector_cases() -> Iterator[Case]:
    """Cases of word vectors."""

    def npz(**arrays: Any) -> bytes:
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    plain = io.BytesIO()
    np.save(plain, np.ones((1, 8)))
    row = " 1" * 8
    table: list[tuple[str, str, bytes, str]] = [
        ("words for numbers", "v.txt", f"Ada{row}\nBob 1 2 3 4 5 6 7 x\nCid{row}\n".encode(), ":2"),
        ("not a number", "v.txt", f"Ada{row}\nBob 1 2 3 4 5 6 7 nan\nCid{row}\n".encode(), ":2"),
        ("infinity", "v.txt", f"Ada{row}\nBob 1 2 3 4 5 6 7 inf\nCid{row}\n".encode(), ":2"),
        ("a short row", "v.txt", f"Ada{row}\nBob 1 2\nCid{row}\n".encode(), ":2"),
        ("a long row", "v.txt", f"Ada{row}\nBob{row} 5\nCid{row}\n".encode(), ":2"),
        ("an empty file", "v.txt", b"", "none"),
        ("a header alone", "v.txt", b"2 8\n", "none"),
        ("another width", "v.txt", b"Ada 1 2 3\nBob 1 2 3\n", "encoder.dimension"),
        ("bytes", "v.txt", b"1 8\nAda \x00\xff\xfe\x80\n", ":2"),
        ("JSON", "v.txt", b'{"Ada": [1, 2]}\n{"b": 1}\n', ":1"),
        ("no archive", "v.npz", b"x", "v.npz"),
        ("an array without an archive", "v.npz", plain.getvalue(), "v.npz"),
        ("another array", "v.npz", npz(vectors=np.ones((1, 8))), "embeddings"),
        ("one dimension", "v.npz", npz(embeddings=np.ones(8)), "shape"),
        ("strings", "v.npz", npz(embeddings=np.full((1, 8), "x")), "numbers"),
        ("complex numbers", "v.npz", npz(embeddings=np.full((1, 8), 1j)), "numbers"),
        ("pickled objects", "v.npz", npz(embeddings=np.full((1, 8), None)), "v.npz"),
        ("nan in an archive", "v.npz", npz(embeddings=np.full((1, 8), np.nan)), "v.npz"),
        ("too many rows", "v.npz", npz(embeddings=np.ones((2, 8))), "v.vocab.txt"),
    ]
    for name, file, content, needle in table:

        def check(f: str = file, c: bytes = content, n: str = needle) -> None:
            put("v.vocab.txt", b"Ada\n")
            refused(trained_on("conll", None, f"encoder.vectors={put(f, c)}"), f.partition(".")[0], n)

        yield Case("vectors", name, check)

    def words_in_latin() -> None:
        put("v.vocab.txt", "Zoë\n".encode("latin-1"))
        path = put("v.npz", npz(embeddings=np.ones((1, 8))))
        refused(trained_on("conll", None, f"encoder.vectors={path}"), "v.vocab.txt:1")

    yield Case("vectors", "words in Latin-1", words_in_latin)
    yield Case(
        "vectors", "a folder", lambda: refused(trained_on("conll", None, f"encoder.vectors={bert()}"), "vectors")
    )


def meaning_cases() -> Iterator[Case]:
    """Cases of odd inputs that are read with the right meaning."""
    gold = GOOD.decode()
    for name, content, sentences, words in [
        ("a byte order mark", b"\xef\xbb\xbf" + GOOD, 3, 8),
        ("carriage returns and line feeds", GOOD.replace(b"\n", b"\r\n"), 3, 8),
        ("mixed line ends", GOOD.replace(b"O\n", b"O\r\n"), 3, 8),
        ("no last line end", GOOD.rstrip(b"\n"), 3, 8),
        ("many blank lines", GOOD.replace(b"\n\n", b"\n\n\t \n\r\n"), 3, 8),
        ("runs of spaces", GOOD.replace(b" ", b" \t  "), 3, 8),
        ("spaces around a row", GOOD.replace(b"\n", b" \n"), 3, 8),
        ("a mark with columns", b"-DOCSTART- -X- -X- O\n\n" + GOOD, 3, 8),
        ("a mark with an id", b"-DOCSTART- (1 EU)\n\n" + GOOD, 3, 8),
        ("a word like a mark", b"-DOCSTART-x O\n" + GOOD, 3, 9),
        ("a mark with a tag", b"-DOCSTART- B-PER\n" + GOOD, 3, 9),
        ("a line separator in a word", "a\u2028b O\n\n".encode() + GOOD, 4, 9),
        ("a next line character in a word", "a\u0085b O\n\n".encode() + GOOD, 4, 9),
        ("a word of white space", "\u3000 O\n\n".encode() + GOOD, 4, 9),
        ("zero-width characters", "\u200b O\n\ufeffx O\n\n".encode() + GOOD, 4, 10),
        ("NUL in a word", b"a\0b O\n\n" + GOOD, 4, 9),
        ("a form feed as a word", b"\f O\n\n" + GOOD, 4, 9),
        ("a word of 100,000 characters", b"x" * 100_000 + b" O\n\n" + GOOD, 4, 9),
        ("a sentence of 5,000 words", b"x O\n" * 5000 + b"\n" + GOOD, 4, 5008),
        ("characters of all planes", "\U0001f600 O\n\U0002a6d6 O\n\U000e0041 O\n\n".encode() + GOOD, 4, 11),
        ("overlong sentences of one word", b"x O\n\n" * 3000 + GOOD, 3003, 3008),
        ("no entity", b"x O\n", 1, 1),
    ]:
        yield Case("meaning: conll", name, lambda c=content, s=sentences, w=words: counts(c, s, w))  # type: ignore[misc]
        yield Case("meaning: columns stay", name, lambda c=content: columns_stay("conll", c))  # type: ignore[misc]

    def same_scheme(name: str, text: str) -> None:
        result = json.loads(accepted(evaluated("conll", text.encode())).output or b"{}")
        figures = result["entity"]["by_type"]
        assert {label: int(f["gold"]) for label, f in figures.items() if f["gold"]} == {"PER": 2, "LOC": 2}, name

    for name, text in {
        "IOB1": gold.replace("B-", "I-"),
        "BIOES": gold.replace("B-", "S-"),
        "BILOU": gold.replace("B-", "U-") + "\nx L-PER\n" * 0,
    }.items():
        yield Case("meaning: schemes", name, lambda n=name, t=text: same_scheme(n, t))  # type: ignore[misc]

    def blank_lines() -> None:
        lines = [b'{"words": ["Ada"]}', b"", b"  ", b'{"text": "in Paris"}', b""]
        found = accepted(predicted("jsonl", "jsonl", b"\n".join(lines))).output or b""
        new = found.split(b"\n")
        assert [bool(line.strip()) for line in new] == [bool(line.strip()) for line in lines], new

    def raw_text() -> None:
        texts = ["Ada won", "", "  ", "a\u2028b", "c\u0085d", "e\rf", "\u200b", "x" * 50_000, "\0", "\ufeffg"]
        data = "\n".join(texts).encode()
        found = lines_of(predicted("conll", "text", data))
        assert [value["text"] for value in found] == texts
        for value in found:
            assert all(value["text"][e["start"] : e["end"]] == e["text"] for e in value["entities"])

    def surrogate() -> None:
        (found,) = lines_of(predicted("jsonl", "jsonl", b'{"words": ["\\ud800", "a"], "id": "\\udfff"}\n'))
        assert found["words"] == ["\ud800", "a"]
        assert found["id"] == "\udfff"

    def other_keys_stay() -> None:
        value = {"id": 7, "words": ["Ada"], "note": {"a": [1, None]}, "labels": []}
        (found,) = lines_of(predicted("jsonl", "jsonl", json.dumps(value).encode()))
        assert {key: found[key] for key in value} == value

    def overlaps() -> None:
        text = json.dumps({"words": ["a", "b", "c"], "spans": [[0, 2, "PER"], [1, 3, "LOC"]]}).encode()
        found = json.loads(accepted(evaluated("jsonl", text + b"\n")).output or b"{}")
        assert sum(f["gold"] for f in found["entity"]["by_type"].values()) == 2

    def table_stays() -> None:
        content = b'label\ttext_a\n\ngood\tsay "hi\r\nbad\t\xe2\x80\xa8x\n'
        found = (accepted(predicted("tsv", "tsv", content)).output or b"").split(b"\n")
        for old, new in zip(content.split(b"\n"), found, strict=True):
            assert new.startswith(old.rstrip(b"\r")), (old, new)

    def slots_stay() -> None:
        content = {**SLOTS, "seq.in": b"fly  to\tRome \n\n", "seq.out": b"O O O\n\n", "label": b"x\ny\n"}
        target = workspace() / "slots"
        source = put("input.slots", content)
        arguments = ["--run", model("slot_filling"), "--format", "slot_filling", "--input", source]
        for _ in range(2):  # the second time over its own files
            accepted(run(predict.main, [*arguments, "--output", str(target)]))
        assert (target / "seq.in").read_bytes() == content["seq.in"]
        assert [len(line.split()) for line in (target / "seq.out").read_text().splitlines()] == [3, 0]

    def same_file() -> None:
        accepted(trained_on("conll", None, "data.valid=good-conll", "data.test=good-conll"))

    def offsets_repaired() -> None:
        accepted(trained_on("squad", squad(question(start=3), question("2", "the Wash", 16))))

    for name, check in {
        "blank lines of JSON Lines": blank_lines,
        "raw text of odd lines": raw_text,
        "lone surrogates": surrogate,
        "other keys stay": other_keys_stay,
        "overlapping spans": overlaps,
        "a table stays": table_stays,
        "slot filling data stay": slots_stay,
        "one file for all splits": same_file,
        "a wrong position of an answer": offsets_repaired,
    }.items():
        yield Case("meaning: others", name, check)


def prediction_cases() -> Iterator[Case]:
    """Cases of ``ner predict`` and ``ner evaluate``."""
    table: list[tuple[str, str, str, Files, tuple[str, ...], tuple[str, ...]]] = [
        ("Latin-1", "conll", "text", "Zoë".encode("latin-1"), (), (":1", "0xeb")),
        ("an empty word", "jsonl", "jsonl", b'{"words": [""]}\n', (), (":1", "empty")),
        ("a key given twice", "jsonl", "jsonl", b'{"text": "a", "text": "b"}\n', (), (":1", "'text'")),
        ("a question for a tagger", "jsonl", "jsonl", b'{"text": "a", "question": "b"}\n', (), (":1", "question")),
        ("a text for a reader", "squad", "jsonl", b'{"text": "a"}\n', (), (":1", "question")),
        ("an empty question", "squad", "jsonl", b'{"text": "a", "question": ""}\n', (), (":1", "question")),
        ("a format without answers", "squad", "text", b"a\n", (), ("--format",)),
        ("a format without tags", "conll", "tsv", TABLE, (), ("--format",)),
        ("alternatives in columns", "conll", "conll", GOOD, ("--n-best", "2"), ("--n-best",)),
        ("an option of the model", "conll", "conll", GOOD, ("seed=5",), ("seed=5", "data.format")),
        ("an unknown option", "conll", "conll", GOOD, ("data.format.colour=5",), ("data.format", "colour")),
        ("empty columns", "conll", "conll", b"\n", (), ("empty file",)),
        ("an id given twice", "squad", "squad", squad(question(), question()), (), ("qas[1]", "'1'")),
        ("no words of slots", "slot_filling", "slot_filling", {"label": b"x\n"}, (), ("seq.in",)),
        ("predictions as texts", "tsv", "tsv", b"predicted\nx\n", ("data.format.text=predicted",), ("predicted",)),
    ]
    for name, task, form, content, options, needles in table:
        yield Case(
            "prediction",
            name,
            lambda t=task, f=form, c=content, o=options, n=needles: refused(  # type: ignore[misc]
                predicted(t, f, c, *o), *n
            ),
        )
    for name, options, needle in (
        ("by a field that is not there", ("--by", "domain"), "--by domain"),
        ("a file without gold", (), "expected gold"),
    ):
        content = b'{"words": ["Ada"], "spans": [[0, 1, "PER"]]}\n' if options else b'{"words": ["Ada"]}\n'
        yield Case(
            "evaluation",
            name,
            lambda o=options, n=needle, c=content: refused(evaluated("jsonl", c, *o), n),  # type: ignore[misc]
        )

    def foreign_folder(kind: str) -> None:
        target = workspace() / f"foreign-{kind}"
        target.mkdir()
        inner = target / "seq.in"
        if kind == "folders":
            (inner / "deep").mkdir(parents=True)
            kept = inner / "deep" / "thesis"
        elif kind == "links":
            kept = workspace() / "kept"
            inner.symlink_to(kept)
        else:
            kept = target / "thesis"
        kept.write_bytes(b"years")
        arguments = ["--run", model("slot_filling"), "--input", put("input.slots", SLOTS), "--output", str(target)]
        refused(run(predict.main, arguments), target.name)
        assert kept.read_bytes() == b"years"

    for kind in ("folders", "links", "files"):
        yield Case("prediction", f"slot filling over foreign {kind}", lambda k=kind: foreign_folder(k))  # type: ignore[misc]

    def spaced(label: str, content: bytes, form: str, works: bool) -> None:
        learned = json.dumps({"words": ["Ada", "won"], "spans": [[0, 1, label]]}).encode() + b"\n"
        raw = configured("jsonl", dict.fromkeys(("train", "valid", "test"), put("spaced", learned)))
        raw["training"] |= {"epochs": 30, "learning_rate": 0.1}
        directory = tempfile.mkdtemp(dir=workspace())
        accepted(run(train.main, ["--config", put("spaced.yaml", json.dumps(raw).encode()), "--run", directory]))
        output = workspace() / "spaced.out"
        output.unlink(missing_ok=True)
        arguments = ["--run", directory, "--format", form, "--input", put("input.spaced", content)]
        result = run(predict.main, [*arguments, "--output", str(output)], output)
        if works:
            assert accepted(result).output, "predictions"
        else:
            refused(result, repr(label)[1:-1] if form == "conll" and " " in label else repr(label))

    for label, content, form, works in (
        ("first name", b"Ada\nwon\n", "conll", False),
        ("first\tname", b"Ada\nwon\n", "conll", False),
        ("first\nname", b"Ada\nwon\n", "conll", False),
        ("first\rname", b"Ada\nwon\n", "conll", False),
        ("first name", b"Ada\tx\nwon\tx\n", "conll", True),
        ("first\nname", b'{"words": ["Ada", "won"]}\n', "jsonl", True),
        ("first name", b"Ada won\n", "text", True),
    ):
        yield Case(
            "labels with separators",
            f"{label!r} into {form}{' with tabs' if works and form == 'conll' else ''}",
            lambda arguments=(label, content, form, works): spaced(*arguments),  # type: ignore[misc]
        )


def interface_cases() -> Iterator[Case]:
    """Cases of the Python interface."""
    for name, text, expected in [
        ("sentences and a word", [["a"], "b"], TypeError),
        ("a word and sentences", ["a", ["b"]], TypeError),
        ("an empty word", ["a", ""], ValueError),
        ("an empty word below", [["a"], ["b", ""]], ValueError),
        ("a number", 5, TypeError),
        ("nothing", None, TypeError),
        ("bytes", b"abc", TypeError),
        ("numbers", [1, 2], TypeError),
        ("a word that is none", ["a", None], TypeError),
        ("a generator", (word for word in "ab"), TypeError),
        ("a mapping", {"text": "a"}, TypeError),
        ("lists of lists of lists", [[["a"]]], TypeError),
    ]:

        def refuses(text: Any = text, expected: Any = expected) -> None:
            for task in ("conll", "bert"):
                with pytest.raises(expected, match="^expected "):
                    Tagger.load(model(task)).tag(text)

        yield Case("Python interface", name, refuses)
    for name, good in [
        ("an empty text", ""),
        ("white space", " \t\n"),
        ("no words", []),
        ("a sentence without words", [[]]),
        ("a word of white space", [" ", "\u3000", "\n"]),
        ("lone surrogates", ["\ud800", "a\udfff"]),
        ("lone surrogates in a text", "\ud800 a\udfff"),
        ("NUL", ["\0", "a\0b"]),
        ("a tuple", ("a", "b")),
        ("a word of 100,000 characters", ["x" * 100_000]),
    ]:

        def reads(good: Any = good) -> None:
            for task in ("conll", "bert"):
                found = Tagger.load(model(task)).tag(good)
                some = found if isinstance(found, list) else [found]
                assert all(len(e.tags or ()) == len(e.words) for document in some for e in document.examples)

        yield Case("Python interface", name, reads)


def cases() -> Iterator[Case]:
    """All cases."""
    workspace()
    yield from training_cases()
    yield from configuration_cases()
    yield from vector_cases()
    yield from meaning_cases()
    yield from prediction_cases()
    yield from interface_cases()


if __name__ == "__main__":
    os.chdir(workspace())
    sys.exit(main("inputs", PROMISE, cases()))
