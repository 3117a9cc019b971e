"""Saving and loading of a model directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ner.config.load import write_yaml
from ner.config.schema import RunConfig
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.model.model import Model, build
from ner.runs.directory import CONFIG, LABELS, WEIGHTS, read_config
from ner.runtime import atomic, manifest
from ner.runtime.distributed import full_cpu_tensor


def save(
    model: Model,
    config: RunConfig,
    directory: Path,
    extra: Mapping[str, bytes] | None = None,
    write: bool = True,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model directory. The manifest is written last, so a directory that passes verification is complete.

    Args:
        model: The model; if its weights are sharded, all processes must call this function.
        config: Configuration of the run.
        directory: Target, created if it does not exist.
        extra: Further files by name.
        write: False if this process only takes part in collecting the weights.
        weights: Weights to save instead of the current ones.

    Raises:
        InputError: If a file cannot be written.
    """
    weights = weights or {name: full_cpu_tensor(tensor) for name, tensor in model.state_dict().items()}
    if not write:
        return
    contents = {
        CONFIG: write_yaml(config).encode(),
        LABELS: model.vocabs.to_bytes(),
        **{f"encoder/{name}": data for name, data in model.encoder.asset_files().items()},
        **{f"unit/{name}": data for name, data in model.units.asset_files().items()},
        **(extra or {}),
    }
    for name, data in contents.items():
        path = directory / name
        if not path.is_file() or path.read_bytes() != data:
            atomic.write_bytes(path, data)
    staged = directory / f".{WEIGHTS}.new"
    atomic.write_tensors(staged, weights)
    manifest.write_manifest(directory, [*contents, WEIGHTS], {WEIGHTS: staged})


def load(directory: str | Path) -> tuple[Model, RunConfig]:
    """Load a model and its configuration from a directory.

    Every file is verified first. Nothing is downloaded or unpickled.

    Raises:
        InputError: If a file is missing, changed, or does not match the others.
    """
    directory = Path(directory)
    names = manifest.verify(directory)
    for name in (CONFIG, LABELS, WEIGHTS):
        if name not in names:
            raise InputError(f"{directory / manifest.MANIFEST}: expected an entry {name}, found none")
    config = read_config(directory)
    try:
        vocabs = Vocabs.from_bytes((directory / LABELS).read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{directory / LABELS}: not the labels of a model ({error})") from None
    files = {name: (directory / name).read_bytes() for name in names if name.startswith(("encoder/", "unit/"))}
    try:
        model = build(config, vocabs, files)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{directory / 'encoder'}: not the files of this encoder ({error})") from None
    try:
        weights = load_file(directory / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{directory / WEIGHTS}: not a safetensors file ({error})") from None
    expected = model.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        wanted, found = (tuple(t[name].shape) if name in t else "no tensor" for t in (expected, weights))
        if wanted != found:
            raise InputError(
                f"{directory / WEIGHTS}: expected {wanted} for {name}, found {found}; not the weights of this model"
            )
    model.load_state_dict(weights)
    return model.eval(), config
