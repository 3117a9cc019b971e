"""Tables of ``docs/scores.md`` and ``docs/data.md``."""

from __future__ import annotations

from typing import Any


def calibration(kept: dict[str, Any]) -> str:
    """Return the calibration errors, and what thresholds reach."""
    rows = ["| | before | after |", "|---|---|---|"]
    for split in ("valid", "test"):
        before, after = (kept[split][when]["error"] for when in ("before", "after"))
        rows.append(f"| calibration error, {split} | {before:.4f} | {after:.4f} |")
    rows += ["", "| `--min-precision` | threshold | valid P | valid R | test P | test R |", "|---|---|---|---|---|---|"]
    for row in kept["thresholds"]:
        figures = [row[key] for key in ("calibrated_precision", "calibrated_recall", "precision", "recall")]
        cells = " | ".join(f"{figure:.4f}" for figure in figures)
        rows.append(f"| {row['min_precision']:g} | {row['probability']:.4f} | {cells} |")
    head = (
        f"A BiLSTM-CRF after {kept['epochs']} epochs on CoNLL-2003 ([figures](../results/scores/calibration.json)). "
        f"The temperature is {kept['temperature']:.2f}; fitting it took {kept['seconds']:.0f} s.\n"
    )
    return "\n".join([head, *rows])


def checks(kept: dict[str, Any]) -> str:
    """Return the counts and findings of public data sets."""
    parts = ["| data | sentences or questions | entities or answers |", "|---|---|---|"]
    for title, found in kept.items():
        splits = found["splits"].values()
        sentences = " / ".join(f"{split['sentences']:,}" for split in splits)
        kind = "answers" if any(split["answers"] for split in splits) else "entities"
        counts = [split[kind] for split in splits]
        annotations = " / ".join(f"{count:,}" for count in counts) if any(counts) else "–"  # classes only
        parts.append(f"| {title} | {sentences} | {annotations} |")
    for title, found in kept.items():
        warnings = [finding["message"] for finding in found["findings"] if finding["level"] != "info"]
        parts += ["", f"{title}:", "", *(f"- {message}" for message in warnings or ["no warnings"])]
    return "\n".join(parts)


def robustness(kept: dict[str, Any]) -> str:
    """Return the F1 of each perturbation."""
    rows = ["| text | test F1 |", "|---|---|"]
    rows += [f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in kept.items()]
    return "\n".join(rows)


def suspects(kept: dict[str, Any]) -> str:
    """Return how many changed labels the first parts of the ranking contain."""
    shares = [name for name in kept["total"] if name.startswith("within_")]
    rows = [f"| change | entities | {' | '.join(f'first {name[7:-1]} %' for name in shares)} |"]
    rows.append("|---|---" + "|---" * len(shares) + "|")
    for kind, counts in [*kept["kinds"].items(), ("all", kept["total"])]:
        cells = " | ".join(f"{counts[name] / counts['changed']:.1%}" for name in shares)
        rows.append(f"| {kind} | {counts['changed']} | {cells} |")
    return "\n".join(rows)
