from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file, save_file

from ner.config.parts import validate
from ner.config.schema import RunConfig
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.inference.tagger import Tagger
from ner.model import lstm_inference
from ner.model.saving import load, save
from ner.runs.directory import find_runs, newest_run
from ner.runtime import manifest
from ner.types import Document, Example, Span
from tests.builders import build, documents, make_bert, make_bpe, make_unigram, settings


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.mark.slow
def test_a_saved_model_gives_the_same_answers(run: Path, tmp_path: Path) -> None:
    model, config = load(run)
    save(model, config, tmp_path / "again")
    again, same = load(tmp_path / "again")
    assert same == config
    assert {name: t.tolist() for name, t in again.state_dict().items()} == {
        name: t.tolist() for name, t in model.state_dict().items()
    }
    sentence = ["Colby", "lives", "in", "Paris", "."]
    assert Tagger(again, same).tag(sentence) == Tagger(model, config).tag(sentence)


def test_no_file_of_a_run_is_a_pickle(run: Path) -> None:
    suffixes = {path.suffix for path in run.rglob("*") if path.is_file()}
    assert suffixes <= {".yaml", ".json", ".jsonl", ".safetensors", ".csv", ".md", ".log", ".conll", ".bin", ".lock"}


@pytest.mark.parametrize("name", ["config.yaml", "labels.json", "model.safetensors", "encoder/words.json"])
def test_a_changed_or_missing_file_is_named(run: Path, name: str) -> None:
    data = bytearray((run / name).read_bytes())
    data[len(data) // 2] ^= 1
    (run / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: SHA-256 or size differs"):
        load(run)
    (run / name).unlink()
    with pytest.raises(InputError, match=f"{name}: missing, but listed in the manifest"):
        load(run)


def test_a_directory_without_a_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no manifest.json"):
        load(tmp_path)


def signed(run: Path) -> None:
    """A manifest that fits whatever is there: what somebody writes who changes a model on purpose."""
    manifest.write_manifest(run, json.loads((run / manifest.MANIFEST).read_bytes()))


def test_weights_of_a_foreign_shape_are_refused_by_name(run: Path) -> None:
    weights = load_file(run / "model.safetensors")
    weights["decoder.emissions.weight"] = torch.zeros(3, 3)
    save_file(weights, run / "model.safetensors")
    signed(run)
    with pytest.raises(InputError, match=r"expected \(\d+, 64\) .* for decoder.emissions.weight, found \(3, 3\)"):
        load(run)


def test_weights_that_lack_a_tensor_are_refused_by_name(run: Path) -> None:
    weights = load_file(run / "model.safetensors")
    del weights["decoder.emissions.bias"]
    save_file(weights, run / "model.safetensors")
    signed(run)
    with pytest.raises(InputError, match=r"for decoder.emissions.bias, found no tensor"):
        load(run)


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"\xff" * 100])
def test_weights_that_are_not_safetensors_are_refused(run: Path, data: bytes) -> None:
    (run / "model.safetensors").write_bytes(data)
    signed(run)
    with pytest.raises(InputError, match="not a safetensors file"):
        load(run)


def test_labels_that_are_not_ours_are_refused(run: Path) -> None:
    (run / "labels.json").write_text("[]")
    signed(run)
    with pytest.raises(InputError, match=r"labels.json: not the labels of a model"):
        load(run)


def test_the_newest_verified_run_is_taken(tiny_run: Path, tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "older")):
        shutil.copytree(tiny_run, tmp_path / "runs" / "x" / name)
        os.utime(tmp_path / "runs" / "x" / name / manifest.MANIFEST, (1000 - age, 1000 - age))
    shutil.copytree(tiny_run, tmp_path / "runs" / "x" / "new" / "last", dirs_exist_ok=True)
    assert [path.name for path in find_runs(tmp_path / "runs")] == ["new", "old", "older"]
    assert newest_run(tmp_path / "runs").name == "new"
    (tmp_path / "runs" / "x" / "new" / "labels.json").write_text("changed")
    assert newest_run(tmp_path / "runs").name == "old"


