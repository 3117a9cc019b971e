"""Experiments of ``docs/reliability.md``: named cases, run one after another, with their results as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "reliability"


class Case(NamedTuple):
    """A case of an experiment.

    Attributes:
        kind: Heading under which cases are counted, such as ``manifest``.
        name: Short description of the case.
        check: Runs the case; raises if the promise is broken. A text that it returns is the figure of the case.
    """

    kind: str
    name: str
    check: Callable[[], str | None]


def main(experiment: str, promise: str, cases: Iterable[Case]) -> int:
    """Run the cases whose kind or name contains ``--only``, and write ``results/reliability/<experiment>.json``.

    Args:
        experiment: Name of the file without its suffix; also that of the module in this folder.
        promise: One sentence for the documentation.
        cases: The cases; with ``--only`` no results are written.
    """
    parser = argparse.ArgumentParser(description=promise)
    parser.add_argument("--only", default="", metavar="TEXT", help="run the cases whose kind or name contains TEXT")
    parser.add_argument(
        "--again", action="store_true", help="run the cases that failed in the results, and update these"
    )
    arguments = parser.parse_args()
    if arguments.again:
        return _again(experiment, cases)
    started, kinds, failed, figures = time.monotonic(), {}, [], {}
    for case in cases:
        if arguments.only not in f"{case.kind}: {case.name}":
            continue
        counts = kinds.setdefault(case.kind, [0, 0])
        counts[1] += 1
        try:
            figure = case.check()
        except Exception as error:
            reason = traceback.format_exception_only(error)[-1].strip().splitlines()[0][:300]
            failed.append({"case": f"{case.kind}: {case.name}", "reason": reason})
            print(f"FAILED {case.kind}: {case.name}: {reason}", flush=True)
        else:
            counts[0] += 1
            if figure:
                figures[f"{case.kind}: {case.name}"] = figure
                print(f"{case.kind}: {case.name}: {figure}", flush=True)
    passed, total = (sum(counts[part] for counts in kinds.values()) for part in (0, 1))
    seconds = time.monotonic() - started
    print(f"{experiment}: {passed} of {total} in {seconds:.0f} s")
    if not arguments.only:
        found = {
            "promise": promise,
            "command": f"python -m tests.reliability.{experiment}",
            "passed": passed,
            "cases": total,
            "kinds": {kind: {"passed": counts[0], "cases": counts[1]} for kind, counts in kinds.items()},
            **({"figures": figures} if figures else {}),
            "failed": failed,
            "seconds": round(seconds),
            "python": sys.version.split()[0],
        }
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{experiment}.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return int(passed < total)


def _again(experiment: str, cases: Iterable[Case]) -> int:
    """Run the cases that failed, and count those that pass now; a note contains their number."""
    path = RESULTS / f"{experiment}.json"
    found = json.loads(path.read_bytes())
    failed = {entry["case"]: entry for entry in found["failed"]}
    for case in cases:
        name = f"{case.kind}: {case.name}"
        if name not in failed:
            continue
        try:
            case.check()
        except Exception as error:
            print(f"FAILED {name}: {error}", flush=True)
            continue
        print(f"passed {name}", flush=True)
        del failed[name]
        found["passed"] += 1
        found["kinds"][case.kind]["passed"] += 1
    passed = len(found["failed"]) - len(failed)
    if passed:
        found["note"] = f"{passed} cases failed in the whole run and passed when they were repeated after a correction."
    found["failed"] = list(failed.values())
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return int(bool(failed))
