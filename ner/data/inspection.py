"""Facts about data files from which a configuration is proposed."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ner.config.parts import load_component
from ner.data.detect import Detected, detect
from ner.data.statistics import DocumentStatistics
from ner.data.tags import PLAIN
from ner.data.tasks import OUTPUTS, has_gold

DOCUMENTS = 20_000
"""Documents that are looked at, at most."""
ENGLISH = frozenset(["the", "of", "and", "in", "to", "a", "is", "was", "for", "that", "on", "with"])
"""Frequent words of English; they are more than a twentieth of its words."""


@dataclass(frozen=True)
class Facts:
    """Facts about a data file.

    Attributes:
        detected: Format and splitting.
        outputs: Kinds of gold, from :data:`ner.data.tasks.OUTPUTS`.
        scheme: Tagging scheme of the file.
        sentences, words: Numbers of examples and of their words.
        longest: Words of the longest example.
        labels: Labels of spans, plain tags, or classes of texts, with their counts.
        several_labels: True if a text has several labels.
        script: Most frequent script, such as ``LATIN`` or ``CJK``.
        english: True if the frequent words are English.
        single_characters: True if nearly all words have one character.
    """

    detected: Detected
    outputs: frozenset[str]
    scheme: str
    sentences: int
    words: int
    longest: int
    labels: Counter[str]
    several_labels: bool
    script: str
    english: bool
    single_characters: bool


def inspect(path: str, name: str = "auto", options: dict[str, Any] | None = None) -> Facts:
    """Return facts about a data file; ``name`` is its format, of which some ``options`` may be known.

    Raises:
        InputError: If it cannot be read, or is in no known format.
    """
    detected = detect(path, name, options)
    format_module = load_component("formats", detected.format.name)
    documents = list(islice(format_module.read(path, detected.format, detected.word_split or "space"), DOCUMENTS))
    examples = [example for document in documents for example in document.examples]
    statistics = DocumentStatistics()
    for document in documents:
        statistics.add(document)
    words = Counter(word for example in examples for word in example.words)
    letters: Counter[str] = Counter()
    for word, count in words.items():
        for letter in filter(str.isalpha, word):
            letters[letter] += count
    scripts: Counter[str] = Counter()
    for character, count in letters.items():
        scripts[unicodedata.name(character, "UNKNOWN").split()[0]] += count
    num_words = max(1, words.total())
    outputs = frozenset(kind for kind in OUTPUTS if any(has_gold(example, kind) for example in examples))
    if "answers" in outputs:
        outputs = frozenset({"answers"})
    return Facts(
        detected=detected,
        outputs=outputs,
        scheme=documents[0].scheme if documents else PLAIN,
        sentences=len(examples),
        words=words.total(),
        longest=max((len(example.words) for example in examples), default=0),
        labels=statistics.labels or statistics.tags or statistics.classes,
        several_labels=any(len(example.labels or ()) > 1 for example in examples),
        script=scripts.most_common(1)[0][0] if scripts else "UNKNOWN",
        english=sum(words[word] + words[word.capitalize()] for word in ENGLISH) * 20 > num_words,
        single_characters=sum(count for word, count in words.items() if re.fullmatch(".", word)) * 10 > 9 * num_words,
    )