def test_no_run_at_all_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run with a model; train one \(ner train"):
        newest_run(tmp_path / "runs")


PRETRAINED = {
    "transformer": {"encoder": {"name": "transformer", "model": "MODEL", "attention_dropout": 0}},
    "document windows": {
        "encoder": {"name": "transformer", "model": "MODEL", "pooling": "mean"},
        "windows": {"scope": "document", "max_length": 16},
    },
    "concat": {
        "encoder": {
            "name": "concat",
            "transformer": {"model": "MODEL"},
            "embedding": {"dimension": 3, "shape_dimension": 2},
        },
        "context": {"name": "rtransformer", "width": 8, "layers": 1},
    },
    "pieces": {
        "unit": {"name": "piece", "tokenizer": "MODEL"},
        "encoder": {"name": "embedding", "dimension": 4},
        "decoder": "softmax",
    },
    "pieces of a transformer": {
        "unit": {"name": "piece", "tokenizer": "MODEL"},
        "encoder": {"name": "transformer", "model": "MODEL"},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_bert, make_bpe, make_unigram])
@pytest.mark.parametrize("name", PRETRAINED)
def test_a_model_with_pretrained_parts_is_whole_without_their_source(
    name: str, make: Callable[[Path], str], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    raw = json.loads(json.dumps(PRETRAINED[name]).replace("MODEL", make(source)))
    config = validate(RunConfig, {"data": {"train": "a", "valid": "a"}, **raw})
    sentences = [["Colby", "lives", "in", "Berlin", "\u200b", "."], ["Washington"] * 9, []]
    examples = [Example(words, spans=[Span(0, 1, "PER")], tags=["B-PER"] * len(words)) for words in sentences[:2]]
    model = build(config, [Document(examples)]).eval()
    save(model, config, tmp_path / "run")
    shutil.rmtree(source)
    again, same = load(tmp_path / "run")
    assert same == config
    document = Document([Example(words) for words in sentences])
    assert Tagger(again, same).tag(document) == Tagger(model, config).tag(document)
    assert {name: t.tolist() for name, t in again.state_dict().items()} == {
        name: t.tolist() for name, t in model.state_dict().items()
    }


def test_a_file_that_the_manifest_forgot_is_not_read(run: Path) -> None:
    entries = json.loads((run / manifest.MANIFEST).read_bytes())
    for name in entries.keys() - {"trained_on.bin", "calibration.json"}:  # a model does not need them
        left = {key: value for key, value in entries.items() if key != name}
        (run / manifest.MANIFEST).write_text(json.dumps(left))
        with pytest.raises(InputError):
            load(run)


@pytest.mark.parametrize("data", [b"", b"3", b"[", b'{"a": 1}', b"[1, 2]", b"\xff"])
def test_tables_that_are_not_ours_are_refused(run: Path, data: bytes) -> None:
    (run / "encoder" / "words.json").write_bytes(data)
    signed(run)
    with pytest.raises(InputError):
        load(run)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(run: Path, value: float) -> None:
    weights = load_file(run / "model.safetensors")
    name, tensor = next(item for item in weights.items() if item[1].numel() > 1)
    tensor.view(-1)[1] = value
    save_file(weights, run / "model.safetensors")
    signed(run)
    with pytest.raises(InputError, match=f"{name} contains numbers that are not finite"):
        load(run)


def test_weights_of_another_type_are_refused(run: Path) -> None:
    weights = {name: tensor.half() for name, tensor in load_file(run / "model.safetensors").items()}
    save_file(weights, run / "model.safetensors")
    signed(run)
    with pytest.raises(InputError, match=r"expected .* of torch.float32 .*, found .* of torch.float16"):
        load(run)


@pytest.mark.parametrize("change", [("dimension: 32", "dimension: 1000000000"), ("layers: 1", "layers: 100000")])
def test_sizes_that_the_weights_do_not_have_are_refused_before_they_are_allocated(
    run: Path, change: tuple[str, str]
) -> None:
    config = (run / "config.yaml").read_text(encoding="utf-8")
    assert change[0] in config
    (run / "config.yaml").write_text(config.replace(*change), encoding="utf-8")
    signed(run)
    with pytest.raises(InputError, match=r"model.safetensors: too small for the sizes in config.yaml"):
        load(run)


@pytest.mark.parametrize("count", [100, 1000, 3000])
def test_the_masks_of_more_tags_than_the_weights_have_are_not_computed(run: Path, count: int) -> None:
    (run / "labels.json").write_bytes(Vocabs(labels=Counter(f"L{number}" for number in range(count))).to_bytes())
    signed(run)
    started = time.process_time()
    with pytest.raises(InputError, match=r"model.safetensors: .*labels.json"):
        load(run)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("config.yaml", "hidden_size: 32", "hidden_size: 8", "not the weights of config.yaml"),
        ("labels.json", '"LOC"', '"LOC": 1, "X"', "not the weights of config.yaml and labels.json"),
        (
            "encoder/words.json",
            '"the",\n',
            "",
            "not the weights of config.yaml, encoder/characters.json, .* and encoder/words.json",
        ),
    ],
)
def test_files_that_do_not_fit_the_weights_are_named(run: Path, file: str, old: str, new: str, named: str) -> None:
    text = (run / file).read_text(encoding="utf-8")
    assert old in text
    (run / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    signed(run)
    with pytest.raises(InputError, match=f"model.safetensors: expected .*; {named}$"):
        load(run)


def test_a_word_splitter_that_the_manifest_leaves_out_is_missed(run: Path) -> None:
    entries = json.loads((run / manifest.MANIFEST).read_bytes())
    (run / manifest.MANIFEST).write_text(json.dumps({name: entries[name] for name in entries if name != "words.json"}))
    with pytest.raises(InputError, match="manifest.json: expected an entry words.json"):
        load(run)
    labels = json.loads((run / "labels.json").read_bytes())
    del labels["splits_words"]  # as versions without word splitters
    (run / "labels.json").write_text(json.dumps(labels))
    (run / manifest.MANIFEST).write_text(json.dumps({name: entries[name] for name in entries if name != "words.json"}))
    signed(run)
    assert load(run)[0].word_splitter is None


@pytest.mark.parametrize(
    ("context", "size"),
    [({"name": "bilstm"}, 4096), ({"name": "rtransformer", "heads": 3}, 1024), (None, 1024)],
)
def test_batches_of_inference_are_large_where_an_lstm_reads_embeddings(context: object, size: int) -> None:
    assert build(settings(context=context), documents()).inference_pieces == size


def test_the_lstm_of_distinct_words_gives_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(context__hidden_size=20, batch__micro_size=None)
    model = build(config, documents())
    tagger, sentences = Tagger(model, config, "cpu"), documents(640)
    spy = Mock(wraps=lstm_inference.bidirectional_states)
    monkeypatch.setattr(lstm_inference, "bidirectional_states", spy)
    answers = []
    for limit in (lstm_inference.MIN_SENTENCES, 10**9):
        monkeypatch.setattr(lstm_inference, "MIN_SENTENCES", limit)
        chunks = list(tagger.annotate(sentences, loss=True))
        tags = [example.tags for chunk in chunks for document in chunk.predicted for example in document.examples]
        answers.append((tags, sum(chunk.losses["tags"] for chunk in chunks)))
    spy.assert_called()
    assert answers[0][0] == answers[1][0]
    assert answers[0][1] == pytest.approx(answers[1][1], rel=1e-5)
