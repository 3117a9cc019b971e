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
from ner.config.training import BatchConfig
from ner.contracts import GenerativeDecoder
from ner.data import tasks
from ner.data.question_answering import question_example
from ner.data.sentences import split_sentences
from ner.data.words import split_words
from ner.errors import InputError
from ner.inference.annotate import annotate
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
        documents = list(_checked(self._document(item) for item in ([text] if single else text)))
        chunks = self.annotate(documents, probabilities=probabilities)
        predicted = [document for chunk in chunks for document in chunk.predicted]
        return predicted[0] if single else predicted

    def __call__(
        self, text: str | list[str] | Document, split_into_sentences: bool = False, probabilities: bool = True
    ) -> Document:
        """Annotate one text; ``document.entities`` holds text, label, start, end and probability of each entity.

        Args:
            text: As for :meth:`tag`, but a single one.
            split_into_sentences: Annotate each sentence of a raw text by itself, see
                :func:`ner.data.sentences.split_sentences`. Positions refer to the whole text in either case.
            probabilities: Compute the probability of each entity.

        Raises:
            TypeError: If ``text`` is not a single text, or sentences of something else than raw text are requested.
            ValueError: If a word is empty.
        """
        found = next(iter(self.stream([text], split_into_sentences, probabilities)))
        return found

    def stream(
        self,
        texts: Iterable[str | list[str] | Document],
        split_into_sentences: bool = False,
        probabilities: bool = True,
    ) -> Iterator[Document]:
        """Yield an annotated document for each text, in order and in constant memory.

        Texts are read in chunks of about 2,000 sentences, which are sorted by length for speed. The line end of a
        line of a file is not part of the text.

        Args:
            texts: Raw texts (``str``), tokenized sentences (lists of ``str``) or documents.
            split_into_sentences: See :meth:`__call__`.
            probabilities: See :meth:`__call__`.

        Raises:
            TypeError: If ``texts`` is a single text, or an item is no text.
            ValueError: If a word is empty.
        """
        if isinstance(texts, str):
            raise TypeError("expected several texts, such as the lines of a file, found a single one")
        documents = (self._document(text, split_into_sentences) for text in texts)
        for chunk in self.annotate(_checked(documents), probabilities=probabilities):
            yield from chunk.predicted

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

    def _document(self, item: Any, split_into_sentences: bool = False) -> Document:
        if isinstance(item, Document):
            return item
        if self.answers_questions:
            raise TypeError("expected a question and a passage, found a text; use answer(question, passage)")
        scheme = self.model.vocabs.scheme
        if isinstance(item, str):
            text = item.rstrip("\r\n")
            sentences = split_sentences(text) if split_into_sentences else [(0, len(text))]
            return Document([self._example(text, start, end) for start, end in sentences], scheme=scheme)
        if split_into_sentences:
            raise TypeError(f"expected a raw text to split into sentences, found {type(item).__name__}")
        if isinstance(item, Sequence) and all(isinstance(word, str) for word in item):
            return Document([Example(list(item))], scheme=scheme)
        raise TypeError(f"expected a text, a list of words or a Document, found {type(item).__name__}")

    def _example(self, text: str, start: int, end: int) -> Example:
        """Return the sentence of a text between two characters; its offsets refer to the whole text."""
        words, offsets = split_words(text[start:end], self.word_split)
        return Example(words, text=text, offsets=[(start + left, start + right) for left, right in offsets])


def _checked(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the same documents after checking that no word is empty."""
    for document in documents:
        if any("" in example.words for example in document.examples):
            raise ValueError("expected words, found an empty one; leave it out")
        yield document
