"""Counts of annotated data, made in one pass over the documents of all splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ner.chinese import join_words
from ner.data.notices import Notice
from ner.data.tags import PLAIN, flatten
from ner.types import Document, Example


@dataclass
class SplitSummary:
    """Counts of a split.

    Attributes:
        documents, sentences, words, entities, answers: Totals; every question is a sentence, and its spans are no
            entities. Equal answers to a question count once.
        scheme: Tagging scheme of the file.
        labels, tags, classes: Counts of entity labels, plain tags, and labels of texts.
        first_places: Place of the first entity or text with each label.
        vocabulary: Counts of the words.
        lengths: Number of sentences by length in words.
        notices: Counts of the reader's notices.
    """

    documents: int = 0
    sentences: int = 0
    words: int = 0
    entities: int = 0
    answers: int = 0
    scheme: str = "bio"
    labels: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    first_places: dict[str, str] = field(default_factory=dict)
    vocabulary: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)

    def percentile(self, fraction: float) -> int:
        """Return the length that a fraction of the sentences does not exceed."""
        target_count, cumulative_count = fraction * self.sentences, 0
        for length in sorted(self.lengths):
            cumulative_count += self.lengths[length]
            if cumulative_count >= target_count:
                return length
        return 0


@dataclass
class Occurrences:
    """Sentences, mentions and broken tags of all splits.

    Attributes:
        one_word_per_line: True if every word has a line of its own.
        sentences: First split and example with each sentence, by hash.
        duplicates: Repeated examples by split, each with the first one.
        leaked: Repeated examples by their split and that of the first one.
        contradicting: First and later example of sentences with different annotations, by hash.
        mentions: Text -> label -> count, and position in ``examples`` of the first one.
        examples: First example of each mention and label.
        broken: Impossible tag transitions by place.
        repairs: Repairs of the reader by split.
    """

    one_word_per_line: bool
    sentences: dict[int, tuple[str, Example]] = field(default_factory=dict)
    duplicates: dict[str, list[tuple[Example, Example]]] = field(default_factory=lambda: defaultdict(list))
    leaked: dict[tuple[str, str], list[tuple[Example, Example]]] = field(default_factory=lambda: defaultdict(list))
    contradicting: dict[int, tuple[Example, Example]] = field(default_factory=dict)
    mentions: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    broken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    repairs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, split: str, document: Document, summary: SplitSummary) -> None:
        """Count a document."""
        summary.documents += 1
        plain, is_bio = document.scheme == PLAIN, document.scheme == "bio"
        for example in document.examples:
            words = example.words
            size = len(words)
            summary.sentences += 1
            summary.words += size
            summary.lengths[size] += 1
            summary.vocabulary.update(words)
            if example.warnings:
                summary.notices.update(example.warnings)
            if example.repairs:
                self.repairs[split] += example.repairs
            if plain:
                summary.tags.update(example.tags or ())
            if example.labels:
                summary.classes.update(example.labels)
                for label in example.labels:
                    if label not in summary.first_places:
                        summary.first_places[label] = example.location
            if example.query_length:
                summary.answers += len(example.answers)
            elif example.spans:
                self._add_mentions(example, summary, is_bio and example.tags is not None)
            if size:
                self._add_sentence(split, example)
            else:
                summary.notices[Notice.WORDLESS] += 1

    def _add_mentions(self, example: Example, summary: SplitSummary, is_bio: bool) -> None:
        words, tags = example.words, example.tags
        summary.entities += len(example.spans)
        for span in example.spans:
            start, label = span.start, span.label
            summary.labels[label] += 1
            if label not in summary.first_places:
                summary.first_places[label] = self.place(example, start)
            text = words[start] if span.end - start == 1 else join_words(words[start : span.end])[0]
            labels = self.mentions.get(text)
            if labels is None:
                labels = self.mentions[text] = {}
            entry = labels.get(label)
            if entry is None:
                labels[label] = [1, len(self.examples)]
                self.examples.append(example)
            else:
                entry[0] += 1
            if (
                is_bio and tags is not None and tags[start][0] != "B" and span in flatten(example.spans)
            ):  # not a nested one
                previous_tag = tags[start - 1] if start else "the start of the sentence"
                self.broken[self.place(example, start)].append(f"'{words[start]}' {tags[start]} after {previous_tag}")

    def _add_sentence(self, split: str, example: Example) -> None:
        key = hash(tuple(example.words))
        first_occurrence = self.sentences.get(key)
        if first_occurrence is None:
            self.sentences[key] = split, example
            return
        other_split, other = first_occurrence
        if other_split == split:
            self.duplicates[split].append((example, other))
        else:
            self.leaked[split, other_split].append((example, other))
        if key not in self.contradicting and not example.query_length:
            is_same = example.spans == other.spans and sorted(example.labels or ()) == sorted(other.labels or ())
            if not is_same and _annotated(example) and _annotated(other):
                self.contradicting[key] = (other, example)

    def place(self, example: Example, word: int) -> str:
        """Return the place of a word."""
        return f"{example.source}:{example.line + word * self.one_word_per_line}"


def _annotated(example: Example) -> bool:
    return example.tags is not None or bool(example.labels)
