"""``docs/performance.md`` from ``results/benchmarks/*.json``; ``--check`` fails if the page is out of date."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "benchmarks")]

from claims import CLAIMS, Setting  # noqa: E402  # after the path
from run import round_ratios  # noqa: E402  # as above

TARGET = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "results" / "benchmarks"
BACKENDS = {"plain": "torch backend", "compiled": "numba backend", "torch": "torch backend", "numba": "numba backend"}
TITLES = {
    "crf": "CRF",
    "finetuning": "Fine-tuning",
    "finetuning_alike": "Fine-tuning with equal models",
    "bilstm_training": "BiLSTM training",
    "bilstm_tagging": "BiLSTM tagging",
    "encoder_tagging": "Tagging with an encoder",
    "scoring": "Scoring",
    "reading": "Reading",
    "startup": "Start-up",
    "arithmetic": "Reduced precision",
    "compiling": "torch.compile",
}


def main() -> int:
    """Write the page, or compare it with ``--check``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a document is out of date")
    check = parser.parse_args().check
    text = page()
    if check:
        return 0 if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """Return the page."""
    parts = [(ROOT / "benchmarks" / "performance.md.in").read_text(encoding="utf-8").rstrip()]
    missed = []
    for name in CLAIMS:
        path = RESULTS / f"{name}.json"
        if path.is_file():
            kept = with_goals(name, json.loads(path.read_text(encoding="utf-8")))
            parts.append(section(name, kept))
            missed += missed_rows(kept)
    parts += extra_sections()
    intro = "Missed goals:\n\n" + "\n".join(missed) if missed else "No goal is missed."
    return parts[0].replace("MISSED", intro) + "\n\n" + "\n\n".join(parts[1:]) + "\n"


def with_goals(name: str, kept: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the present goals of its comparisons."""
    cases = {case.title: case for case in CLAIMS[name](Setting("", "", "", "", bf16=True))}
    for case in kept["cases"]:
        for pair in case["ratios"]:
            if case["title"] in cases:
                pair["goal"] = cases[case["title"]].goal(pair["ours"], pair["peer"])
    return kept


def section(name: str, kept: dict[str, Any]) -> str:
    """Return the section of one benchmark."""
    lines = [
        f"## {TITLES.get(name, name.replace('_', ' ').capitalize())}",
        "",
        f"`{kept['command']}`, {kept['processor']}, {kept['threads']} thread, {kept['repetitions']} alternating rounds",
        "",
        "| benchmark | ours | words/s | baseline | words/s | ratio | by round | goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in kept["cases"]:
        for pair in case["ratios"]:
            ours, peer = case["systems"][pair["ours"]], case["systems"][pair["peer"]]
            goal = "" if pair["goal"] is None else f"{pair['goal']:g}"
            ratio = f"{pair['ratio']:.2f}"
            if pair["goal"] is not None:
                ratio = f"**{ratio}**" if pair["ratio"] >= pair["goal"] else f"{pair['ratio']:.3f} (missed)"
            ratios = round_ratios(ours, peer)
            cells = [
                case["title"],
                named(pair["ours"], ours),
                rate(ours),
                named(pair["peer"], peer),
                rate(peer),
                ratio,
                f"{min(ratios):.1f} to {max(ratios):.1f}",
                goal,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    found: dict[str, dict[str, None]] = {}
    for case in kept["cases"]:
        for system in case["systems"].values():
            for package, version in system["versions"].items():
                found.setdefault(package, {})[version] = None
    versions = (f"{package} {' and '.join(sorted(used))}" for package, used in sorted(found.items()))
    lines += ["", f"Versions: {', '.join(versions)}"]
    return "\n".join(lines)


def named(name: str, system: dict[str, Any]) -> str:
    """Return the name of a system, with its test F1 if it was measured."""
    name = BACKENDS.get(name, name)
    return f"{name}, test F1 {system['f1']:.4f}" if "f1" in system else name


def rate(system: dict[str, Any]) -> str:
    """Return words per second, or seconds if a round is a single sentence."""
    if system["words_per_second"] < 100:
        return f"{median(system['seconds']):.2f} s in total"
    return f"{system['words_per_second']:,.0f}"


def missed_rows(kept: dict[str, Any]) -> list[str]:
    """Return a line per missed goal."""
    return [
        f"- {case['title']}: {pair['ours']} reaches {pair['ratio']:.2f} times {pair['peer']}; goal: {pair['goal']:g}"
        for case in kept["cases"]
        for pair in case["ratios"]
        if pair["goal"] is not None and pair["ratio"] < pair["goal"]
    ]


def extra_sections() -> list[str]:
    """Return the sections without a baseline."""
    found = []
    for path in sorted(RESULTS.glob("*.extra.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        rows = [f"| {' | '.join(str(cell) for cell in row)} |" for row in [kept["columns"], *kept["rows"]]]
        rows.insert(1, "|" + "---|" * len(kept["columns"]))
        found.append("\n".join([f"## {kept['title']}", "", f"`{kept['command']}`. {kept['note']}", "", *rows]))
    return found


if __name__ == "__main__":
    sys.exit(main())
