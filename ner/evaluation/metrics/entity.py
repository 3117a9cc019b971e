"""Entity scores: precision, recall and F1, micro, macro and by type.

A predicted entity is correct if its boundaries and its type equal those of a gold entity. Tags are read as the CoNLL
evaluation script reads them (Tjong Kim Sang and De Meulder, 2003), as in published results. ``strict`` counts only
entities with the prefixes that the scheme requires: in BIO, ``B-`` on the first word and ``I-`` on all others. The
scheme of gold tags is that of their file, the scheme of predicted tags that of the decoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ner.data import tags
from ner.evaluation.metrics._prf import KINDS, by_label, mean, micro
from ner.types import Example, Span

REQUIRES = frozenset({"tags"})


def count(gold: Sequence[Example], predicted: Sequence[Example]) -> Counter[str]:
    """Count the entities of examples.

    Returns:
        ``<kind> <type>`` and ``strict <kind> <type>`` for the kinds gold, predicted and correct, and ``sentences``.

    Raises:
        ValueError: If the numbers of examples differ.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"expected as many predicted examples as gold ones ({len(gold)}), found {len(predicted)}")
    entities, strict = (
        [[(n, s.start, s.end, s.label) for n, e in enumerate(side) for s in read(e)] for side in (gold, predicted)]
        for read in (attrgetter("spans"), _strict)
    )
    counts = Counter({"sentences": len(gold)})
    sets = [set(side) for side in entities]
    for mode in ("", "strict "):
        if mode and strict != entities:
            sets = [set(side) for side in strict]
        for kind, entity_set in zip(KINDS, (*sets, sets[0] & sets[1]), strict=True):
            for label, number in Counter(map(itemgetter(-1), entity_set)).items():
                counts[f"{mode}{kind} {label}"] = number
    return counts


