"""The tagger: a trained model that annotates texts and documents."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import torch

from ner.config.schema import RunConfig
from ner.data import tasks
from ner.data.question_answering import question_example
from ner.data.words import split_words
from ner.errors import InputError
from ner.inference.annotate import annotate
from ner.model.model import Model, load
from ner.runtime.device import resolve_device, resolve_precision, has_bf16
from ner.runtime.distributed import ProcessGroup
from ner.types import AnnotatedChunk, Document, Example

Precision = Literal["run", "auto", "float32", "bf16", "fp16", "int8"]


def quantized(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """A copy whose linear layers and LSTMs are in 8 bits: weights rounded once, inputs as they come.

    Raises:
        InputError: If this is not a CPU, or this torch cannot do it.
    """
    if device.type != "cpu":
        raise InputError(f"precision int8 is for CPUs; on {device.type} choose bf16 or float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch moves its quantisation to another package, which is not needed yet
        try:
            from torch.ao.quantization import quantize_dynamic
        except ImportError:
            raise InputError(f"torch {torch.__version__} has no dynamic quantisation; choose bf16 or float32") from None
        found: torch.nn.Module = quantize_dynamic(module, {torch.nn.Linear, torch.nn.LSTM}, dtype=torch.qint8)
    return found


def _round_weights(model: Model, precision: torch.dtype | None) -> None:
    """Round the weights of matrix products once; autocast would do the same again for every batch."""
    if precision is None:
        return
    for part in (model.encoder, model.context):
        for module in part.modules():
            if isinstance(module, torch.nn.Linear):
                module.to(precision)


class Tagger:
    """A trained model that answers.

    Args:
        model: In evaluation mode; it may be changed, as ``precision`` says.
        config: Of its run.
        device: ``auto``, ``cpu``, ``cuda`` ...
        precision: ``run`` as in training; ``float32``, ``bf16``, ``fp16``; or ``int8``, on CPUs: weights of matrix
            products are rounded to 8 bits, their inputs as they come.

    Raises:
        InputError: If the device cannot compute like that.
    """

    def __init__(self, model: Model, config: RunConfig, device: str = "auto", precision: Precision = "run") -> None:
        self.config = config
        self.device = resolve_device(device)
        if precision == "run":
            precision = config.training.precision  # float32 where that of a GPU cannot be had
            on_cpu = self.device.type == "cpu"
            if on_cpu and (precision == "fp16" or (precision == "bf16" and not has_bf16(self.device))):
                precision = "float32"
        self.model = model.to(self.device)
        if precision == "int8":
            self.precision = None
            self.model.encoder = quantized(self.model.encoder, self.device)
            self.model.context = quantized(self.model.context, self.device)
            if self.model.input_maker is self.model.decoder:
                self.model.decoder.use(self.model.encoder)
        else:
            self.precision = resolve_precision(precision, self.device)
            _round_weights(self.model, self.precision)

    @classmethod
    def load(cls, directory: str | Path, device: str = "auto", precision: Precision = "run") -> Tagger:
        """From a run directory; fetches nothing."""
        return cls(*load(directory), device=device, precision=precision)

    def annotate(
        self,
        documents: Iterable[Document],
        loss: bool = False,
        probabilities: bool = False,
        process_group: ProcessGroup | None = None,
    ) -> Iterator[AnnotatedChunk]:
        """Annotated documents in chunks, read lazily; see :func:`annotate`."""
        config = self.config.batch
        batch = config if config.size != "auto" else config.model_copy(update={"size": 32})
        return annotate(self.model, documents, batch, self.device, self.precision, loss, probabilities, process_group)

    @overload
    def tag(self, text: str | list[str] | Document, probabilities: bool = False) -> Document: ...

    @overload
    def tag(self, text: list[Document] | list[list[str]], probabilities: bool = False) -> list[Document]: ...

    def tag(self, text: Any, probabilities: bool = False) -> Any:
        """Annotated documents.

        Args:
            text: A ``str`` is raw text, split as the model's ``data.words`` says, and the answer has character
                offsets; a list of ``str`` is one sentence in words; a :class:`~ner.types.Document` is itself. A list
                of sentences or of documents gives a list.
            probabilities: Give every span its probability, in ``Span.score``.

        Raises:
            TypeError: If it is none of these, or no Document though the model answers questions.
        """
        if not isinstance(text, (str, Document, Sequence)):
            raise TypeError(f"expected a text, a list of words or a Document, found {type(text).__name__}")
        single = isinstance(text, (str, Document)) or (len(text) > 0 and all(isinstance(word, str) for word in text))
        items: Iterable[Any] = [text] if single else text  # type: ignore[assignment]
        documents = [self._document(item) for item in items]
        found = [
            document for chunk in self.annotate(documents, probabilities=probabilities) for document in chunk.predicted
        ]
        return found[0] if single else found

    @property
    def answers_questions(self) -> bool:
        """Whether the model answers questions, see :meth:`answer`; others are only asked to :meth:`tag`."""
        return "answers" in tasks.gives(self.config.decoder.name)

    def answer(self, question: str, passage: str, history: Sequence[str] = ()) -> Example:
        """What the model answers to a question about a passage.

        Args:
            question: Raw text, split as the model's ``data.words`` says; so are the others.
            passage: What is asked about.
            history: Earlier questions and answers, oldest first, as they stood before the questions it has learned.

        Returns:
            ``answers``, best first; ``labels`` says of what kind the first is (``span``, ``yes``, ``no``,
            ``unknown``); ``scores`` has the probabilities, and ``spans`` the words of an answer in the passage;
            ``remarks`` say what was not read of question and passage.

        Raises:
            TypeError: If the model answers no questions, or something is no text, or no list of texts.
        """
        if not self.answers_questions:
            decoder = self.config.decoder.name
            raise TypeError(f"expected a model that answers questions, found one with the decoder {decoder}; use tag")
        if isinstance(history, str):
            raise TypeError("expected a list of earlier questions and answers as history, found a single text")
        for name, text in (
            ("question", question),
            ("passage", passage),
            *(("turn of history", turn) for turn in history),
        ):
            if not isinstance(text, str):
                raise TypeError(f"expected a text as {name}, found {type(text).__name__}")
        example = question_example([*history, question], passage, self.config.data.words)
        document = Document([example], scheme=self.model.vocabs.scheme)
        answered = self.tag(document, probabilities=True).examples[0]
        remarks = [f"{count} {reason}" for reason, count in sorted(self.model.input_warnings(document).items())]
        return replace(answered, remarks=remarks)

    def _document(self, item: Any) -> Document:
        if isinstance(item, Document):
            return item
        if self.answers_questions:
            raise TypeError("expected a question, which a text alone is not; use answer(question, passage)")
        scheme = self.model.vocabs.scheme
        if isinstance(item, str):
            words, offsets = split_words(item, self.config.data.words)
            return Document([Example(words, text=item, offsets=offsets)], scheme=scheme)
        if isinstance(item, Sequence) and all(isinstance(word, str) for word in item):
            return Document([Example(list(item))], scheme=scheme)
        raise TypeError(f"expected a text, a list of words or a Document, found {type(item).__name__}")
