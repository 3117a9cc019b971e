"""``configs/measured.json``: the scores that ``ner recipes`` shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pages.recorded import KNOWN_BY, ROOT, at, minutes_of, title_of

from ner.config.load import read_raw

SHOWN = {
    "answer": ("answer F1", "answer.f1"),
    "sentence": ("intent and slots", "sentence.accuracy"),
    "accuracy": ("accuracy", "accuracy.accuracy"),
    "entity": ("entity F1", "entity.micro.f1"),
}
"""Metric -> name and path of the score that represents a recipe."""


def measured(results: dict[str, dict[str, Any]]) -> str:
    """Return the mean score and minutes of each recipe that was measured with its own settings, as JSON."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for result in results.values():
        config, *changed = title_of(result).split()
        if all(change.startswith("training.precision=") for change in changed):
            runs.setdefault(config.removeprefix("configs/").removesuffix(".yaml"), []).append(result)
    gates = json.loads((ROOT / "results" / "gate" / "sample.json").read_bytes())["gates"]
    found: dict[str, dict[str, Any]] = {}
    for config, gate in gates.items():
        name = config.removeprefix("configs/").removesuffix(".yaml")
        found[name] = {"score": _shown("test entity F1", gate["test_f1"])}
    for name, own in runs.items():
        split = next((split for split in ("test", "valid") if split in own[0]), None)
        if split is None:
            continue
        kind = next(kind for kind in KNOWN_BY if kind in own[0][split])
        label, path = SHOWN[kind]
        scores = []
        for result in own:
            value = at(result[split], path)
            assert value is not None, f"{name} has no {path}"
            scores.append(value)
        minutes = sum(map(minutes_of, own)) / len(own)
        found[name] = {"score": _shown(f"{_split_name(name, split)} {label}", scores), "minutes": round(minutes, 1)}
    return json.dumps(dict(sorted(found.items())), indent=1) + "\n"


def _split_name(name: str, split: str) -> str:
    """Return the name of a split; that of CLUENER and CMRC2018 is ``dev``, because their test files are not public."""
    file = Path(read_raw(name)["data"].get(split) or split)
    return "dev" if re.search(r"(^|_)dev$", file.stem) else split


def _shown(label: str, scores: list[float]) -> str:
    seeds = f", {len(scores)} seeds" if len(scores) > 1 else ""
    return f"{label} {100 * sum(scores) / len(scores):.1f}{seeds}"
