"""Long runs of ``tests/crashes.py``, recorded in ``results/training/crashes.json``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ner.runtime.device import environment  # noqa: E402  # after the path

TARGET = ROOT / "results" / "training" / "crashes.json"
EXPERIMENTS = [
    ["kill", "--kind", "bilstm", "--count", "200"],
    ["kill", "--kind", "bert", "--count", "200"],
    ["interrupt", "--kind", "bilstm", "--count", "20"],
    ["full", "--kind", "bilstm", "--count", "20"],
    ["full", "--kind", "bert", "--count", "20"],
]


def main() -> None:
    """Run all experiments without a result; stop at the first failure."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    import torch

    rows = json.loads(TARGET.read_bytes())["experiments"] if TARGET.exists() else []
    for options in EXPERIMENTS:
        if any(row["command"] == " ".join(["python", "tests/crashes.py", *options]) for row in rows):
            continue
        started = time.monotonic()
        command = ["python", "tests/crashes.py", *options]
        found = subprocess.run([sys.executable, *command[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        seconds = round(time.monotonic() - started)
        rows.append({"command": " ".join(command), "result": found.stdout.strip(), "seconds": seconds})
        print(rows[-1], flush=True)
        kept = {"experiments": rows, **environment(torch.device("cpu"))}
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
