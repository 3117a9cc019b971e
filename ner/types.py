"""Data types shared by all packages.

Letters in tensor shapes, used throughout the project:

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from ner.chinese import join_words

if TYPE_CHECKING:
    from torch import Tensor

    from ner.highlight import Mark

SPLITS = ("train", "valid", "test")
"""Files of a run: for training, for model selection, and for the final evaluation."""

Loss = dict[str, "Tensor"]
"""Sum of the loss over the batch (a scalar) by part of the loss; divide it by ``Batch.counts``."""

Scores = dict[str, "Tensor"]
"""Named tensors that a decoder computes from an encoding, sufficient for the loss and for decoding."""

AxisLabels = tuple["Sequence[str] | None", ...]
"""Names of the positions along each dimension of a tensor (tags, words); None for a dimension without names."""


MAX_SHOWN = 60
"""Characters of a text that a representation shows."""
MAX_ENTITIES = 8
"""Entities that a representation shows."""


def shortened(text: str) -> str:
    """Return the first :data:`MAX_SHOWN` characters of a text."""
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A labelled span of words: ``start`` inclusive, ``end`` exclusive. Comparisons ignore ``score`` and ``uncertain``.

    ``score`` is its probability, and ``uncertain`` marks one below a threshold.
    """

    start: int
    end: int
    label: str
    score: float | None = field(default=None, compare=False)
    uncertain: bool = field(default=False, compare=False)


class RawTags(NamedTuple):
    """Tags of a sentence as they were read or predicted, and their scheme, see ``ner.data.tags.SCHEMES``."""

    tags: list[str]
    scheme: str


class Alternative(NamedTuple):
    """One of the most probable tag sequences of a sentence: BIO or plain tags, their spans, and its probability."""

    tags: list[str]
    spans: list[Span]
    probability: float


@dataclass(frozen=True, slots=True)
class TagQuery:
    """Probabilities to compute for tagged examples, besides that of the predicted sequence.

    Attributes:
        n_best: Number of the most probable tag sequences.
        tokens: The probability of each predicted tag.
        uncertainty: Entropy of the tag sequences, and margin between the two best ones.
        gold: The probability of each gold span.
    """

    n_best: int = 0
    tokens: bool = False
    uncertainty: bool = False
    gold: bool = False


@dataclass(slots=True)
class TagProbabilities:
    """Probabilities of the tags of an example; those that were not requested are empty or 0.

    Attributes:
        log_probability: Natural logarithm of the probability of the predicted tag sequence.
        tokens: Probability of the predicted tag of each word.
        entropy: Entropy of the distribution over tag sequences, in nats.
        margin: Difference between the probabilities of the two best tag sequences.
        n_best: Most probable tag sequences, best first.
        gold: Probability of each gold span, in the order of ``Example.spans``.
        outside: Probability that all words of each predicted span are outside of entities; requested with ``gold``.
    """

    log_probability: float
    tokens: list[float] = field(default_factory=list)
    entropy: float = 0.0
    margin: float = 0.0
    n_best: list[Alternative] = field(default_factory=list)
    gold: list[float] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)


class Entity(NamedTuple):
    """A labelled part of a text.

    Attributes:
        text: Its characters.
        label: Its type.
        start, end: Characters in the raw text, end exclusive; words if there is no raw text.
        probability: Probability of exactly this entity; None if it was not requested, or for gold entities.
    """

    text: str
    label: str
    start: int
    end: int
    probability: float | None = None


