"""Page of suspects: one HTML file without scripts or references."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ner.evaluation.suspects import Suspect
from ner.types import Example, Span

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #ddd; padding: .4em; text-align: start; vertical-align: top; }
mark { background: #fde68a; border-radius: .2em; padding: 0 .15em; }
small { color: #555; }
"""


def page(title: str, found: Iterable[Suspect]) -> str:
    """Return the page."""
    rows = "\n".join(_row(number, suspect) for number, suspect in enumerate(found, 1))
    head = "".join(f"<th>{name}</th>" for name in ("", "probability", "kind", "sentence", "gold", "answer", "place"))
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n<table><tr>{head}</tr>\n{rows}\n</table></body></html>\n"
    )


def _row(number: int, suspect: Suspect) -> str:
    example, place = suspect.example, suspect.place
    before, inside, after = (
        escape(" ".join(example.words[start:end]))
        for start, end in ((0, place.start), (place.start, place.end), (place.end, None))
    )
    sentence = f'<td dir="auto">{before} <mark>{inside}</mark> {after}</td>'
    gold = _span(example, suspect.gold) if suspect.gold else "no entity"
    answer = "<br>".join(_span(example, span) for span in suspect.answer) or "no entity"
    return (
        f"<tr><td>{number}</td><td>{suspect.probability:.4f}</td><td>{suspect.kind}</td>{sentence}<td>{gold}</td>"
        f"<td>{answer}</td><td><small>{escape(example.location)}</small></td></tr>"
    )


def _span(example: Example, span: Span) -> str:
    score = "" if span.score is None else f" <small>{span.score:.2f}</small>"
    return f"<bdi>{escape(example.text_of(span))}</bdi> <b>{escape(span.label)}</b>{score}"
