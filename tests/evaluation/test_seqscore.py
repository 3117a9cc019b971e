"""Entities of the reading modes against SeqScore (Palen-Michel, Holley and Lignos, 2021)."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from ner.data import tags
from ner.types import Span

encoding = pytest.importorskip("seqscore.encoding")
validation = pytest.importorskip("seqscore.validation")

PREFIXES = {"bio": "BI", "iob1": "BI", "bioes": "BIES", "bmes": "BMES", "bilou": "BILU"}
NAMES = {"iob1": "IOB"}
ROWS = 2000


def rows(scheme: str) -> list[list[str]]:
    """Return random tags; most of the rows are invalid."""
    generator = random.Random(scheme)
    names = ["O", *(f"{prefix}-{label}" for prefix in PREFIXES[scheme] for label in ("PER", "LOC"))]
    return [generator.choices(names, k=generator.randrange(1, 9)) for _ in range(ROWS)]


def theirs(row: list[str], scheme: str, repair: str | None) -> list[tuple[int, int, str]]:
    encoder = encoding.get_encoding(NAMES.get(scheme, scheme.upper()))
    result = validation.validate_labels(row, encoder, repair=repair)
    assert repair or result.is_valid()
    found = encoder.decode_labels(row if result.is_valid() else result.repaired_labels)
    return [(mention.span.start, mention.span.end, mention.type) for mention in found]


@pytest.mark.parametrize(("scheme", "mode"), [("bio", "conlleval"), ("bio", "discard"), ("iob1", "conlleval")])
def test_invalid_tags_are_read_as_seqscore_repairs_them(scheme: str, mode: str) -> None:
    invalid = 0
    for row in rows(scheme):
        invalid += bool(tags.invalid_transitions(row, scheme))
        read = tags.entities(tags.discard(row, scheme) if mode == "discard" else row)
        assert sorted(read) == sorted(theirs(row, scheme, mode)), row
    assert invalid > ROWS / 10


@pytest.mark.parametrize("scheme", ["bio", "bioes", "bmes", "bilou"])
def test_valid_tags_have_the_same_entities_in_every_scheme(scheme: str) -> None:
    generator = random.Random(scheme)
    for _ in range(ROWS):
        size = generator.randrange(1, 10)
        cuts = sorted(generator.sample(range(size + 1), min(size + 1, generator.randrange(2, 6))))
        spans = [Span(a, b, generator.choice(("PER", "LOC"))) for a, b in pairwise(cuts)]
        spans = [span for span in spans if generator.random() < 0.6]
        row = tags.encode(spans, size, scheme)
        assert not tags.invalid_transitions(row, scheme)
        read = tags.entities(row)
        assert sorted(read) == sorted(theirs(row, scheme, None)) == sorted((s.start, s.end, s.label) for s in spans)
        assert tags.well_formed(row, read, scheme) == read
        assert tags.discard(row, scheme) == row
