"""Check for phrases that the section "Language" of CONTRIBUTING.md excludes: ``python tools/check_language.py``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BANNED = {
    r"by heart": "memorize",
    r"no business of": "is independent of",
    r"(?:is|are|was|were|be) (?:said|told)(?! to)": "is reported",
    r"(?:is|are|was|were) (?:asked|looked) for": "is requested, is searched",
    r"knows? nothing of": "is independent of",
    r"nobody": "no user, no process",
    r"have a place for|has a place for": "can store",
    r"all the same": "nevertheless",
    r"(?:has|have) the last word": "takes precedence",
    r"keeps? (?:\w+ )?company": "keeps in step",
    r"goes on|go on": "continues",
    r"sign of life": "heartbeat",
    r"costs? next to nothing": "is cheap",
    r"hurts? most": "maximizes the loss",
    r"stands? (?:beside|there|in the)": "is, appears",
    r"lies? (?:beside|there|in the)": "is, is located",
    r"as if nothing": "unchanged",
    r"this house|the same house": "this project",
}
"""Pattern of a phrase (any case) -> replacement."""

EXCLUDED = {"docs/results.md", "docs/model-card.md", "docs/configuration.md"}
"""Generated pages; their sources are checked."""


def findings() -> list[str]:
    """Return a line per banned phrase in ``ner/``, ``docs/``, ``configs/`` and the pages of the root."""
    pattern = re.compile("|".join(rf"\b({phrase})\b" for phrase in BANNED), re.IGNORECASE)
    replacements = list(BANNED.values())
    paths = [*sorted((ROOT / "ner").rglob("*.py")), *sorted((ROOT / "docs").rglob("*.md"))]
    paths += sorted((ROOT / "configs").rglob("*.yaml"))
    paths += [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "data/README.md")]
    lines = []
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if name in EXCLUDED:
            continue
        text = path.read_text(encoding="utf-8")
        for match in pattern.finditer(text.replace("\n", " ")):
            line = text.count("\n", 0, match.start()) + 1
            replacement = replacements[(match.lastindex or 1) - 1]
            lines.append(f"{name}:{line}: '{match.group()}', better: {replacement}")
    return lines


def main() -> int:
    """Print the findings; return 1 if there are any."""
    found = findings()
    print("\n".join(found) if found else "no banned words")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
