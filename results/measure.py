"""Training of a configuration with recorded results: ``python results/measure.py --config FILE [key.sub=value ...]``.

Takes what ``train.py`` takes besides ``--run``. The run itself goes to ``runs/``; what a reader needs of it (command,
seed, versions, SHA-256 of the data, seconds, scores) to ``results/<config>.json``, its history beside it. With one
thread, the processor time is the time of the training on an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from safetensors import safe_open

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from ner.commands import evaluate, train  # noqa: E402  # the checkout that this file stands in
from ner.config.load import load_config  # noqa: E402  # as above


def main() -> int:
    """Train and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument(
        "--name", help="NAME or FOLDER/NAME of the result; default: the configuration, and the seed unless it is 1"
    )
    parser.add_argument("--unseen", action="store_true", help="also score the test texts that are not in train alone")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_intermixed_args()
    seeds = [
        override.replace("=", "")
        for override in arguments.overrides
        if override.startswith("seed=") and override != "seed=1"  # the default of the configurations
    ]
    name = arguments.name or "-".join([*Path(arguments.config).with_suffix("").parts[1:], *seeds])
    run = Path("runs", "measure", name, time.strftime("%Y-%m-%dT%H-%M-%S"))
    code = train.main(["--config", arguments.config, "--run", str(run), *arguments.overrides])
    if code == 0:
        kept = {"config": arguments.config, **json.loads((run / "metrics.json").read_bytes())}
        kept["processor_seconds"] = time.process_time()
        kept["parameters"] = parameters(run / "model.safetensors")
        kept["document_context"] = load_config(str(run / "config.yaml"), [])[0].windows.scope == "document"
        target = ROOT / "results" / f"{name}.json"
        write(kept, target)
        shorten(run / "history.csv", target.with_suffix(".csv"))
        if "test" in kept:
            kept["test_interval"] = test_interval(run)
        if arguments.unseen:
            scores = run / "unseen.json"
            code = evaluate.main(["--run", str(run), "--unseen", "--json", str(scores)])
            found = json.loads(scores.read_bytes())["unseen"]
            kept["unseen"] = {"command": "python evaluate.py --run DIR --unseen", **found}
        write(kept, target)
    return code


def write(result: dict[str, Any], target: Path) -> None:
    """Write a result."""
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def parameters(weights: Path) -> int:
    """Return the number of parameters of a saved model."""
    with safe_open(weights, "numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # no mapping


def test_interval(run: Path) -> list[float] | None:
    """Return the bootstrap interval of the micro F1 on the test file, or None without entities."""
    scores = run / "test.json"
    if evaluate.main(["--run", str(run), "--json", str(scores)]):
        raise SystemExit(f"{run}: the evaluation failed")
    intervals = json.loads(scores.read_bytes())["intervals"]["scores"]
    found: list[float] | None = intervals.get("entity", {}).get("micro", {}).get("f1")
    return found


def shorten(history: Path, target: Path) -> None:
    """Return the history without per-type scores, which take a thousand columns for eighty types."""
    with open(history, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if ".by_type." not in name and ".by_label." not in name]
    with open(target, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