def count_tags(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str = "auto") -> Counter[str]:
    """Count the entities of lists of tags, one list per sentence, in any scheme. See :func:`count`.

    Args:
        gold: Gold tags.
        predicted: Predicted tags.
        scheme: Scheme of the strict counts, a key of :data:`ner.data.tags.SCHEMES`, or ``auto`` for that of the gold
            tags.

    Raises:
        ValueError: If the numbers of sentences or tags differ, or a tag is invalid.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"expected as many predicted sentences as gold ones ({len(gold)}), found {len(predicted)}")
    lengths = [list(map(len, side)) for side in (gold, predicted)]
    if lengths[0] != lengths[1]:
        number, (num_gold, found) = next(
            (n, pair) for n, pair in enumerate(zip(*lengths, strict=True)) if len({*pair}) > 1
        )
        raise ValueError(f"sentence {number}: expected as many predicted tags as gold ones ({num_gold}), found {found}")
    rows = [list(chain.from_iterable((*row, tags.OUTSIDE) for row in side)) for side in (gold, predicted)]
    names = sorted({tags.OUTSIDE, *rows[0], *rows[1]})
    for tag in names:
        if not tags.is_valid(tag):
            raise ValueError(f"expected O or a prefix, a hyphen and a label, found the tag '{tag}'")
    table = _TagTable(names)
    ids = [table.encode(row) for row in rows]
    entities = [table.entities(side) for side in ids]
    if scheme == "auto":
        scheme = "bio"
        if not table.valid_in_bio(ids[0], entities[0]).all():
            detector = tags.SchemeDetector()
            detector.add(rows[0])
            scheme = detector.scheme
    counts = Counter({"sentences": len(gold)})
    for mode in ("", "strict "):
        if mode:
            entities = [table.well_formed(*side, scheme) for side in zip(ids, entities, strict=True)]
        correct = np.where(entities[0] == entities[1], entities[0], 0)
        for kind, entity_array in zip(KINDS, (*entities, correct), strict=True):
            counts.update({f"{mode}{kind} {label}": number for label, number in table.by_label(entity_array).items()})
    return counts


class _TagTable:
    """Entities of long tag sequences as arrays, for :func:`count_tags`.

    Whether a tag continues the entity of the one before is decided by :func:`ner.data.tags.entities`, once for each
    pair of tags that occurs. Entities are an array ``(W,)`` that contains, at the first word of each entity, a number
    for its length and label, and 0 elsewhere.

    Args:
        names: All tags of the sequences, with ``O``.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.ids = {name: position for position, name in enumerate(names)}
        self.labels = sorted({tags.split(name)[1] for name in names})
        self.label = np.array([self.labels.index(tags.split(name)[1]) for name in names])
        self.bio = np.array([name[0] in "BIO" for name in names])
        self.begins = np.array([name[0] == "B" for name in names])

    def encode(self, row: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the ids ``(W,)`` of tags."""
        return np.fromiter(map(self.ids.__getitem__, row), np.int64, len(row))

    def entities(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the entities of tags of which the last one is ``O``."""
        pairs = ids[:-1] * len(self.names) + ids[1:]
        continues = np.zeros(len(self.names) ** 2, bool)
        continues[pairs] = True
        for pair in np.flatnonzero(continues).tolist():
            tag_pair = [self.names[position] for position in divmod(pair, len(self.names))]
            continues[pair] = tags.OUTSIDE not in tag_pair and len(tags.entities(tag_pair)) == 1
        joined = np.concatenate(([False], continues[pairs], [False]))
        inside = ids != self.ids[tags.OUTSIDE]
        first = np.flatnonzero(inside & ~joined[:-1])
        last = np.flatnonzero(inside & ~joined[1:])
        entities = np.zeros(len(ids), np.int64)
        entities[first] = (last - first + 1) * len(self.labels) + self.label[ids[first]]
        return entities

    def valid_in_bio(self, ids: npt.NDArray[np.int64], entities: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return a mask ``(W,)`` of the tags that are valid in BIO, in which entities begin with ``B``."""
        return self.bio[ids] & (self.begins[ids] | (entities == 0))

    def well_formed(
        self, ids: npt.NDArray[np.int64], entities: npt.NDArray[np.int64], scheme: str
    ) -> npt.NDArray[np.int64]:
        """Return the entities without those that :func:`ner.data.tags.well_formed` leaves out."""
        if scheme == "bio":  # the same in arrays
            return np.where(self.begins[ids], entities, 0)
        first = np.flatnonzero(entities)
        lengths, labels = np.divmod(entities[first], len(self.labels))
        row = [self.names[position] for position in ids.tolist()]
        names = [self.labels[position] for position in labels.tolist()]
        entity_tuples = list(zip(first.tolist(), (first + lengths).tolist(), names, strict=True))
        valid_starts = [start for start, _, _ in tags.well_formed(row, entity_tuples, scheme)]
        valid_entities = np.zeros_like(entities)
        valid_entities[valid_starts] = entities[valid_starts]
        return valid_entities

    def by_label(self, entities: npt.NDArray[np.int64]) -> dict[str, int]:
        """Return the number of entities of each label that occurs."""
        counts = np.bincount(entities[entities > 0] % len(self.labels), minlength=len(self.labels)).tolist()
        return {label: count for label, count in zip(self.labels, counts, strict=True) if count}


def _strict(example: Example) -> list[Span]:
    """Return the spans in the reading mode ``strict``."""
    if example.raw_tags is None and (
        not example.tags or all(example.tags[span.start].startswith("B-") for span in example.spans)
    ):
        return example.spans  # faster than the next line
    return tags.read_as(example, "strict")


def scores(counts: Counter[str]) -> dict[str, Any]:
    """Return ``micro``, ``macro``, ``by_type`` (with the counts) and ``strict`` (micro)."""
    types = by_label(counts)
    strict = Counter({key.removeprefix("strict "): n for key, n in counts.items() if key.startswith("strict ")})
    return {"micro": micro(types), "macro": mean(types), "by_type": types, "strict": micro(by_label(strict))}


def lines(scores: Mapping[str, Any]) -> list[str]:
    """Return one line with the micro scores."""
    figures = ", ".join(f"{name}: {scores['micro'][name]:.4f}" for name in ("precision", "recall", "f1"))
    return [f"entity micro {figures}"]
