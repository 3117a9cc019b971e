from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import transformers

import ner
from ner.commands.export import main
from ner.errors import NEEDS_TORCH, InputError
from ner.export.export import export
from ner.inference.tagger import Tagger
from ner.model.saving import save
from ner.portable.tagger import PortableTagger
from ner.runtime import manifest
from ner.types import Document, Example, TagQuery
from tests.builders import build, documents, settings

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

SENTENCES = [
    ["Ann", "of", "Rare3", "far", "."],
    ["Bob"],
    ["Supercalifragilistic" * 9, "x"],
    ["a", "\u200b", "中", "国"],
]
CHARACTERS = {"name": "embedding", "dimension": 5, "shape_dimension": 3, "characters": {"kind": "cnn", "width": 4}}
MEMBER = {**CHARACTERS, "bigrams": {"dimension": 2, "buckets": 20}, "segmentation_dimension": 2}
JOINT = {"name": "joint", "tags": {"name": "crf", "scheme": "bioes"}, "classes": {"name": "classifier"}}
CASES: dict[str, dict[str, Any]] = {
    "crf": {"decoder": {"name": "crf", "scheme": "bioes"}},
    "softmax": {"decoder": {"name": "softmax"}, "context": None},
    "unconstrained": {"decoder": {"name": "softmax", "constraints": "none"}},
    "characters": {"encoder": CHARACTERS},
    "character_lstm": {"encoder": {**CHARACTERS, "dimension": 0, "characters": {"kind": "lstm", "width": 4}}},
    "bigrams": {"encoder": {"name": "embedding", "dimension": 0, "bigrams": {"dimension": 5, "buckets": 50}}},
    "words_and_bigrams": {"encoder": {"name": "embedding", "dimension": 5, "bigrams": {"dimension": 5}}},
    "segments": {"encoder": {"name": "embedding", "dimension": 0, "segmentation_dimension": 5}},
    "rtransformer": {"context": {"name": "rtransformer", "heads": 2}},
    "joint": {"decoder": JOINT},
    "multi_label": {"decoder": {"name": "classifier", "multi_label": True, "pooling": "attention"}},
    "bert": {"bert": True, "windows": {"max_length": 16}},
    "bert_last": {"bert": True, "encoder__pooling": "last"},
    "bert_mean": {"bert": True, "encoder__pooling": "mean", "windows": {"scope": "document", "max_length": 20}},
    "bert_cls": {"bert": True, "decoder": {"name": "classifier", "pooling": "cls"}},
    "bert_context": {"bert": True, "context": {"name": "bilstm", "hidden_size": 4}, "windows": {"max_length": 16}},
    "pieces": {"bert": True, "unit": {"name": "piece"}},
    "concat": {"bert": True, "concat": True},
}


def trained(folder: Path, bert: str, options: dict[str, Any]) -> Path:
    options = dict(options)
    use_bert, concat = options.pop("bert", False), options.pop("concat", False)
    if "unit" in options:
        options["unit"] = {**options["unit"], "tokenizer": bert}
    if concat:
        options["encoder"] = {"name": "concat", "transformer": {"model": bert}, "embedding": MEMBER}
    config = settings(bert if use_bert and not concat else None, **options)
    learned = [
        replace(document, examples=[replace(e, labels=[f"class{n % 3}"]) for e in document.examples])
        for n, document in enumerate(documents())
    ]
    save(build(config, learned).eval(), config, folder / "run")
    return folder / "run"


def flat(documents: list[Document]) -> list[tuple[Any, ...]]:
    found = [example for document in documents for example in document.examples]
    return [(example.tags, example.spans, example.labels) for example in found]


