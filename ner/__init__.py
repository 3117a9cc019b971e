"""Sequence tagging with interchangeable encoders and decoders.

::

    import ner

    train, valid, test = ner.read("train.txt"), ner.read("valid.txt"), ner.read("test.txt")
    run = ner.train("bert_crf", train=train, valid=valid, epochs=5)
    print(run.evaluate(test))
    tagger = run.tagger()                                   # or ner.load("runs/..."), ner.load("user/model")
    tagger("Obama's trip to Paris, France.").entities       # text, label, start, end, probability

Heavy libraries are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ner.api import Run
    from ner.config.base import WordRule
    from ner.config.schema import RunConfig
    from ner.contracts import Callback
    from ner.data.dataset import Dataset
    from ner.errors import InputError
    from ner.evaluation.scores import Scores
    from ner.inference.tagger import Precision, Tagger
    from ner.portable.tagger import PortableTagger
    from ner.types import Document, Entity, Example, Span

__version__ = "0.1.0"
__all__ = [
    "Dataset",
    "Document",
    "Entity",
    "Example",
    "InputError",
    "Run",
    "RunConfig",
    "Scores",
    "Span",
    "Tagger",
    "load",
    "read",
    "train",
]

_MODULES = {
    "Dataset": "ner.data.dataset",
    "Document": "ner.types",
    "Entity": "ner.types",
    "Example": "ner.types",
    "InputError": "ner.errors",
    "Run": "ner.api",
    "RunConfig": "ner.config.schema",
    "Scores": "ner.evaluation.scores",
    "Span": "ner.types",
    "Tagger": "ner.inference.tagger",
}
"""Module of each class, imported on first use."""


def read(data: Any, format: str = "auto", *, word_split: WordRule | None = None, **options: Any) -> Dataset:
    """Read labelled data from a file or from Python objects.

    Args:
        data: A path; a list of ``(words, tags)``, of ``(text, label)``, of ``(text, {"entities": [(start, end,
            label)]})`` or of dictionaries; a ``pandas.DataFrame`` with a sentence or with a word per row; a
            ``datasets.Dataset`` with ``ClassLabel`` features; a list of documents or examples.
        format: Format of the file: a name from ``ner/data/formats``, or ``auto`` for detection.
        word_split: Rule by which raw text is split into words; by default, one that fits the spans.
        **options: Options of the format such as ``tag=3``. For Python objects, names of keys or columns (``words``,
            ``tags``, ``sentence``, ``text``, ``spans``, ``labels``, ``question``, ``answers``) and ``scheme``.

    Raises:
        InputError: If a file cannot be read, or an item is invalid; the message contains its place.
        TypeError: If the object is of no supported type, or an option is unknown.
    """
    dataset: Dataset = _api().read(data, format, word_split=word_split, **options)
    return dataset


def train(
    config: str | Path | RunConfig,
    train: Any = None,
    valid: Any = None,
    test: Any = None,
    run: str | Path | None = None,
    *,
    init: str | Path | None = None,
    resume: bool = False,
    verbose: bool = False,
    plugins: Iterable[str | Path] = (),
    callbacks: Sequence[Callback] = (),
    settings: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> Run:
    """Train a model, as ``ner train`` does.

    Progress bars appear in terminals and notebooks. The log is ``train.log`` in the run directory; warnings are Python
    warnings.

    Args:
        config: Name of a recipe (``ner recipes``), a YAML file, or a configuration.
        train: Training data: a path or anything that :func:`read` accepts. By default the files of the configuration;
            otherwise its validation and test files are not used either.
        valid: Validation data, which select the epoch to keep. Without them, the last epoch of ``train`` is kept.
        test: Test data, scored once after training.
        run: Run directory; by default a new one below ``runs/``.
        init: Run directory whose weights initialize the model.
        resume: Continue the run of the directory ``run``.
        verbose: Print the log as ``ner train`` does.
        plugins: Python files with components of your own, see ``docs/plugins.md``.
        callbacks: Receivers of progress reports, see :class:`ner.contracts.Callback`.
        settings: Values by dotted keys, such as ``{"encoder.dropout": 0.1}``.
        **overrides: Values by the last part of a key if no other key ends with it: ``epochs=5``, ``seed=2``.

    Raises:
        InputError: If data, configuration or directory cannot be used.
        NonFiniteLossError: If the loss is not finite.
        KeyboardInterrupt: If the training was interrupted; its state is saved.
    """
    trained: Run = _api().train(
        config,
        train,
        valid,
        test,
        run,
        init=init,
        resume=resume,
        verbose=verbose,
        plugins=plugins,
        callbacks=callbacks,
        settings=settings,
        **overrides,
    )
    return trained


def load(
    name: str | Path, device: str = "auto", precision: Precision = "run", verify: bool = False
) -> Tagger | PortableTagger:
    """Load the tagger of a run or of an export; see :class:`ner.inference.tagger.Tagger`.

    Args:
        name: A run directory, or an export (``ner export``), which are loaded without network access; or
            ``user/model`` on the Hugging Face Hub. Only the files of a run are downloaded, and they pass the same
            checks as a local run.
        device: ``auto``, ``cpu``, ``cuda`` ...
        precision: ``run`` for the precision of training, ``fp32``, ``bf16``, ``fp16``, or ``int8``.
        verify: Compare an export with the sentences in its ``parity.jsonl``.

    Raises:
        ner.errors.InputError: If the directory does not contain a complete model, or cannot be downloaded.
    """
    from ner.portable.description import is_export

    if is_export(name):
        from ner.portable.tagger import PortableTagger

        return PortableTagger.load(name, device, precision, verify)
    from ner.inference.tagger import Tagger
    from ner.runs import hub

    return Tagger.load(hub.find(name), device, precision)


def _api() -> Any:
    """Import the module of :func:`read` and :func:`train`.

    Raises:
        ner.errors.InputError: If torch is not installed.
    """
    try:
        return importlib.import_module("ner.api")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from ner.errors import NEEDS_TORCH, InputError

        raise InputError(NEEDS_TORCH) from None


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'ner' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
