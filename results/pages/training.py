"""Tables of ``docs/training.md``."""

from __future__ import annotations

from typing import Any

from pages.recorded import spread

REMOVED = ("PGD", "R-Drop")
"""Methods that were measured and then removed from the code."""


def regularisation(results: dict[str, dict[str, Any]]) -> str:
    """Return the table of regularization methods (mean over the seeds with the range)."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for result in results.values():
        kinds.setdefault(result["name"], []).append(result)
    lines = ["| | train F1 | valid F1 | test F1 | seconds |", "|---|---|---|---|---|"]
    for name, runs in kinds.items():
        title = f"{name} (removed)" if name.startswith(REMOVED) else name
        cells = [spread([run[split] for run in runs]) for split in ("train", "valid", "test")]
        lines.append(f"| {title} | {' | '.join(cells)} | {sum(run['seconds'] for run in runs) / len(runs):.0f} |")
    first = next(iter(results.values()))
    seeds = len(next(iter(kinds.values())))
    lines += ["", f"{seeds} seeds, {first['threads']} thread on {first['device']}, torch {first['versions']['torch']}."]
    return "\n".join(lines)


def crashes(kept: dict[str, Any]) -> str:
    """Return the table of fault-injection runs."""
    lines = ["| command | result | seconds |", "|---|---|---|"]
    lines += [f"| `{row['command']}` | {row['result']} | {row['seconds']} |" for row in kept["experiments"]]
    return "\n".join([*lines, "", f"On {kept['device']}, torch {kept['versions']['torch']}."])


def large(kept: dict[str, Any]) -> str:
    """Return the table of start-up times for a large training file."""
    lines = ["| start | seconds | peak memory, MB |", "|---|---|---|"]
    lines += [f"| {row['start']} | {row['seconds']:.0f} | {row['memory_mb']:,.0f} |" for row in kept["rows"]]
    return "\n".join([*lines, "", kept["note"]])


def learning_curve(kept: dict[str, Any]) -> str:
    """Return the scores for shares of the training file."""
    recipes = list(dict.fromkeys(entry["config"] for entry in kept.values()))
    lines = [
        f"| share | sentences | {' | '.join(f'`{recipe}`' for recipe in recipes)} |",
        "|---|---" + "|---" * len(recipes) + "|",
    ]
    for share in dict.fromkeys(entry["share"] for entry in kept.values()):
        entries = {entry["config"]: entry for entry in kept.values() if entry["share"] == share}
        cells = [
            f"{100 * entries[recipe]['test']:.1f} ({entries[recipe]['epochs']} epochs)" if recipe in entries else ""
            for recipe in recipes
        ]
        lines.append(f"| {share} % | {next(iter(entries.values()))['sentences']:,} | {' | '.join(cells)} |")
    return "\n".join(lines)
