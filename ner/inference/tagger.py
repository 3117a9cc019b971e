"""The tagger: a trained model that annotates texts and answers questions."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from ner.config.base import WordSplit
from ner.config.data import DataConfig
from ner.config.schema import RunConfig
from ner.config.training import BatchConfig
from ner.contracts import GenerativeDecoder
from ner.data import tasks
from ner.data.question_answering import question_example
from ner.data.vocab import Vocabs
from ner.errors import InputError
from ner.inference.annotate import annotate
from ner.inference.text_tagger import TextTagger
from ner.model.model import Model
from ner.model.saving import load
from ner.runtime.device import check_threads, has_bf16, resolve_device, resolve_precision
from ner.runtime.distributed import ProcessGroup
from ner.types import AnnotatedChunk, Document, Example, TagQuery

Precision = Literal["run", "auto", "fp32", "bf16", "fp16", "int8"]


def quantized(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Return a copy with linear layers and LSTMs quantized dynamically to int8.

    Raises:
        InputError: If the device is not a CPU, or torch lacks dynamic quantization.
    """
    if device.type != "cpu":
        raise InputError(f"precision int8 is only supported on CPUs; on {device.type} choose bf16 or fp32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that quantization moves to the package torchao
        try:
            from torch.ao.quantization import quantize_dynamic
        except ImportError:
            raise InputError(f"torch {torch.__version__} has no dynamic quantization; choose bf16 or fp32") from None
        quantized_module: torch.nn.Module = quantize_dynamic(
            module, {torch.nn.Linear, torch.nn.LSTM}, dtype=torch.qint8
        )
    return quantized_module


class Tagger(TextTagger):
    """A trained model with the configuration of its run.

    Several threads may use one tagger. A process that is forked after torch has started threads in its parent lacks
    them: call ``torch.set_num_threads(1)`` in one of both, or start processes by ``spawn``.

    Args:
        model: Model in evaluation mode; its weights are converted to ``precision`` in place.
        config: Configuration of its run.
        device: ``auto``, ``cpu``, ``cuda`` ...
        precision: ``run`` for the precision of training, ``fp32``, ``bf16``, ``fp16``, or ``int8`` (dynamic
            quantization, CPUs only).

    Raises:
        InputError: If the device does not support the precision.
    """

    def __init__(self, model: Model, config: RunConfig, device: str = "auto", precision: Precision = "run") -> None:
        self.config = config
        self.device = resolve_device(device)
        if precision == "run":
            precision = config.training.precision
            on_cpu = self.device.type == "cpu"
            if on_cpu and (precision == "fp16" or (precision == "bf16" and not has_bf16(self.device))):
                precision = "fp32"  # trained on a GPU
        self.model = model.to(self.device)
        self.precision = None if precision == "int8" else resolve_precision(precision, self.device, "precision")
        if precision == "int8":
            self.model.encoder = quantized(self.model.encoder, self.device)
            self.model.context = quantized(self.model.context, self.device)
            if isinstance(self.model.decoder, GenerativeDecoder):
                self.model.decoder.bind_encoder(self.model.encoder)
        elif self.precision is not None:  # round weights once; autocast would do it in every batch
            for module in (*self.model.encoder.modules(), *self.model.context.modules()):
                if isinstance(module, torch.nn.Linear):
                    module.to(self.precision)

    @classmethod
    def load(cls, directory: str | Path, device: str = "auto", precision: Precision = "run") -> Tagger:
        """Load the tagger of a run directory, without network access.

        Raises:
            InputError: If the directory does not contain a complete model, or the process is a fork that lacks the
                threads of torch.
        """
        check_threads()
        return cls(*load(directory), device=device, precision=precision)

    def annotate(
        self,
        documents: Iterable[Document],
        loss: bool = False,
        probabilities: bool = False,
        process_group: ProcessGroup | None = None,
        query: TagQuery | None = None,
        interactive: bool = False,
    ) -> Iterator[AnnotatedChunk]:
        """Yield annotated documents in chunks, see :func:`ner.inference.annotate.annotate`."""
        settings = (
            self.batch_config,
            self.device,
            self.precision,
            loss,
            probabilities,
            process_group,
            query,
            interactive,
        )
        return annotate(self.model, documents, *settings)

    @property
    def batch_config(self) -> BatchConfig:
        """Batch size of the run, or 32 if it was chosen automatically."""
        config = self.config.batch
        return config if config.size != "auto" else config.model_copy(update={"size": 32})

    def answer(self, question: str, passage: str, history: Sequence[str] = ()) -> Example:
        """Answer a question about a passage.

        Args:
            question: Raw text.
            passage: Raw text that contains the answer.
            history: Earlier questions and answers as raw texts, oldest first, in the order of the training data.

        Returns:
            An example with ``answers``, best first. ``labels`` holds the type of the first answer (``span``, ``yes``,
            ``no``, ``unknown``), ``scores`` the probabilities, ``spans`` the words of the answer, and ``warnings``
            the parts of question and passage that were not read.

        Raises:
            TypeError: If the model does not answer questions, or an argument is not of its type.
        """
        if not self.answers_questions:
            decoder = self.config.decoder.name
            raise TypeError(f"expected a question answering model, found one with the decoder {decoder}; use tag")
        if isinstance(history, str):
            raise TypeError("expected a list of earlier questions and answers as history, found a single text")
        for name, text in (("question", question), ("passage", passage), *(("turn of history", t) for t in history)):
            if not isinstance(text, str):
                raise TypeError(f"expected a text as {name}, found {type(text).__name__}")
        example = question_example([*history, question], passage, self.word_split)
        document = Document([example], scheme=self.model.vocabs.scheme)
        prediction = self.tag(document, probabilities=True).examples[0]
        counts = sorted(self.model.input_warnings(document).items())
        return replace(prediction, warnings=[f"{count} {reason}" for reason, count in counts])

    @property
    def word_split(self) -> WordSplit:
        """Splitting of raw text: the rule of the configuration, or learned from the words of the training data."""
        return self.config.data.word_split or self.model.word_splitter or self.config.data.word_rule

    @property
    def vocabs(self) -> Vocabs:
        """See :class:`TextTagger`."""
        return self.model.vocabs

    @property
    def data(self) -> DataConfig:
        """See :class:`TextTagger`."""
        return self.config.data

    @property
    def decoder_name(self) -> str:
        """See :class:`TextTagger`."""
        return self.config.decoder.name

    @property
    def outputs(self) -> frozenset[str]:
        """See :class:`TextTagger`."""
        return tasks.decoder_outputs(self.config.decoder.name)

    def input_warnings(self, document: Document) -> Counter[str]:
        """See :class:`TextTagger`."""
        return self.model.input_warnings(document)
