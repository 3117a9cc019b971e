from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.config.load import load_config, read_yaml, write_yaml
from ner.config.parts import ConfigError, component_names, load_component, parse_component, validate
from ner.config.schema import RunConfig, WindowsConfig
from ner.config.training import BatchConfig
from ner.errors import InputError
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
MINIMAL = "data: {train: a, valid: b}\nencoder: embedding\n"


def load(tmp_path: Path, text: str, *overrides: str) -> RunConfig:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, overrides)[0]


def notes(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    load(tmp_path, text, *overrides)
    return load_config(tmp_path / "config.yaml", overrides)[1]


def error(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text, *overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(tmp_path / "config.yaml"), "FILE")


def test_the_smallest_configuration_needs_a_file_and_an_encoder(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert config.encoder.name == "embedding"
    assert config.decoder.name == "crf"
    assert config.data.format.name == "conll"
    assert config.context is None
    assert error(tmp_path, "data: {train: a}\n") == "config.encoder: field required"
    assert error(tmp_path, "encoder: embedding\n") == "config.data: field required"
    assert error(tmp_path, "data: {}\nencoder: embedding\n") == "config.data.train: field required"
    message = "expected the name of a file, found a NUL character"
    assert message in error(tmp_path, 'data: {train: a, test: "a\\0b"}\nencoder: embedding\n')


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_shipped_configuration_loads_and_survives_being_saved(path: Path) -> None:
    config, said = load_config(path)
    assert said == []
    assert validate(RunConfig, read_yaml(write_yaml(config), "saved")) == config


def test_there_are_shipped_configurations() -> None:
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_first_line_of_every_shipped_configuration_starts_it(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# python train.py --config {path.relative_to(ROOT).as_posix()}"


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=3", "seed", 3),
        ("training.learning_rate=5e-5", "training.learning_rate", 5e-5),
        ("training.learning_rate=1E-3", "training.learning_rate", 1e-3),
        (
            "training.learning_rate={encoder: 5e-5, decoder: 1}",
            "training.learning_rate",
            {"encoder": 5e-5, "decoder": 1},
        ),
        ("training.max_grad_norm=null", "training.max_grad_norm", None),
        ("training.max_grad_norm=", "training.max_grad_norm", None),
        ("data.test=NO", "data.test", "NO"),
        ("data.test=#", "data.test", "#"),
        ("data.test=|", "data.test", "|"),
        ("data.test=,", "data.test", ","),
        ("data.test='# 1'", "data.test", "# 1"),
        ("data.test=~", "data.test", None),
        ("data.test=off", "data.test", "off"),
        ("data.test='1=2'", "data.test", "1=2"),
        ("data.test=a=b", "data.test", "a=b"),
        ("metrics=[entity]", "metrics", ("entity",)),
        ("context=bilstm", "context.name", "bilstm"),
        ("context.name=bilstm", "context.name", "bilstm"),
        ("data.format=jsonl", "data.format.name", "jsonl"),
        ("encoder.characters.kind=cnn", "encoder.characters.kind", "cnn"),
        ("encoder.dimension=7", "encoder.dimension", 7),
        ("windows.doc_stride=9", "windows.doc_stride", 9),
        ("training={epochs: 3, keep_epoch: last}", "training.epochs", 3),
    ],
)
def test_overrides_set_one_key(tmp_path: Path, override: str, path: str, value: Any) -> None:
    found: Any = load(tmp_path, MINIMAL, override)
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


def test_later_overrides_win(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL, "seed=1", "seed=2").seed == 2


WITH_FIELDS = """
data: {train: a, valid: b}
encoder: {name: embedding, dimension: 8, shape_dimension: 4}
decoder: {name: crf, scheme: bioes}
unit: {name: piece, tokenizer: bert}
"""


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["encoder.name=embedding"], []),
        (["encoder=embedding"], []),
        (["decoder.name=softmax"], ["decoder.name=softmax replaces 'crf' and discards its scheme"]),
        (["decoder=softmax"], ["decoder.name=softmax replaces 'crf' and discards its scheme"]),
        (["decoder=softmax", "decoder.scheme=io"], ["decoder.name=softmax replaces 'crf' and discards its scheme"]),
        (
            ["encoder.name=transformer", "encoder.model=bert"],
            ["encoder.name=transformer replaces 'embedding' and discards its dimension, shape_dimension"],
        ),
        (["unit.name=word"], ["unit.name=word replaces 'piece' and discards its tokenizer"]),
        (["context.name=bilstm"], []),
    ],
)
def test_another_part_drops_the_fields_of_the_old_one_with_a_note(
    tmp_path: Path, overrides: list[str], said: list[str]
) -> None:
    assert notes(tmp_path, WITH_FIELDS, *overrides) == said


