"""The nouns that travel from a file of words to a score.

Letters in tensor shapes, used in the whole project:

==  ==========================  ==  =======================
S   examples (sentences)        W   words of an example
B   rows of pieces              T   pieces of a row
U   distinct words of a batch   C   characters of a word
H   hidden width                K   tags
N   labels                      L   layers
==  ==========================  ==  =======================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SPLITS = ("train", "valid", "test")
"""Files of a run: learned from, chosen by, and scored at the end."""

Loss = dict[str, "Tensor"]
"""Part of the loss -> its sum over the batch (a scalar); ``Batch.counts`` says what to divide it by."""

Scores = dict[str, "Tensor"]
"""Named tensors that a decoder computes from an encoding; enough to compute the loss and to decode."""


AxisLabels = tuple["Sequence[str] | None", ...]
"""Names of the positions along each dimension of a tensor (tags, words); None for a dimension without names."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A labelled stretch of words: ``start`` inclusive, ``end`` exclusive. The score takes no part in comparison."""

    start: int
    end: int
    label: str
    score: float | None = field(default=None, compare=False)


@dataclass(slots=True)
class Example:
    """What a decoder labels at once: a sentence, a text, or a question with its passage.

    Attributes:
        words: The units that get a tag.
        spans: Gold or predicted spans: the truth for everything that speaks of entities.
        tags: BIO or plain tags, one per word: as they stood in the file (broken ones too) where the file is BIO or
            plain, otherwise written from the spans; None when the example is not tagged.
        labels: Classes of the whole example.
        answers: Answers to the question, if the example is one.
        text: The raw text, when there is one; ``offsets`` are then the ``(start, end)`` characters of each word.
        scores: Probability of labels and answers by their names, where a decoder was asked for them.
        fields: What else the source says of the example, for scores by field, reports and writing back.
        remarks: What was unusual about it when it was read, a phrase each (``answers that do not occur in their
            passage``); counted and reported.
        query_length: How many of the words are the question.
        pieces: Piece id of each word when the words are already pieces of a tokenizer, else None.
        source, line: Where the example stands: a path and a line counted from 1.
        rows: Position of each word's line in ``Document.lines``, when the lines were kept.
    """

    words: list[str]
    spans: list[Span] = field(default_factory=list)
    tags: list[str] | None = None
    labels: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    text: str | None = None
    offsets: list[tuple[int, int]] | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    query_length: int = 0
    pieces: list[int] | None = None
    source: str = ""
    line: int = 0
    rows: list[int] | None = None
    scores: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """``file:line``, for messages."""
        return f"{self.source}:{self.line}"

    def answered(self, annotation: Annotation) -> Example:
        """The same example with the answers of a decoder in place of its own."""
        scores = annotation.scores
        answers: list[str] = []
        for answer in annotation.answers:
            text = answer if isinstance(answer, str) else self.surface(answer)
            if isinstance(answer, Span) and answer.score is not None:
                scores = {text: answer.score, **scores}
            answers.append(text)
        return Example(  # several times as fast as dataclasses.replace
            self.words,
            annotation.spans,
            annotation.tags,
            annotation.labels,
            list(dict.fromkeys(answers)) if answers else answers,
            self.text,
            self.offsets,
            self.fields,
            self.query_length,
            self.pieces,
            self.source,
            self.line,
            self.rows,
            scores,
        )

    def surface(self, span: Span) -> str:
        """The text of a span: as it stands where there is a text, otherwise its words with spaces between them."""
        if self.text is not None and self.offsets is not None:
            return self.text[self.offsets[span.start][0] : self.offsets[span.end - 1][1]]
        return " ".join(self.words[span.start : span.end])

    def entities(self) -> list[dict[str, Any]]:
        """The spans as plain dictionaries: characters when the example has a text, otherwise words."""
        found = []
        for span in self.spans:
            if self.text is not None and self.offsets is not None:
                start, end = self.offsets[span.start][0], self.offsets[span.end - 1][1]
            else:
                start, end = span.start, span.end
            entity: dict[str, Any] = {"start": start, "end": end, "label": span.label, "text": self.surface(span)}
            if span.score is not None:
                entity["score"] = span.score
            found.append(entity)
        return found

    def findings(self) -> dict[str, list[dict[str, Any]]]:
        """What a model said, as plain values: ``entities`` of a tagger, ``labels`` of a classifier, ``answers``."""

        def scored(kind: str, names: list[str]) -> list[dict[str, Any]]:
            return [{kind: name, **({"score": self.scores[name]} if name in self.scores else {})} for name in names]

        found: dict[str, list[dict[str, Any]]] = {}
        if self.tags is not None or (self.spans and not self.answers):
            found["entities"] = self.entities()
        if self.labels or not (found or self.answers):
            found["labels"] = scored("label", self.labels)
        if self.answers:
            found["answers"] = scored("text", self.answers)
        return found


@dataclass(slots=True)
class Document:
    """Neighbouring examples that belong together. A prediction is a copy with other spans, tags and labels.

    Attributes:
        examples: In the order of the source.
        id: What the source calls the document, or its number.
        source: Path of the file, or an empty string.
        scheme: How the source writes tags (see ``ner.data.tags.SCHEMES``).
        lines: The lines of the source, line ends included, when it was read to be written back.
    """

    examples: list[Example]
    id: str = ""
    source: str = ""
    scheme: str = "bio"
    lines: list[str] | None = None


@dataclass(slots=True)
class Batch:
    """Padded tensors by name.

    Attributes:
        inputs: What the encoder asked for.
        targets: What the decoder asked for.
        counts: Part of the loss -> over how many words or examples it is summed. Integers, known before the first
            backward pass, so that accumulation and several processes stay exact.
        examples: The examples, in the order of the first dimension.
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    counts: dict[str, int]
    examples: Sequence[Example]

    def to(self, device: Any) -> Batch:
        """The same batch on a device; copies from pinned memory do not block."""
        return Batch(
            {name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()},
            {name: tensor.to(device, non_blocking=True) for name, tensor in self.targets.items()},
            self.counts,
            self.examples,
        )

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory."""
        return Batch(
            {name: tensor.pin_memory() for name, tensor in self.inputs.items()},
            {name: tensor.pin_memory() for name, tensor in self.targets.items()},
            self.counts,
            self.examples,
        )


@dataclass(slots=True)
class Encoding:
    """Output of an encoder: one vector per word, independent of pieces, windows and documents.

    Attributes:
        words: ``(S, W, H)``, zero where ``mask`` is false.
        mask: ``(S, W)`` true on words.
        pooled: ``(S, H)`` the encoder's own vector of each example, or None.
        question_mask: ``(S, W)`` true on the words of the question, or None.
    """

    words: Tensor
    mask: Tensor
    pooled: Tensor | None = None
    question_mask: Tensor | None = None


@dataclass(slots=True)
class Annotation:
    """What a decoder says of one example, best first.

    Attributes:
        tags, spans, labels: As in :class:`Example`.
        answers: Texts, or spans of the example whose text is meant.
        scores: Probability of labels and answers by their names; that of a span is its own.
    """

    tags: list[str] | None = None
    spans: list[Span] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    answers: list[str | Span] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class AnnotatedChunk:
    """Some documents with what the model says of them.

    ``losses`` and ``counts`` are sums over the chunk by part of the loss.
    """

    gold: list[Document]
    predicted: list[Document]
    losses: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
