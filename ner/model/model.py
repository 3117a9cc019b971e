"""The model: units, encoder, context layer and decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from numpy.random import Generator
from torch import nn

from ner.config.parts import load_component
from ner.config.schema import RunConfig
from ner.contracts import INFERENCE_PIECES, Decoder, GenerativeDecoder
from ner.data.vocab import Vocabs
from ner.data.word_splitter import WordSplitter
from ner.errors import InputError
from ner.model import units
from ner.model.kernels.crf import choose
from ner.model.tag_decoder import TagDecoder
from ner.runs.calibration import Calibration
from ner.types import Batch, Document, Example, Loss, Scores


class Model(nn.Module):
    """Encoder, optional context layer and decoder, with the units and the labels of the training data.

    Args:
        units: Words, or the pieces of a tokenizer.
        encoder, context, decoder: See :mod:`ner.contracts`; context may be None.
        vocabs: Vocabularies of the training data; only labels and scheme are used.

    Attributes:
        word_splitter: Splits raw text into words like those of the training data, if this was learned.
        calibration: Calibration of the probabilities, whose temperature the decoder has, if there is one.
        single_label_at: Configuration path of a decoder that predicts exactly one label per example, or None.
    """

    def __init__(self, units: units.WordUnits, encoder: Any, context: Any, decoder: Any, vocabs: Vocabs) -> None:
        super().__init__()
        self.units, self.vocabs = units, vocabs
        self.encoder, self.context, self.decoder = encoder, context or nn.Identity(), decoder
        self.word_splitter: WordSplitter | None = None
        self.calibration: Calibration | None = None
        self.single_label_at = next(
            (path for path, decoder_part in self._decoders() if decoder_part.single_label), None
        )

    def _decoders(self) -> list[tuple[str, Decoder]]:
        """Return the decoder, and the decoders that it contains, with their configuration paths."""
        modules = self.decoder.named_modules(prefix="config.decoder")
        return [(path, module) for path, module in modules if isinstance(module, Decoder)]

    def forward(self, batch: Batch) -> tuple[Loss, Scores]:
        """Return the sums of the losses (empty for a batch without targets) and the scores."""
        encoding = self.encoder(batch.inputs)
        if self.has_context:
            encoding = self.context(encoding)
        return self._with_loss(self.decoder(encoding), batch)

    def _with_loss(self, scores: Scores, batch: Batch) -> tuple[Loss, Scores]:
        return self.decoder.loss(scores, batch.targets, batch.inputs["mask"]) if batch.targets else {}, scores

    @property
    def has_context(self) -> bool:
        """True if a layer lies between encoder and decoder."""
        return not isinstance(self.context, nn.Identity)

    @property
    def input_maker(self) -> Any:
        """The module that plans batches and converts examples to tensors: the encoder."""
        return self.encoder

    @property
    def inference_pieces(self) -> int:
        """Fastest size of a batch of evaluation and prediction on a CPU, see :class:`~ner.contracts.Encoder`."""
        context_size: int = getattr(self.context, "inference_pieces", INFERENCE_PIECES)
        return min(self.encoder.inference_pieces, context_size)

    def batch(
        self, groups: Sequence[Sequence[Example]], generators: Sequence[Generator] | None = None, targets: bool = True
    ) -> Batch:
        """Convert groups of examples in units to tensors on the CPU."""
        examples = [example for group in groups for example in group]
        gold, counts = self.decoder.targets(examples) if targets else ({}, {})
        return Batch(self.input_maker.inputs(groups, generators), gold, counts, examples)

    def to_units(self, document: Document) -> Document:
        """Return the document in units."""
        return replace(document, examples=self.units.split(document.examples), source_lines=None)

    def input_warnings(self, document: Document) -> Counter[str]:
        """Return how much of the input is not read as it is, or cannot be predicted, by reason."""
        document = self.to_units(document)
        counts: Counter[str] = self.encoder.input_warnings(document) + self.decoder.input_warnings(document)
        return counts

    def crf_backend(self, device: torch.device) -> str:
        """Return the backend of the CRF kernels on a device, or an empty string if the decoder uses none.

        Raises:
            InputError: If the configured backend cannot run there.
        """
        for path, decoder in self._decoders():
            if decoder.backend is not None:
                try:
                    return choose(decoder.backend, device)
                except ValueError as error:
                    raise InputError(f"{path}.backend: {error}") from None
        return ""

    @property
    def tag_decoder(self) -> TagDecoder | None:
        """The decoder that predicts tags of words, alone or as a part of another; None without one."""
        return next((decoder for _, decoder in self._decoders() if isinstance(decoder, TagDecoder)), None)

    def mark_unlabelled(self, examples: list[Example]) -> list[Example]:
        """Return the examples with None as missing labels if the decoder predicts exactly one label.

        For multi-label decoders an empty set of labels is a valid answer.
        """
        if self.single_label_at is None or all(example.labels for example in examples):
            return examples
        return [example if example.labels else replace(example, labels=None) for example in examples]

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


class GenerativeModel(Model):
    """A model whose decoder runs the encoder itself and replaces its input functions; it has no context layer."""

    decoder: GenerativeDecoder

    def forward(self, batch: Batch) -> tuple[Loss, Scores]:
        """See :class:`Model`."""
        return self._with_loss(self.decoder(batch.inputs), batch)

    @property
    def input_maker(self) -> GenerativeDecoder:
        """The module that plans batches and converts examples to tensors: the decoder."""
        return self.decoder

    def input_warnings(self, document: Document) -> Counter[str]:
        """See :class:`Model`; the decoder also checks the input."""
        return self.decoder.input_warnings(self.to_units(document))


def build(config: RunConfig, vocabs: Vocabs, files: Mapping[str, bytes] | None = None) -> Model:
    """Build a model with random or pretrained weights.

    Args:
        config: Configuration of the run.
        vocabs: Vocabularies of the training documents in words, or those of a saved model.
        files: Files of a saved model, whose weights are loaded afterwards; nothing is downloaded then.

    Raises:
        InputError: If a setting does not fit the vocabularies, or pretrained files are not found.
    """
    files_by_folder: dict[str, dict[str, bytes]] = {} if files is None else {"unit": {}, "encoder": {}}
    for path, data in (files or {}).items():
        folder, _, name = path.partition("/")
        files_by_folder[folder][name] = data
    unit = units.build(config.unit.name, config.unit.tokenizer, vocabs.scheme, files_by_folder.get("unit"))
    vocabs = unit.vocabs(vocabs)
    module = load_component("encoders", config.encoder.name)
    encoder = module.build(config.encoder, vocabs, config.windows, files_by_folder.get("encoder"))
    module = load_component("decoders", config.decoder.name)
    if config.decoder.runs_encoder:
        return GenerativeModel(unit, encoder, None, module.build_on(config.decoder, encoder), vocabs)
    context, width = None, encoder.width
    if config.context is not None:
        context = load_component("context", config.context.name).build(config.context, width)
        width = context.width
    return Model(unit, encoder, context, module.build(config.decoder, width, vocabs), vocabs)