def scores(documents: list[Document]) -> list[float]:
    examples = [example for document in documents for example in document.examples]
    spans = [span.score for example in examples for span in example.spans]
    return [
        *[s for s in spans if s is not None],
        *[s for example in examples for _, s in sorted(example.scores.items())],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_an_export_annotates_as_the_run_does(case: str, tmp_path: Path, tiny_bert: str) -> None:
    run = trained(tmp_path, tiny_bert, CASES[case])
    export(run, tmp_path / "export")
    tagger, expected = ner.load(tmp_path / "export", verify=True), Tagger.load(run, "cpu")
    assert isinstance(tagger, PortableTagger)
    batches: list[Any] = [SENTENCES, SENTENCES[:1], [Document([])], [[*SENTENCES[0]] * 30], [Document([Example([])])]]
    batches.append([Document([Example(list(words)) for words in SENTENCES * 9])])
    for batch in batches:
        found, wanted = (t.tag(batch, probabilities=True) for t in (tagger, expected))
        assert flat(found) == flat(wanted)
        assert scores(found) == pytest.approx(scores(wanted), abs=1e-5)
    if "tags" in tagger.outputs:
        _check_alternatives(tagger, expected)
    text = "Ann's trip, to Rare7."
    assert tagger(text).entities == [pytest.approx(entity) for entity in expected(text).entities] or flat(
        [tagger(text)]
    ) == flat([expected(text)])


@pytest.mark.slow
def test_an_encoder_whose_last_layer_is_computed_whole_is_exported(tmp_path: Path, tiny_bert: str) -> None:
    folder = tmp_path / "distilbert"
    shutil.copytree(tiny_bert, folder)
    vocab_size = transformers.AutoConfig.from_pretrained(tiny_bert).vocab_size
    config = transformers.DistilBertConfig(vocab_size=vocab_size, dim=16, hidden_dim=16, n_layers=1, n_heads=2)
    transformers.DistilBertModel(config).save_pretrained(folder)
    run = trained(tmp_path, str(folder), {"bert": True})
    export(run, tmp_path / "export")
    tagger, expected = ner.load(tmp_path / "export", verify=True), Tagger.load(run, "cpu")
    assert flat(tagger.tag(SENTENCES)) == flat(expected.tag(SENTENCES))
    nodes = onnx.load(str(tmp_path / "export" / "model.onnx")).graph.node
    assert [node.op_type for node in nodes if node.op_type in ("MultiHeadAttention", "Softmax")] == [
        "MultiHeadAttention"
    ]
    assert expected.model.encoder.model.config._attn_implementation == "sdpa"


def _check_alternatives(tagger: PortableTagger, expected: Tagger) -> None:
    sentences = [Document([Example(list(words))], scheme=tagger.scheme) for words in [*SENTENCES, []]]
    query = TagQuery(n_best=4)
    for own, other in zip(
        tagger.annotate(sentences, query=query), expected.annotate(sentences, query=query), strict=True
    ):
        for found, wanted in zip(own.predicted, other.predicted, strict=True):
            ours, theirs = found.examples[0].probabilities, wanted.examples[0].probabilities
            assert ours is not None
            assert theirs is not None
            assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-4)
            probabilities = [alternative.probability for alternative in ours.n_best]
            assert probabilities == pytest.approx([alternative.probability for alternative in theirs.n_best], abs=1e-5)
            if probabilities[0] - probabilities[-1] > 1e-3:  # else rounding decides the order
                assert ours.n_best[0].tags == theirs.n_best[0].tags


@pytest.mark.slow
def test_an_export_refuses_probabilities_that_it_does_not_compute(exported: Path) -> None:
    with pytest.raises(InputError, match="does not compute tokens"):
        list(ner.load(exported).annotate([], query=TagQuery(tokens=True)))


@pytest.fixture
def exported(tmp_path: Path, tiny_bert: str) -> Path:
    export(trained(tmp_path, tiny_bert, {"bert": True}), tmp_path / "export")
    return tmp_path / "export"


@pytest.mark.slow
def test_the_runtime_needs_neither_torch_nor_transformers(exported: Path) -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'torchcrf', 'onnx']))\n"
    script = (
        f"{blocked}import ner\nprint(ner.load({str(exported)!r}, verify=True).tag('Ann of Berlin').examples[0].words)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "['Ann', 'of', 'Berlin']\n"
    command = f"{blocked}from ner.__main__ import main; sys.exit(main())"
    options = ["predict", "--run", str(exported), "--format", "text", "--scores", "--verify"]
    result = subprocess.run(
        [sys.executable, "-c", command, *options], input="Ann of Berlin\n", capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout)["text"] == "Ann of Berlin"


@pytest.mark.slow
def test_without_torch_the_error_is_one_sentence(tmp_path: Path) -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'torchcrf', 'seqeval']))\n"
    for code, name in (("import ner; ner.train('tiny')", "ner.errors.InputError"), ("main()", "error")):
        arguments = ["train", "--config", "configs/tiny.yaml", "--run", str(tmp_path / "run")]
        script = f"{blocked}from ner.__main__ import main; {code}"
        result = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
        assert result.stderr.splitlines()[-1] == f"{name}: {NEEDS_TORCH}"


@pytest.mark.slow
@pytest.mark.parametrize("case", ["crf", "words_and_bigrams", "character_lstm", "rtransformer", "bert_context"])
def test_int8_weights_are_smaller_and_annotate_alike(case: str, tmp_path: Path, tiny_bert: str) -> None:
    run = trained(tmp_path, tiny_bert, CASES[case])
    export(run, tmp_path / "float32")
    described = export(run, tmp_path / "export", "int8")
    assert described.precision == "int8"
    assert described.parity.equal > 0.5  # the model is untrained, so scores are close to each other
    assert described.parity.difference < 0.1
    ner.load(tmp_path / "export", verify=True)
    operators = {node.op_type for node in onnx.load(str(tmp_path / "export" / "model.onnx")).graph.node}
    assert operators & {"DynamicQuantizeLSTM", "MatMulInteger"}
    assert not operators & {"LSTM"}


