"""Entity scores of parts of the data: by the length, the mention or the sentence of an entity."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from ner.config.base import SliceName
from ner.evaluation.metrics._prf import KINDS, prf
from ner.types import Document, Example, Span

REQUIRES = frozenset({"tags"})
NEED_TRAINING_DATA = frozenset({"seen_mention", "ambiguous_mention"})
ENTITY_LENGTHS = ("1", "2", "3", "4", "5 or more")
SENTENCE_LENGTHS = {5: "1 to 5", 10: "6 to 10", 20: "11 to 20", 40: "21 to 40"}


class Slices:
    """Metric that counts entities by slice and value, see :class:`ner.contracts.Metric`.

    A slice is a property of a mention in its sentence, not of its type. Gold and predicted entities with the same value
    are compared with each other, so the counts of all values add up to the overall counts.

    Args:
        names: Slices.
        training: Documents whose mentions count as seen.
    """

    REQUIRES = REQUIRES

    def __init__(self, names: Sequence[SliceName], training: Iterable[Document] = ()) -> None:
        types_by_mention: dict[str, set[str]] = defaultdict(set)
        for document in training if NEED_TRAINING_DATA & {*names} else ():
            for example in document.examples:
                for span in example.spans:
                    types_by_mention[mention(example, span)].add(span.label)
        function_by_slice: dict[SliceName, Callable[[Example, Span], str]] = {
            "entity_length": lambda example, span: ENTITY_LENGTHS[min(span.end - span.start, len(ENTITY_LENGTHS)) - 1],
            "sentence_length": lambda example, span: sentence_length(example),
            "seen_mention": lambda example, span: "seen" if mention(example, span) in types_by_mention else "unseen",
            "ambiguous_mention": lambda example, span: ("unseen", "one type", "several types")[
                min(2, len(types_by_mention.get(mention(example, span), ())))
            ],
            "casing": lambda example, span: casing(mention(example, span)),
        }
        assert {*function_by_slice} == {*get_args(SliceName)}, "every slice has a function"
        self.functions = {name: function_by_slice[name] for name in names}

    def count(self, gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
        """Count ``<kind> <slice>=<value>`` for the kinds gold, predicted and correct."""
        counts: Counter[str] = Counter()
        for gold_example, prediction in zip(gold, predicted, strict=True):
            sides = {*gold_example.spans}, {*prediction.spans}
            for kind, spans in zip(KINDS, (*sides, sides[0] & sides[1]), strict=True):
                for span in spans:
                    for name, value_of in self.functions.items():
                        counts[f"{kind} {name}={value_of(gold_example, span)}"] += 1
        return counts

    def scores(self, counts: Counter[str]) -> dict[str, Any]:
        """Return slice -> value -> scores and counts."""
        slice_values = sorted({key.partition(" ")[2] for key in counts}, key=natural_key)
        scores_by_slice: dict[str, Any] = {name: {} for name in self.functions}
        for slice_value in slice_values:
            name, _, value = slice_value.partition("=")
            kind_counts = [counts[f"{kind} {slice_value}"] for kind in KINDS]
            scores_by_slice[name][value] = {**prf(*kind_counts), **dict(zip(KINDS, kind_counts, strict=True))}
        return scores_by_slice

    @staticmethod
    def lines(scores: Mapping[str, Any]) -> list[str]:
        """Return one line for each value of each slice."""
        return [
            f"entity {name} {value}: precision {f['precision']:.4f}, recall {f['recall']:.4f}, f1 {f['f1']:.4f} "
            f"({f['gold']} gold)"
            for name, values in scores.items()
            for value, f in values.items()
        ]


def natural_key(value: str) -> tuple[Any, ...]:
    """Return a sort key: numbers by value and first, other strings with their runs of digits by value."""
    if re.fullmatch("[+-]?[0-9]+([.][0-9]+)?", value):
        return (0, float(value), value)
    parts = re.split("([0-9]+)", value)  # text and digits alternate
    parts[1::2] = [digits.lstrip("0") for digits in parts[1::2]]
    return (1, [(len(part) if index % 2 else 0, part) for index, part in enumerate(parts)], value)


def mention(example: Example, span: Span) -> str:
    """Return the words of a span, joined by spaces."""
    return " ".join(example.words[span.start : span.end])


def sentence_length(example: Example) -> str:
    """Return the range that contains the number of words."""
    return next((name for limit, name in SENTENCE_LENGTHS.items() if len(example.words) <= limit), "41 or more")


def casing(text: str) -> str:
    """Return ``lower``, ``UPPER``, ``Title``, ``mixed``, or ``none`` for a text without cased letters."""
    if text.lower() == text.upper():
        return "none"
    if text.islower():
        return "lower"
    if text.isupper():
        return "UPPER"
    return "Title" if text.istitle() else "mixed"
