"""Annotated text as HTML: spans in colour with their labels, for notebooks and pages.

``highlight.js`` builds the same elements in the browser; a test compares both.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""Colours that colour-blind readers distinguish (Okabe and Ito, 2008), without black."""

STYLE = """
.ner-text { line-height: 2; margin: .3em 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.ner-span {
  background: color-mix(in srgb, var(--hue) 28%, transparent); border-bottom: 2px solid var(--hue);
  border-radius: 3px; color: inherit; padding: .1em .2em;
}
.ner-span > small { font-size: .7em; font-weight: 600; margin: 0 .3em; unicode-bidi: isolate; white-space: nowrap; }
.ner-note { font-size: .85em; }
"""
"""Style sheet of :func:`to_html`. The tints suit light and dark backgrounds."""


class Mark(NamedTuple):
    """Characters to highlight: ``start`` inclusive, ``end`` exclusive."""

    start: int
    end: int
    label: str
    score: float | None = None


def colors(labels: Iterable[str]) -> dict[str, str]:
    """Return a colour for each label. It depends on the label, and differs between labels while colours last."""
    color_by_label: dict[str, str] = {}
    free_colors: list[str] = []
    for label in sorted({*labels}):
        free_colors = free_colors or list(PALETTE)
        preferred = PALETTE[zlib.crc32(label.encode(errors="replace")) % len(PALETTE)]
        color_by_label[label] = free_colors.pop(free_colors.index(preferred) if preferred in free_colors else 0)
    return color_by_label


def to_html(text: str, marks: Iterable[Mark], hues: Mapping[str, str]) -> str:
    """Return a text with highlighted characters, without the paragraph around it.

    Nested marks become nested elements. Marks that cross are cut where another one starts or ends.

    Args:
        text: Plain text.
        marks: In any order.
        hues: Colour of each label, see :func:`colors`.
    """
    pending = sorted(marks, key=lambda mark: (mark.start, -mark.end))[::-1]
    borders = sorted({0, len(text), *(mark.start for mark in pending), *(mark.end for mark in pending)})
    parts: list[str] = []
    active: list[Mark] = []
    for start, end in pairwise(borders):
        active = [mark for mark in active if mark.end > start]
        while pending and pending[-1].start == start:
            active.append(pending.pop())
        part = escape(text[start:end], quote=False)
        for mark in reversed(active):
            name = mark.label if mark.score is None else f"{mark.label} {mark.score:.3f}"
            label = f'<small dir="ltr">{escape(name, quote=False)}</small>' if mark.end == end else ""
            part = f'<mark class="ner-span" style="--hue: {hues[mark.label]};">{part}{label}</mark>'
        parts.append(part)
    return "".join(parts)


def paragraphs(sentences: Sequence[tuple[str, Sequence[Mark], str]], limit: int = 200) -> str:
    """Return sentences as HTML with their style sheet.

    Args:
        sentences: Text, marks, and a note below the text, which may be empty.
        limit: Number of sentences that are shown; the number of others is reported.
    """
    shown_sentences = sentences[:limit]
    hues = colors(mark.label for _, marks, _ in shown_sentences for mark in marks)
    lines = [f"<style>{STYLE}</style>"]
    for text, marks, note in shown_sentences:
        lines.append(f'<p class="ner-text" dir="auto">{to_html(text, marks, hues)}</p>')
        if note:
            lines.append(f'<p class="ner-note" dir="auto">{escape(note)}</p>')
    if len(sentences) > limit:
        lines.append(f'<p class="ner-note">and {len(sentences) - limit:,} more</p>')
    return "\n".join(lines)