def rewritten(directory: Path, name: str, data: bytes) -> None:
    (directory / name).write_bytes(data)
    manifest.write_manifest(directory, json.loads((directory / "manifest.json").read_bytes()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.onnx", "potentials.safetensors", "labels.json", "export.json"])
def test_malformed_files_are_refused_in_one_sentence(exported: Path, name: str) -> None:
    original = (exported / name).read_bytes()
    for data in (b"", b"{}", b"[]", original[: len(original) // 2], b"\x00" * 100, original + b"x" * 9):
        if (exported / name).read_bytes() != data:
            (exported / name).write_bytes(data)
        with pytest.raises(InputError, match="differs from the manifest"):
            ner.load(exported)
        rewritten(exported, name, data)
        with pytest.raises(InputError) as error:
            ner.load(exported).tag([["Ann", "of", "Rare3"]])
        assert "\n" not in str(error.value)
        assert str(exported) in str(error.value)
        rewritten(exported, name, original)
    ner.load(exported)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "remedy"), [(2, "export the run again"), (4, "install the version that wrote it")])
def test_exports_of_other_versions_are_refused(exported: Path, version: int, remedy: str) -> None:
    value = json.loads((exported / "export.json").read_bytes()) | {"format": version, "more": 1}
    rewritten(exported, "export.json", json.dumps(value).encode())
    with pytest.raises(InputError, match=f"expected an export of format 3, found {version}; {remedy}"):
        ner.load(exported)


@pytest.mark.slow
def test_wrong_values_of_the_description_are_refused(exported: Path) -> None:
    path = exported / "export.json"
    value = json.loads(path.read_bytes())
    changes: list[dict[str, Any]] = [
        {"format": 0},
        {"tags": None},
        {"batch_size": 0},
        {"encoders": []},
        {"encoders": [{**value["encoders"][0], "row_length": 1}]},
        {"encoders": [{**value["encoders"][0], "kind": "words"}]},
        {"encoders": [{**value["encoders"][0], "pieces": {**value["encoders"][0]["pieces"], "size": 3}}]},
        {"tags": {**value["tags"], "scheme": "bioes"}},
        {"tags": {**value["tags"], "temperature": 0}},
    ]
    for change in changes:
        rewritten(exported, "export.json", json.dumps({**value, **change}).encode())
        with pytest.raises(InputError):
            ner.load(exported).tag([["Ann", "of", "Rare3"]])


@pytest.mark.slow
def test_parity_with_other_numbers_is_refused(exported: Path) -> None:
    lines = [json.loads(line) for line in (exported / "parity.jsonl").read_text().splitlines()]
    lines[0]["spans"] = [[0, 1, "LOC", 0.5]]
    rewritten(exported, "parity.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    with pytest.raises(InputError, match=r"parity\.jsonl"):
        ner.load(exported, verify=True)


def test_other_decoders_are_refused(tmp_path: Path, tiny_bert: str) -> None:
    config = settings(tiny_bert, decoder={"name": "unilm"}, metrics=["answer"], training__monitor="loss")
    learned = [
        Document(
            [
                Example(
                    ["who", "Ann", "sings"],
                    answers=["Ann"],
                    query_length=1,
                    text="who Ann sings",
                    offsets=[(0, 3), (4, 7), (8, 13)],
                )
            ]
        )
    ]
    save(build(config, learned).eval(), config, tmp_path / "run")
    with pytest.raises(InputError, match="unilm cannot be exported"):
        export(tmp_path / "run", tmp_path / "export")
    assert not (tmp_path / "export").exists()


@pytest.mark.slow
def test_an_export_is_written_to_an_empty_directory_only(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="choose an empty directory"):
        export(exported.parent / "run", exported)
    assert main(["--run", str(exported.parent / "run"), "--output", str(exported)]) == 2
    assert "already contains an export; remove it" in capsys.readouterr().err


@pytest.mark.slow
def test_an_export_leaves_no_device_id_in_the_home_directory(tmp_path: Path, tiny_bert: str) -> None:
    run = trained(tmp_path, tiny_bert, CASES["crf"])
    export(run, tmp_path / "export")
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = f"import ner; print(ner.load({str(tmp_path / 'export')!r}).tag('Ann of far'))"
    subprocess.run([sys.executable, "-c", code], check=True, env={**environment, "HOME": str(home)}, timeout=120)
    assert not [path for path in home.rglob("*") if "onnxruntime" in str(path)]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ner.export.export.find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(InputError, match="^onnx is not installed; pip install 'onnx>="):
        export(tmp_path / "run", tmp_path / "exported")
