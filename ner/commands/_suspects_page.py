"""Page of suspects: one HTML file without scripts or references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from ner import highlight
from ner.evaluation.suspects import Suspect

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 80em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #8888; padding: .4em; text-align: start; vertical-align: top; }
"""
COLUMNS = ("rank", "probability", "kind", "gold", "answer", "place")


def page(title: str, suspects: Iterable[Suspect]) -> str:
    """Return the page: a row for each suspect, with its sentence as annotated and as predicted."""
    suspects = list(suspects)
    spans = (span for suspect in suspects for span in (suspect.place, *suspect.answer))
    hues = highlight.colors(span.label for span in spans)
    rows = "\n".join(_row(number, suspect, hues) for number, suspect in enumerate(suspects, 1))
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{highlight.STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n<table><tr>{head}</tr>\n{rows}\n</table></body></html>\n"
    )


def _row(number: int, suspect: Suspect, hues: Mapping[str, str]) -> str:
    example, gold = suspect.example, [suspect.gold] if suspect.gold else []
    texts = [highlight.to_html(*example.marked_text(spans), hues) for spans in (gold, suspect.answer)]
    sides = "".join(f'<td class="ner-text" dir="auto">{text}</td>' for text in texts)
    return (
        f"<tr><td>{number}</td><td>{suspect.probability:.4f}</td><td>{suspect.kind}</td>{sides}"
        f"<td><small>{escape(example.location)}</small></td></tr>"
    )
