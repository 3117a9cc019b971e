from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ner
from ner.config.load import load_config
from ner.errors import InputError
from ner.types import Document, Example
from tests.conftest import SAMPLE

pytestmark = pytest.mark.filterwarnings("ignore:epoch . predicts no entity")  # the trainings are short
TRAIN = SAMPLE / "en" / "valid.conll"
TEST = SAMPLE / "en" / "test.conll"
EXAMPLES = SAMPLE.parents[1] / "examples"


def weights(run: ner.Run) -> str:
    return hashlib.sha256((run.path / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Working directory, in which runs are written."""
    path = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        yield path


@pytest.fixture(scope="module")
def run(folder: Path) -> ner.Run:
    train = ner.read(TRAIN)
    return ner.train("tiny", train=train, valid=train, epochs=2, device="cpu")


def test_the_lines_of_the_introduction(run: ner.Run, folder: Path) -> None:
    train, valid, test = ner.read(str(TRAIN)), ner.read(TRAIN), ner.read(TEST)
    assert (len(train.examples), len(test.examples)) == (103, 121)
    again = ner.train("tiny", train=train, valid=valid, epochs=2, device="cpu")
    assert weights(again) == weights(run)
    assert again.path.parent == Path("runs/tiny")
    scores = again.evaluate(test)
    assert scores["entity.micro.f1"] == scores.to_json()["entity"]["micro"]["f1"]
    assert "entity.micro" in str(scores).splitlines()[2]
    tagger = again.tagger()
    assert repr(tagger) == "<Tagger with crf: LOC, MISC, ORG, PER>"
    document = tagger("Obama's trip to Paris, France.")
    for entity in document.entities:
        assert document.examples[0].text is not None
        assert document.examples[0].text[entity.start : entity.end] == entity.text
        assert 0 < (entity.probability or 0) <= 1
    lines = ["Ann went to Paris.\n", "", "Bob stayed.\n"]
    assert [d.examples[0].text for d in tagger.stream(lines)] == ["Ann went to Paris.", "", "Bob stayed."]
    loaded = ner.load(str(again.path))
    assert loaded("Ann went to Paris.").entities == tagger("Ann went to Paris.").entities


def test_a_run_from_a_file_is_that_of_the_command_line(run: ner.Run, tiny_run: Path) -> None:
    """Its configuration contains the path, so that evaluation and resuming work from the shell."""
    assert run.config.data.train == str(TRAIN)
    assert run.config.data.test is None, "the test file of the recipe belongs to its own training file"
    assert weights(run) == hashlib.sha256((tiny_run / "model.safetensors").read_bytes()).hexdigest()


def as_lists(path: Path) -> list[tuple[list[str], list[str]]]:
    return [(example.words, example.tags or []) for example in ner.read(path).examples]


@pytest.mark.parametrize("kind", ["pairs", "dictionaries", "frame", "words", "dataset", "examples"])
def test_data_in_memory_train_the_same_weights_as_their_file(kind: str, run: ner.Run, folder: Path) -> None:
    pairs = as_lists(TRAIN)
    dictionaries = [{"tokens": words, "ner_tags": tags} for words, tags in pairs]
    data: Any = pairs
    if kind == "dictionaries":
        data = dictionaries
    elif kind == "frame":
        pandas = pytest.importorskip("pandas")
        data = pandas.DataFrame(dictionaries)
    elif kind == "words":
        pandas = pytest.importorskip("pandas")
        rows = [
            {"Sentence #": f"Sentence: {number}" if position == 0 else None, "Word": word, "Tag": tag}
            for number, (words, tags) in enumerate(pairs)
            for position, (word, tag) in enumerate(zip(words, tags, strict=True))
        ]
        data = pandas.DataFrame(rows)
    elif kind == "dataset":
        datasets = pytest.importorskip("datasets")
        names = sorted({tag for _, tags in pairs for tag in tags})
        features = datasets.Features(
            {
                "tokens": datasets.List(datasets.Value("string")),
                "ner_tags": datasets.List(datasets.ClassLabel(names=names)),
            }
        )
        numbers = [{"tokens": words, "ner_tags": [names.index(tag) for tag in tags]} for words, tags in pairs]
        data = datasets.Dataset.from_list(numbers, features=features)
    elif kind == "examples":
        data = ner.read(TRAIN).examples
    other = ner.train("tiny", train=data, valid=data, run=folder / kind, epochs=2, device="cpu")
    assert weights(other) == weights(run)
    assert other.config.data.train == "<memory>"
    assert other.evaluate(split="valid")["entity.micro.f1"] == run.evaluate(split="valid")["entity.micro.f1"]
    assert (other.path / "words.json").read_bytes() == (run.path / "words.json").read_bytes()


def test_a_data_set_that_was_changed_is_not_read_from_its_file(folder: Path, run: ner.Run) -> None:
    data = ner.read(TRAIN)
    data[0].examples[0].words[0] = "Changed"
    other = ner.train("tiny", train=data, valid=TRAIN, run=folder / "changed", epochs=1, device="cpu")
    assert other.config.data.train == "<memory>"
    assert other.config.data.valid == str(TRAIN)
    with pytest.raises(InputError, match="in memory"):
        ner.Run(other.path).evaluate(split="train")


def test_a_slice_is_a_data_set(folder: Path) -> None:
    data = ner.read(TRAIN)[:3]
    assert isinstance(data, ner.Dataset)
    assert repr(data).startswith("<Dataset in memory: 3 documents, ")


def test_texts_with_spans_are_split_so_that_spans_are_words(folder: Path) -> None:
    data = ner.read(
        [
            ("Ada lives in Graz.", {"entities": [(0, 3, "PER"), (13, 17, "LOC")]}),
            {"text": "Graz", "spans": [[0, 4, "LOC"]]},
        ]
    )
    assert data.word_split == "punctuation"
    assert data.examples[0].words == ["Ada", "lives", "in", "Graz", "."]
    assert [entity.text for entity in data[0].entities] == ["Ada", "Graz"]
    other = ner.train("tiny", train=data, run=folder / "spans", epochs=1, device="cpu")
    assert other.config.data.format.name == "jsonl"
    assert other.config.training.keep_epoch == "last"
    assert "no validation data: the last epoch is kept" in (other.path / "train.log").read_text()
    with pytest.raises(InputError, match="keep_epoch=best needs data.valid"):
        ner.train("tiny", train=data, keep_epoch="best", device="cpu")
    assert other.tagger().word_split == "punctuation"
    chinese = ner.read([("他住在北京。", {"entities": [(3, 5, "LOC")]})])
    assert chinese.word_split == "chinese"


def test_labels_of_texts_train_a_classifier(folder: Path) -> None:
    data = ner.read([("good room", "1"), ("bad room", "0")] * 4)
    other = ner.train("classifier", train=data, valid=data, run=folder / "labels", epochs=1, score_by=(), device="cpu")
    assert 0 <= other.evaluate(data)["accuracy.accuracy"] <= 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([(["a", "b"], ["O"])], "<list>:1: expected one tag per word, found 2 words and 1 tags"),
        ([(["a"], ["O"]), (["a"], [3])], "<list>:2: expected tags as non-empty strings, found 3"),
        ([(["a"], ["O"]), "text"], "<list>:2: expected a pair"),
        ([(["a"], ["B-X"]), (["a"], ["X"])], "expected O or one of"),
        ([], "empty"),
        ([{"words": ["a"], "ner": ["O"], "text": "a"}, {"tokens": [""], "tags": ["O"]}], "found ''"),
    ],
)
def test_invalid_items_are_named(data: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        ner.read(data)
    assert message in str(error.value)


def test_what_is_no_data_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="found int"):
        ner.read(3)
    with pytest.raises(TypeError, match="colour"):
        ner.read([(["a"], ["O"])], colour="red")


def test_short_names_are_keys_and_ambiguous_ones_are_listed() -> None:
    settings = {"epochs": 3, "hidden_size": 7, "encoder.dropout": 0.1, "seed": 5, "decoder": "softmax"}
    config, _ = load_config("bilstm_crf", settings=settings)
    assert (config.training.epochs, config.seed, config.decoder.name) == (3, 5, "softmax")
    assert config.context is not None
    assert config.context.model_dump()["hidden_size"] == 7
    for name, message in (("dropout", "encoder.dropout, context.dropout"), ("epoch", "did you mean epochs?")):
        with pytest.raises(InputError) as error:
            load_config("bilstm_crf", settings={name: 1})
        assert message in str(error.value)


def test_a_configuration_object_is_a_configuration(folder: Path, run: ner.Run) -> None:
    config, _ = load_config("tiny", ["device=cpu"])
    again = ner.train(config, train=TRAIN, valid=TRAIN, epochs=2)
    assert weights(again) == weights(run)


def test_training_is_quiet_and_logs_to_a_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    quiet = ner.train("tiny", train=TRAIN, valid=TRAIN, run=folder / "quiet", epochs=1, device="cpu")
    assert capfd.readouterr() == ("", "")
    log = (quiet.path / "train.log").read_text(encoding="utf-8")
    assert "epoch [1/1]" in log
    ner.train("tiny", train=TRAIN, valid=TRAIN, run=folder / "loud", epochs=1, device="cpu", verbose=True)
    assert "epoch [1/1]\n" in capfd.readouterr().out
    report = json.loads((quiet.path / "metrics.json").read_text())
    assert report["command"] == "ner.train('tiny', train=..., valid=..., epochs=1, device='cpu')"


def test_warnings_of_a_training_are_python_warnings(folder: Path) -> None:
    with pytest.warns(UserWarning, match="labels not in the training data") as warned:
        ner.train("tiny", train=[(["a"], ["B-X"])] * 4, valid=[(["a"], ["B-Y"])], run=folder / "warns", epochs=1)
    assert {warning.filename for warning in warned} == {__file__}


def test_a_run_continues_with_more_epochs(folder: Path, run: ner.Run) -> None:
    data = ner.read(TRAIN).examples
    path = folder / "continued"
    ner.train("tiny", train=data, valid=data, run=path, epochs=1, device="cpu")
    with pytest.raises(InputError, match="already contains"):
        ner.train("tiny", train=data, valid=data, run=path, epochs=1, device="cpu")
    continued = ner.train("tiny", train=data, valid=data, run=path, epochs=2, device="cpu", resume=True)
    assert weights(continued) == weights(run)
    with pytest.raises(InputError):
        ner.train("tiny", train=data[:-1], valid=data, run=path, epochs=3, device="cpu", resume=True)


def test_history_and_representations_are_short(run: ner.Run) -> None:
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert max(map(len, str(run.history).splitlines())) < 150
    assert repr(run).startswith(f"<Run {run.path}: 2 epochs, valid entity F1 0.")
    long = Example(["word"] * 1000, text=None)
    for value in (long, Document([long]), Document([long] * 50)):
        assert len(repr(value)) < 120


def test_scores_are_a_frame(run: ner.Run) -> None:
    pytest.importorskip("pandas")
    frame = run.evaluate(TEST).to_frame()
    assert frame.loc["entity.micro", "f1"] == run.evaluate(TEST)["entity.micro.f1"]
    assert list(run.history.to_frame()["epoch"]) == [1, 2]


def test_evaluation_warns_of_sentences_that_were_trained_on(run: ner.Run) -> None:
    assert "103 of 103 sentences occur in the training data" in str(run.evaluate(TRAIN))
    with pytest.raises(InputError, match="pass data="):
        run.evaluate()


def test_a_model_of_the_hub_ends_in_one_sentence_offline() -> None:
    with pytest.raises(InputError, match="nobody/nothing: no such directory, and no model"):
        ner.load("nobody/nothing")


@pytest.mark.parametrize("name", ["runs/nothing", "nothing", "here/nothing"])
def test_a_mistyped_run_is_not_searched_on_the_hub(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^{name}: no such directory$"):
        ner.load(name)


def test_the_module_is_completed_and_light() -> None:
    assert {"read", "train", "load", "Run", "Dataset"} <= {*dir(ner)}
    code = "import sys, ner; print([m for m in ('torch', 'pydantic', 'numpy', 'loguru') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_the_log_of_the_program_is_left_alone(folder: Path) -> None:
    from loguru import logger

    lines: list[str] = []
    number = logger.add(lines.append)
    show = warnings.showwarning
    ner.train("tiny", train=TRAIN, valid=TRAIN, run=folder / "alone", epochs=1, device="cpu")
    logger.info("mine")
    logger.remove(number)
    assert [line for line in lines if "epoch" in line] == []
    assert "mine" in lines[-1]
    assert warnings.showwarning is show


def test_evaluation_takes_modes_slices_and_intervals(run: ner.Run) -> None:
    scores = run.evaluate(TEST, mode="strict", slices=["entity_length"], intervals=True)
    frame = scores.to_frame()
    assert (
        frame.loc["entity.micro", "f1_low"] <= frame.loc["entity.micro", "f1"] <= frame.loc["entity.micro", "f1_high"]
    )
    assert any(str(name).startswith("slices.entity_length") for name in frame.index)
    assert scores.to_json()["reading"]["mode"] == "strict"
    assert "f1_low" not in run.evaluate(TEST).to_frame().columns


def test_training_takes_plugins_and_callbacks(folder: Path) -> None:
    class Steps:
        """Count the reports."""

        def __init__(self) -> None:
            self.steps, self.ended = 0, False

        def on_start(self, run: Any) -> None:
            self.run = run

        def on_step(self, progress: Any) -> None:
            self.steps += 1

        def on_epoch(self, progress: Any) -> None:
            self.epoch = progress.epoch

        def on_end(self, scores: Any) -> None:
            self.ended = scores is not None

    layer = EXAMPLES / "gated_conv" / "gated_conv.py"
    seen = Steps()
    settings = {"context.name": "gated_conv"}
    run = ner.train("tiny", TRAIN, TRAIN, plugins=[layer], callbacks=[seen], settings=settings, epochs=1, device="cpu")
    assert run.config.context.name == "gated_conv"
    assert seen.steps > 0
    assert (seen.epoch, seen.ended) == (1, True)
