"""Hooks of MkDocs: the reference of commands is generated from their ``--help``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MARKER = "<!-- commands -->"
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>\.\./[^)#]+)(?:#[^)]*)?\)")


def commands() -> str:
    """Return a section with the options of each command."""
    environment = {**os.environ, "COLUMNS": "84", "PYTHONPATH": str(ROOT)}
    sections = []
    for path in sorted((ROOT / "ner" / "commands").glob("[!_]*.py")):
        command = [sys.executable, "-m", "ner", path.stem, "--help"]
        text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        sections.append(f"## ner {path.stem}\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(sections)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace the marker of the page of commands, and links to files that are not part of the site by their text."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def without_outside_links(match: re.Match[str]) -> str:
        target = (folder / match["path"]).resolve()
        return match[0] if target.is_relative_to(ROOT / "docs") else match["text"]

    markdown = LINK.sub(without_outside_links, markdown)
    return markdown.replace(MARKER, commands()) if MARKER in markdown else markdown
