"""Encoder, context and decoder in a row, and the directory that holds a trained model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.random import Generator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ner.config.load import read_yaml, write_yaml
from ner.config.parts import load_component, validate
from ner.config.schema import RunConfig
from ner.data import tasks
from ner.data.notices import Notice
from ner.data.store.reader import Store
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.model import units
from ner.model.kernels.crf import choose
from ner.runtime import atomic, manifest
from ner.runtime.distributed import full_cpu_tensor
from ner.types import Annotation, Batch, Document, Example, Loss, Scores

WEIGHTS = "model.safetensors"
CONFIG = "config.yaml"
LABELS = "labels.json"


class Model(nn.Module):
    """What training and prediction share.

    Args:
        units: Words, or the pieces of a tokenizer.
        encoder, context, decoder: See ``ner.contracts``; context may be None.
        vocabs: Of the training data; only labels and scheme are needed.

    ``single`` is where in the configuration a decoder stands that gives each example exactly one label, or None.
    ``watch`` is called with the name and the result of encoder and context as soon as they are done.
    """

    def __init__(self, units: units.Units, encoder: Any, context: Any, decoder: Any, vocabs: Vocabs) -> None:
        super().__init__()
        self.units, self.vocabs = units, vocabs
        self.encoder, self.context, self.decoder = encoder, context or nn.Identity(), decoder
        decoders = self.decoder.named_modules(prefix="config.decoder")
        single = (path for path, module in decoders if getattr(module, "several", None) is False)
        self.single: str | None = next(single, None)
        self.unwatch()

    def unwatch(self) -> None:
        """Nobody wants to know when encoder and context are done."""
        self.watch: Callable[[str, Tensor], None] = lambda part, result: None

    def forward(self, batch: Batch) -> tuple[Loss, Scores]:
        """Loss sums by part (none for a batch without targets), and the scores to decode."""
        if self.reader is self.decoder:
            scores = self.decoder(batch.inputs)
        else:
            encoding = self.encoder(batch.inputs)
            self.watch("encoder", encoding.words)
            if not isinstance(self.context, nn.Identity):
                encoding = self.context(encoding)
                self.watch("context", encoding.words)
            scores = self.decoder(encoding)
        return self.decoder.loss(scores, batch.targets, batch.inputs["mask"]) if batch.targets else {}, scores

    @property
    def reader(self) -> Any:
        """What plans and reads examples: the encoder, or a decoder that runs the encoder itself."""
        return self.decoder if hasattr(self.decoder, "inputs") else self.encoder

    def batch(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None, targets: bool = True
    ) -> Batch:
        """Tensors of groups of examples in units, on the CPU."""
        examples = [example for group in groups for example in group]
        wanted, counts = self.decoder.targets(examples) if targets else ({}, {})
        return Batch(self.reader.inputs(groups, generators), wanted, counts, examples)

    def split(self, document: Document) -> Document:
        """The document in units."""
        return replace(document, examples=self.units.split(document.examples), lines=None)

    def input_warnings(self, document: Document) -> Counter[str]:
        """How many words are read in an unusual way or not at all, and how much gold cannot be given, by reason."""
        document = self.split(document)
        found: Counter[str] = self.reader.input_warnings(document)
        if self.reader is not self.decoder:
            found += self.decoder.input_warnings(document)
        return found

    def answer(self, examples: Sequence[Example], annotations: Sequence[Annotation]) -> list[Example]:
        """Examples in units with the decoder's answers in place of the gold ones."""
        return [example.answered(annotation) for example, annotation in zip(examples, annotations, strict=True)]

    def kernel(self, device: torch.device) -> str:
        """What finds the best tags on a device, see ``ner.model.kernels.crf``; empty where nothing has to be found.

        Raises:
            InputError: If the configured kernel cannot run there.
        """
        for path, module in self.decoder.named_modules(prefix="config.decoder"):  # a decoder may hold others
            wanted = getattr(module, "kernel", None)
            if wanted is not None:
                try:
                    return choose(wanted, device)
                except ValueError as error:
                    raise InputError(f"{path}.kernel: {error}") from None
        return ""

    def marked(self, examples: list[Example]) -> list[Example]:
        """The same examples as gold, those without a label remarked where the decoder gives each exactly one.

        To a decoder that may give several, none is an answer like others; here it can only be that nobody knows it.
        """
        if self.single is None or all(example.labels for example in examples):
            return examples
        unknown = Notice.UNLABELLED
        return [e if e.labels else replace(e, remarks=[*e.remarks, unknown]) for e in examples]

    @property
    def num_parameters(self) -> int:
        """Numbers that are trained."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


def build(config: RunConfig, documents: Sequence[Document]) -> Model:
    """A new model for training documents: vocabularies are learned from them, pretrained weights are fetched.

    Raises:
        InputError: If the documents have nothing to learn from, or something pretrained is not found.
    """
    tasks.check_gold(config.decoder.name, documents, config.data.train)
    scheme = documents[0].scheme
    parts = units.build(config.unit.name, config.unit.tokenizer, scheme)
    if isinstance(documents, Store) and config.unit.name == "word":
        vocabs = documents.vocabs(scheme)
    else:
        vocabs = Vocabs.from_examples((unit for document in documents for unit in parts.split(document.examples)), scheme)
    encoder = load_component("encoders", config.encoder.name).build(config.encoder, vocabs, config.windows)
    model = _assemble(config, vocabs, parts, encoder)
    if model.single_label_at is not None:
        _check_single(documents, model.single_label_at)
    _check_learned(documents, model, config.data.train)
    return model


def _check_single(documents: Sequence[Document], path: str) -> None:
    """That no label would be lost: a decoder that gives one learns the first."""
    for document in documents:
        for example in document.examples:
            if len(example.labels) > 1:
                raise InputError(
                    f"{example.place}: expected one label, found {len(example.labels)} ({', '.join(example.labels)}), "
                    f"as {path}.several is false; set it to true, or read one label a text (in tsv files "
                    "data.format.several=null, in parallel ones data.format.intents=whole)"
                )


def _check_learned(documents: Sequence[Document], model: Model, source: str) -> None:
    """That the decoder can learn from the gold of at least one example: an answer may stand nowhere in its passage."""
    remarks: Counter[str] = Counter()
    for document in documents:
        _, counts = model.decoder.targets(model.units.split(document.examples))
        if any(counts.values()):
            return
        remarks.update(remark for example in document.examples for remark in example.remarks)
    found = ", ".join(f"{count} {remark}" for remark, count in sorted(remarks.items()))
    raise InputError(
        f"{source}: no example has anything that the decoder learns{f' ({found})' if found else ''}; "
        "see decoder and data.format"
    )


def _rebuild(config: RunConfig, vocabs: Vocabs, saved: Mapping[str, bytes]) -> Model:
    """The model that was saved, weights still to be loaded; nothing is fetched."""

    def below(folder: str) -> dict[str, bytes]:
        prefix = f"{folder}/"
        return {name.removeprefix(prefix): data for name, data in saved.items() if name.startswith(prefix)}

    parts = units.build(config.unit.name, config.unit.tokenizer, vocabs.scheme, below("unit"))
    module = load_component("encoders", config.encoder.name)
    return _assemble(config, vocabs, parts, module.build(config.encoder, vocabs, config.windows, below("encoder")))


def _assemble(config: RunConfig, vocabs: Vocabs, parts: units.Units, encoder: Any) -> Model:
    module = load_component("decoders", config.decoder.name)
    if hasattr(module, "attach"):
        return Model(parts, encoder, None, module.attach(config.decoder, encoder), vocabs)
    context, width = None, encoder.width
    if config.context is not None:
        context = load_component("context", config.context.name).build(config.context, width)
        width = context.width
    return Model(parts, encoder, context, module.build(config.decoder, width, vocabs), vocabs)


def save(
    model: Model,
    config: RunConfig,
    directory: Path,
    extra: Mapping[str, bytes] | None = None,
    write: bool = True,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model directory: the manifest comes last, so a directory whose manifest verifies is whole.

    Args:
        model: If its weights are spread over processes, all of them must call this.
        config: Of its run.
        directory: Made if it is not there.
        extra: More files, by name.
        write: Whether this process writes.
        weights: Others than the model has at the moment.

    Raises:
        InputError: If it cannot be written.
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


def read_config(directory: Path) -> RunConfig:
    """The resolved configuration of a run.

    Raises:
        InputError: If there is none.
    """
    path = directory / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read; is {directory} the directory of a run?") from error
    config: RunConfig = validate(RunConfig, read_yaml(text, str(path)))
    return config


def load(directory: str | Path) -> tuple[Model, RunConfig]:
    """A model from its directory; every file is checked first, nothing is fetched, nothing is unpickled.

    Raises:
        InputError: If a file is missing, changed, or does not fit the others.
    """
    directory = Path(directory)
    names = manifest.verify(directory)
    for needed in (CONFIG, LABELS, WEIGHTS):
        if needed not in names:
            raise InputError(f"{directory / manifest.MANIFEST}: expected an entry {needed}, found none")
    config = read_config(directory)
    try:
        vocabs = Vocabs.from_bytes((directory / LABELS).read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{directory / LABELS}: not the labels of a model ({error})") from None
    saved = {name: (directory / name).read_bytes() for name in names if name.startswith(("encoder/", "unit/"))}
    try:
        model = _rebuild(config, vocabs, saved)
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
            raise InputError(f"{directory / WEIGHTS}: expected {wanted} for {name}, found {found}; of another model?")
    model.load_state_dict(weights)
    return model.eval(), config


def find_runs(root: Path) -> list[Path]:
    """Directories below ``root`` that hold a model, the newest first; copies inside a run do not count."""
    found = [path.parent for path in root.rglob(manifest.MANIFEST)]
    found = [path for path in found if (path / WEIGHTS).exists() and not (path.parent / manifest.MANIFEST).exists()]
    return sorted(found, key=lambda path: ((path / manifest.MANIFEST).stat().st_mtime_ns, str(path)), reverse=True)


def chosen_run(name: str | None) -> Path:
    """The run directory that somebody names, or the newest."""
    return Path(name) if name else newest_run()


def newest_run(root: Path = Path("runs")) -> Path:
    """The newest run that holds a verified model.

    Raises:
        InputError: If there is none.
    """
    for path in find_runs(root):
        try:
            manifest.verify(path)
        except InputError:
            continue
        return path
    raise InputError(f"{root}/: no run with a model there; train one (python train.py --config ...) or give --run DIR")
