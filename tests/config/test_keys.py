"""Every configuration key is in a shipped configuration, or a test shows that it changes something."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from ner.config.base import ComponentConfig, ConfigSection
from ner.config.load import load_config, read_yaml
from ner.config.parts import FOLDERS, component_names, load_component, parse_component
from ner.config.schema import RunConfig, WindowsConfig
from ner.data.question_answering import ANSWER, EVIDENCE, question_example
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.training import loop
from ner.types import Encoding, Example, Span
from tests.builders import CPU, digest, documents, fresh, settings
from tests.conftest import ROOT

COMPONENTS = {
    f"{folder}/{name}": load_component(folder, name).Config
    for folder in FOLDERS
    if folder not in ("metrics", "callbacks")
    for name in component_names(folder)
}

ELSEWHERE = {
    **{
        f"formats/arrow.{key}": "data/formats/test_arrow.py::test_an_option_changes_what_is_read"
        for key in ["label", "offsets", "on_misaligned", "on_overlap", "scheme", "spans", "tags", "text", "words"]
    },
    "encoders/transformer.num_layers": "model/encoders/test_transformer.py::test_only_the_lower_layers_are_loaded",
    "formats/labelstudio.text_tag": (
        "data/formats/test_labelstudio.py::test_predictions_are_pre_annotations_of_the_same_task"
    ),
    "batch.prefetch": "training/test_loop.py::test_batches_made_ahead_change_nothing",
    "data.memmap_dir": "end_to_end/test_runs.py::test_a_training_file_in_memory_mapped_arrays_gives_the_same_bytes",
    "device": "commands/test_cli.py::test_a_wrong_configuration_is_one_sentence_and_leaves_nothing_behind",
    "processes.fsdp": "end_to_end/test_distributed.py::test_an_encoder_is_spread_by_a_line_of_the_configuration",
    "processes.heartbeat_timeout": "end_to_end/test_distributed.py::test_a_process_that_hangs_or_dies_is_named",
    "slices": "evaluation/test_slices.py::test_the_configuration_or_the_command_names_the_slices",
    "training.calibrate": "training/test_temperature.py::test_a_run_is_calibrated_unless_the_configuration_forbids_it",
    "training.callbacks": "training/test_callbacks.py::test_a_training_is_reported",
    "training.compile": "config/test_keys.py::test_the_encoder_is_compiled_on_request",
    "training.deterministic": "end_to_end/test_gpu.py::test_resuming_ends_in_the_same_bytes",
    "training.keep_checkpoints": (
        "training/test_checkpoint.py::test_only_so_many_are_kept_and_the_newest_whole_one_is_found"
    ),
    "training.layer_decay": "training/test_optimizer.py::test_lower_layers_learn_more_slowly",
    "training.max_skipped": "training/test_loop.py::test_a_batch_that_is_not_finite_can_be_skipped_so_many_times",
    "training.on_nonfinite": "training/test_loop.py::test_a_batch_that_is_not_finite_can_be_skipped_so_many_times",
    "training.save_every": (
        "end_to_end/test_distributed.py::test_a_killed_process_is_started_again_and_two_machines_meet"
    ),
    "training.tensorboard": "training/test_display.py::test_tensorboard_reads_the_scalars",
    "windows.overlap": "config/test_schema.py::test_windows_share_overlap_or_the_rest_after_doc_stride",
    "formats/conll.probabilities": ("end_to_end/test_tagging.py::test_columns_have_probabilities_of_entities_or_words"),
    "encoders/embedding.freeze": (
        "model/encoders/test_embedding.py::test_vectors_that_may_move_do_and_frozen_ones_do_not"
    ),
}
"""Key -> the test that shows its effect, as file and name below ``tests``."""

TRAINING: dict[str, tuple[dict[str, Any], Any]] = {
    "seed": ({}, 2),
    "training.averaging": ({}, {}),
    "training.averaging.kind": ({"averaging": {}}, "swa"),
    "training.averaging.decay": ({"averaging": {}}, 0.1),
    "training.averaging.start": ({"averaging": {}}, 1),
    "training.adversarial.epsilon": ({"adversarial": {}}, 5.0),
    "training.early_stopping.monitor": ({"early_stopping": {"patience": 1}}, "loss"),
    "training.freeze": ({}, {"encoder": {"steps": 3}}),
    "training.freeze.steps": ({"freeze": {"encoder": {}}}, 3),
    "training.freeze.epochs": ({"freeze": {"encoder": {}}}, 1),
    "training.plateau.monitor": ({"plateau": {"patience": 0}}, "loss"),
    "training.plateau.min_lr_scale": ({"plateau": {"patience": 0, "factor": 0.1}}, 0.5),
    "training.plateau.max_batch_size": ({"plateau": {"patience": 0, "adapt": "batch_size"}}, 8),
}
"""Key -> the other options of ``training``, and a value of the key."""

MODULES: dict[str, tuple[dict[str, Any], Any]] = {
    "context/bilstm.layers": ({"hidden_size": 2}, 2),
    **{
        f"context/rtransformer.{key}": ({"layers": 1, "heads": 2, "window": 2, "ffn_size": 8}, value)
        for key, value in {"dropout": 0.5, "ffn_size": 4, "heads": 1, "layers": 2, "width": 6, "window": 3}.items()
    },
    "decoders/classifier.class_weights": ({}, "balanced"),
    "decoders/classifier.hidden_size": ({}, 3),
    "decoders/classifier.label_smoothing": ({}, 0.3),
    "decoders/classifier.multi_label": ({}, True),
    "decoders/classifier.threshold": ({"multi_label": True}, 0.999),
    "decoders/crf.backend": ({"backend": "auto"}, "torch"),
    "decoders/crf.constraints": ({}, "training_and_decoding"),
    "decoders/crf.dropout": ({}, 0.5),
    "decoders/extractive_qa.dropout": ({}, 0.5),
    "decoders/extractive_qa.evidence_weight": ({}, 2.0),
    "decoders/extractive_qa.hidden_size": ({}, 3),
    "decoders/extractive_qa.n_best_size": ({}, 1),
    "decoders/extractive_qa.null_threshold": ({}, -100.0),
    "decoders/joint.classes": ({}, {"multi_label": True}),
    "decoders/joint.weights.tags": ({}, 2.0),
    "decoders/joint.weights.classes": ({}, 2.0),
    "decoders/softmax.backend": ({"backend": "auto"}, "torch"),
    "decoders/softmax.dropout": ({}, 0.5),
    "decoders/softmax.label_smoothing": ({}, 0.3),
    "decoders/unilm.beam_size": ({"max_target_seq_length": 4}, 1),
    "decoders/unilm.length_penalty": ({"max_target_seq_length": 4}, 3.0),
    "decoders/unilm.max_source_seq_length": ({"max_target_seq_length": 4}, 12),
    "encoders/embedding.segmentation_dimension": ({}, 5),
    "encoders/embedding.bigrams.buckets": ({"dimension": 2, "bigrams": {"dimension": 2}}, 50),
    "encoders/embedding.characters.max_length": ({"dimension": 2, "characters": {"kind": "lstm"}}, 2),
    "encoders/embedding.dropout": ({"dimension": 2}, 0.5),
    "encoders/embedding.min_count": ({"dimension": 2}, 2),
    "encoders/transformer.dropout": ({"model": "BERT"}, 0.5),
    "encoders/transformer.freeze": ({"model": "BERT"}, 1),
    "encoders/transformer.word_dropout": ({"model": "BERT"}, 0.9),
}
"""Key -> the other options of the component, and a value of the key."""

QUESTIONS = (
    '{"data": [{"title": "é", "paragraphs": [{"context": "Ann", '
    '"qas": [{"id": "1", "question": "Who?", "answers": []}]}]}]}'
)
TURNS = '{"data": [{"id": "é", "story": "Ann", "questions": [{"input_text": "Who?"}], "answers": []}]}'
SLOTS = {"seq.in": "é b", "seq.out": "I-X O", "label": "x#y", "other": "O O"}
STANDOFF = {"a.txt": "University of Oslo\né", "a.ann": "T1\tX 0 18\tUniversity of Oslo"}
NESTED = {**STANDOFF, "a.ann": f"{STANDOFF['a.ann']}\nT2\tY 14 18\tOslo"}
EMOJI = {"text": "\U0001f4a9 aa aa", "label": [[3, 5, "X"]]}
REGION = {"type": "labels", "value": {"start": 0, "end": 2, "labels": ["X"]}}


def lines(*values: Any) -> str:
    return "\n".join(map(json.dumps, values))


def tasks(*results: Any) -> str:
    data = {"text": "Ada won", "x": "b", "é": "é"}
    return json.dumps([{"data": data, "annotations": [{"result": [result]} for result in results]}], ensure_ascii=False)


def minimal(key: str, value: Any) -> str:
    return json.dumps([{"text": "Ada won", "label": [], key: value}])


FORMATS: dict[str, tuple[str | dict[str, str], dict[str, Any], Any]] = {
    "formats/brat.encoding": (STANDOFF, {}, "latin-1"),
    "formats/brat.offsets": (
        {"a.txt": "\U0001f4a9 aaa", "a.ann": "T1\tX 3 5\taa"},
        {"on_misaligned": "expand"},
        "utf16",
    ),
    "formats/brat.on_discontinuous": ({**STANDOFF, "a.ann": "T1\tX 0 10;14 18\tUniversity Oslo"}, {}, "join"),
    "formats/brat.on_misaligned": ({**STANDOFF, "a.ann": "T1\tX 0 3\tUni"}, {}, "expand"),
    "formats/brat.on_overlap": (NESTED, {}, "keep"),
    "formats/brat.unit": (STANDOFF, {}, "file"),
    "formats/conll.encoding": ("é O\n", {}, "latin-1"),
    "formats/conll.scheme": ("a I-X\n", {}, "none"),
    "formats/conll.separator": ("New York\tO\n", {}, "space"),
    "formats/conll.tag": ("a B-X O\n", {}, 1),
    "formats/conll.word": ("a b O\n", {}, 1),
    "formats/coqa.encoding": (TURNS, {}, "latin-1"),
    "formats/doccano.encoding": ('{"text": "é"}', {}, "latin-1"),
    "formats/doccano.offsets": (lines(EMOJI), {}, "utf16"),
    "formats/doccano.on_misaligned": (lines({"text": "Ada", "label": [[0, 2, "X"]]}), {}, "expand"),
    "formats/doccano.on_overlap": (lines({"text": "a b", "label": [[0, 3, "X"], [0, 1, "Y"]]}), {}, "longest"),
    "formats/doccano.text": (lines({"text": "a", "data": "b"}), {}, "data"),
    "formats/jsonl.answers": ('{"text": "Ann", "question": "Who?", "x": ["Ann"]}', {}, "x"),
    "formats/jsonl.encoding": ('{"text": "é"}', {}, "latin-1"),
    "formats/jsonl.labels": ('{"text": "a", "x": ["b"]}', {}, "x"),
    "formats/jsonl.question": ('{"text": "a", "x": "Who?"}', {}, "x"),
    "formats/jsonl.text": ('{"x": "a"}', {}, "x"),
    "formats/jsonl.words": ('{"x": ["a"]}', {}, "x"),
    "formats/jsonl.offsets": (lines({**EMOJI, "spans": EMOJI["label"]}), {"on_misaligned": "expand"}, "utf16"),
    "formats/jsonl.on_overlap": (lines({"text": "a b", "spans": [[0, 3, "X"], [0, 1, "Y"]]}), {}, "longest"),
    "formats/labelstudio.annotation": (
        tasks({"type": "x"}, {"type": "choices", "value": {"choices": ["a"]}}),
        {},
        "last",
    ),
    "formats/labelstudio.encoding": (tasks(), {}, "latin-1"),
    "formats/labelstudio.labels": (minimal("topic", "b"), {}, "topic"),
    "formats/labelstudio.offsets": (
        json.dumps([{**EMOJI, "label": [{"start": 3, "end": 5, "labels": ["X"]}]}]),
        {"on_misaligned": "drop"},
        "utf16",
    ),
    "formats/labelstudio.on_misaligned": (tasks(REGION), {}, "expand"),
    "formats/labelstudio.on_overlap": (
        tasks({"type": "labels", "value": {"start": 0, "end": 3, "labels": ["X", "Y"]}}),
        {},
        "longest",
    ),
    "formats/labelstudio.spans": (minimal("ner", [{"start": 0, "end": 3, "labels": ["X"]}]), {}, "ner"),
    "formats/labelstudio.text": (tasks(), {}, "x"),
    "formats/slot_filling.encoding": (SLOTS, {}, "latin-1"),
    "formats/slot_filling.intents": (SLOTS, {}, "split"),
    "formats/slot_filling.labels": (SLOTS, {}, None),
    "formats/slot_filling.scheme": (SLOTS, {}, "none"),
    "formats/slot_filling.tags": (SLOTS, {}, "other"),
    "formats/slot_filling.words": (SLOTS, {}, "other"),
    "formats/squad.encoding": (QUESTIONS, {}, "latin-1"),
    "formats/text.encoding": ("é\n", {}, "latin-1"),
    "formats/tsv.encoding": ("label\ttext_a\nx\té\n", {}, "latin-1"),
    "formats/tsv.header": ("x\ta\ny\tb\n", {"label": 0, "text": 1}, False),
    "formats/tsv.label": ("label\ttext_a\tx\n1\ta\t2\n", {}, "x"),
    "formats/tsv.label_separator": ("label\ttext_a\nx|y\ta\n", {}, "|"),
    "formats/tsv.separator": ("label,text_a\nx,a\n", {}, ","),
    "formats/tsv.text": ("label\ttext_a\tx\n1\ta\tb\n", {}, "x"),
}
"""Key -> a file, or files by name, the other options of the format, and a value of the key."""

ROWS = {*ELSEWHERE, *TRAINING, *MODULES, *FORMATS}
EXAMPLES = [
    Example(["a", "b", "c"], [Span(0, 2, "X")], ["B-X", "I-X", "O"], ["yes"]),
    Example(["q", "b"], [Span(1, 2, ANSWER), Span(1, 2, EVIDENCE)], ["O", "O"], ["span"], query_length=1),
    Example(["internationally"], [], ["O"], ["yes"]),
]


def sections(kind: Any) -> list[type[ConfigSection]]:
    """Return the sections, other than components, that a value of a type may be or contain."""
    if isinstance(kind, type) and issubclass(kind, ConfigSection):
        return [] if issubclass(kind, ComponentConfig) else [kind]
    return [section for argument in get_args(kind) for section in sections(argument)]


def keys(section: type[ConfigSection], prefix: str) -> Iterator[str]:
    """Yield the keys of a section whose values can differ, each with its path."""
    for name, field in section.model_fields.items():
        below = sections(field.annotation)
        for inner in below:
            yield from keys(inner, f"{prefix}{name}.")
        if not below and not (issubclass(section, ComponentConfig) and name == "name"):
            yield f"{prefix}{name}"


def shipped(section: ConfigSection, raw: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the keys of a configuration file. Paths of components start with their folder and file."""
    if isinstance(section, ComponentConfig):
        folder = next(name for name, path in FOLDERS.items() if f".{path.replace('/', '.')}." in section.__module__)
        prefix = f"{folder}/{section.name}."
    for name, value in raw.items():
        yield f"{prefix}{name}"
        inner: Any = getattr(section, name)
        if isinstance(inner, ConfigSection) and isinstance(value, dict):
            yield from shipped(inner, value, f"{prefix}{name}.")


