"""The tagger: a trained model that annotates texts and answers questions."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import torch

from ner.config.base import WordSplit
from ner.config.schema import RunConfig
from ner.contracts import GenerativeDecoder
from ner.data import tasks
from ner.data.question_answering import question_example
from ner.data.words import split_words
from ner.errors import InputError
from ner.inference.annotate import annotate
from ner.model.model import Model
from ner.model.saving import load
from ner.runtime.device import check_threads, has_bf16, resolve_device, resolve_precision
from ner.runtime.distributed import ProcessGroup
from ner.types import AnnotatedChunk, Document, Example

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
        copy: torch.nn.Module = quantize_dynamic(module, {torch.nn.Linear, torch.nn.LSTM}, dtype=torch.qint8)
    return copy


class Tagger:
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
        self.precision = None if precision == "int8" else resolve_precision(precision, self.device)
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
    ) -> Iterator[AnnotatedChunk]:
        """Yield annotated documents in chunks, see :func:`ner.inference.annotate.annotate`."""
        config = self.config.batch
        batch = config if config.size != "auto" else config.model_copy(update={"size": 32})
        return annotate(self.model, documents, batch, self.device, self.precision, loss, probabilities, process_group)

    @overload
    def tag(self, text: str | list[str] | Document, probabilities: bool = False) -> Document: ...

    @overload
    def tag(self, text: list[Document] | list[list[str]], probabilities: bool = False) -> list[Document]: ...

    def tag(self, text: Any, probabilities: bool = False) -> Any:
        """Annotate texts or documents.

        Args:
            text: A ``str`` (raw text), a list of ``str`` (one tokenized sentence), a :class:`~ner.types.Document`, or
                a list of sentences or documents.
            probabilities: Set ``Span.score`` to the probability of the span.

        Returns:
            A document, or a list of documents for a list of sentences or documents. Raw text is split into words
            like the training data, see ``data.word_split``; its words and entities have character offsets.

        Raises:
            TypeError: If ``text`` is none of these, or no Document for a question answering model.
            ValueError: If a word is empty.
        """
        several = isinstance(text, Sequence) and not isinstance(text, str)
        single = not several or (len(text) > 0 and all(isinstance(word, str) for word in text))
        if not single and any(isinstance(item, str) for item in text):
            raise TypeError("expected a list of words, or a list of sentences or documents, found both in one list")
        documents = [self._document(item) for item in ([text] if single else text)]
        if any("" in example.words for document in documents for example in document.examples):
            raise ValueError("expected words, found an empty one; leave it out")
        chunks = self.annotate(documents, probabilities=probabilities)
        predicted = [document for chunk in chunks for document in chunk.predicted]
        return predicted[0] if single else predicted

    @property
    def answers_questions(self) -> bool:
        """True for a question answering model, which requires :meth:`answer` instead of :meth:`tag`."""
        return "answers" in tasks.decoder_outputs(self.config.decoder.name)

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
        answered = self.tag(document, probabilities=True).examples[0]
        counts = sorted(self.model.input_warnings(document).items())
        return replace(answered, warnings=[f"{count} {reason}" for reason, count in counts])

    @property
    def word_split(self) -> WordSplit:
        """Splitting of raw text: the rule of the configuration, or learned from the words of the training data."""
        return self.config.data.word_split or self.model.word_splitter or self.config.data.word_rule

    def _document(self, item: Any) -> Document:
        if isinstance(item, Document):
            return item
        if self.answers_questions:
            raise TypeError("expected a question and a passage, found a text; use answer(question, passage)")
        scheme = self.model.vocabs.scheme
        if isinstance(item, str):
            words, offsets = split_words(item, self.word_split)
            return Document([Example(words, text=item, offsets=offsets)], scheme=scheme)
        if isinstance(item, Sequence) and all(isinstance(word, str) for word in item):
            return Document([Example(list(item))], scheme=scheme)
        raise TypeError(f"expected a text, a list of words or a Document, found {type(item).__name__}")