@dataclass(slots=True, repr=False)
class Example:
    """Input of one decoding: a sentence, a text, or a question with its passage.

    Attributes:
        words: Units that are tagged.
        spans: Gold or predicted spans; all metrics of entities use them.
        tags: One tag per word, or None if the example is not tagged. Tags of BIO and plain files are kept as read, even
            if they are ill-formed; other schemes are converted from the spans.
        labels: Classes of the whole example; None if they are unknown, so that they are not scored.
        answers: Answers to the question.
        text: The raw text, if available; ``offsets`` are the ``(start, end)`` characters of each word.
        metadata: Further values from the source, used for scores by value and for rewriting.
        query_length: Number of words that belong to the question.
        pieces: Piece id of each word if the words are pieces of a tokenizer, otherwise None.
        source, line: Location of the example: a path and a line number that starts at 1.
        line_indices: Index of each word's line in ``Document.source_lines``, if the lines were kept.
        scores: Probabilities of labels and answers by name, if the decoder computed them.
        warnings: Notices of the reader, such as ``answers that do not occur in their passage``.
        repairs: One sentence per annotation that the reader changed: ``file:line``, the text around it, the change.
        raw_tags: Tags in another scheme than BIO if they are invalid there, otherwise None.
        probabilities: Probabilities of the predicted tags, if they were requested.
    """

    words: list[str]
    spans: list[Span] = field(default_factory=list)
    tags: list[str] | None = None
    labels: list[str] | None = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    text: str | None = None
    offsets: list[tuple[int, int]] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    query_length: int = 0
    pieces: list[int] | None = None
    source: str = ""
    line: int = 0
    line_indices: list[int] | None = None
    scores: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    raw_tags: RawTags | None = None
    probabilities: TagProbabilities | None = None

    def __repr__(self) -> str:
        parts = [f"{self.text_of(span)}/{span.label}" for span in self.spans[:MAX_ENTITIES]]
        parts += ["..."] if len(self.spans) > MAX_ENTITIES else []
        parts += [f"labels={self.labels}"] if self.labels else []
        parts += [f"answers={self.answers}"] if self.answers else []
        return f"<Example {self.beginning!r}{': ' if parts else ''}{', '.join(parts)}>"

    @property
    def beginning(self) -> str:
        """First characters of the sentence, for representations."""
        if self.text is None or not self.offsets:
            return shortened(self.text or join_words(self.words[:MAX_SHOWN])[0])
        return shortened(self.text[self.offsets[0][0] : self.offsets[-1][1]])

    @property
    def location(self) -> str:
        """``file:line``, for messages."""
        return f"{self.source}:{self.line}"

    def with_prediction(self, annotation: Annotation) -> Example:
        """Return a copy with the tags, spans, labels, answers and scores of an annotation."""
        scores = annotation.scores
        answers: list[str] = []
        for answer in annotation.answers:
            text = answer if isinstance(answer, str) else self.text_of(answer)
            if isinstance(answer, Span) and answer.score is not None:
                scores = {text: answer.score, **scores}
            answers.append(text)
        return Example(  # four times faster than dataclasses.replace; a test checks that no field is missing
            words=self.words,
            spans=annotation.spans,
            tags=annotation.tags,
            labels=annotation.labels,
            answers=list(dict.fromkeys(answers)) if answers else answers,
            text=self.text,
            offsets=self.offsets,
            metadata=self.metadata,
            query_length=self.query_length,
            pieces=self.pieces,
            source=self.source,
            line=self.line,
            line_indices=self.line_indices,
            scores=scores,
            warnings=self.warnings,
            repairs=self.repairs,
            raw_tags=annotation.raw_tags,
            probabilities=annotation.probabilities,
        )

    def _range(self, span: Span) -> tuple[int, int]:
        """Return the start and the end of a span, in characters if the example has a text, otherwise in words."""
        if self.text is None or self.offsets is None:
            return span.start, span.end
        return self.offsets[span.start][0], self.offsets[span.end - 1][1]

    def _text_and_offsets(self) -> tuple[str, Sequence[tuple[int, int]]]:
        """Return the raw text, or the joined words, and the characters of each word."""
        if self.text is None or self.offsets is None:
            return join_words(self.words)
        return self.text, self.offsets

    def text_of(self, span: Span) -> str:
        """Return the text of a span: from the raw text if available, otherwise of its words (:mod:`ner.chinese`)."""
        text, offsets = self._text_and_offsets()
        return text[offsets[span.start][0] : offsets[span.end - 1][1]]

    def entities(self, spans: Sequence[Span] | None = None) -> list[dict[str, Any]]:
        """Return the spans, or others, as dictionaries: in characters if the example has a text, otherwise in words."""
        chosen = self.spans if spans is None else spans
        if not chosen:
            return []  # the words need not be joined
        text, offsets = self._text_and_offsets()
        entities = []
        for span in chosen:
            start, end = self._range(span)
            span_text = text[offsets[span.start][0] : offsets[span.end - 1][1]]
            score: dict[str, Any] = {} if span.score is None else {"score": span.score}
            if span.uncertain:
                score["uncertain"] = True
            entities.append({"start": start, "end": end, "label": span.label, "text": span_text, **score})
        return entities

    def marked_text(self, spans: Sequence[Span] | None = None) -> tuple[str, list[Mark]]:
        """Return a text to show, and the characters of the spans, or of others, in it."""
        from ner.highlight import Mark

        text, offsets = self._text_and_offsets()
        chosen = self.spans if spans is None else spans
        return text, [Mark(offsets[s.start][0], offsets[s.end - 1][1], s.label, s.score) for s in chosen]

    def _repr_html_(self) -> str:
        """Return the text with its spans in colour, for notebooks."""
        return Document([self])._repr_html_()

    def prediction_dict(self) -> dict[str, Any]:
        """Return the predictions as JSON values: ``entities``, ``labels``, ``answers``, or several of them.

        Requested probabilities follow: ``log_probability`` of the tags, ``token_scores`` and ``n_best``.
        """

        def scored(kind: str, names: list[str]) -> list[dict[str, Any]]:
            return [{kind: name, **({"score": self.scores[name]} if name in self.scores else {})} for name in names]

        prediction: dict[str, Any] = {}
        if self.tags is not None or (self.spans and not self.answers):
            prediction["entities"] = self.entities()
        if self.labels or not (prediction or self.answers):
            prediction["labels"] = scored("label", self.labels or [])
        if self.answers:
            prediction["answers"] = scored("text", self.answers)
        if self.probabilities is not None:
            prediction["log_probability"] = self.probabilities.log_probability
            if self.probabilities.tokens:
                prediction["token_scores"] = self.probabilities.tokens
            if self.probabilities.n_best:
                prediction["n_best"] = [
                    {"score": probability, "entities": self.entities(spans)}
                    for _, spans, probability in self.probabilities.n_best
                ]
        return prediction