@pytest.mark.slow
def test_every_key_is_in_a_shipped_configuration_or_has_a_row() -> None:
    every = {*keys(RunConfig, "")}.union(*(keys(config, f"{name}.") for name, config in COMPONENTS.items()))
    used: set[str] = set()
    for path in (ROOT / "configs").rglob("*.yaml"):
        used.update(shipped(load_config(path)[0], read_yaml(path.read_text(encoding="utf-8"), str(path))))
    assert sorted(every - used - ROWS) == [], "use the key in configs/, or add a row that shows its effect"
    parents = {key.rpartition(".")[0] for key in every}
    assert sorted(ROWS - every - parents - {"training.freeze"}) == [], "there is no such key"


@pytest.mark.parametrize("key", ELSEWHERE)
def test_a_test_that_a_row_names_exists(key: str) -> None:
    path, _, name = ELSEWHERE[key].partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def nested(options: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of nested options with another value at a path."""
    key, _, rest = path.partition(".")
    return {**options, key: nested(options.get(key, {}), rest, value) if rest else value}


def trained(options: dict[str, Any], seed: int = 1) -> list[Any]:
    config = settings(seed=seed, **{f"training__{key}": value for key, value in {**options, "epochs": 3}.items()})
    state, data = fresh(config, documents(16))
    steps = list(loop.train(state, data, documents(4), config.metrics, CPU))
    return [digest(state), len(steps)]


@pytest.mark.slow
@pytest.mark.parametrize("key", TRAINING)
def test_a_setting_changes_the_training(key: str) -> None:
    options, value = TRAINING[key]
    if key == "seed":
        assert trained({}) != trained({}, seed=value)
        return
    path = key.removeprefix("training.").replace("freeze.", "freeze.encoder.")
    assert trained(options) != trained(nested(options, path, value))


def observed(kind: str, options: dict[str, Any], bert: str) -> list[Any]:
    """Return everything that the options of an encoder, a context layer or a decoder may change."""
    folder, name = kind.split("/")
    torch.manual_seed(1)
    options = {key: bert if value == "BERT" else value for key, value in options.items()}
    config, module = parse_component(folder, {"name": name, **options}), load_component(folder, name)
    encoding = Encoding(torch.randn(3, 3, 4), torch.tensor([[True] * 3, [True, True, False], [True, False, False]]))
    if folder == "encoders":
        part = module.build(config, Vocabs.from_examples([*EXAMPLES, EXAMPLES[0]], "bio"), WindowsConfig())
        inputs = part.inputs([[e] for e in EXAMPLES], [np.random.default_rng(n) for n in range(len(EXAMPLES))])
        found = [part.train()(inputs).words.tolist(), {name: tensor.tolist() for name, tensor in inputs.items()}]
    elif folder == "context":
        part = module.build(config, 4)
        found = [part.train()(encoding).words.tolist()]
    elif config.runs_encoder:
        encoder = load_component("encoders", "transformer")
        transformer = encoder.build(encoder.Config(model=bert), Vocabs(), WindowsConfig()).eval()
        part = module.build_on(config, transformer).eval()
        inputs = part.inputs([[question_example(["who ?"], "Ann lives in Berlin near Washington", "space")]])
        found = [inputs["pieces"].tolist(), part.decode(part(inputs), inputs["mask"], True)]
    else:
        vocabs = Vocabs(labels=Counter({"X": 2}), classes=Counter({"span": 1, "yes": 3}))
        part = module.build(config, 4, vocabs)
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter)
        losses = part.loss(part.train()(encoding), part.targets(EXAMPLES)[0], encoding.mask)
        found = [{key: loss.item() for key, loss in losses.items()}, part.backend]
        found += part.eval().decode(part(encoding), encoding.mask, True)
    return [*found, [(name, p.shape, p.requires_grad) for name, p in part.named_parameters()]]


@pytest.mark.slow
@pytest.mark.parametrize("key", MODULES)
@torch.no_grad()
def test_an_option_changes_a_module(key: str, tiny_bert: str) -> None:
    options, value = MODULES[key]
    kind, _, path = key.partition(".")
    before, again = (observed(kind, options, tiny_bert) for _ in range(2))
    assert before == again
    assert observed(kind, nested(options, path, value), tiny_bert) != before


@pytest.mark.parametrize("key", FORMATS)
def test_an_option_changes_what_is_read(key: str, tmp_path: Path) -> None:
    content, options, value = FORMATS[key]
    kind, _, option = key.partition(".")
    module, path = load_component("formats", kind.partition("/")[2]), tmp_path / "file"
    if isinstance(content, dict):
        path.mkdir()
    for name, text in content.items() if isinstance(content, dict) else [("", content)]:
        (path / name).write_bytes(text.encode(value if option == "encoding" else "utf-8"))

    def read(options: dict[str, Any]) -> Any:
        return list(module.read(str(path), module.Config(**options), "space"))

    changed = read({**options, option: value})
    with suppress(InputError):
        assert read(options) != changed


def test_the_encoder_is_compiled_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compiled.append(module))
    for wanted in (False, True):
        config = settings(training__compile=wanted)
        state, data = fresh(config)
        next(loop.train(state, data, None, config.metrics, CPU))
        assert compiled == ([state.model.encoder] if wanted else [])
