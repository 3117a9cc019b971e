"""Pages of the service: the demonstration and the description of the interface. They load no other resource."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from ner import highlight
from ner.runtime import templates
from ner.runtime.json_files import read_bytes
from ner.service import openapi
from ner.service.model import ServedModel

CARD = "README.md"
MAX_CARD = 1 << 20
"""Bytes of a model card, at most."""
EXAMPLE = (
    "Ada Lovelace was born in London in 1815. Charles Babbage, a professor at the University of Cambridge, showed her "
    "the Difference Engine."
)
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Page(NamedTuple):
    """A page and its content security policy."""

    html: str
    policy: str


def demonstration(model: ServedModel) -> Page:
    """Return the page on which a model can be tried."""
    version = model.version()
    hues = highlight.colors(version["labels"])
    html = _template("page.html.jinja").render(
        name=model.directory.resolve().name,
        version=version,
        data={"hues": hues, "n_best": version["n_best"], "plain": version["plain"]},
        hues=hues,
        card=_card(model.directory),
        example=EXAMPLE,
        span_style=highlight.STYLE,
    )
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None, "the template contains a script"
    return Page(html, f"{POLICY}; connect-src 'self'; script-src '{templates.csp_hash(script[1])}'")


def interface() -> Page:
    """Return the description of the HTTP interface."""
    html = _template("api.html.jinja").render(document=openapi.document(), type_name=_type_name, with_code=_with_code)
    return Page(html, POLICY)


def _template(name: str) -> Any:
    return templates.environment(Path(__file__).parent).get_template(name)


def _card(directory: Path) -> Markup | None:
    """Return the model card as HTML without images and raw HTML, or None."""
    if not (directory / CARD).is_file():
        return None
    text = read_bytes(directory / CARD, MAX_CARD).decode(errors="replace")
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(markdown.render(text))


def _with_code(text: str) -> Markup:
    """Return a text with the words in backquotes as code."""
    return Markup(re.sub(r"`(.*?)`", r"<code>\1</code>", str(escape(text))))


def _type_name(schema: dict[str, Any]) -> str:
    """Return the type of a property as text, such as ``list of text``."""
    if "anyOf" in schema:
        return " or ".join(_type_name(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    names = {"string": "text", "boolean": "true or false", "integer": "whole number", "object": "mapping"}
    if schema.get("type") == "array":
        return f"list of {_type_name(schema['items'])}"
    return names.get(schema["type"], schema["type"])
