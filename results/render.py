"""Write ``docs/results.md`` and the tables of ``docs/notes.md`` from ``results/*.json``: ``python results/render.py``.

With ``--check`` nothing is written; the exit code says whether the documents are those of the figures.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
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
    found = {path.stem: json.loads(path.read_bytes()) for path in (ROOT / "results").glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: (title_of(item[1]), item[1]["seed"])))


def title_of(result: dict[str, Any]) -> str:
    """The configuration with what was overridden besides data and seed."""
    words = shlex.split(result["command"])
    changed = [word for word in words if "=" in word and not word.startswith(("data.", "seed="))]
    return " ".join([result["config"], *changed])


def results_page(results: dict[str, dict[str, Any]]) -> str:
    """One row per configuration, then what each figure rests on."""
    lines = [
        "# Results",
        "",
        "Made by `make results` from `results/*.json`; `make figures` trains all of them again. The epoch is chosen on",
        "the validation file (in runs of the notes it is the last), the test file is scored once. Entity scores are",
        "micro averages in percent, read as the CoNLL evaluation script reads tags. Minutes are those of the whole",
        "command, one thread on a machine of two cores that was busy with other work.",
        "",
        "| configuration | seed | epoch | valid F1 | test P | test R | test F1 | test weighted tag F1 | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results.values():
        test, valid = result["test"]["entity"]["micro"], result["valid"]["entity"]["micro"]
        figures = [valid["f1"], test["precision"], test["recall"], test["f1"], result["test"]["tag"]["weighted_f1"]]
        cells = [
            f"`{title_of(result)}`",
            str(result["seed"]),
            str(result["epoch"]),
            *(f"{100 * figure:.2f}" for figure in figures),
        ]
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
    """Both countings side by side, theirs and ours; ours are means over the seeds, with the range."""
    groups = {
        "BiLSTM here": [r for r in results.values() if title_of(r) == "configs/notes/bilstm.yaml"],
        "over pieces here": [r for r in results.values() if title_of(r) == "configs/notes/wordpiece_bilstm.yaml"],
    }
    groups = {title: runs for title, runs in groups.items() if runs}
    titles = ["notes, mean over sentences", "notes, whole split"]
    for title, runs in groups.items():
        count = f" ({len(runs)} seeds)" if len(runs) > 1 else ""
        titles += [f"{title}{count}, {kind}" for kind in ("mean over sentences", "whole split")]
    lines = [f"| valid | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    for tag in (*TAGS, "weighted"):
        cells = [f"{NOTES_MEAN[tag]:.3f}", f"{NOTES_SPLIT[tag]:.3f}"]
        for runs in groups.values():
            for metric in ("notes", "tag"):
                scores = [run["valid"][metric] for run in runs]
                cells.append(_range([s["weighted_f1"] if tag == "weighted" else s["f1"].get(tag, 0.0) for s in scores]))
        lines.append(f"| {'weighted F1' if tag == 'weighted' else 'F1 ' + tag} | {' | '.join(cells)} |")
    for split in ("valid", "test"):
        cells = ["", f"{NOTES_ENTITY[split]:.3f}"]
        for runs in groups.values():
            cells += ["", _range([run[split]["entity"]["micro"]["f1"] for run in runs])]
        lines.append(f"| entity micro F1, {split} | {' | '.join(cells)} |")
    cells = [f"{NOTES_TEST['mean']:.3f}", f"{NOTES_TEST['split']:.3f}"]
    for runs in groups.values():
        cells += [_range([run["test"][metric]["weighted_f1"] for run in runs]) for metric in ("notes", "tag")]
    lines.append(f"| weighted F1, test | {' | '.join(cells)} |")
    return "\n".join(lines)


def _range(figures: list[float]) -> str:
    mean = sum(figures) / len(figures)
    return f"{mean:.3f}" if len(figures) == 1 else f"{mean:.3f} ({min(figures):.3f} to {max(figures):.3f})"


def regularisation(results: dict[str, dict[str, Any]]) -> str:
    """A row for each kind, means over the seeds with the range."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for result in results.values():
        kinds.setdefault(result["name"], []).append(result)
    lines = ["| | train F1 | valid F1 | test F1 | seconds |", "|---|---|---|---|---|"]
    for name, runs in kinds.items():
        cells = [_range([run[split] for run in runs]) for split in ("train", "valid", "test")]
        lines.append(f"| {name} | {' | '.join(cells)} | {sum(run['seconds'] for run in runs) / len(runs):.0f} |")
    first = next(iter(results.values()))
    seeds = len(next(iter(kinds.values())))
    lines += ["", f"{seeds} seeds, {first['threads']} thread on {first['device']}, torch {first['versions']['torch']}."]
    return "\n".join(lines)


