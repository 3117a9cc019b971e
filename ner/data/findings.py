"""Findings about data and settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "info"]
SHOWN = 3
"""Places and pieces of evidence that a finding lists, at most."""


@dataclass(frozen=True)
class Finding:
    """A property of data or settings that affects a training.

    Attributes:
        name: Name of the check, such as ``leaked-sentences``.
        level: ``error`` if a training cannot work, ``warning`` if it probably suffers, ``info`` for a property.
        message: One sentence with counts.
        advice: One sentence with the way out; empty for a property.
        count: Number of cases.
        places: ``file:line`` of the first cases.
        evidence: Text of the first cases.
    """

    name: str
    level: Level
    message: str
    advice: str = ""
    count: int = 0
    places: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, the most severe first."""
    return sorted(findings, key=lambda finding: ["error", "warning", "info"].index(finding.level))
