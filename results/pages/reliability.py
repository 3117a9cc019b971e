"""``docs/reliability.md``, and the table of the service in ``docs/deploy.md``."""

from __future__ import annotations

from typing import Any

RELIABILITY = """\
# Reliability

`make reliability` runs the experiments of this page; `make results` generates it from `results/reliability/*.json`. CI
runs a sample of the cases of each experiment. [SECURITY.md](../SECURITY.md) describes what files from strangers can do.
"""


def reliability_page(kept: dict[str, dict[str, Any]]) -> str:
    """Return the page of the reliability experiments: a table of all, then the kinds of cases of each."""
    lines = [RELIABILITY, "| promise | passed | command | seconds |", "|---|---|---|---|"]
    for found in kept.values():
        passed = f"{found['passed']} of {found['cases']}"
        lines.append(f"| {found['promise']} | {passed} | `{found['command']}` | {found['seconds']} |")
    for name, found in kept.items():
        note = [found["note"], ""] if "note" in found else []
        lines += ["", f"## {name}", "", *note, "| kind | passed |", "|---|---|"]
        lines += [f"| {kind} | {part['passed']} of {part['cases']} |" for kind, part in found["kinds"].items()]
        lines += ["", *(f"- {case}: {figure}" for case, figure in found.get("figures", {}).items())]
        lines += [f"- failed: {failed['case']}: {failed['reason']}" for failed in found["failed"]]
    return "\n".join(lines).rstrip() + "\n"


def service(kept: dict[str, Any]) -> str:
    """Return the figures of the service."""
    rows = [f"| {case} | {figure} |" for case, figure in kept.get("figures", {}).items()]
    rows += [f"| {failed['case']} | **missed**: {failed['reason'].partition(': ')[2]} |" for failed in kept["failed"]]
    count = f"{kept['passed']} of {kept['cases']} cases reach their goal. `{kept['command']}`, {kept['seconds']} s."
    return "\n".join(["| case | figure |", "|---|---|", *rows, "", count])
