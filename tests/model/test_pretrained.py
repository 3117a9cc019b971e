"""Encoders by name: types and options that are read, and those that could load other code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers

from ner.config.load import load_config
from ner.errors import InputError
from ner.model import pretrained
from tests.builders import make_bert


def edit(folder: Path, **options: object) -> str:
    path = folder / "config.json"
    values = json.loads(path.read_bytes()) if path.exists() else {}
    path.write_text(json.dumps({**values, **options}))
    return str(folder)


@pytest.mark.parametrize("kind", sorted(pretrained.MODEL_TYPES))
def test_configurations_of_known_types_are_read(tmp_path: Path, kind: str) -> None:
    transformers.AutoConfig.for_model(kind).save_pretrained(tmp_path)
    name = edit(tmp_path, language="en", gradient_checkpointing=False, pooler_fc_size=768, output_past=True)
    assert pretrained.load_model_config(name).model_type == kind


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attn_implementation", "someone/kernel"),
        ("_attn_implementation", "someone/kernel"),
        ("_attn_implementation_internal", "someone/kernel"),
        ("experts_implementation", "someone/kernel"),
        ("auto_map", {"AutoModel": "modeling.Model"}),
        ("quantization_config", {"quant_method": "bitsandbytes"}),
        ("backbone", "resnet50"),
        ("backbone_config", {"model_type": "timm_backbone"}),
        ("transformers_weights", "pytorch_model.bin"),
        ("fusion_config", {"a": 1}),
        ("text_config", {"model_type": "gpt2"}),
    ],
)
def test_an_option_that_could_load_code_is_refused(tmp_path: Path, key: str, value: object) -> None:
    make_bert(tmp_path)
    with pytest.raises(InputError, match=f"config.json: {key} is no option of the model type bert; remove the key"):
        pretrained.load_encoder(edit(tmp_path, **{key: value}))


@pytest.mark.parametrize("kind", ["gpt2", "timm_backbone", "yoso", "mra", "x", 7, ["bert"], None])
def test_another_model_type_is_refused(tmp_path: Path, kind: object) -> None:
    make_bert(tmp_path)
    with pytest.raises(InputError, match=r"config.json: expected a model_type of albert, bert, .*found"):
        pretrained.load_model_config(edit(tmp_path, model_type=kind))


def test_a_number_of_which_lists_are_made_is_limited(tmp_path: Path) -> None:
    make_bert(tmp_path)
    with pytest.raises(InputError, match="num_labels: expected at most 10,000, found 1000000000"):
        pretrained.load_model_config(edit(tmp_path, num_labels=10**9))


def test_a_directory_with_pickled_weights_only_is_refused(tmp_path: Path) -> None:
    make_bert(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'touch evil'\ntR.")
    with pytest.raises(InputError, match=r"has only pickled weights .* save them as model.safetensors"):
        pretrained.load_encoder(str(tmp_path))


def test_files_of_a_saved_tokenizer_name_no_other_file() -> None:
    files = {"tokenizer_config.json": b'{"vocab_file": "/etc/passwd", "pad_token": "x"}', "deep/vocab.txt": b"a"}
    with pretrained.unpacked(files, "encoder") as folder:
        assert json.loads((Path(folder) / "tokenizer_config.json").read_bytes()) == {"pad_token": "x"}
        assert (Path(folder) / "deep" / "vocab.txt").read_bytes() == b"a"
    assert not Path(folder).exists()


@pytest.mark.slow
def test_models_of_the_shipped_configurations_are_of_known_types() -> None:
    root = Path(__file__).parents[2] / "configs"
    names = {str(load_config(path)[0].encoder.pretrained_model) for path in root.rglob("*.yaml")} - {"None"}
    checked = {"all-MiniLM-L6-v2", "bert-base-cased", "hfl/chinese-bert-wwm-ext", "hfl/chinese-roberta-wwm-ext"}
    assert names <= checked, "check the model type of a new one; these are of the type bert"
