"""Statistics of documents: how often labels, tags, classes and notices occur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ner.data.notices import Notice
from ner.data.question_answering import ANSWER, ANSWER_TYPES, EVIDENCE
from ner.data.tags import PLAIN
from ner.data.vocab import Vocabs
from ner.types import Document


@dataclass
class DocumentStatistics:
    """Counts over documents.

    Attributes:
        labels: Labels of spans.
        tags: Plain tags.
        classes: Labels of whole examples.
        questions: The part of ``labels`` and ``classes`` that marks answers to questions and their types.
        remarks: Notices of the reader, see :class:`ner.data.notices.Notice`.
    """

    labels: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)

    def add(self, document: Document) -> None:
        """Count a document."""
        plain = document.scheme == PLAIN
        for example in document.examples:
            if example.spans:
                self.labels.update(span.label for span in example.spans)
            if plain:
                self.tags.update(example.tags or ())
            self.classes.update(example.labels)
            if example.query_length:
                names = [*(example.labels or ()), *(span.label for span in example.spans)]
                self.questions.update(label for label in names if label in (*ANSWER_TYPES, ANSWER, EVIDENCE))
            self.remarks.update(example.warnings)
            if not example.words:
                self.remarks[Notice.WORDLESS] += 1
            if example.labels is None:
                self.remarks[Notice.UNLABELLED] += 1


def notable(counts: Mapping[str, Mapping[str, int]], vocabs: Vocabs) -> dict[str, dict[str, int]]:
    """Return the counts that affect how scores are read, if any: ``unseen_labels`` and ``remarks``.

    Answer types are never unseen: a question answering model can predict types that its training data lack.

    Args:
        counts: The attributes of :class:`DocumentStatistics`, by name.
        vocabs: Vocabularies of the training data.
    """
    unseen: dict[str, int] = {}
    for kind in ("tags" if vocabs.plain else "labels", "classes"):
        label_counts = Counter(counts[kind]) - Counter(counts["questions"])
        missing = sorted(label_counts.keys() - getattr(vocabs, kind).keys())
        unseen |= {name: unseen.get(name, 0) + label_counts[name] for name in missing}
    notable_counts = {"unseen_labels": unseen, "remarks": dict(sorted(counts["remarks"].items()))}
    return {kind: names for kind, names in notable_counts.items() if names}


def format_unseen(unseen: Mapping[str, int]) -> str:
    """Return the log line for labels that the training data lack."""
    label_counts = ", ".join(f"{label} {count}" for label, count in unseen.items())
    return f"labels not in the training data (counted as errors): {label_counts}"
