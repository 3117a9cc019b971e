from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB2, IOBES, Entities

from ner.data.tags import (
    SCHEMES,
    SchemeDetector,
    TagSet,
    decode,
    encode,
    entities,
    flatten,
    is_valid,
    split,
    tags_in_scheme,
    well_formed,
)
from ner.types import Example, Span

LABELS = ["PER", "LOC", "B-2"]
ALL = sorted(SCHEMES)


def convert(tags: list[str], scheme: str) -> list[str]:
    return encode(decode(tags), len(tags), scheme)


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans that do not overlap, often touching, and the number of words."""
    spans, position = [], 0
    for gap, width, label in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(LABELS)), max_size=6)
    ):
        spans.append(Span(position + gap, position + gap + width, label))
        position += gap + width
    return spans, position + draw(st.integers(0, 2))


def tag_sequences(prefixes: str) -> st.SearchStrategy[list[str]]:
    """Any tags, valid as a sequence or not."""
    tags = ["O", *(f"{prefix}-{label}" for prefix in prefixes for label in ("X", "Y"))]
    return st.lists(st.sampled_from(tags), max_size=9)


@pytest.mark.parametrize(
    ("tag", "prefix", "label", "valid"),
    [
        ("O", "O", "", True),
        ("B-PER", "B", "PER", True),
        ("I-ORG-Afor", "I", "ORG-Afor", True),
        ("B-", "B", "", False),
        ("B", "B", "", False),
        ("O-PER", "O", "PER", False),
        ("X-PER", "X", "PER", False),
        ("-LRB-", "", "LRB-", False),
        ("b-PER", "b", "PER", False),
        ("", "", "", False),
        ("NN", "NN", "", False),
    ],
)
def test_a_tag_is_a_prefix_a_hyphen_and_a_label(tag: str, prefix: str, label: str, valid: bool) -> None:
    assert split(tag) == (prefix, label)
    assert is_valid(tag) is valid


ENCODINGS = {  # one word, three words, two that touch with one label, two that touch with two
    "bio": "B-X O B-X I-X I-X O B-X I-X B-X B-Y",
    "iob1": "I-X O I-X I-X I-X O I-X I-X B-X I-Y",
    "io": "I-X O I-X I-X I-X O I-X I-X I-X I-Y",
    "bioes": "S-X O B-X I-X E-X O B-X E-X S-X S-Y",
    "bmes": "S-X O B-X M-X E-X O B-X E-X S-X S-Y",
    "bilou": "U-X O B-X I-X L-X O B-X L-X U-X U-Y",
}


@pytest.mark.parametrize("scheme", ALL)
def test_each_scheme_writes_its_own_prefixes(scheme: str) -> None:
    spans = [Span(0, 1, "X"), Span(2, 5, "X"), Span(6, 8, "X"), Span(8, 9, "X"), Span(9, 10, "Y")]
    assert encode(spans, 10, scheme) == ENCODINGS[scheme].split()


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("length", [0, 1, 3])
def test_no_spans_are_all_outside_in_every_scheme(scheme: str, length: int) -> None:
    assert encode([], length, scheme) == ["O"] * length
    assert decode(["O"] * length) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", sorted(set(ALL) - {"io"}))
@given(sentences())
def test_decode_is_the_inverse_of_encode(scheme: str, sentence: tuple[list[Span], int]) -> None:
    spans, length = sentence
    assert decode(encode(spans, length, scheme)) == spans


@pytest.mark.slow
@given(sentences())
def test_io_only_joins_what_touches_with_one_label(sentence: tuple[list[Span], int]) -> None:
    spans, length = sentence
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].end == span.start and joined[-1].label == span.label:
            span = Span(joined.pop().start, span.end, span.label)
        joined.append(span)
    assert decode(encode(spans, length, "io")) == joined


@pytest.mark.slow
@given(sentences(), st.lists(st.sampled_from(sorted(set(ALL) - {"io"})), min_size=1, max_size=4))
def test_conversions_in_a_row_lose_nothing(sentence: tuple[list[Span], int], schemes: list[str]) -> None:
    first = tags = encode(*sentence, "bio")
    for scheme in schemes:
        tags = convert(tags, scheme)
    assert tags == encode(*sentence, schemes[-1])
    assert convert(tags, "bio") == first


@pytest.mark.slow
@given(sentences(), st.sampled_from(ALL))
def test_every_entity_of_encoded_spans_is_well_formed(sentence: tuple[list[Span], int], scheme: str) -> None:
    tags = encode(*sentence, scheme)
    assert well_formed(tags, entities(tags), scheme) == entities(tags)


@pytest.mark.slow
@given(sentences(), st.sampled_from(ALL))
def test_written_columns_are_read_back_with_the_same_spans(sentence: tuple[list[Span], int], scheme: str) -> None:
    spans, length = sentence
    assert decode(tags_in_scheme(Example([""] * length, spans), scheme)) == flatten(spans)


@pytest.mark.parametrize(
    ("tags", "spans", "strict"),
    [
        ("", [], []),
        ("I-X", [(0, 1, "X")], []),
        ("O I-X I-X", [(1, 3, "X")], []),
        ("B-X I-Y", [(0, 1, "X"), (1, 2, "Y")], [(0, 1, "X")]),
        ("B-X I-Y I-X", [(0, 1, "X"), (1, 2, "Y"), (2, 3, "X")], [(0, 1, "X")]),
        ("B-PER.NAM I-PER.NOM", [(0, 1, "PER.NAM"), (1, 2, "PER.NOM")], [(0, 1, "PER.NAM")]),
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")], [(0, 1, "X"), (1, 2, "X")]),
        ("I-X B-X I-X", [(0, 1, "X"), (1, 3, "X")], [(1, 3, "X")]),
        ("B-X O I-X", [(0, 1, "X"), (2, 3, "X")], [(0, 1, "X")]),
    ],
)
def test_broken_bio_is_read_as_the_conll_script_reads_it(
    tags: str, spans: list[tuple[int, int, str]], strict: list[tuple[int, int, str]]
) -> None:
    assert decode(tags.split()) == [Span(*span) for span in spans]
    assert well_formed(tags.split(), entities(tags.split()), "bio") == strict


@pytest.mark.parametrize("prefixes", ["BI", "BIES"])
def test_decode_agrees_with_seqeval_on_any_tags(prefixes: str) -> None:
    @given(tag_sequences(prefixes))
    def check(tags: list[str]) -> None:
        assert decode(tags) == [Span(start, end + 1, label) for label, start, end in get_entities(tags)]

    check()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "theirs"), [("bio", IOB2), ("bioes", IOBES), ("bilou", BILOU)])
def test_well_formed_entities_are_those_of_strict_seqeval_on_any_tags(scheme: str, theirs: Any) -> None:
    @given(tag_sequences("".join(sorted(SCHEMES[scheme].prefixes))))
    def check(tags: list[str]) -> None:
        found = [(entity.start, entity.end, entity.tag) for entity in Entities([tags], theirs).entities[0]]
        assert well_formed(tags, entities(tags), scheme) == found

    check()


@pytest.mark.parametrize(("ours", "theirs"), [("M", "I"), ("L", "E"), ("U", "S")])
@given(tags=tag_sequences("BIES"))
def test_renamed_prefixes_mean_the_same(ours: str, theirs: str, tags: list[str]) -> None:
    assert decode([tag.replace(f"{theirs}-", f"{ours}-") for tag in tags]) == decode(tags)


@pytest.mark.parametrize(
    ("spans", "kept"),
    [
        ([], []),
        ([(0, 2), (2, 3)], [(0, 2), (2, 3)]),
        ([(2, 3), (0, 2)], [(0, 2), (2, 3)]),
        ([(0, 5), (1, 2)], [(0, 5)]),
        ([(1, 2), (0, 5), (6, 7)], [(0, 5), (6, 7)]),
        ([(0, 2), (1, 3)], [(0, 2)]),
        ([(0, 2), (1, 4), (3, 5)], [(1, 4)]),
        ([(0, 1), (0, 1)], [(0, 1)]),
    ],
)
def test_of_overlapping_spans_the_longest_then_the_first_stays(
    spans: list[tuple[int, int]], kept: list[tuple[int, int]]
) -> None:
    assert flatten(Span(*span, "X") for span in spans) == [Span(*span, "X") for span in kept]


@pytest.mark.slow
@given(st.lists(st.builds(lambda start, width: Span(start, start + width, "X"), st.integers(0, 9), st.integers(1, 4))))
def test_flat_spans_never_overlap_and_each_dropped_one_touches_a_kept_one(spans: list[Span]) -> None:
    kept = flatten(spans)
    assert all(left.end <= right.start for left, right in itertools.pairwise(kept))
    assert set(kept) <= set(spans)
    for span in spans:
        assert any(span.start < other.end and other.start < span.end for other in kept)
    assert flatten(kept) == kept


def test_overlapping_spans_are_reduced_before_they_are_encoded() -> None:
    assert encode([Span(1, 2, "Y"), Span(0, 3, "X")], 4) == ["B-X", "I-X", "I-X", "O"]


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ([], "bio"),
        ([[]], "bio"),
        (["O O"], "bio"),
        (["B-X I-X O"], "bio"),
        (["B-X"], "bio"),
        (["B-X B-X I-X", "O B-Y"], "bio"),
        (["I-X O I-Y I-Y"], "io"),
        (["I-X O I-X B-X O I-Y"], "iob1"),
        (["I-X O B-X I-X", "I-X O I-Y"], "iob1"),  # one B- after O, as Atlanta in eng.train
        (["B-X I-X E-X S-Y O"], "bioes"),
        (["S-X O"], "bioes"),
        (["B-X E-X"], "bioes"),
        (["B-X M-X E-X S-Y"], "bmes"),
        (["B-X I-X L-X U-Y"], "bilou"),
        (["U-X"], "bilou"),
        (["NN VB DT"], "none"),
        (["-LRB- NN", "NN"], "none"),
        (["NN O"], "mixed"),
        (["B-X NN"], "mixed"),
        (["B-"], "none"),
        (["O B-"], "mixed"),
        (["B-X O B-X I-X", "B-PER.NAM I-PER.NOM O", "B-Y B-X"], "bio"),  # a few breaks, as in Weibo
    ],
)
def test_the_scheme_of_a_file_is_found(sentences: list[str], scheme: str) -> None:
    detector = SchemeDetector()
    for sentence in sentences:
        detector.add(sentence.split() if isinstance(sentence, str) else sentence)
    assert detector.scheme == scheme


@pytest.mark.slow
@given(st.sampled_from(ALL), sentences(), st.lists(sentences(), max_size=4))
def test_a_found_scheme_reads_back_what_was_written(
    scheme: str, sentence: tuple[list[Span], int], more: list[tuple[list[Span], int]]
) -> None:
    written = [encode(*each, scheme) for each in (sentence, *more)]
    detector = SchemeDetector()
    for tags in written:
        detector.add(tags)
    used = {split(tag)[0] for tags in written for tag in tags} - {"O"}
    assert used <= SCHEMES[detector.scheme].prefixes | {"B"}


def test_a_tag_set_has_outside_first_and_a_fixed_order() -> None:
    tags = TagSet({"Y", "X"}, "bioes")
    assert tags.names == ["O", "B-X", "E-X", "I-X", "S-X", "B-Y", "E-Y", "I-Y", "S-Y"]
    assert [tags.ids[name] for name in tags.names] == list(range(len(tags)))
    assert TagSet(["VB", "NN"], "none").names == ["NN", "VB"]
    assert TagSet([], "bio").names == ["O"]


def brute_force(scheme: str, length: int) -> set[tuple[str, ...]]:
    """Every sequence of tags that some set of spans is written as."""
    found = set()
    choices = [None, "X", "Y"]
    for cuts in itertools.product([False, True], repeat=length - 1):
        bounds = [0, *(position + 1 for position, is_cut in enumerate(cuts) if is_cut), length]
        pieces = list(itertools.pairwise(bounds))
        for labels in itertools.product(choices, repeat=len(pieces)):
            spans = [Span(*piece, label) for piece, label in zip(pieces, labels, strict=True) if label]
            found.add(tuple(encode(spans, length, scheme)))
    return found


@pytest.mark.parametrize("scheme", ["bio", "io", "bioes", "bmes", "bilou"])
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_allowed_tags_are_those_of_some_set_of_spans(scheme: str, length: int) -> None:
    tags = TagSet(["X", "Y"], scheme)
    first, follow, last = tags.allowed()
    allowed = {
        tuple(tags.names[position] for position in ids)
        for ids in itertools.product(range(len(tags)), repeat=length)
        if first[ids[0]] and last[ids[-1]] and all(follow[left][right] for left, right in itertools.pairwise(ids))
    }
    assert allowed == brute_force(scheme, length)


@pytest.mark.parametrize("scheme", ["none", "io"])
def test_everything_may_follow_everything_where_tags_have_no_beginning(scheme: str) -> None:
    first, follow, last = TagSet(["X", "Y"], scheme).allowed()
    assert all(first)
    assert all(last)
    assert all(all(row) for row in follow)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["bio", "bioes", "bmes", "bilou"])
@given(sentence=sentences())
def test_targets_read_back_are_the_spans_and_bio_tags(scheme: str, sentence: tuple[list[Span], int]) -> None:
    spans, length = sentence
    tags = TagSet(LABELS, scheme)
    bio = encode(spans, length)
    ids = tags.targets(Example(["w"] * length, spans=spans, tags=bio), unknown=-1)
    assert tags.decode_ids(ids)[:2] == (bio, spans)


def test_unknown_labels_and_untagged_examples_have_unknown_targets() -> None:
    example = Example(["a", "b"], spans=[Span(0, 1, "Z"), Span(1, 2, "X")], tags=["B-Z", "B-X"])
    assert TagSet(["X"], "bio").targets(example, unknown=-100) == [-100, 1]
    assert TagSet(["X"], "bio").targets(Example(["a", "b"]), unknown=-100) == [-100, -100]
    plain = Example(["a", "b"], tags=["NN", "XX"])
    assert TagSet(["NN", "VB"], "none").targets(plain, unknown=-100) == [0, -100]


def test_decoded_bio_tags_are_not_repaired_and_others_become_bio() -> None:
    bio = TagSet(["X"], "bio")
    assert bio.decode_ids([bio.ids["I-X"], 0])[:2] == (["I-X", "O"], [Span(0, 1, "X")])
    bioes = TagSet(["X"], "bioes")
    assert bioes.decode_ids([bioes.ids["E-X"], 0]) == (["B-X", "O"], [Span(0, 1, "X")], (["E-X", "O"], "bioes"))
    assert bioes.decode_ids([bioes.ids["S-X"], 0]) == (["B-X", "O"], [Span(0, 1, "X")], None)
    plain = TagSet(["NN", "VB"], "none")
    assert plain.decode_ids([1, 0])[:2] == (["VB", "NN"], [])


@pytest.mark.parametrize("scheme", ["none", "bio", "io", "bioes", "bmes", "bilou"])
@pytest.mark.parametrize("labels", [[], ["X"], ["X", "a-b", "Y"]])
def test_masks_follow_the_rule_of_single_tags(scheme: str, labels: list[str]) -> None:
    tags = TagSet(labels, scheme)
    first, follow, last = tags.allowed()
    size = range(len(tags))
    assert (first.shape, follow.shape, last.shape) == ((len(tags),), (len(tags), len(tags)), (len(tags),))
    for left, right in itertools.product(size, size):
        ends = (first[left], follow[left, right], last[right])
        assert all(ends) == tags.is_possible([left, right])