def test_the_same_part_keeps_its_fields(tmp_path: Path) -> None:
    for override in ("encoder.name=embedding", "encoder=embedding"):
        assert load(tmp_path, WITH_FIELDS, override).encoder.dimension == 8  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "seed: expected key.sub=value"),
        ("=3", "=3: expected key.sub=value"),
        ("sed=3", "config.sed: unknown key; did you mean 'seed'?"),
        ("training.epoch=3", "config.training.epoch: unknown key; did you mean 'epochs'?"),
        ("data.foo=3", "config.data.foo: unknown key; known keys: train, valid, test, format, memmap_dir, word_split"),
        ("encoder.characters.kindd=1", "config.encoder.characters.kindd: unknown key; did you mean 'kind'?"),
        (
            "encoder.name=bertt",
            "config.encoder: no file named 'bertt' in ner/model/encoders; there are: concat, embedding, ",
        ),
        ("encoder=3", "config.encoder: expected the name of a component (concat, embedding, transformer) or a mapping"),
        (
            "data.format.name=xml",
            "config.data.format: no file named 'xml' in ner/data/formats; there are: arrow, brat, ",
        ),
        ("data.format={name: conll, words: 1}", "config.data.format.words: unknown key; did you mean 'word'?"),
        ("data.format={name: conll, word: x}", "config.data.format.word: input should be a valid integer"),
        ("metrics=[f1]", "config.metrics: no file named 'f1' in ner/evaluation/metrics; there are: accuracy, "),
        ("metrics=entity", "config.metrics: input should be a valid tuple, found 'entity'"),
        ("seed=-1", "config.seed: input should be greater than or equal to 0, found -1"),
        ("seed=1.5", "config.seed: input should be a valid integer, "),
        ("seed=a.b", "config.seed: input should be a valid integer, found 'a.b'"),
        ("seed.sub=1", "config.seed: input should be a valid integer"),
        ("batch.size=.inf", "config.batch.size: input should be a finite number, found inf"),
        ("training.learning_rate=fast", "config.training.learning_rate: input should be a valid number, found 'fast'"),
        ("training.learning_rate=.nan", "config.training.learning_rate: input should be a finite number, found nan"),
        ("training.learning_rate=-1", "config.training: training.learning_rate must be at least 0, found -1"),
        (
            "training.schedule=cosinus",
            "config.training.schedule: input should be 'constant', 'linear', 'cosine' or 'inverse_sqrt', found 'cos",
        ),
        ("seed={a: 1, a: 2}", "seed={a: 1, a: 2}:1: not YAML: found duplicate key"),
        ("seed=[1", "seed=[1:1: not YAML: expected ',' or ']'"),
        (
            "data.test=# 1",
            "data.test=# 1: empty in YAML; quote strings with special characters",
        ),
        ("seed=2020-13-45", "seed=2020-13-45: not YAML: month must be in 1..12"),
        ("seed=!!python/name:os.system a", "seed=!!python/name:os.system a:1: not YAML: could not determine"),
        ("data.train.sub=1", "config.data.train: is not a section, so data.train.sub=1 cannot be set"),
    ],
)
def test_a_wrong_key_or_value_is_one_sentence_with_its_path(tmp_path: Path, override: str, message: str) -> None:
    text = "data: {train: 3, valid: b}\n" if override.startswith("data.train.") else "data: {train: a, valid: b}\n"
    found = error(tmp_path, text + "encoder: {name: embedding}\n", override)
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "FILE: expected keys and values, found NoneType"),
        ("[]", "FILE: expected keys and values, found list"),
        ("text", "FILE: expected keys and values, found str"),
        ("data: {train: a}\nseed: 1\nseed: 2\n", 'FILE:3: not YAML: found duplicate key "seed"'),
        ("data: {train: a\n", "FILE:2: not YAML: "),
        ("data:\n\t- a\n", "FILE:2: not YAML: "),
        ("3: 4\n" + MINIMAL, "config.3: "),
        ("[a]: 4\n" + MINIMAL, "config.('a',): keys should be strings"),
        (MINIMAL + "training: {keep_epoch: last, epochs: 2020-13-01}\n", "FILE: not YAML: month must be in 1..12"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    assert error(tmp_path, text).startswith(message)


def test_missing_and_undecodable_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.yaml: cannot be read: No such file or directory$"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"data: {train: \xe4}\n")
    with pytest.raises(InputError, match=r"latin.yaml: cannot be read: 'utf-8' codec"):
        load_config(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("windows: {overlap: 1, doc_stride: 2}", "config.windows: windows.overlap and windows.doc_stride exclude each"),
        ("unit: {name: piece}", "config.unit: unit.tokenizer and unit.name=piece require each other"),
        ("unit: {tokenizer: bert}", "config.unit: unit.tokenizer and unit.name=piece require each other"),
        ("metrics: [tag]", "config: training.monitor is 'entity.micro.f1' but metrics has no 'entity'"),
        ("training: {monitor: f1}", "config: training.monitor is 'f1' but metrics has no 'f1'"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, more: str, message: str) -> None:
    assert error(tmp_path, f"{MINIMAL}{more}\n").startswith(message)


def test_the_best_epoch_needs_a_validation_file(tmp_path: Path) -> None:
    text = "data: {train: a}\nencoder: embedding\n"
    message = "config: training.keep_epoch=best needs data.valid; give the file or training.keep_epoch=last"
    assert error(tmp_path, text) == message
    assert load(tmp_path, text, "training.keep_epoch=last", "metrics=[tag]").training.keep_epoch == "last"
    assert load(tmp_path, MINIMAL, "training.monitor=loss").training.monitor == "loss"


def test_pieces_as_units_must_be_those_of_the_encoder(tmp_path: Path) -> None:
    text = "data: {train: a, valid: b}\nunit: {name: piece, tokenizer: x}\nencoder: {name: transformer, model: y}\n"
    assert error(tmp_path, text) == "config: unit.tokenizer is 'x' but encoder.model is 'y': pieces differ"
    assert load(tmp_path, text, "encoder.model=x").unit.tokenizer == "x"
    assert load(tmp_path, text, "encoder.name=embedding").unit.tokenizer == "x"


def test_pieces_as_units_must_be_those_of_the_members_too(tmp_path: Path) -> None:
    text = (
        "data: {train: a, valid: b}\nunit: {name: piece, tokenizer: x}\n"
        "encoder: {name: concat, embedding: {}, transformer: {model: y}}\n"
    )
    assert error(tmp_path, text).endswith("pieces differ")
    assert load(tmp_path, text, "encoder.transformer.model=x").unit.tokenizer == "x"


@pytest.mark.parametrize(
    ("windows", "capacity", "overlap"),
    [
        ({}, 100, 25),
        ({}, 3, 0),
        ({"overlap": 0}, 100, 0),
        ({"overlap": 30}, 100, 30),
        ({"overlap": 300}, 100, 99),
        ({"doc_stride": 30}, 100, 70),
        ({"doc_stride": 1}, 100, 99),
        ({"doc_stride": 300}, 100, 0),
    ],
)
def test_windows_share_overlap_or_the_rest_after_doc_stride(
    windows: dict[str, int], capacity: int, overlap: int
) -> None:
    assert validate(WindowsConfig, windows).overlap_of(capacity) == overlap


CONCAT = """
data: {train: a, valid: b}
encoder:
  name: concat
  transformer: {model: bert}
  embedding: {dimension: 0, shape_dimension: 5}
  second: {name: embedding, dimension: 3}
"""


def test_members_of_concat_name_their_file_or_are_named_by_it(tmp_path: Path) -> None:
    config = load(tmp_path, CONCAT, "encoder.embedding.shape_dimension=9")
    members = config.encoder.members  # type: ignore[attr-defined]
    assert {key: member.name for key, member in members.items()} == {
        "transformer": "transformer",
        "embedding": "embedding",
        "second": "embedding",
    }
    assert list(members) == ["transformer", "embedding", "second"]
    assert members["embedding"].shape_dimension == 9
    assert members["second"].dimension == 3
    again = validate(RunConfig, read_yaml(write_yaml(config), "saved"))
    assert again == config
    assert list(again.encoder.members) == list(members)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("encoder={name: concat}", "config.encoder: concat needs at least one encoder below it"),
        ("encoder.third={}", "config.encoder.third: no file named 'third' in ner/model/encoders; there are: "),
        ("encoder.third=3", "config.encoder.third: expected the name of a component "),
        (
            "encoder.embedding.shape_dim=3",
            "config.encoder.embedding.shape_dim: unknown key; did you mean 'shape_dimension'?",
        ),
        ("encoder.embedding.characters.size=3", "config.encoder.embedding.characters.size: unknown key; known keys: "),
        ("encoder.transformer={}", "config.encoder.transformer.model: field required"),
    ],
)
def test_wrong_members_of_concat_are_named(tmp_path: Path, override: str, message: str) -> None:
    assert error(tmp_path, CONCAT, override).startswith(message)


