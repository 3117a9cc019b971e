"""Raw texts and words of other libraries as documents for a tagger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ner.data.words import split_words
from ner.inference.tagger import Tagger
from ner.types import Document, Example


def document(sentences: Iterable[str | Sequence[str]], tagger: Tagger) -> Document:
    """Return a document of sentences: raw texts, which are split into words like the training data, or words.

    Raises:
        TypeError: If the model answers questions.
    """
    if tagger.answers_questions:
        raise TypeError("expected a model that tags words or classifies texts, found one that answers questions")
    examples = []
    for sentence in sentences:
        if isinstance(sentence, str):
            words, offsets = split_words(sentence, tagger.word_split)
            examples.append(Example(words, text=sentence, offsets=offsets))
        else:
            examples.append(Example(list(sentence)))
    return Document(examples, scheme=tagger.model.vocabs.scheme)
