"""Write ``docs/results.md`` and the tables of ``docs/notes.md`` from ``results/*.json``: ``python results/render.py``.

With ``--check`` nothing is written; the exit code says whether the documents are those of the figures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TAGS = ("B-LOC", "B-MISC", "B-ORG", "B-PER", "I-LOC")

# Figures of the experiment notes: the same program, files and settings scored in two ways (validation).
NOTES_MEAN = {"B-LOC": 0.300, "B-MISC": 0.140, "B-ORG": 0.200, "B-PER": 0.240, "I-LOC": 0.043, "weighted": 0.927}
NOTES_SPLIT = {"B-LOC": 0.833, "B-MISC": 0.761, "B-ORG": 0.620, "B-PER": 0.786, "I-LOC": 0.749, "weighted": 0.935}
NOTES_ENTITY = {"valid": 0.687, "test": 0.591}
NOTES_TEST = {"mean": 0.875, "split": 0.909}


def load() -> dict[str, dict[str, Any]]:
    """Results by name."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted((ROOT / "results").glob("*.json"))}


def results_page(results: dict[str, dict[str, Any]]) -> str:
    """One row per configuration, then what each figure rests on."""
    lines = [
        "# Results",
        "",
        "Made by `make results` from `results/*.json`; `make figures` trains all of them again. One run each with the",
        "seed of the configuration; the epoch is chosen on the validation file, the test file is scored once. Entity",
        "scores are micro averages in percent, read as the CoNLL evaluation script reads tags; `evaluate.py` checked",
        "them with seqeval.",
        "",
        "| configuration | epoch | valid F1 | test P | test R | test F1 | test weighted tag F1 | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results.values():
        test, valid = result["test"]["entity"]["micro"], result["valid"]["entity"]["micro"]
        figures = [valid["f1"], test["precision"], test["recall"], test["f1"], result["test"]["tag"]["weighted_f1"]]
        cells = [f"`{result['config']}`", str(result["epoch"]), *(f"{100 * figure:.2f}" for figure in figures)]
        lines.append(f"| {' | '.join(cells)} | {result['seconds'] / 60:.1f} |")
    lines += ["", "## What each figure rests on", ""]
    for name, result in results.items():
        versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items())
        lines += [
            f"### {name}",
            "",
            "```",
            result["command"].replace(" data.", " \\\n    data."),
            "```",
            "",
            f"- seed {result['seed']}, {result['threads']} thread(s) on {result['device']}; {versions}",
        ]
        lines += [f"- {split}: SHA-256 `{checksum}`" for split, checksum in result["data"].items()]
        types = result["test"]["entity"]["by_type"]
        scores = ", ".join(f"{label} {100 * figures['f1']:.2f}" for label, figures in types.items())
        lines += [f"- test F1 by type: {scores}; strict {100 * result['test']['entity']['strict']['f1']:.2f}", ""]
    return "\n".join(lines).rstrip() + "\n"


def notes_tables(results: dict[str, dict[str, Any]]) -> str:
    """Both countings side by side, theirs and ours."""
    runs = {"notes-bilstm": "BiLSTM here", "notes-wordpiece_bilstm": "BiLSTM over pieces here"}
    present = {name: title for name, title in runs.items() if name in results}
    header = " | ".join(
        ["notes, mean over sentences", "notes, whole split"]
        + [f"{title}, {kind}" for title in present.values() for kind in ("mean over sentences", "whole split")]
    )
    lines = [f"| valid | {header} |", "|---" * (3 + 2 * len(present)) + "|"]
    for tag in (*TAGS, "weighted"):
        cells = [NOTES_MEAN[tag], NOTES_SPLIT[tag]]
        for name in present:
            for metric in ("notes", "tag"):
                scores = results[name]["valid"][metric]
                cells.append(scores["weighted_f1"] if tag == "weighted" else scores["f1"].get(tag, 0.0))
        lines.append(f"| {'weighted F1' if tag == 'weighted' else 'F1 ' + tag} | {_row(cells)} |")
    for split in ("valid", "test"):
        entity: list[float | None] = [None, NOTES_ENTITY[split]]
        for name in present:
            entity += [None, results[name][split]["entity"]["micro"]["f1"]]
        lines.append(f"| entity micro F1, {split} | {_row(entity)} |")
    test: list[float | None] = [NOTES_TEST["mean"], NOTES_TEST["split"]]
    for name in present:
        test += [results[name]["test"][metric]["weighted_f1"] for metric in ("notes", "tag")]
    lines.append(f"| weighted F1, test | {_row(test)} |")
    return "\n".join(lines)


def _row(cells: list[Any]) -> str:
    return " | ".join("" if cell is None else f"{cell:.3f}" for cell in cells)


def between(text: str, name: str, content: str) -> str:
    """The text with what stands between two marks replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    head, _, rest = text.partition(begin)
    return f"{head}{begin}{content}\n{end}{rest.partition(end)[2]}"


def main() -> int:
    """Write or check."""
    results = load()
    notes = ROOT / "docs" / "notes.md"
    pages = {
        ROOT / "docs" / "results.md": results_page(results),
        notes: between(notes.read_text(encoding="utf-8"), "table", notes_tables(results)),
    }
    if "--check" in sys.argv:
        return int(any(path.read_text(encoding="utf-8") != text for path, text in pages.items()))
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
