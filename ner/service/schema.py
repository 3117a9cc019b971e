"""Requests and answers of the service as JSON; the OpenAPI document is generated from these classes."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TEXTS = 1000
"""Texts of a request, at most."""
MAX_N_BEST = 20
"""Alternatives of a sentence, at most."""

Words = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class Options(NamedTuple):
    """What to compute for a text; see :class:`TagRequest`."""

    split_into_sentences: bool = False
    probabilities: bool = True
    n_best: int = 0
    words: bool = False


class TagRequest(BaseModel):
    """Texts to annotate: exactly one of `text`, `texts`, `words` and `sentences`."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    text: str | None = None
    """A raw text."""
    texts: Annotated[list[str], Field(min_length=1, max_length=MAX_TEXTS)] | None = None
    """Several raw texts."""
    words: Words | None = None
    """A sentence that is already split into words."""
    sentences: Annotated[list[Words], Field(min_length=1, max_length=MAX_TEXTS)] | None = None
    """Several sentences that are already split into words."""
    split_into_sentences: bool = False
    """Annotate each sentence of a raw text by itself; the answer has `sentences`."""
    probabilities: bool = True
    """Compute the probability (`score`) of each entity and label."""
    n_best: Annotated[int, Field(ge=0, le=MAX_N_BEST)] = 0
    """Number of the most probable sets of entities; for models that tag words."""
    with_words: bool = False
    """Also return the words with their tags and positions."""

    @model_validator(mode="after")
    def _has_one_input(self) -> TagRequest:
        inputs = [name for name in ("text", "texts", "words", "sentences") if getattr(self, name) is not None]
        if len(inputs) != 1:
            raise ValueError(f"expected one of text, texts, words, sentences; found {', '.join(inputs) or 'none'}")
        if self.split_into_sentences and inputs[0] in ("words", "sentences"):
            raise ValueError(f"split_into_sentences: expected text or texts, found {inputs[0]}")
        return self

    @property
    def items(self) -> list[Any]:
        """Texts, or lists of words."""
        if self.text is not None:
            return [self.text]
        return self.texts or self.sentences or [self.words]

    @property
    def options(self) -> Options:
        """What to compute."""
        return Options(self.split_into_sentences, self.probabilities, self.n_best, self.with_words)


class _Answer(BaseModel):
    """Base class of answers."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class EntityAnswer(_Answer):
    """An entity."""

    start: int
    """First character (code point) in the text of the request; first word for words."""
    end: int
    """End, exclusive."""
    label: str
    text: str
    score: float | None = None
    """Probability of exactly this entity."""


class LabelAnswer(_Answer):
    """A class of a text."""

    label: str
    score: float | None = None


class AlternativeAnswer(_Answer):
    """One of the most probable sets of entities of a sentence."""

    score: float
    entities: list[EntityAnswer]


class WordAnswer(_Answer):
    """A word, its tag, and its characters in the text."""

    text: str
    tag: str | None = None
    """Predicted tag in BIO, or a plain tag."""
    start: int | None = None
    end: int | None = None


class SentenceAnswer(_Answer):
    """Prediction for a sentence, or for a whole text that was not split."""

    entities: list[EntityAnswer] | None = None
    """Entities in the order of the text; for models that predict them."""
    labels: list[LabelAnswer] | None = None
    """Classes; for models that predict them."""
    log_probability: float | None = None
    """Natural logarithm of the probability of the predicted tags; with `n_best`."""
    n_best: list[AlternativeAnswer] | None = None
    words: list[WordAnswer] | None = None
    """With `with_words`."""
    start: int | None = None
    """Characters of the sentence; with `split_into_sentences`."""
    end: int | None = None


class DocumentAnswer(SentenceAnswer):
    """Prediction for a text."""

    sentences: list[SentenceAnswer] | None = None
    """With `split_into_sentences`, in place of the other fields."""
    warnings: dict[str, int] | None = None
    """Number of words that were not read as they are, by reason."""


class CoverageAnswer(_Answer):
    """Amount of input that the model has read."""

    sentences: int
    words: int
    characters: int
    """Characters of the words."""
    missing: int
    """Words that the model has not read; always 0."""
    without_piece: int
    """Words that the tokenizer splits into no piece; they are read as the unknown piece."""


class TagAnswer(_Answer):
    """Predictions in the order of the request."""

    documents: list[DocumentAnswer]
    coverage: CoverageAnswer
    model: str
    """SHA-256 of the weights."""


class FieldError(_Answer):
    """A value that is not valid."""

    field: str
    error: str


class ErrorAnswer(_Answer):
    """Reason why a request was not answered."""

    error: str
    fields: list[FieldError] | None = None
    """With status 422."""


class VersionAnswer(_Answer):
    """The served model."""

    ner: str
    model: str
    """SHA-256 of the weights."""
    kind: str
    """`run` or `export`."""
    decoder: str
    labels: list[str]
    """Types of entities, or plain tags."""
    plain: bool
    """True if words have plain tags, such as parts of speech, in place of entities."""
    classes: list[str]
    """Classes of texts."""
    n_best: bool
    """True if the model supports `n_best`."""
