"""Interface of taggers to raw texts and words, independent of the library that computes the scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from ner.config.base import WordSplit
from ner.data.sentences import split_sentences
from ner.data.vocab import Vocabs
from ner.data.words import split_words
from ner.types import AnnotatedChunk, Document, Example


class TextTagger(ABC):
    """Base class of taggers; a subclass annotates documents."""

    @property
    @abstractmethod
    def vocabs(self) -> Vocabs:
        """Labels and tagging scheme of the training data."""

    @property
    @abstractmethod
    def data(self) -> Any:
        """Section ``data`` of the configuration."""

    @property
    @abstractmethod
    def decoder_name(self) -> str:
        """Name of the decoder."""

    @property
    @abstractmethod
    def outputs(self) -> frozenset[str]:
        """Outputs of the decoder: ``tags``, ``labels``, ``answers``."""

    @property
    @abstractmethod
    def word_split(self) -> WordSplit:
        """Splitting of raw text: the rule of the configuration, or learned from the words of the training data."""

    @abstractmethod
    def annotate(
        self,
        documents: Iterable[Document],
        loss: bool = False,
        probabilities: bool = False,
        *,
        interactive: bool = False,
    ) -> Iterator[AnnotatedChunk]:
        """Yield annotated documents in chunks, which end when the source pauses if ``interactive`` is true."""

    @abstractmethod
    def input_warnings(self, document: Document) -> Counter[str]:
        """Return how much of a document is not read as it is, by reason."""

    def __repr__(self) -> str:
        """Return decoder and labels."""
        vocabs = self.vocabs
        names = sorted(vocabs.labels or vocabs.tags or vocabs.classes)
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        return f"<{type(self).__name__} with {self.decoder_name}: {shown}>"

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
        is_list = isinstance(text, Sequence) and not isinstance(text, str)
        is_single = not is_list or (len(text) > 0 and all(isinstance(word, str) for word in text))
        if not is_single and any(isinstance(item, str) for item in text):
            raise TypeError("expected a list of words, or a list of sentences or documents, found both in one list")
        documents = list(_checked(self.document(item) for item in ([text] if is_single else text)))
        chunks = self.annotate(documents, probabilities=probabilities)
        predicted = [document for chunk in chunks for document in chunk.predicted]
        return predicted[0] if is_single else predicted

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
        document = next(iter(self.stream([text], split_into_sentences, probabilities)))
        return document

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
        documents = (self.document(text, split_into_sentences) for text in texts)
        for chunk in self.annotate(_checked(documents), probabilities=probabilities):
            yield from chunk.predicted

    @property
    def answers_questions(self) -> bool:
        """True for a question answering model, which requires :meth:`answer` instead of :meth:`tag`."""
        return "answers" in self.outputs

    def document(self, item: Any, split_into_sentences: bool = False) -> Document:
        """Return a text or a list of words as a document; see :meth:`stream`.

        Raises:
            TypeError: If the item is neither, or the model requires questions.
        """
        if isinstance(item, Document):
            return item
        if self.answers_questions:
            raise TypeError("expected a question and a passage, found a text; use answer(question, passage)")
        scheme = self.vocabs.scheme
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
