"""Spans of characters in files: the unit of their positions, and their alignment with words.

Python counts characters (code points), JavaScript and Java count UTF-16 code units, and some tools count bytes. The
positions of one text differ as soon as it contains an emoji, so the unit is detected or named, never assumed.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from ner.config.base import OffsetUnit, SpanFix, SpanFormatConfig
from ner.data.notices import Notice
from ner.data.question_answering import char_span
from ner.data.tags import encode, flatten
from ner.errors import InputError, MisalignedSpanError
from ner.types import Example, Span

CONTEXT = 20
"""Characters before and after a span in messages."""


class CharSpan(NamedTuple):
    """Span of characters in a file.

    Attributes:
        start, end: First character, and the position after the last one.
        label: Entity type.
        surface: Text of the span as recorded in the file, if it is.
        location: Place of the annotation, if it has one of its own.
    """

    start: int
    end: int
    label: str
    surface: str | None = None
    location: str | None = None


def in_characters(text: str, spans: Sequence[CharSpan], unit: OffsetUnit, location: str) -> list[CharSpan]:
    """Return spans with positions in characters.

    With ``auto``, the recorded words decide; without them, characters and UTF-16 code units are possible.

    Args:
        text: The annotated text.
        spans: Spans with positions in ``unit``.
        unit: Value of ``data.format.offsets``.
        location: Place of the text, for messages.

    Raises:
        InputError: If a position is outside the text or inside a character, if the recorded words are elsewhere, or if
            several units fit and differ.
    """
    if not spans:
        return []
    units: list[OffsetUnit] = [unit]
    if unit == "auto":
        has_surfaces = any(span.surface is not None for span in spans)
        units = ["characters"] if text.isascii() else ["characters", "utf16", *(["bytes"] if has_surfaces else [])]  # type: ignore[list-item]
    spans_by_unit: dict[OffsetUnit, list[CharSpan]] = {}
    first_error = ""
    for name in units:
        try:
            spans_by_unit[name] = [_converted(text, span, name, location) for span in spans]
        except ValueError as error:
            first_error = first_error or str(error)
    if not spans_by_unit:
        hint = "; if the positions have another unit, set data.format.offsets" if not text.isascii() else ""
        raise InputError(f"{first_error}{hint}")
    (first_unit, first_spans), *alternatives = spans_by_unit.items()
    for name, other_spans in alternatives:
        for span, first_span, other_span in zip(spans, first_spans, other_spans, strict=True):
            if first_span != other_span:
                first_text, other_text = (f"'{text[s.start : s.end][:40]}'" for s in (first_span, other_span))
                raise InputError(
                    f"{span.location or location}: span {span.start} to {span.end} is {first_text} counted in "
                    f"{first_unit} and {other_text} counted in {name}; set data.format.offsets to {first_unit} or "
                    f"{name}"
                )
    return first_spans


def in_unit(text: str, spans: Iterable[tuple[int, int]], unit: OffsetUnit) -> list[tuple[int, int]]:
    """Return positions in a unit from positions in characters, the inverse of :func:`in_characters`."""
    starts = _starts(text, unit)
    return [(start, end) if starts is None else (starts[start], starts[end]) for start, end in spans]


def _starts(text: str, unit: OffsetUnit) -> list[int] | None:
    """Return the position in a unit of each character and of the end; None if every character counts once."""
    if unit == "bytes" and not text.isascii():
        return list(accumulate((len(character.encode(errors="surrogatepass")) for character in text), initial=0))
    if unit == "utf16" and max(text, default="") > "\uffff":
        return list(accumulate((1 + (character > "\uffff") for character in text), initial=0))
    return None


def _converted(text: str, span: CharSpan, unit: OffsetUnit, location: str) -> CharSpan:
    """Return a span in characters; raise a ValueError with the reason if its positions are not in this unit."""
    starts = _starts(text, unit)
    text_length = len(text) if starts is None else starts[-1]
    start, end, _, surface, span_location = span
    place = span_location or location
    if not 0 <= start < end <= text_length:
        raise ValueError(f"{place}: expected a span within 0 and {text_length}, found {start} to {end}")
    if starts is not None:
        start, end = bisect.bisect_left(starts, start), bisect.bisect_left(starts, end)
        if (starts[start], starts[end]) != span[:2]:
            raise ValueError(
                f"{place}: span {span.start} to {span.end} begins or ends inside a character, counted in {unit}"
            )
    if surface is not None and _spaced(text[start:end]) != _spaced(surface):
        raise ValueError(
            f"{place}: expected '{surface[:40]}' at {span.start} to {span.end}, found '{text[start:end][:40]}'"
        )
    return span._replace(start=start, end=end)


def _spaced(text: str) -> str:
    """Return a text in which white space and written escapes of line ends are spaces, as tools record them."""
    return re.sub(r"\s|\\[nrt]", " ", text.replace("\r\n", "\n").replace("\\r\\n", "\n"))


def set_spans(example: Example, spans: Iterable[CharSpan], config: SpanFormatConfig, location: str) -> None:
    """Annotate an example with spans of characters of its text, aligned with its words, and with their tags.

    Raises:
        InputError: If a span does not fit the words, or two spans overlap, and the configuration has ``error``.
    """
    aligned = [align(example, *span[:3], config.on_misaligned, span.location or location) for span in spans]
    annotate(example, [span for span in aligned if span is not None], config, location)


def annotate(example: Example, spans: Iterable[Span], config: SpanFormatConfig, location: str) -> None:
    """Annotate an example with spans of words and with their tags.

    Raises:
        InputError: If two spans overlap and ``config.on_overlap`` is ``error``.
    """
    example.spans = sorted(spans)
    if config.on_overlap != "keep":
        non_overlapping = flatten(example.spans)
        if len(non_overlapping) < len(example.spans):
            if config.on_overlap == "error":
                overlap = next(pair for pair in pairwise(example.spans) if pair[0].end > pair[1].start)
                left, right = (f"{span.label} '{example.text_of(span)[:40]}'" for span in overlap)
                raise InputError(
                    f"{location}: {left} and {right} overlap; a tag per word cannot express both: choose "
                    "data.format.on_overlap=longest or keep"
                )
            for span in (span for span in example.spans if span not in non_overlapping):
                example.warnings.append(Notice.SPAN_OVERLAPS)
                example.repairs.append(f"{location}: {span.label} '{example.text_of(span)}' dropped, overlaps a longer")
            example.spans = non_overlapping
    example.tags = encode(example.spans, len(example.words))


def align(example: Example, start: int, end: int, label: str, fix: SpanFix, location: str) -> Span | None:
    """Return a span of words from a span of characters, or None if it is dropped; a change is noted in the example.

    Raises:
        InputError: If the span is outside the text.
        MisalignedSpanError: If it begins or ends inside a word and ``fix`` is ``error``.
    """
    assert example.text is not None, "spans of characters need a text"
    assert example.offsets is not None, "examples with a text have offsets"
    text, offsets = example.text, example.offsets
    if not 0 <= start < end <= len(text):
        raise InputError(f"{location}: expected a span within 0 and {len(text)}, found {start} to {end}")
    outer = char_span(example, start, end, label)
    if outer is not None and (offsets[outer.start][0], offsets[outer.end - 1][1]) == (start, end):
        return outer
    aligned_span, notice, change = None, Notice.SPAN_DROPPED, "dropped"
    if outer is not None and fix == "expand":
        aligned_span, notice, change = outer, Notice.SPAN_EXPANDED, "expanded"
    elif outer is not None and fix == "shrink":
        first = outer.start + (offsets[outer.start][0] < start)
        last = outer.end - (offsets[outer.end - 1][1] > end)
        if first < last:
            aligned_span, notice, change = Span(first, last, label), Notice.SPAN_SHRUNK, "shrunk"
    elif fix != "drop":
        raise MisalignedSpanError(
            f"{location}: span {start} to {end} ('{text[start:end][:40]}') begins or ends inside a word"
        )
    left_context, right_context = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
    result = f" to '{example.text_of(aligned_span)}'" if aligned_span else ""
    example.warnings.append(notice)
    example.repairs.append(f"{location}: {label} '{left_context}[{text[start:end]}]{right_context}' {change}{result}")
    return aligned_span
