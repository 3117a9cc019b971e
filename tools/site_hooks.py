"""Hooks of MkDocs: the reference of commands from their ``--help``, the changelog, and links that leave the site."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMANDS = "<!-- commands -->"
CHANGELOG = "<!-- changelog -->"
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>[^):#]+)(?:#[^)]*)?\)")


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
    """Insert generated parts, and replace links to files that are not part of the site by their text."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def without_outside_links(match: re.Match[str]) -> str:
        target = (folder / match["path"]).resolve()
        return match[0] if target.is_relative_to(ROOT / "docs") and target.exists() else match["text"]

    if CHANGELOG in markdown:
        text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
        markdown = markdown.replace(CHANGELOG, text)
    markdown = LINK.sub(without_outside_links, markdown)
    return markdown.replace(COMMANDS, commands()) if COMMANDS in markdown else markdown