def test_the_saved_configuration_has_every_key(tmp_path: Path) -> None:
    saved = read_yaml(write_yaml(load(tmp_path, MINIMAL)), "saved")
    assert set(saved) == set(RunConfig.model_fields)
    assert saved["data"]["format"]["name"] == "conll"
    assert saved["encoder"]["characters"]["kind"] == "none"


# ruamel.yaml 0.19 writes the three line ends of YAML 1.1 unescaped and reads them as other characters
strings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"))


@pytest.mark.slow
@given(
    strings.map(lambda text: text.replace("\0", "")),
    strings,
    st.floats(1e-9, 1, exclude_min=True),
    st.integers(0, 2**40),
)
def test_any_path_label_and_number_survives_being_saved(train: str, monitor: str, rate: float, seed: int) -> None:
    values = {
        "data": {"train": train, "valid": "NO"},
        "encoder": "embedding",
        "training": {"learning_rate": {monitor: rate}, "monitor": f"entity.{monitor}"},
        "seed": seed,
    }
    config = validate(RunConfig, values)
    assert validate(RunConfig, read_yaml(write_yaml(config), "saved")) == config


def test_long_paths_with_spaces_survive_being_saved() -> None:
    train = "a folder/" * 40 + " # no comment: 'really'"
    config = validate(RunConfig, {"data": {"train": train, "valid": "~"}, "encoder": "embedding"})
    assert validate(RunConfig, read_yaml(write_yaml(config), "saved")) == config