@dataclass(slots=True, repr=False)
class Document:
    """Consecutive examples that belong together. A prediction is a copy with other spans, tags and labels.

    Attributes:
        examples: In the order of the source.
        id: Identifier in the source, or the number of the document.
        source: Path of the file, or an empty string.
        scheme: Tagging scheme of the source, see ``ner.data.tags.SCHEMES``.
        source_lines: Lines of the source with their line ends, if they are needed for rewriting.
    """

    examples: list[Example]
    id: str = ""
    source: str = ""
    scheme: str = "bio"
    source_lines: list[str] | None = None

    @property
    def entities(self) -> list[Entity]:
        """Spans of all examples with their texts, in characters if the document comes from raw text."""
        return [
            Entity(entity["text"], entity["label"], entity["start"], entity["end"], entity.get("score"))
            for example in self.examples
            for entity in example.entities()
        ]

    def __repr__(self) -> str:
        if len(self.examples) == 1:
            return repr(self.examples[0]).replace("<Example", "<Document", 1)
        entities = self.entities
        shown = [f"{entity.text}/{entity.label}" for entity in entities[:MAX_ENTITIES]]
        shown += ["..."] if len(entities) > MAX_ENTITIES else []
        first = self.examples[0].beginning if self.examples else ""
        return f"<Document of {len(self.examples)} sentences {first!r}{': ' if shown else ''}{', '.join(shown)}>"

    def _repr_html_(self) -> str:
        """Return the texts with their spans in colour, and their labels and answers, for notebooks."""
        from ner.highlight import paragraphs

        notes = [", ".join([*(example.labels or ()), *example.answers]) for example in self.examples]
        return paragraphs([(*e.marked_text(), note) for e, note in zip(self.examples, notes, strict=True)])


@dataclass(slots=True)
class Batch:
    """Padded tensors by name.

    Attributes:
        inputs: Tensors for the encoder.
        targets: Gold tensors for the decoder.
        counts: Number of words or examples that each part of the loss is summed over. The integers are known before the
            backward pass, so gradient accumulation and several processes are exact.
        examples: The examples, in the order of the first dimension.
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    counts: dict[str, int]
    examples: Sequence[Example]

    @property
    def piece_masks(self) -> list[Tensor]:
        """Masks ``(B, T)`` of the word pieces, one for each encoder that reads pieces."""
        return [tensor for name, tensor in self.inputs.items() if name.endswith("piece_mask")]

    def to(self, device: Any) -> Batch:
        """Return the batch on a device; copies from pinned memory do not block."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        inputs, targets = ({name: function(tensor) for name, tensor in d.items()} for d in (self.inputs, self.targets))
        return Batch(inputs, targets, self.counts, self.examples)


