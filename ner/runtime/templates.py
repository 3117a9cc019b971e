"""Templates of HTML pages that are complete in themselves, and hashes for their content security policies."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2

SHARED = Path(__file__).parents[1]
"""Folder of ``page.css`` and ``highlight.js``, which templates include."""


def environment(folder: Path) -> jinja2.Environment:
    """Return an environment for the templates of a folder.

    Values are escaped, undefined names are errors, and ``csp_hash`` is a filter.
    """
    jinja_environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja_environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    jinja_environment.filters["csp_hash"] = csp_hash
    return jinja_environment


def csp_hash(script: str) -> str:
    """Return the hash by which a content security policy permits a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()