@pytest.mark.slow
@given(st.text())
def test_any_text_is_yaml_or_an_input_error(text: str) -> None:
    with suppress(InputError):  # and nothing else
        read_yaml(text, "text")


def test_parts_are_files(tmp_path: Path) -> None:
    assert component_names("decoders") == sorted(path.stem for path in (ROOT / "ner/model/decoders").glob("[a-z]*.py"))
    assert load_component("formats", "conll").__name__ == "ner.data.formats.conll"
    made = parse_component("decoders", "crf")
    assert parse_component("decoders", made) is made
    with pytest.raises(ConfigError, match=r"^config: no file named '\.\./cli' in ner/data/formats; there are: arrow"):
        load_component("formats", "../cli")


def test_an_error_can_be_seen_from_further_up() -> None:
    inner = ConfigError(("b",), "wrong")
    assert str(inner.with_prefix("a")) == "config.a.b: wrong"
    assert inner.with_prefix("a").path == ("a", "b")


def test_every_field_has_a_sentence() -> None:
    def walk(section: type[Any]) -> None:
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name} has no description"
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                walk(field.annotation)

    walk(RunConfig)
    for folder in ("encoders", "context", "decoders", "formats"):
        for name in component_names(folder):
            walk(load_component(folder, name).Config)


@pytest.mark.parametrize(
    ("prefetch", "device", "depth"), [(None, "cpu", 0), (None, "cuda", 2), (0, "cuda", 0), (3, "cpu", 3)]
)
def test_a_cpu_prefetches_only_if_it_is_configured(prefetch: int | None, device: str, depth: int) -> None:
    assert BatchConfig(prefetch=prefetch).prefetch_depth(device) == depth


def test_batches_of_prediction_are_those_of_the_training_only_where_memory_may_be_scarce() -> None:
    for size in (16, "auto"):
        assert BatchConfig(size=size).inference_batches("cpu", 1024) == ("pieces", 1024)
    assert BatchConfig(size=16).inference_batches("cuda", 1024) == ("sentences", 16)
    assert BatchConfig(measure="words", size=900, micro_size=300).inference_batches("cpu", 1024) == ("words", 300)
