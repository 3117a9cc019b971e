"""Saving and loading of a model directory."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ner.config.schema import RunConfig
from ner.data.vocab import Vocabs
from ner.data.word_splitter import WordSplitter
from ner.errors import InputError
from ner.model.allocation import AllocationLimit
from ner.model.model import Model, build
from ner.runs import calibration
from ner.runs.directory import CONFIG, LABELS, WEIGHTS, WORDS, config_files, read_config
from ner.runtime import atomic, manifest
from ner.runtime.distributed import full_cpu_tensor
from ner.runtime.json_files import MAX_ASSET_BYTES, read_bytes
from ner.types import Example

EXTRA_ELEMENTS = 1 << 20
"""Elements that building a model may allocate beyond four times those of its weights, such as masks and positions."""


def full_weights(model: Model) -> dict[str, Tensor]:
    """Return the weights on the CPU; if they are sharded, all processes must call this function."""
    return {name: full_cpu_tensor(tensor) for name, tensor in model.state_dict().items()}


def save(
    model: Model,
    config: RunConfig,
    directory: Path,
    extra: Mapping[str, bytes] | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model directory. The manifest is written last, so a directory that passes verification is complete.

    Args:
        model: The model.
        config: Configuration of the run.
        directory: Target, created if it does not exist.
        extra: Further files by name.
        weights: Weights to save; by default those of the model.

    Raises:
        InputError: If a file cannot be written.
    """
    contents = {
        **config_files(config),
        LABELS: replace(model.vocabs, splits_words=model.word_splitter is not None).to_bytes(),
        **{f"encoder/{name}": data for name, data in model.encoder.asset_files().items()},
        **{f"unit/{name}": data for name, data in model.units.asset_files().items()},
        **({WORDS: model.word_splitter.to_bytes()} if model.word_splitter else {}),
        **(extra or {}),
    }
    for name, data in contents.items():
        path = directory / name
        if not path.is_file() or path.read_bytes() != data:
            atomic.write_bytes(path, data)
    staged = directory / f".{WEIGHTS}.part"
    atomic.write_tensors(staged, full_weights(model) if weights is None else weights)
    manifest.write_manifest(directory, [*contents, WEIGHTS], {WEIGHTS: staged})


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        InputError: If the file is damaged or contains a number that is not finite.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from None
    check_finite(tensors, path)
    return tensors


def check_finite(tensors: Mapping[str, Tensor], source: object) -> None:
    """Check that tensors contain finite numbers only; ``source`` is their file.

    Raises:
        InputError: If one of them does not.
    """
    for name, tensor in tensors.items():
        # a sum takes a tenth of the time of isfinite and shows that there may be something to find
        if tensor.is_floating_point() and not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise InputError(f"{source}: {name} contains numbers that are not finite; train or copy the model again")


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
    weights = read_tensors(directory / WEIGHTS)
    try:
        vocabs = Vocabs.from_bytes(read_bytes(directory / LABELS))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{directory / LABELS}: not the labels of a model ({error})") from None
    files = {
        name: read_bytes(directory / name, MAX_ASSET_BYTES) for name in names if name.startswith(("encoder/", "unit/"))
    }
    max_elements = EXTRA_ELEMENTS + 4 * sum(tensor.numel() for tensor in weights.values())
    sources = _enumerated([CONFIG, LABELS, *sorted(files)])
    try:
        with (
            AllocationLimit(max_elements, f"{directory / WEIGHTS}: too small for the sizes in {sources}"),
            _silent_panics(),
        ):
            model = build(config, vocabs, files).eval()
        _check_shapes(directory / WEIGHTS, model.state_dict(), weights, sorted(files))
        model.load_state_dict(weights)
        check_encoder(model)
    except (InputError, KeyboardInterrupt, SystemExit) as error:
        message = str(error)
        if isinstance(error, InputError) and str(directory) not in message:
            names_file = message.startswith(("encoder/", "unit/"))
            raise InputError(f"{directory}/{message}" if names_file else f"{directory}: {message}") from error
        raise
    except BaseException as error:  # comes from the files; tokenizers raise PanicException, which is no Exception
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{directory}: {sources} do not describe a model ({reason})") from error
    if vocabs.splits_words and WORDS not in names:
        raise InputError(
            f"{directory / manifest.MANIFEST}: expected an entry {WORDS}, because {LABELS} refers to it; copy "
            "the whole directory again"
        )
    if WORDS in names:
        model.word_splitter = WordSplitter.from_bytes(read_bytes(directory / WORDS), directory / WORDS)
    if calibration.FILE in names and model.tag_decoder is not None:
        model.calibration = calibration.read(directory / calibration.FILE)
        model.tag_decoder.temperature = model.calibration.temperature
    return model, config


def check_encoder(model: Model) -> None:
    """Encode one word, which shows options of an encoder with which it cannot run."""
    with torch.inference_mode():
        model.encoder(model.encoder.inputs([[Example(["a"])]]))


def _check_shapes(
    path: Path, expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], files: Sequence[str]
) -> None:
    """Check that weights have the names, shapes and types of a model.

    Raises:
        InputError: If they differ. The message also names the files that determine the first shape that differs.
    """
    for name in (*expected, *weights):  # in the order of the modules, because the sizes of later ones depend on others
        expected_type, actual_type = (
            f"{tuple(t[name].shape)} of {t[name].dtype}" if name in t else "no tensor" for t in (expected, weights)
        )
        if expected_type != actual_type:
            module_name = name.partition(".")[0]
            sources = {"encoder": [CONFIG, *files], "decoder": [CONFIG, LABELS]}.get(module_name, [CONFIG])
            raise InputError(
                f"{path}: expected {expected_type} for {name}, found {actual_type}; not the weights of "
                f"{_enumerated(sources)}"
            )


def _enumerated(names: Sequence[str]) -> str:
    """Return names as an enumeration."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


@contextmanager
def _silent_panics() -> Iterator[None]:
    """Discard standard error in a program of one thread: Rust prints its panics there before they become exceptions."""
    if threading.active_count() > 1 or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    stderr_copy, null_device = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_device, 2)
    try:
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)
        os.close(null_device)
