from __future__ import annotations

import json
from pathlib import Path

import pytest

import ner
from ner.commands import init, train
from ner.config.load import load_config
from ner.data.tags import encode
from ner.model import pretrained
from ner.runs.directory import read_config
from tests.conftest import SAMPLE


def sample(language: str, form: str, folder: Path) -> str:
    """A part of the sample in another format."""
    source = SAMPLE / language / "valid.conll"
    if form == "bio":
        return str(source)
    path = folder / f"{language}.{form}"
    text = ""
    for example in ner.read(source).examples:
        spans = [[span.start, span.end, span.label] for span in example.spans]
        if form == "jsonl":
            text += json.dumps({"words": example.words, "spans": spans}) + "\n"
            continue
        tags = encode(example.spans, len(example.words), "bioes" if form == "bioes" else "bio")
        middle = "\tx\t" if form == "tabs" else " "
        text += "".join(f"{word}{middle}{tag}\n" for word, tag in zip(example.words, tags, strict=True)) + "\n"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("form", ["bio", "bioes", "tabs", "jsonl"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_configuration_trains_as_it_is(
    language: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "is_installed", lambda name: False)  # BERT takes minutes
    data, output = sample(language, form, tmp_path), tmp_path / "mine.yaml"
    assert init.main(["--train", data, "--valid", data, "--output", str(output)]) == 0
    config, _ = load_config(output)
    assert (config.data.train, config.data.valid, config.data.test) == (data, data, None)
    assert config.data.format.name == ("jsonl" if form == "jsonl" else "conll")
    assert config.data.word_split == ("characters" if language == "zh" else None)
    text = output.read_text(encoding="utf-8")
    assert all(name in text.split("data:")[0] for name in ("Recipe", "LOC", "sentences"))
    run = tmp_path / "run"
    assert train.main(["--config", str(output), "--run", str(run), "training.epochs=1", "device=cpu"]) == 0
    assert read_config(run).data.train == data


@pytest.mark.parametrize(
    ("sentences", "size", "epochs"), [(10_000, 16, 10), (480, 16, 10), (300, 8, 10), (40, 4, 30), (4, 4, 50)]
)
def test_a_small_file_is_trained_for_enough_steps(sentences: int, size: int, epochs: int) -> None:
    raw = {"batch": {"measure": "sentences", "size": 16}, "training": {"epochs": 10}}
    line = init._fit_steps(raw, sentences)
    assert (raw["batch"]["size"], raw["training"]["epochs"]) == (size, epochs)
    assert bool(line) == ((size, epochs) != (16, 10))


def test_without_validation_data_the_last_epoch_is_kept(tmp_path: Path) -> None:
    output = tmp_path / "mine.yaml"
    table = str(SAMPLE / "reviews" / "valid.tsv")
    assert init.main(["--train", table, "--output", str(output)]) == 0
    config, _ = load_config(output)
    assert (config.training.keep_epoch, config.decoder.name, config.data.word_split) == (
        "last",
        "classifier",
        "chinese",
    )


def test_a_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "mine.yaml"
    output.write_text("mine")
    assert init.main(["--train", str(SAMPLE / "en" / "valid.conll"), "--output", str(output)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert output.read_text() == "mine"


def test_the_format_may_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mixed.txt"
    path.write_text("Ada B-PER\nwon O\n\n")
    assert init.main(["--train", str(path), "--format", "jsonl"]) == 2
    assert "not JSON" in capsys.readouterr().err
    assert init.main(["--train", str(path), "--format", "conll"]) == 0
    assert "format conll, 1 sentence, 2 words" in capsys.readouterr().out


def test_files_in_another_encoding_are_read_with_it(tmp_path: Path) -> None:
    data, output = tmp_path / "gb.conll", tmp_path / "mine.yaml"
    data.write_text((SAMPLE / "zh" / "valid.conll").read_text(encoding="utf-8"), encoding="gb18030")
    assert init.main(["--train", str(data), "--output", str(output)]) == 2
    assert init.main(["--train", str(data), "--encoding", "gb18030", "--output", str(output)]) == 0
    config, _ = load_config(output)
    assert config.data.format.encoding == "gb18030"
    assert config.data.word_split == "characters"


def test_the_words_of_all_files_fit_their_spans(tmp_path: Path) -> None:
    for name, end in (("train", 2), ("valid", 1)):  # a span of the second file ends in a word
        record = {"text": "ab cd", "entities": [{"start": 0, "end": end, "label": "X"}]}
        (tmp_path / f"{name}.jsonl").write_text(f"{json.dumps(record)}\n" * 20, encoding="utf-8")
    output = tmp_path / "mine.yaml"
    files = [f"--{name}={tmp_path / name}.jsonl" for name in ("train", "valid")]
    assert init.main([*files, "--output", str(output)]) == 0
    assert load_config(output)[0].data.word_split == "characters"


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("{number}\t{word}\tX\t{tag}", {"word": 1}),
        ("{tag} {word}", {"tag": 0, "word": 1}),
        ("{word} {number} {tag}", {}),
    ],
)
def test_columns_are_found_where_they_are(form: str, options: dict[str, int], tmp_path: Path) -> None:
    data, output = tmp_path / "data.txt", tmp_path / "mine.yaml"
    text, expected = "", []
    for example in ner.read(SAMPLE / "en" / "valid.conll").examples:
        rows = zip(example.words, encode(example.spans, len(example.words)), strict=True)
        lines = [form.format(number=number, word=word, tag=tag) for number, (word, tag) in enumerate(rows, 1)]
        text += "\n".join(lines) + "\n\n"
        expected.append(example.words)
    data.write_text(text, encoding="utf-8")
    assert init.main(["--train", str(data), "--output", str(output)]) == 0
    config, _ = load_config(output)
    found = config.data.format.model_dump(exclude_defaults=True)
    assert {key: found[key] for key in ("word", "tag") if key in found} == options
    assert [example.words for example in ner.read(data).examples] == expected