def crashes(kept: dict[str, Any]) -> str:
    """What was done to trainings, and what came of it."""
    lines = ["| command | result | seconds |", "|---|---|---|"]
    lines += [f"| `{row['command']}` | {row['result']} | {row['seconds']} |" for row in kept["experiments"]]
    return "\n".join([*lines, "", f"On {kept['device']}, torch {kept['versions']['torch']}."])


def large(kept: dict[str, Any]) -> str:
    """Starts of a training on a file that would not fit."""
    lines = ["| start | seconds | peak memory, MB |", "|---|---|---|"]
    lines += [f"| {row['start']} | {row['seconds']:.0f} | {row['memory_mb']:,.0f} |" for row in kept["rows"]]
    return "\n".join([*lines, "", kept["note"]])


def notes_training(found: dict[str, Any]) -> str:
    """The runs of section "Training"."""
    names = {
        "ninety": "from the base model at 2e-5, batch 64, 90 epochs",
        "plateau": "the same with plateau and early stopping",
        "continued": "continued from a trained model at 2e-5, 90 epochs",
        "continued_plateau": "the same with plateau and early stopping",
    }
    lines = [
        "| run | epochs | valid loss: first, lowest, last | valid F1: best (epoch), last | test F1, best | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for key, title in names.items():
        run = found[key]
        losses = run["valid_losses"]
        lowest = f"{losses[0]:.3f}, {min(losses):.3f} (epoch {losses.index(min(losses)) + 1}), {losses[-1]:.3f}"
        f1 = f"{run['best_f1']:.4f} ({run['best_epoch']}), {run['last_f1']:.4f}"
        lines.append(f"| {title} | {run['epochs']} | {lowest} | {f1} | {run['test_f1']:.4f} | {run['seconds']:.0f} |")
    whole, doubled = found["amp"]["whole"], found["amp"]["doubled"]
    lines += [
        "",
        "| run | epochs | steps | batch sizes | sentences seen | best valid F1 | test F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, run in (("30 epochs in bf16", whole), ("stopped after 10, resumed with the batch doubled", doubled)):
        sizes = ", then ".join(str(size) for size in dict.fromkeys(run["batch_sizes"]))
        cells = [run["epochs"], run["steps"], sizes, f"{run['sentences'][-1]:,}", f"{run['best_f1']:.4f}"]
        lines.append(f"| {title} | {' | '.join(map(str, cells))} | {run['test_f1']:.4f} |")
    lines += ["", f"Rows of `history.csv` that are equal to the last digit: {found['amp']['equal_rows']}."]
    one, two = found["step_log"], found["step_log_accumulated"]
    apart = max(abs(left - right) for left, right in zip(one["valid_losses"], two["valid_losses"], strict=True))
    lines += [
        "",
        "| run | steps | last valid loss | best valid F1 (epoch) | last valid F1 |",
        "|---|---|---|---|---|",
    ]
    for title, run in (("accumulation 1", one), ("accumulation 2, the same batch", two)):
        best = f"{run['best_f1']:.4f} ({run['best_epoch']})"
        cells = [run["steps"], f"{run['valid_losses'][-1]:.4f}", best, f"{run['last_f1']:.4f}"]
        lines.append(f"| {title} | {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", f"Largest difference of a validation loss between the two: {apart:.4f}."])


def filled(path: Path, makers: dict[str, Callable[[Any], str]], source: Path) -> str:
    """A document with the tables of ``source`` in it, of those files that are there."""
    text = path.read_text(encoding="utf-8")
    for name, make in makers.items():
        kept = source / f"{name}.json"
        if kept.is_file():
            text = between(text, name, make(json.loads(kept.read_bytes())))
    return text


def between(text: str, name: str, content: str) -> str:
    """The text with what stands between two marks replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    head, _, rest = text.partition(begin)
    return f"{head}{begin}{content}\n{end}{rest.partition(end)[2]}"


def main() -> int:
    """Write or check."""
    results = load()
    docs, training = ROOT / "docs", ROOT / "results" / "training"
    notes = docs / "notes.md"
    makers = {"regularisation": regularisation, "crashes": crashes, "large": large}
    pages = {
        docs / "results.md": results_page(results),
        notes: between(filled(notes, {"notes": notes_training}, training), "table", notes_tables(results)),
        docs / "training.md": filled(docs / "training.md", makers, training),
    }
    if "--check" in sys.argv:
        return int(any(path.read_text(encoding="utf-8") != text for path, text in pages.items()))
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