class DistinctWords(NamedTuple):
    """Words as distinct vectors.

    Attributes:
        vectors: ``(U, H)``.
        positions: ``(S, W)`` the number of each word's vector, from 0 to ``U - 1``; at padding, any of them.
    """

    vectors: Tensor
    positions: Tensor


class Encoding:
    """Output of an encoder: one vector per word, independent of pieces, windows and documents.

    Args:
        words: ``(S, W, H)``, zero where ``mask`` is false, or distinct vectors.
        mask: ``(S, W)`` true on words.
        pooled: ``(S, H)`` the encoder's own vector of each example, or None.
        question_mask: ``(S, W)`` true on the words of the question, or None.

    Attributes:
        distinct: The distinct vectors, or None.
        mask, pooled, question_mask: As above.
    """

    __slots__ = ("_words", "distinct", "mask", "pooled", "question_mask")

    def __init__(
        self,
        words: Tensor | DistinctWords,
        mask: Tensor,
        pooled: Tensor | None = None,
        question_mask: Tensor | None = None,
    ) -> None:
        self.distinct = words if isinstance(words, DistinctWords) else None
        self._words = None if isinstance(words, DistinctWords) else words
        self.mask, self.pooled, self.question_mask = mask, pooled, question_mask

    @property
    def words(self) -> Tensor:
        """``(S, W, H)``, zero where ``mask`` is false; computed from distinct vectors when first read."""
        if self._words is None:
            assert self.distinct is not None
            self._words = self.distinct.vectors[self.distinct.positions] * self.mask.unsqueeze(-1)
        return self._words

    @words.setter
    def words(self, value: Tensor) -> None:
        self.distinct, self._words = None, value

    def __repr__(self) -> str:
        words = self._words if self.distinct is None else self.distinct
        return f"Encoding({words!r}, {self.mask!r}, {self.pooled!r}, {self.question_mask!r})"


@dataclass(slots=True)
class Annotation:
    """Prediction of a decoder for one example, best first.

    Attributes:
        tags, spans, labels: As in :class:`Example`.
        answers: Texts, or spans whose text is the answer.
        scores: Probabilities of labels and answers by name; a span has its own score.
        raw_tags, probabilities: As in :class:`Example`.
    """

    tags: list[str] | None = None
    spans: list[Span] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    answers: list[str | Span] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    raw_tags: RawTags | None = None
    probabilities: TagProbabilities | None = None


@dataclass
class Coverage:
    """Amount of input that a model has read; sums over several parts are exact.

    Attributes:
        sentences: Examples.
        words, characters: Words of the input, and their characters.
        windows: Rows that the encoder has read; encoders without a maximum length read a row per example.
        missing: Words of the input that the model has not read. Anything but 0 is an error of the program.
        without_piece: Words that the tokenizer splits into no piece; they are read as the unknown piece.
    """

    sentences: int = 0
    words: int = 0
    characters: int = 0
    windows: int = 0
    missing: int = 0
    without_piece: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        """Return the sums."""
        return Coverage(
            **{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        )

    def __str__(self) -> str:
        """Return a sentence with all counts."""
        counts = [
            (self.sentences, "sentence", ""),
            (self.words, "word", ""),
            (self.characters, "character", " without spaces"),
            (self.windows, "window", ""),
            (self.without_piece, "word", " without a word piece"),
            (self.missing, "word", " not read"),
        ]
        return ", ".join(f"{number} {noun}{'' if number == 1 else 's'}{rest}" for number, noun, rest in counts)


@dataclass
class AnnotatedChunk:
    """Documents with their predictions.

    Attributes:
        gold: Documents as read.
        predicted: Copies with the predictions.
        losses, counts: Sums over the chunk by part of the loss.
        coverage: Amount of input that was read.
    """

    gold: list[Document]
    predicted: list[Document]
    losses: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Coverage)
